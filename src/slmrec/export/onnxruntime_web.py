"""onnxruntime-web, which runs a bundle's graph in a browser."""

from pathlib import Path

from slmrec.data.packages import Npm, Package, Report, fetch_package

VERSION = "1.30.0"
PACKAGE = Package(
    requirement=f"onnxruntime-web@{VERSION}",
    size=33_106_585,
    sha256="d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71",
    files={
        "package/dist/ort.wasm.bundle.min.mjs": "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
        "package/dist/ort-wasm-simd-threaded.wasm": "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
    },
    client=Npm,
)
"""What a page needs of it, the WebAssembly build."""
FILES = tuple(PACKAGE.unpacked())
"""Names of its files."""


def onnxruntime_web(report: Report | None = None) -> Path:
    """Return the folder with `FILES`, fetching them if they are not there whole.

    Args:
        report: is told what is being done; nothing is said if the files are there.

    Raises:
        UserError: what `fetch_package` raises.
    """
    return fetch_package(f"onnxruntime-web-{VERSION}", PACKAGE, report)
