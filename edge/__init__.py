"""The log's public table to clients: WebSocket and HTTP on one port."""
