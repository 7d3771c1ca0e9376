"""The one error that ends the command with status 69."""


class Unavailable(Exception):
    """A side of the comparison cannot run; the text is one line and names the remedy."""
