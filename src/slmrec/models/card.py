"""The card of a model folder: what it is, what it was trained on, how good it is, how to use it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slmrec.models.base import Recommender


def model_card(model: Recommender, name: str, facts: Mapping[str, Any]) -> str:
    """README.md of a model folder, in Markdown with the metadata block that model hubs read.

    Args:
        model: the model.
        name: its folder's name.
        facts: optional `data` (sentence), `recipe` (name), `training` (as training.json) and `metrics` (evaluations).
    """
    counts = model.parameter_counts()
    lines = [
        "---",
        "library_name: slmrec",
        "tags: [recommendation, sequential-recommendation]",
        "---",
        f"# {name}",
        "",
        f"{'An' if model.kind[0] in 'aeiou' else 'A'} {model.kind} recommender over {len(model.catalogue):,} items: a "
        "history of item ids goes in, the next items come out.",
        "",
        "| parameters | |",
        "|---|---|",
        f"| with the language model's word table | {counts['total']:,} |",
        f"| held here | {counts['without_vocabulary']:,} |",
        f"| trained | {counts['trained']:,} |",
    ]
    for key, title in (("data", "Data"), ("recipe", "Recipe")):
        if key in facts:
            lines += ["", f"**{title}:** {facts[key]}"]
    if "training" in facts:
        training = facts["training"]
        lines += [
            "",
            f"**Training:** {training['seconds']:,.0f} s, best after epoch {training['best_epoch']:g}.",
        ]
    for evaluation in facts.get("metrics", []):
        metrics = evaluation["metrics"]
        lines += [
            "",
            f"## Quality on {evaluation['data']}, {evaluation['split']} split",
            "",
            f"{evaluation['users']:,} users, {evaluation['protocol']} ranking, seen items {evaluation['seen']}, "
            "ties counted against the model.",
            "",
            "| " + " | ".join(metrics) + " |",
            "|" + "---|" * len(metrics),
            "| " + " | ".join(f"{value:.4f}" for value in metrics.values()) + " |",
        ]
    example = ", ".join(repr(item) for item in model.catalogue.ids([1, min(2, len(model.catalogue))]))
    lines += [
        "",
        "## Use",
        "",
        "```python",
        "from slmrec import load",
        "",
        f'model = load("{name}")',
        f"model.recommend([[{example}]], k=10)  # user_id, item_id, score, rank",
        "```",
        "",
        "```sh",
        f'slmrec recommend {name} --history "{",".join(str(i) for i in model.catalogue.ids([1]))}" -k 10',
        "```",
        "",
    ]
    return "\n".join(lines)
