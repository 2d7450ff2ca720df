"""The page of a timed study: its tables, and the paper's beside them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slmrec.provenance import in_words


@dataclass(frozen=True)
class PaperRow:
    """A row of the paper's table of efficiency: means over its four data sets, on one A100."""

    model: str
    training: float
    """Hours an epoch."""
    inference: float
    """Hours for all test users."""
    trained: float
    """Billions of parameters that train."""
    held: float
    """Billions of parameters at inference."""


PAPER = (
    PaperRow("Open-P5 (LLaMA)", 0.92, 4942, 0.023, 7.237),
    PaperRow("E4SRec, 32 layers", 3.95, 0.415, 0.023, 6.631),
    PaperRow("SLMRec, 4 layers, distilled from 8", 0.60, 0.052, 0.003, 0.944),
)
"""arXiv 2405.17890, its table of efficiency; Open-P5 was run one user at a time."""


def speed_page(result: Mapping[str, Any]) -> str:
    """NAME.md."""
    lines = [
        f"# Study: {result['study']}",
        "",
        result["question"],
        "",
        f"`{result['command']}`; a few training steps and requests of each model, untrained, one after another in one "
        "process. Training: optimiser steps alone, without validation; for a distilled student the teacher's states, "
        "which are computed once, are in the total. Users a second: ten best of all items, on all threads; a request: "
        "one user, on one thread.",
    ]
    for name, data in result["data"].items():
        lines += [
            "",
            f"## {name}",
            "",
            f"{data['users']:,} users, {data['items']:,} items, {data['interactions']:,} interactions; on "
            f"{in_words(data['measured']['machine'])}, {data['measured']['finished'][:10]}.",
            "",
            *_models(data["speeds"], dict(result["pairs"])),
        ]
        pairs = [pair for pair in result["pairs"] if set(pair) <= data["speeds"].keys()]
        if pairs:
            lines += ["", *_beside_the_paper(data["speeds"], *pairs[0])]
    return "\n".join([*lines, "", *_paper()]) + "\n"


def _models(speeds: Mapping[str, Any], baselines: Mapping[str, str]) -> list[str]:
    lines = [
        "| model | parameters held, millions | with word table | training, s an epoch | all of it, s | faster | "
        "users a second | faster | a request, ms: median, 99 % |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, speed in speeds.items():
        base = speeds.get(baselines.get(name, ""))
        training, latency = speed["training"], speed["latency"]
        steps = training["epochs"] > 0
        cells = [
            name,
            _number(speed["parameters"]["without_vocabulary"] / 1e6),
            _number(speed["parameters"]["total"] / 1e6),
            _number(training["epoch"]) if steps else "–",
            _number(training["total"]),
            f"{base['training']['epoch'] / training['epoch']:,.1f}x" if base and steps else "–",
            f"{speed['users_per_second']:,.0f}",
            f"{speed['users_per_second'] / base['users_per_second']:,.1f}x" if base else "–",
            f"{latency['p50']:.2f}, {latency['p99']:.2f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _beside_the_paper(speeds: Mapping[str, Any], student: str, whole: str) -> list[str]:
    """The paper's three ratios, and ours."""
    ours, all_layers = speeds[student], speeds[whole]
    open_p5, e4srec, slmrec = PAPER
    shares = [ours["parameters"][name] / all_layers["parameters"][name] for name in ("without_vocabulary", "total")]
    apart = ours["training"]["once"] / max(1, ours["training"]["epochs"])
    steps, whole_steps = ours["training"]["epoch"], all_layers["training"]["epoch"]
    faster = ours["users_per_second"] / all_layers["users_per_second"]
    return [
        f"The paper's own comparison: {student}, against {whole}.",
        "",
        "| | paper | here |",
        "|---|---|---|",
        f"| parameters | {slmrec.held / open_p5.held:.1%} of Open-P5's, {slmrec.held / e4srec.held:.1%} of E4SRec's | "
        f"{shares[0]:.1%} of those held, {shares[1]:.1%} with the word table |",
        f"| training an epoch | {e4srec.training / slmrec.training:.1f}x faster | {whole_steps / steps:.1f}x faster, "
        f"{whole_steps / (steps + apart):.1f}x with its share of the teacher's states |",
        f"| inference | {e4srec.inference / slmrec.inference:.1f}x faster | {faster:.1f}x faster |",
    ]


def _paper() -> list[str]:
    lines = [
        "## The paper's table",
        "",
        "Copied from arXiv 2405.17890 (ICLR 2025), its table of efficiency: means over its four data sets on one A100, "
        "batches of 256 in training and 512 at inference, Open-P5's of 1; ratios are against E4SRec, the parameters' "
        "13 % against Open-P5.",
        "",
        "| model | training, h an epoch | inference, h | trained, billions | held at inference, billions |",
        "|---|---|---|---|---|",
    ]
    for row in PAPER:
        lines.append(f"| {row.model} | {row.training:g} | {row.inference:,g} | {row.trained:g} | {row.held:g} |")
    return lines


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
