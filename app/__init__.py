"""The composition root: settings, command line, and the one place that builds things."""
