"""What the edge decides, as pure functions of values."""
