"""A timed study: each model is built, a few of its training steps and of its requests are timed, and it is let go.

All of a data set's models are measured one after another in one process, so that their ratios mean something; what was
measured is kept in `measured/STUDY-DIGEST.json` and not done again.
"""

import gc
import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from slmrec.data import Dataset
from slmrec.data.batches import training_examples
from slmrec.evaluation import request_latency, users_per_second
from slmrec.files import read_json, write_json
from slmrec.models import Popularity, Recommender, SLMRec
from slmrec.models.items import ItemTable
from slmrec.monitor import Monitor
from slmrec.provenance import provenance
from slmrec.studies.plan import Study, Trial
from slmrec.training.build import build_classic, build_llm, classic_text
from slmrec.training.counting import find_neighbours
from slmrec.training.distillation import Distillation
from slmrec.training.modules import NextItem, TrainingModule, item_table, training_module
from slmrec.training.options import ClassicOptions, LLMOptions, NeighboursOptions, StudentOptions
from slmrec.training.speed import TrainingSpeed, training_speed


def plan_speeds(study: Study, data_sets: Sequence[Dataset], out: Path, monitor: Monitor) -> None:
    """Tell what `measure_speeds` would do."""
    monitor.say(f"study {study.name}: {study.question}")
    for data in data_sets:
        left = "measured already" if _kept(study, data, out).exists() else f"{len(study.trials)} models to be timed"
        monitor.say(f"  {data.name}: {left}")
    for trial in study.trials:
        monitor.say(f"  {trial.name}")
    monitor.say("a few steps and requests each, once whatever the seeds; nothing is trained")


def measure_speeds(study: Study, data_sets: Sequence[Dataset], out: Path, monitor: Monitor, command: str) -> Path:
    """Time what has not been timed yet and write STUDY.json; returns its path."""
    plan_speeds(study, data_sets, out, monitor)
    found = {}
    for data in data_sets:
        path = _kept(study, data, out)
        if not path.exists():
            speeds = {}
            for number, trial in enumerate(study.trials, 1):
                monitor.stage(number, len(study.trials), f"{data.name}: {trial.name}")
                speeds[trial.name] = _measure(data, trial, study)
                gc.collect()  # a deep model should not stand beside the next one
            path.parent.mkdir(parents=True, exist_ok=True)
            write_json(path, {"speeds": speeds, "measured": provenance()})
        found[data.name] = {
            "users": data.num_users,
            "items": data.num_items,
            "interactions": data.num_interactions,
            "fingerprint": data.fingerprint,
            **read_json(path, "study"),
        }
    result = out / f"{study.name}.json"
    told = {"study": study.name, "question": study.question, "command": command, "timed": True}
    write_json(result, {**told, "pairs": study.pairs, "data": found, "written": provenance()})
    return result


def _kept(study: Study, data: Dataset, out: Path) -> Path:
    told = {"trials": [{**asdict(trial), "kind": trial.kind} for trial in study.trials], "data": data.fingerprint}
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:10]
    return out / "measured" / f"{study.name}-{digest}.json"


def _measure(data: Dataset, trial: Trial, study: Study) -> dict[str, Any]:
    """One model's speeds: seconds of training, users a second, milliseconds a request, parameters."""
    if trial.options is None or isinstance(trial.options, NeighboursOptions):
        started = time.perf_counter()
        model = _counted(data, trial.options)
        training = TrainingSpeed(0.0, time.perf_counter() - started, 0)
    else:
        module = _module(data, trial, study)
        module.model.catalogue = data.catalogue
        reading = getattr(module.model.config, "reading", "every-position")
        examples = training_examples(
            data, module.model.config.max_length, "every-position" if reading == "every-position" else "last-position"
        )
        training = training_speed(module, examples, trial.options.training)
        model = module.model
        if isinstance(model, SLMRec) and model.config.lora:
            model.merge_lora()
    model.requires_grad_(False).eval()
    return {
        "kind": model.kind,
        "layers": getattr(model, "num_layers", None),
        "parameters": model.parameter_counts(),
        "training": {**asdict(training), "total": training.total},
        "users_per_second": users_per_second(model, data),
        "latency": asdict(request_latency(model, data)),
    }


def _counted(data: Dataset, options: NeighboursOptions | None) -> Recommender:
    return Popularity.from_data(data) if options is None else find_neighbours(data, options)


def _module(data: Dataset, trial: Trial, study: Study) -> TrainingModule:
    """What a trial would train, untrained."""
    options = trial.options
    if isinstance(options, ClassicOptions):
        return training_module(build_classic(data, options, classic_text(data, options)), options.training)
    items = _items(data, trial, study)
    if isinstance(options, LLMOptions):
        return NextItem(build_llm(data, options, items), options.training)
    assert isinstance(options, StudentOptions)
    (name,) = trial.teachers
    shape = study.trial(name).options
    assert isinstance(shape, LLMOptions)
    assert trial.distillation is not None
    build = partial(build_llm, data, items=items)
    return Distillation(build(options.beside(shape)), build(shape), trial.distillation)


def _items(data: Dataset, trial: Trial, study: Study) -> ItemTable | None:
    """An item table as the trial's would be, untrained."""
    if not trial.items:
        return None
    source = study.trial(trial.items.partition("@")[0]).options
    assert isinstance(source, ClassicOptions)
    return item_table(build_classic(data, source, classic_text(data, source)))
