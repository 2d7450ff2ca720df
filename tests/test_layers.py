"""Imports go one way: a later layer may import an earlier one, never the reverse (docs/architecture.md)."""

import ast
from pathlib import Path

LAYERS = [
    "errors",
    "extras",
    "files",
    "provenance",
    "busy",
    "monitor",
    "runtime",
    "data",
    "losses",
    "engine",
    "models",
    "scoring",
    "evaluation",
    "report",
    "training",
    "recipe",
    "pipeline",
    "tuning",
    "studies",
    "export",
    "serving",
    "cli",
]
SOURCE = Path(__file__).parents[1] / "src" / "slmrec"


def imported(file: Path) -> set[str]:
    """The layers that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module == "slmrec":
            modules += [f"slmrec.{alias.name}" for alias in node.names]
        found |= {name.split(".")[1] for name in modules if name.startswith("slmrec.")}
    return found


def test_imports_go_one_way():
    files = [file for file in SOURCE.rglob("*.py") if file.parent != SOURCE or file.stem in LAYERS]
    assert len(files) > 50
    wrong = []
    for file in files:
        layer = file.relative_to(SOURCE).parts[0].removesuffix(".py")
        later = LAYERS[LAYERS.index(layer) + 1 :]
        wrong += [f"{file.relative_to(SOURCE)} imports {name}" for name in imported(file) & set(later)]
    assert not wrong
