"""The log, asked: is it what the fold makes of it, and what was the table at a time."""
