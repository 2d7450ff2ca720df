"""The public names, and that naming them imports nothing heavy before they are used."""

import subprocess
import sys

import slmrec


def test_every_public_name_is_there():
    for name in slmrec.__all__:
        assert getattr(slmrec, name).__name__ == name


def test_importing_the_package_imports_no_torch():
    code = "import sys, slmrec; print('torch' in sys.modules, 'polars' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["False", "False"]
