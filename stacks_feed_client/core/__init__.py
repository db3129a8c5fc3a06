"""What the client decides, without I/O, clock or chance."""
