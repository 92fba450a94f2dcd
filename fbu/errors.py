"""Exceptions that mean "the input is wrong", as opposed to a bug."""


class DataError(ValueError):
    """A dataset, file or recipe is missing or malformed; the message names it and says how to mend it."""
