"""The card of a bundle: what it is, what it answers as well as, how fast, how to use it."""

from collections.abc import Mapping
from typing import Any


def bundle_card(manifest: Mapping[str, Any], examples: list[str | int]) -> str:
    """README.md of a bundle, in Markdown.

    Args:
        manifest: what manifest.json will say, without its files.
        examples: a few item ids.
    """
    by = "OpenVINO" if manifest["graph"].endswith(".xml") else "onnxruntime"
    lines = [
        f"# {manifest['name']}",
        "",
        f"A {manifest['kind']} recommender over {manifest['num_items']:,} items, exported in {manifest['precision']} "
        f"for {by}{_beside(manifest['neighbours'])}: a history of item ids goes in, the next items come out. It needs "
        "no torch.",
        "",
        f"Reads the last {manifest['max_length']} events of a history; items are {manifest['item_dim']} wide; made "
        f"{manifest['made']['date'][:10]} by slmrec {manifest['made']['slmrec']}.",
    ]
    if manifest["parity"]:
        lines += ["", "## Against the model it came from", "", *_parity(manifest["parity"])]
    if manifest["latency"]:
        told = manifest["latency"]
        lines += [
            "",
            "## Time of a request",
            "",
            f"{told['events']} events in, ten items out, {told['threads']} thread of {told['cpu']}: "
            f"median {told['median_ms']:.2f} ms, 95th percentile {told['p95_ms']:.2f} ms.",
        ]
    lines += [
        "",
        "## Use",
        "",
        "```python",
        "from slmrec.runtime import Bundle",
        "",
        f'bundle = Bundle.load("{manifest["name"]}")  # this folder',
        f"bundle.recommend([{examples!r}], k=10)  # a list of (item_id, score, rank) for each history",
        "```",
        "",
        "`manifest.json` has the digest of every file; `Bundle.load` checks them.",
        "",
    ]
    return "\n".join(lines)


def _beside(neighbours: list[Mapping[str, Any]]) -> str:
    if not neighbours:
        return ""
    *others, last = [each["kind"] for each in neighbours]
    return f", with {', '.join(others)}{' and ' if others else ''}{last} beside it"


def _parity(told: Mapping[str, Any]) -> list[str]:
    lines = [
        f"On {told['on']} ({told['histories']:,} histories): {told['same_lists']:,} lists of ten are the same in the "
        f"same order, {told['same_except_ties']:,} but for items that score alike; of the ten best "
        f"{told['overlap@10']:.2%} are shared.",
    ]
    if "change_of_NDCG@10" in told:
        lines += [
            "",
            f"NDCG@10: {told['bundle_NDCG@10']:.4f}, the model's own {told['torch_NDCG@10']:.4f} "
            f"({told['change_of_NDCG@10']:+.4f}).",
        ]
    return lines
