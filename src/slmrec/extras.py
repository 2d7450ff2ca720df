"""What to install where a package is missing: extras are optional, and an import error alone names none of them."""

import re
from importlib import metadata

from slmrec.errors import UserError

PURPOSES = {
    "train": "working with data and models",
    "tune": "tuning",
    "ann": "an approximate index",
    "runtime": "an exported bundle",
    "export": "exporting",
    "serve": "serving",
    "postgres": "a PostgreSQL store",
}
"""What needs an extra, in the order in which extras are looked through for a package that several of them hold."""
DISTRIBUTIONS = {"faiss": "faiss-cpu"}
"""Packages that are installed under another name than they are imported by; `-` for `_` needs no entry."""
SHOWN = 3
"""Missing packages that are named; of the others their number is told."""


def missing_extra(error: ModuleNotFoundError) -> UserError | None:
    """What to say instead of ``error``; None where the missing module belongs to no extra."""
    module = (error.name or "").partition(".")[0]
    absent = DISTRIBUTIONS.get(module, module.replace("_", "-"))
    extras = _extras()
    extra = next((name for name in PURPOSES if absent in extras.get(name, ())), None)
    if extra is None:
        return None
    missing = [name for name in extras[extra] if name == absent or not _is_installed(name)]
    more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
    return UserError(
        f"{PURPOSES[extra]} needs packages that are not installed ({', '.join(missing[:SHOWN])}{more}); "
        f"pip install 'slmrec[{extra}]'"
    )


def _extras() -> dict[str, list[str]]:
    """Distributions of each extra, as the installed package declares them."""
    extras: dict[str, list[str]] = {}
    for line in metadata.requires("slmrec") or ():
        found = re.match(r"""([\w.-]+).*;.*\bextra == ['"]([\w-]+)['"]""", line)
        if found:
            extras.setdefault(found[2], []).append(found[1])
    return extras


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True
