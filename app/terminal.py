"""The output of commands: a terminal, a file, or a pipe that may end early."""

from rich.console import Console


class Terminal(Console):
    """A console that leaves it to the command line what a broken pipe means.

    The library would end the process with 1, which is how commands say that something is
    wrong; whoever reads no further, as ``head`` does, is told 141 as by any other program.
    """

    def on_broken_pipe(self) -> None:
        """Raise again what is being handled."""
        raise BrokenPipeError
