"""The exception of mistakes that users can fix; in a file of its own, an agent needs it too."""


class UserError(ValueError):
    """A mistake that the user can fix; its message names the file, line or layer, and teaches."""


def first_line(error):
    """Return the first line of an exception's message, or its type if it has none."""
    return next(iter(str(error).splitlines()), type(error).__name__)
