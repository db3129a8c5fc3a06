"""Upstream APIs to raw observations in the log."""
