"""The folds and the commit, as pure functions of values."""
