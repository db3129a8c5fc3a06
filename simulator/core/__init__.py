"""The simulated world, market and chain, as pure functions of a seed."""
