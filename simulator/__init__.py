"""The upstreams' stand-in: their HTTP and WebSocket formats, from a seed."""
