"""Search for a kind's best options on the validation split, by Optuna's tree-structured Parzen estimator.

Every trial is a whole training, and the first one takes the options as they are given. OUT holds `tuning.db` (all
trials), `best.toml` (a recipe), `trials.json`, and `model` (the best one so far). A search that was cut off goes on,
its half-done training included; more trials can be added.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slmrec.data import Dataset
from slmrec.errors import UserError
from slmrec.evaluation import evaluate
from slmrec.files import check_replaceable, read_json, write_json, write_text
from slmrec.models import load
from slmrec.models.folder import fingerprint
from slmrec.models.items import ItemTable
from slmrec.monitor import Monitor
from slmrec.recipe import override
from slmrec.training.options import ClassicOptions, LLMOptions, NeighboursOptions
from slmrec.training.train import train

if TYPE_CHECKING:
    import optuna

METRIC = "NDCG@10"
Options = ClassicOptions | NeighboursOptions | LLMOptions


@dataclass(frozen=True)
class Range:
    """Numbers between two, evenly or on a logarithmic scale."""

    low: float
    high: float
    log: bool = False


Choice = tuple[int | float, ...]

_CLASSIC: dict[str, Range | Choice] = {
    "hidden_size": (64, 128, 256),
    "dropout": Range(0.1, 0.7),
    "item_dropout": Range(0.0, 0.4),
    "training.learning_rate": Range(3e-4, 3e-3, log=True),
    "training.batch_size": (64, 128, 256),
    "training.weight_decay": (0.0, 0.01, 0.1),
}
_TRANSFORMER = _CLASSIC | {"num_blocks": (1, 2, 3), "num_heads": (1, 2, 4)}
SPACES: dict[str, dict[str, Range | Choice]] = {
    "item_knn": {"neighbours": (20, 50, 100, 200, 400), "shrinkage": Range(0.0, 20.0), "decay": Range(0.3, 1.0)},
    "sequential_rules": {"neighbours": (20, 50, 100, 200, 400), "window": (1, 2, 3, 5, 10), "decay": Range(0.3, 1.0)},
    "text_knn": {
        "neighbours": (20, 50, 100, 200, 400),
        "temperature": Range(0.02, 0.5, log=True),
        "decay": Range(0.3, 1.0),
    },
    "gru4rec": _CLASSIC | {"state_size": (64, 128, 256), "num_layers": (1, 2)},
    "caser": _CLASSIC | {"window": (3, 5, 7), "horizontal_filters": (8, 16, 32), "vertical_filters": (2, 4, 8)},
    "bert4rec": _TRANSFORMER | {"mask_share": Range(0.1, 0.6)},
    "sasrec": _TRANSFORMER,
    "esasrec": _TRANSFORMER,
    "teacher": {
        "dropout": Range(0.0, 0.4),
        "item_dropout": Range(0.0, 0.4),
        "training.epochs": (1, 2, 3, 4),
        "training.learning_rate": Range(2e-4, 4e-3, log=True),
        "training.backbone_learning_rate": Range(3e-5, 6e-4, log=True),
        "training.weight_decay": (0.0, 0.01, 0.1),
    },
}
"""What is searched, by section of a recipe and key in it."""


def tune(
    data: Dataset,
    section: str,
    options: Options,
    out: Path,
    *,
    trials: int,
    monitor: Monitor,
    fixed: Sequence[str] = (),
    items: ItemTable | None = None,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Search until so many trials have ended, those of earlier calls included.

    Args:
        data: its validation split decides.
        section: of a recipe, a key of `SPACES`.
        options: the first trial, and what is not searched.
        out: folder of the search.
        trials: in all.
        monitor: is told how it gets on.
        fixed: keys that keep the value they have in ``options``.
        items: where an LLM recommender's item table starts.
        seed: of the search; the trainings keep their own.

    Returns:
        The trials as in trials.json, best first: `number`, `valid_NDCG@10` (None where the training diverged),
        `values` by key.

    Raises:
        UserError: Optuna is not installed, nothing is left to search, ``out`` holds another search, or there is no
            validation split.
    """
    optuna = _optuna()
    space = {key: choice for key, choice in SPACES[section].items() if key not in fixed}
    if not space:
        raise UserError(f"every option that is searched for {section} is fixed; leave one of them out")
    if not len(data.cases("valid").users):
        raise UserError(f"data set '{data.name}' has no validation split, which the search needs to judge by")
    check_replaceable(out, "search.json")
    job = {
        "data": data.fingerprint,
        "section": section,
        "options": json.loads(json.dumps(asdict(options))),
        "fixed": sorted(fixed),
        "items": items and fingerprint(items),
        "seed": seed,
    }
    if (out / "search.json").exists():
        differing = [key for key, value in read_json(out / "search.json", "search").items() if job.get(key) != value]
        if differing:
            raise UserError(f"{out} holds a search with another {', '.join(differing)}; give another --out")
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "search.json", job)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        study_name=section, storage=f"sqlite:///{out / 'tuning.db'}", load_if_exists=True, direction="maximize"
    )
    study.sampler = optuna.samplers.TPESampler(seed=seed + len(study.trials))  # else it would draw again what it drew
    _take_up(study)
    if not study.trials:
        given = {key: attrgetter(key)(options) for key in space}
        study.enqueue_trial({key: value for key, value in given.items() if _holds(space[key], value)})
    while (ended := len(_told(study))) < trials:
        trial = study.ask()
        values = {key: _suggest(trial, key, choice) for key, choice in space.items()}
        monitor.stage(ended + 1, trials, ", ".join(f"{key} {value:.4g}" for key, value in values.items()))
        found = _train(data, override(options, values), out, values, items, monitor)
        best = max((old.value for old in study.trials if old.value is not None), default=-1.0)
        if found is None:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            write_json(out / "trials.json", _told(study))
            monitor.say(f"trial {trial.number}: the training diverged")
            continue
        folder = _folder(out, values)
        if found > best:
            write_text(out / "best.toml", _toml(section, override(options, values), found))
            shutil.rmtree(out / "model", ignore_errors=True)
            folder.rename(out / "model")
        else:
            shutil.rmtree(folder)
        study.tell(trial, found)
        write_json(out / "trials.json", _told(study))
        monitor.say(f"trial {trial.number}: valid {METRIC} {found:.4f}{', the best so far' if found > best else ''}")
    return _told(study)


def _train(
    data: Dataset, options: Options, out: Path, values: Mapping[str, Any], items: ItemTable | None, monitor: Monitor
) -> float | None:
    """Train and validate one trial; None where its loss became no number."""
    folder = _folder(out, values)
    try:
        trained = (folder / "config.json").exists()  # and cut off before it was told
        model = load(folder) if trained else train(data, options, folder, items, monitor.progress)
    except FloatingPointError:
        shutil.rmtree(out / f".{folder.name}.work", ignore_errors=True)
        return None
    return evaluate(model, data, "valid").metrics[METRIC]


def _folder(out: Path, values: Mapping[str, Any]) -> Path:
    """A trial's folder, named by its values, so that one that was cut off finds its checkpoints again."""
    return out / f"trial-{hashlib.sha256(repr(sorted(values.items())).encode()).hexdigest()[:10]}"


def _take_up(study: "optuna.Study") -> None:
    """Ask first for what was under way when the search was cut off."""
    from optuna.trial import TrialState

    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
        study.enqueue_trial(trial.params)


def _suggest(trial: "optuna.Trial", key: str, choice: Range | Choice) -> Any:
    if isinstance(choice, Range):
        return trial.suggest_float(key, choice.low, choice.high, log=choice.log)
    return trial.suggest_categorical(key, choice)


def _holds(choice: Range | Choice, value: Any) -> bool:
    """Whether a value that was given is among those searched."""
    if isinstance(choice, Range):
        return value is not None and choice.low <= value <= choice.high
    return value in choice


def _told(study: "optuna.Study") -> list[dict[str, Any]]:
    trials = [
        {"number": trial.number, f"valid_{METRIC}": trial.value, "values": trial.params}
        for trial in study.trials
        if trial.state.name in ("COMPLETE", "PRUNED")
    ]
    return sorted(trials, key=lambda trial: -(trial[f"valid_{METRIC}"] or 0.0))


def _toml(section: str, options: Options, found: float) -> str:
    """The options as a recipe of one section."""
    lines = [f"# valid {METRIC} {found:.5f}, found by `slmrec tune`"]

    def write(name: str, values: Any) -> None:
        lines.extend(["", f"[{name}]"])
        inner = {}
        for key, value in vars(values).items():
            if is_dataclass(value):
                inner[key] = value
            elif value is not None:  # TOML has no such thing: the default stays
                lines.append(f"{key} = {json.dumps(value)}")
        for key, value in inner.items():
            write(f"{name}.{key}", value)

    write(section, options)
    return "\n".join(lines) + "\n"


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise UserError("tuning needs Optuna; install slmrec[tune]") from error
    return optuna
