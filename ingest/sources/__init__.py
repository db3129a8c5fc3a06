"""One module an upstream: asks it and returns observations."""
