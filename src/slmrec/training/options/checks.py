"""Bounds that many options share."""

from slmrec.errors import UserError


def check_rates(options: object, *names: str) -> None:
    """See that rates of dropout, and shares that are left out, leave something.

    Raises:
        UserError: one is below 0, or 1 or more.
    """
    for name in names:
        if not 0 <= getattr(options, name) < 1:
            raise UserError(f"{name} is {getattr(options, name)}, but must be at least 0 and below 1")


def check_counts(options: object, *names: str) -> None:
    """See that there is one at least of what is counted.

    Raises:
        UserError: there is none.
    """
    for name in names:
        if getattr(options, name) < 1:
            raise UserError(f"{name} is {getattr(options, name)}, but must be at least 1")
