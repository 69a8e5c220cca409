"""The errors a user can meet: bad input, and a method that gave up with a partial answer."""

from __future__ import annotations


class BadInput(ValueError):
    """Input that cannot be used; one sentence: what arrived, what is required, what to do.

    The command line turns it into one line on standard error and exit code 2.
    """


class NotReached(RuntimeError):
    """A numerical method stopped short of what it promises; ``partial`` is what it reached.

    The command line prints the partial answer and exits with code 3.
    """

    def __init__(self, message: str, partial: object = None) -> None:
        super().__init__(message)
        self.partial = partial
