"""What a person did wrong, in one line that says what to do next."""


class InputError(ValueError):
    """Bad input: the command line prints the message and leaves with exit code 2."""
