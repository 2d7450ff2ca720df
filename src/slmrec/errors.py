"""The one error that means: you asked for something that cannot be done, and here is what to change."""

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """The user's mistake: one sentence with what was asked, what was found and what to do.

    The command line prints the sentence alone and exits with 2; every other exception is a fault of ours.
    """


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the known name closest to ``name``, or the list of known names."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean '{close[0]}'?" if close else f"; known are: {', '.join(known)}"
