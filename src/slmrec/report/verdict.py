"""What the numbers of a run say, in sentences: the headline, and the findings that stand behind it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from slmrec.report.differences import Difference
from slmrec.report.numbers import NARROW, metric, percent, rate, signed
from slmrec.report.run import Run, title

Gap = Callable[[str, str], Difference | None]
"""(model, baseline) → their paired difference in NDCG@10, None where the run holds no ranks of both."""

FASTER = 1.2
"""Times the speed from which a model is called faster: evaluations are timed once."""

EQUAL = 0.005
"""Relative differences below this are called equal: they would be written as 100 %."""


@dataclass(frozen=True)
class Finding:
    """One supporting statement and what it is about."""

    topic: str
    sentence: str


def headline(ndcg: Mapping[str, float], gap: Gap, layers: Mapping[str, int]) -> str:
    """Return the run's result in one sentence.

    ndcg: model name → NDCG@10; layers: "teacher" and "student" → decoder layers, where the run says so.
    """
    clauses = [_against_teacher(ndcg, gap, layers), _against_sasrec(ndcg, gap)]
    sentence = "; ".join(clause for clause in clauses if clause) or _no_comparison(ndcg)
    return f"{_capital(sentence)}."


def findings(run: Run, gap: Gap) -> list[Finding]:
    """Return what stands behind the headline: distillation, SASRec, neighbours, cost, and anything alarming."""
    ndcg = {name: run.ndcg(name) for name in run.metrics}
    found = [
        _paired("Distillation", "student", "student_ce", ndcg, gap),
        _paired("SASRec", "student", "sasrec", ndcg, gap),
        _paired("Same teachers", "student", "sasrec_taught", ndcg, gap),
        _paired("Item-kNN", "student", "item_knn", ndcg, gap),
        _paired("Neighbours", "student_combined", "student", ndcg, gap),
        _paired("Same neighbours", "student_combined", "sasrec_combined", ndcg, gap),
        _cost(run),
        _choice(run, ndcg, gap),
        _sanity(ndcg),
    ]
    return [finding for finding in found if finding]


def _against_teacher(ndcg: Mapping[str, float], gap: Gap, layers: Mapping[str, int]) -> str | None:
    if not ndcg.get("student") or not ndcg.get("teacher"):
        return None
    deep, shallow = layers.get("teacher"), layers.get("student")
    student = f"the {shallow}-layer student" if shallow else "the student"
    teacher = f"its {deep}-layer teacher" if deep else "its teacher"
    share, seen = ndcg["student"] / ndcg["teacher"], gap("student", "teacher")
    if share <= 1 - EQUAL:
        return f"{student} keeps {percent(share)} of the teacher’s NDCG@10{_price(deep, shallow)}"
    if share < 1 + EQUAL:
        return f"{student} matches {teacher} in NDCG@10"
    if seen and not seen.certain:
        return f"{student} matches {teacher} ({percent(share)} of its NDCG@10, a difference within the noise)"
    return f"{student} is ahead of {teacher} by {percent(share - 1)} in NDCG@10"


def _price(deep: int | None, shallow: int | None) -> str:
    """Say how few of the teacher's layers the student has, where that is known."""
    if not deep or not shallow or shallow >= deep:
        return ""
    words = {2: "half its layers", 3: "a third of its layers", 4: "a quarter of its layers"}
    whole, rest = divmod(deep, shallow)
    return f" with {shallow} of its {deep} layers" if rest or whole not in words else f" with {words[whole]}"


def _against_sasrec(ndcg: Mapping[str, float], gap: Gap) -> str | None:
    if not ndcg.get("student") or not ndcg.get("sasrec"):
        return None
    student, sasrec, teacher = ndcg["student"], ndcg["sasrec"], ndcg.get("teacher")
    seen = gap("student", "sasrec")
    if abs(student / sasrec - 1) < EQUAL or (seen and not seen.certain):
        return "SASRec and the student cannot be told apart"
    if student > sasrec:
        return f"the student is ahead of SASRec by {percent(student / sasrec - 1)}"
    ahead = percent(sasrec / student - 1)
    if teacher is None:
        return f"SASRec is ahead of the student by {ahead}"
    level = gap("teacher", "sasrec")
    if level and not level.certain:
        return f"SASRec is ahead of the student by {ahead} and cannot be told apart from the teacher"
    if teacher >= sasrec:
        return f"SASRec is ahead of the student by {ahead}, but not of the teacher"
    if ahead == percent(sasrec / teacher - 1):
        return f"SASRec is ahead of both by {ahead}"
    return f"SASRec is ahead of both, of the student by {ahead}"


def _no_comparison(ndcg: Mapping[str, float]) -> str:
    best = max(ndcg, key=lambda name: ndcg[name])
    if not ndcg[best]:
        return "no model of this run puts a single true next item among its first ten"
    alone = "" if ndcg.get("student") else ", and there is no student to compare"
    return f"{title(best)} reaches an NDCG@10 of {metric(ndcg[best])}{alone}"


def _paired(topic: str, model: str, baseline: str, ndcg: Mapping[str, float], gap: Gap) -> Finding | None:
    if model not in ndcg or baseline not in ndcg:
        return None
    ours, theirs = (f"{metric(ndcg[name])} for {title(name, inside=True)}" for name in (model, baseline))
    numbers = f"NDCG@10 is {ours} and {theirs}: {signed(ndcg[model] - ndcg[baseline])}"
    seen = gap(model, baseline)
    if seen is None:
        return Finding(topic, f"{numbers}; without ranks in this run, how sure that is cannot be said.")
    judged = "more than noise" if seen.certain else "within the noise"
    return Finding(topic, f"{numbers}, {judged} (95{NARROW}% interval {signed(seen.low)} to {signed(seen.high)}).")


def _cost(run: Run) -> Finding | None:
    speeds = {name: run.users_per_second(name) for name in ("student", "teacher", "sasrec") if name in run.metrics}
    student = speeds.get("student")
    if student is None:
        return None
    others = [
        f"{title(name, inside=True)} {rate(speed)}" for name, speed in speeds.items() if name != "student" and speed
    ]
    beside = f"; {', '.join(others)}" if others else ""
    faster = speeds.get("teacher")
    times = f", {student / faster:.1f} times the teacher’s speed" if faster else ""
    return Finding("Cost", f"The student ranks the catalogue for {rate(student)} users a second{times}{beside}.")


def _choice(run: Run, ndcg: Mapping[str, float], gap: Gap) -> Finding | None:
    """Say which model to serve: the fastest of those that none is certainly ahead of."""
    speeds = {name: run.users_per_second(name) or 0.0 for name in run.metrics if name != "popularity"}
    if len(speeds) < 2 or not all(speeds.values()):
        return None
    best = max(speeds, key=lambda name: ndcg[name])
    gaps = {name: gap(best, name) or gap(name, best) for name in speeds if name != best}
    level = [best, *(name for name, seen in gaps.items() if seen and not seen.certain)]
    chosen, fastest = (max(among, key=lambda name: speeds[name]) for among in (level, list(speeds)))
    chosen, fastest = (name if speeds[name] > FASTER * speeds[best] else best for name in (chosen, fastest))
    serve = f"Serve {title(chosen, inside=True)}"
    if chosen != best:
        times = f"{speeds[chosen] / speeds[best]:.1f} times as long for a user"
        sentence = f"{serve}: {title(best, inside=True)} is ahead of it within the noise only, and takes {times}."
    elif fastest == best:
        sentence = f"{serve}: no model of this run ranks better, and none is much faster."
    else:
        times = f"{speeds[fastest] / speeds[best]:.1f} times as many users a second"
        less = f"at an NDCG@10 of {metric(ndcg[fastest])} instead of {metric(ndcg[best])}"
        sentence = (
            f"{serve} where quality decides: no model of this run ranks better. "
            f"{_capital(title(fastest, inside=True))} ranks {times}, {less}."
        )
    return Finding("Choice", sentence)


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _sanity(ndcg: Mapping[str, float]) -> Finding | None:
    floor = ndcg.get("popularity")
    if floor is None:
        return None
    below = [title(name) for name, value in ndcg.items() if name != "popularity" and value <= floor]
    if not below:
        return None
    verb = "is" if len(below) == 1 else "are"
    return Finding(
        "Warning",
        f"{' and '.join(below)} {verb} no better than popularity ({metric(floor)}), which knows nothing of "
        "the user: too little training, or something is wrong.",
    )
