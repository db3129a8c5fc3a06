"""Raw observations to published values, exactly once."""
