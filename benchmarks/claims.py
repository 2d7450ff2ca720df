"""docs/claims.md: what the paper claims, and what was measured here, from the studies' JSON.

A verdict is a rule, not a judgement: two or more seeds, a 95 % interval over users and seeds that leaves out zero, and
Holm-corrected p below .05, or else no verdict.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
STUDIES = ROOT / "benchmarks" / "results" / "studies"
LEVEL = 0.05
ALL = "D_cos + D_norm + L_ms"
ALONE = "cross-entropy alone"


@dataclass(frozen=True)
class Claim:
    """One claim of the paper, as differences that would show it."""

    says: str
    """The claim, in our words, with its place in the paper."""
    study: str
    """Where it is measured."""
    pairs: tuple[tuple[str, str], ...]
    """(model, baseline)."""
    expected: str
    """"better" or "worse": what the claim says of the model; "as good": no loss."""


CLAIMS = (
    Claim(
        "Most layers are redundant: the first few, trained so, keep the quality of all (motivating figure).",
        "layers",
        (("30 layers", "4 layers"), ("30 layers", "8 layers")),
        "as good",
    ),
    Claim(
        "Even one layer of the language model is ahead of SASRec (motivating figure).",
        "layers",
        (("1 layers", "SASRec"),),
        "better",
    ),
    Claim(
        "The first half of the layers, trained on, keeps the quality of all (the same).",
        "redundancy",
        (("first 4, healed", "8 layers"),),
        "as good",
    ),
    Claim(
        "A student of 4 layers keeps the quality of its teacher of 8 (main table).",
        "ablation",
        ((ALL, "teacher"),),
        "as good",
    ),
    Claim(
        "The distilled student is ahead of SASRec (main table). That of the recipe; it comes closer "
        "[tuned](results/models-tuned.md).",
        "ablation",
        ((ALL, "SASRec"),),
        "better",
    ),
    Claim(
        "Distillation teaches the student more than cross-entropy alone (asked by reviewers; not in the paper).",
        "ablation",
        ((ALL, ALONE),),
        "better",
    ),
    Claim("D_cos helps (ablation).", "ablation", (("D_cos", ALONE),), "better"),
    Claim("D_norm helps beside D_cos (ablation).", "ablation", (("D_cos + D_norm", "D_cos"),), "better"),
    Claim("L_ms helps beside D_cos (ablation).", "ablation", (("D_cos + L_ms", "D_cos"),), "better"),
    Claim(
        "All three together are best (ablation).",
        "ablation",
        ((ALL, "D_cos + D_norm"), (ALL, "D_cos + L_ms")),
        "better",
    ),
    Claim(
        "Four blocks are best (block study).", "blocks", (("4 blocks", "1 block"), ("4 blocks", "2 blocks")), "better"
    ),
    Claim(
        "A deeper teacher is a worse one for 4 layers (ablation). Four blocks do not divide 30 layers; there are two. "
        "[Without D_norm](results/teachers-no-norm.md), one seed, it is not seen.",
        "teachers",
        (("4 taught by 30", "4 taught by 8"), ("4 taught by 16", "4 taught by 8")),
        "worse",
    ),
    Claim(
        "A teacher trained before teaches more than one that learns beside its student (model study).",
        "kd",
        (("states, block by block", "states, online"),),
        "better",
    ),
)


@dataclass(frozen=True)
class Aim:
    """A gain that this project set out for, by the study `models`."""

    says: str
    pairs: tuple[tuple[str, str], ...]
    """(model, baseline), each told in a row of its own."""
    percent: float
    """At least so much more NDCG@10."""
    rare: bool = False
    """On items with 0 to 5 training interactions alone."""
    data: tuple[str, ...] = ()
    """The data sets that it is for; else all."""


STUDENTS = ("LLM taught by all", "LLM taught by all, longer")
BY_CLASSICS = ("LLM taught by classics", "LLM taught by classics, longer")
TAUGHT = ("SASRec taught by classics", "SASRec taught by all")
CLASSIC, MODERN = "SASRec + text", "eSASRec + text"
NARROW = "narrower, taught"
AMAZON = ("amazon14-beauty", "amazon14-sports")
BESIDE = (
    "Beside the aim, which is for one model: any with neighbours (`slmrec combine`) against the best classic models "
    "alone, with the same text"
)
AGAINST_ALONE = tuple(
    (f"{model}, with neighbours", alone)
    for model in (CLASSIC, MODERN, "LLM + text", *TAUGHT, *BY_CLASSICS, *STUDENTS)
    for alone in (CLASSIC, MODERN)
)


SPLITS = {"amazon14-beauty": 0.052, "amazon14-sports": 0.031, "ml-1m": 0.168}
"""NDCG@10 that a SASRec by ids was to reach."""


def _against(baseline: str, models: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    return tuple((model, baseline) for model in models)


AIMS = (
    Aim(
        "The LLM student against the best classic models alone, with the same text",
        _against(CLASSIC, (*STUDENTS, *BY_CLASSICS)) + _against(MODERN, STUDENTS),
        12,
    ),
    Aim(
        "The best student, here a SASRec, against the best classic models alone, with the same text",
        _against(CLASSIC, TAUGHT) + _against(MODERN, TAUGHT),
        5,
        data=("ml-1m",),
    ),
    Aim(BESIDE, AGAINST_ALONE, 12, data=AMAZON),
    Aim(BESIDE, AGAINST_ALONE, 5, data=("ml-1m",)),
    Aim("A SASRec by ids with neighbours against the same alone", (("SASRec, with neighbours", "SASRec"),), 0),
    Aim("A taught SASRec against the same alone, at the same cost", _against(CLASSIC, TAUGHT), 10),
    Aim(
        "The LLM student against a SASRec of the same teachers",
        (*_against("SASRec taught by all", STUDENTS), *_against("SASRec taught by classics", BY_CLASSICS)),
        3,
    ),
    Aim("The LLM student against a SASRec taught by SASRecs", _against("SASRec taught by SASRecs", STUDENTS), 3),
    Aim(
        "The LLM student against its teachers together",
        (*_against("ensemble of all", STUDENTS), *_against("ensemble of the classics", BY_CLASSICS)),
        0,
    ),
    Aim(
        "The LLM student against the same by cross-entropy alone",
        (
            ("LLM taught by all", "LLM + text"),
            ("LLM taught by all, longer", "LLM + text, longer"),
            ("LLM taught by all, longer", "LLM + text"),  # by cross-entropy alone the shorter training is the better
        ),
        0,
    ),
    Aim(
        "Items with 0 to 5 training interactions, LLM student",
        _against(CLASSIC, (*STUDENTS, *BY_CLASSICS)),
        20,
        rare=True,
    ),
    Aim("Items with 0 to 5 training interactions, SASRec", _against(CLASSIC, TAUGHT), 20, rare=True),
    Aim(
        "Items with 0 to 5 training interactions, any with neighbours beside it",
        tuple(pair for pair in AGAINST_ALONE if pair[1] == CLASSIC),
        20,
        rare=True,
        data=AMAZON,  # MovieLens has next to no such item
    ),
    Aim(
        "Users of whom three events are known, LLM student",
        _against(f"{CLASSIC}, newest 3", tuple(f"{name}, newest 3" for name in (*STUDENTS, *BY_CLASSICS))),
        10,
    ),
    Aim(
        "The narrow student against the best classic model alone, with the same text", _against(CLASSIC, (NARROW,)), 12
    ),
    Aim("The narrow student against a SASRec of the same teachers", _against("SASRec, taught", (NARROW,)), 3),
    Aim(
        "The LLM student, and the narrow one, against a SASRec of the same teachers and as many blocks",
        _against("SASRec as deep, taught", ("pretrained, taught", NARROW)),
        3,
    ),
    Aim(
        "Items with 0 to 5 training interactions, narrow student",
        _against(CLASSIC, (NARROW,)),
        20,
        rare=True,
    ),
)


def page() -> str:
    """docs/claims.md."""
    lines = [
        "# The paper's claims, measured",
        "",
        "Written by `python benchmarks/tables.py` from `benchmarks/results/studies/*.json`, which `slmrec study` "
        "makes. Quality is test NDCG@10 over the full catalogue, seen items masked. A verdict needs two seeds or "
        "more, a 95 % interval over users and seeds that leaves out zero, and p below .05 after Holm's correction.",
        "",
        "| claim | study | data | difference | interval | p | verdict |",
        "|---|---|---|---|---|---|---|",
    ]
    for claim in CLAIMS:
        rows = list(_rows(claim))
        if not rows:
            rows = [["–", "–", "–", "–", "not measured yet"]]
        for place, row in enumerate(rows):
            first = [claim.says, f"`{claim.study}`"] if not place else ["", ""]
            lines.append("| " + " | ".join([*first, *row]) + " |")
    lines += ["", *_efficiency(), "", "## What we set out for", ""]
    lines += [
        "Students that follow teachers' scores ([models](results/models.md)), not the paper's distillation. Where "
        "several studies compare the same two models, the one with the most seeds tells; the others are on their "
        "pages. What was tried beside them is in [the log](log.md).",
        "",
        *_aims(),
        "",
    ]
    lines += [_longer(), "", *_less_by_heart(), "", *_narrow(), "", *_published(), "", _run_time(), ""]
    return "\n".join(lines)


def models_of(study: str, data: str) -> dict[str, Any]:
    """What a study's JSON says of each model on a data set."""
    found: dict[str, Any] = study_of(study)["data"][data]["models"]
    return found


def study_of(name: str) -> dict[str, Any]:
    """A study's JSON."""
    found: dict[str, Any] = json.loads((STUDIES / f"{name}.json").read_text())
    return found


def result_of(name: str) -> dict[str, Any]:
    """The JSON of what is no study."""
    found: dict[str, Any] = json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text())
    return found


def published_splits() -> list[tuple[str, dict[str, Any]]]:
    """Data and what SASRec by ids reached there: in the recipe's shape, then with other options, by name of data."""
    results = [result_of("sasrec"), result_of("sasrec-regularised")]
    return sorted((each for result in results for each in result.items()), key=lambda each: each[0])


def users_per_second() -> dict[str, float]:
    """Of the engine and of the published layout, on two threads."""
    rates = result_of("engine")["throughput"]["2 threads"]
    return {name: found["median"] for name, found in rates.items() if isinstance(found, dict) and "median" in found}


def _parts(study: str) -> list[dict[str, Any]]:
    """The data of a study, and of what was measured apart from it as STUDY-PART.json."""
    paths = [STUDIES / f"{study}.json", *sorted(STUDIES.glob(f"{study}-*.json"))]
    return [json.loads(path.read_text())["data"] for path in paths if path.exists()]


def _rows(claim: Claim) -> Iterator[list[str]]:
    for (model, baseline, name), found in _of_most_seeds(claim.study, claim.pairs).items():
        yield [
            name,
            f"{model} − {baseline}: {found['difference']:+.4f} ({100 * found['relative']:+.1f} %)",
            f"{found['low']:+.4f} to {found['high']:+.4f}",
            f"{found['p_corrected']:.3f}",
            _verdict(found, claim.expected),
        ]


def _verdict(found: dict[str, Any], expected: str) -> str:
    seeds = min(found["seeds"])
    if seeds < 2:
        return "one seed: no verdict"
    said = f"{seeds} seeds"
    if not certain(found):
        return (
            f"holds so far: no loss found, {said}"
            if expected == "as good"
            else f"not shown: no difference found, {said}"
        )
    better = found["difference"] > 0
    return ("holds" if better == (expected != "worse") else "refuted") + f", {said}"


def certain(found: dict[str, Any]) -> bool:
    """Whether a study's comparison tells the two apart, by the rule above."""
    return found["p_corrected"] < LEVEL and found["low"] * found["high"] > 0


def _reached(found: dict[str, Any], percent: float) -> str:
    gain = 100 * found["relative"]
    said = "no" if gain < percent else "yes" if certain(found) else "not certain"
    return said + (", one seed" if found["seeds"][0] == 1 else "")


def _aims(study: str = "models") -> list[str]:
    """What teaching a student was hoped to bring and what it brings, by a study and what was measured apart from it."""
    lines = [
        "| aim | hoped for | model | against | data | measured | interval | p | seeds | reached |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for aim in AIMS:
        says = f"{aim.says} | {aim.percent:+} %"
        measured = _of_most_seeds(study, aim.pairs, "comparisons_cold" if aim.rare else "comparisons")
        ours = [(key, found) for key, found in measured.items() if not aim.data or key[2] in aim.data]
        for (model, baseline, name), found in sorted(ours, key=lambda each: (each[0][2], aim.pairs.index(each[0][:2]))):
            lines.append(
                f"| {says} | {model} | {baseline} | {name} | {100 * found['relative']:+.1f} % "
                f"({found['difference']:+.4f}) | {found['low']:+.4f} to {found['high']:+.4f} | "
                f"{found['p_corrected']:.4f} | {' and '.join(map(str, found['seeds']))} | "
                f"{_reached(found, aim.percent)} |"
            )
            says = " | "
    return lines


def _of_most_seeds(
    study: str, pairs: tuple[tuple[str, str], ...], among: str = "comparisons"
) -> dict[tuple[str, str, str], dict[str, Any]]:
    """Comparisons of pairs by model, baseline and data; of a study and its parts that of the most seeds.

    Those that tell nothing, as the baseline found none of the items, are left out.
    """
    best: dict[tuple[str, str, str], dict[str, Any]] = {}
    for name, data in (each for part in _parts(study) for each in part.items()):
        for found in data[among]:
            if (found["model"], found["baseline"]) not in pairs or found["relative"] is None:
                continue
            key = found["model"], found["baseline"], name
            if key not in best or sorted(found["seeds"]) > sorted(best[key]["seeds"]):
                best[key] = found
    return best


def _longer() -> str:
    """What a SASRec alone reaches on MovieLens-1M in more epochs than those of the study have."""
    trials = study_of("models-ml-1m")["trials"]
    epochs = {trial["options"]["training"]["epochs"] for trial in trials if trial["kind"] == "SASRec"}
    alone = result_of("sasrec")["ml-1m"]
    seeds = alone["seeds"].values()
    longer = " or ".join(str(number) for number in sorted({seed["epochs"] for seed in seeds}))
    told = "one seed" if len(seeds) == 1 else f"{len(seeds)} seeds"
    taught, best = models_of("models-ml-1m", "ml-1m")[TAUGHT[0]]["mean"]["NDCG@10"], alone["NDCG@10"]["mean"]
    return (
        f"On ml-1m all SASRecs of the study train for {' or '.join(map(str, epochs))} epochs. One alone, by ids, that "
        f"trains for {longer} has {best:.4f} ({told}, [results](results.md)), from which the taught one is "
        f"{100 * (taught / best - 1):+.1f} %."
    )


def _published() -> list[str]:
    """Classic models of ours beside what others have published of the same splits."""
    lines = [
        "Classic models against figures that others have published for the same splits and protocols "
        "([results](results.md)):",
        "",
        "| data | model | seeds | measured | published | hoped for | reached |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, found in published_splits():
        hoped, value = SPLITS[name], found["NDCG@10"]["mean"]
        rate = next(iter(found["seeds"].values()))["options"].get("item_dropout")
        model = "SASRec by ids" + (f", item vectors with dropout {rate}" if rate else "")
        lines.append(
            f"| {name} | {model} | {len(found['seeds'])} | NDCG@10 {value:.4f} | "
            f"{found['published_NDCG@10']:.4f} | {hoped} | {'yes' if value >= hoped else 'no'} |"
        )
    sessions = result_of("sessions")
    ours = {kind: told for kind, told in sessions.items() if kind != "published"}
    published = sessions["published"]["SR-GNN"]
    for metric, called in (("HR@20", "P@20"), ("MRR@20", "MRR@20")):
        best = max(ours, key=lambda kind: ours[kind][metric])
        value, aim = ours[best][metric], published[metric]
        lines.append(
            f"| YooChoose 1/64 | {best.replace('_', '-')} | 1 | {called} {100 * value:.2f} "
            f"| {100 * aim:.2f} (SR-GNN) | {100 * aim:.2f} | {'yes' if value >= aim else 'no'} |"
        )
    return lines


def _less_by_heart() -> list[str]:
    """The same aims where classic models, those among the teachers, too, have other options than the recipe's."""
    told = []
    for name, ours, others in (
        ("amazon14-beauty", "models-neighbours-text", "regularised-beauty"),
        ("amazon14-sports", "models-neighbours-sports", "regularised-sports"),
    ):
        student = models_of(ours, name)[STUDENTS[1]]["mean"]["NDCG@10"]
        alone, recipe = models_of(others, name)[CLASSIC], models_of(ours, name)[CLASSIC]["mean"]["NDCG@10"]
        value = alone["mean"]["NDCG@10"]
        told.append(
            f"{value:.4f} on {name} ([{len(alone['seeds'])} seeds](results/{others}.md); the recipe's {recipe:.4f}), "
            f"from which '{STUDENTS[1]}' above is {100 * (student / value - 1):+.1f} %"
        )
    return [
        "The classic models above, and those among the teachers, have the recipe's options. With one block, dropout of "
        f".2, of .3 on item vectors, and weights averaged over two epochs '{CLASSIC}' alone has {'; '.join(told)}, "
        "where +12 % was hoped for. The same aims with such classic models, as baselines and as teachers:",
        "",
        *_aims("regularised"),
    ]


def _narrow() -> list[str]:
    """The aims for a decoder that is no language model's."""
    return [
        "Nor need the student be cut out of a language model: four decoder layers 128 wide instead of 576, of random "
        "weights (`--width 128`), taught in twice the epochs by the same classic models "
        "([Beauty](results/pretraining-beauty.md), [Sports](results/pretraining-sports.md)):",
        "",
        *_aims("pretraining"),
    ]


def _run_time() -> str:
    """How long a run was to take, and takes."""
    run = result_of("run-beauty")
    minutes = sum(stage["seconds"] for stage in run["stages"]) / 60
    where = f"{run['ran_on']['cores']} cores of {run['ran_on']['cpu']}"
    return f"`{run['command']}` was to take at most 60 minutes; it took {minutes:.0f} on {where}."


def _efficiency() -> list[str]:
    """Speed and size, from the study of them, the engine's benchmark and a run."""
    run = result_of("run-ml-100k")
    rate = users_per_second()
    published = rate["published layout, 4 layers"] / rate["published layout, 30 layers"]
    ours = rate["engine, 4 layers"] / rate["published layout, 30 layers"]
    counts = run["models"]["student"]["parameters"]
    timed = study_of("efficiency")
    student, whole = timed["pairs"][0]
    (measured,) = timed["data"].values()
    speeds = measured["speeds"]
    training, epoch = speeds[student]["training"], speeds[whole]["training"]["epoch"]
    states = training["once"] / training["epochs"]
    faster = speeds[student]["users_per_second"] / speeds[whole]["users_per_second"]
    return [
        "| claim | measured |",
        "|---|---|",
        f"| 6.6x faster training than all layers | {epoch / training['epoch']:.1f}x an epoch, "
        f"{epoch / (training['epoch'] + states):.1f}x with its share of the teacher's states (4 of 30 layers, "
        "[efficiency](results/efficiency.md)) |",
        f"| 8.0x faster inference than all layers | {faster:.1f}x with both on this engine "
        f"([efficiency](results/efficiency.md)), {published:.1f}x with both in the published layout, {ours:.0f}x with "
        "this engine against that layout (users a second, [performance](performance.md)) |",
        f"| 13 % of the parameters | the student of 4 layers holds {counts['without_vocabulary']:,} parameters, "
        f"{100 * counts['without_vocabulary'] / 134_515_008:.1f} % of SmolLM2-135M's 134,515,008 |",
    ]
