"""What a program says that meets a record of a version that it does not know."""


class WrittenByNewer(Exception):
    """A newer program wrote this; it is no bug, and the newer program can read it."""
