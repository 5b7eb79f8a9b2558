"""The exceptions that a person is meant to read."""


class OneshotError(Exception):
    """An expected failure: one or two lines that say what was wrong, with which file, what to do.

    The command line prints the message to stderr and exits with 1; library users catch it.
    """


class UsageError(OneshotError):
    """An argument that cannot be, whatever the files hold. The command line exits with 2."""
