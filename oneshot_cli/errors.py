"""Exceptions with messages for the user."""


class OneshotError(Exception):
    """An expected failure. Its message says in one or two lines what is wrong and what to do.

    The command line prints the message to stderr and exits with 1. Library users can catch it.
    """


class UsageError(OneshotError):
    """An invalid argument. The command line exits with 2."""
