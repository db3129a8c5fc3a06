"""Every record of every topic and every message of the edge, as models."""
