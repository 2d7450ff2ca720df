"""How numbers are written on a page: one spelling each, a true minus sign, a narrow space before units."""

NARROW = "\u202f"  # narrow no-break space: keeps "98 %" on one line
MINUS = "\u2212"


def metric(value: float) -> str:
    """A metric between 0 and 1, to four decimals."""
    return f"{value:.4f}"


def signed(value: float) -> str:
    """A difference of metrics, always with its sign."""
    return f"{value:+.4f}".replace("-", MINUS)


def count(value: float) -> str:
    """A whole number with its thousands set apart."""
    return f"{value:,.0f}".replace("-", MINUS)


def compact(value: float) -> str:
    """A large number in three digits and a unit: ``14.6 M``."""
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= 0.9995 * size:  # 999,950 is 1.0 M, not 1000 k
            scaled = value / size
            return f"{scaled:.{0 if scaled >= 100 else 1}f}{NARROW}{unit}"
    return f"{value:.0f}"


def percent(share: float) -> str:
    """A share as a percentage: whole from 10 % on, else to the decimal that says something."""
    value = 100 * abs(share)
    return f"{value:.0f}{NARROW}%" if value >= 9.95 else f"{value:.1f}".removesuffix(".0") + f"{NARROW}%"


def rate(value: float) -> str:
    """Things per second: three digits are all a timing is good for."""
    return count(value) if value >= 100 else f"{value:.3g}"


def duration(seconds: float) -> str:
    """Seconds as a person says them: ``0.21 s``, ``43 s``, ``4 min 56 s``, ``2 h 5 min``."""
    if seconds < 10:
        return f"{seconds:.2g}{NARROW}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}{NARROW}s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}{NARROW}min" + (f" {rest}{NARROW}s" if rest else "")
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours}{NARROW}h" + (f" {minutes}{NARROW}min" if minutes else "")
