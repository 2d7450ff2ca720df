"""Run a study: every model once, on every data set, with every seed; what is there already is never done again.

Several studies may share a folder at the same time: what one is making the others wait for, and take. What is made
stays where `jobs.py` says; STUDY.json beside it is rewritten after every model.
"""

import copy
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
from torch import nn

from slmrec.busy import estimating
from slmrec.data import Dataset
from slmrec.data.parquet import write_parquet
from slmrec.data.variations import share_of_users, shuffled
from slmrec.engine import device_of
from slmrec.errors import UserError
from slmrec.evaluation import evaluate, layer_roles, ranks_frame, request_latency, unit_importance
from slmrec.exclusive import exclusive
from slmrec.files import read_json, write_json
from slmrec.models import DotProductRecommender, Ensemble, Recommender, SLMRec, load
from slmrec.models.backbone import check_backbone
from slmrec.models.text import text_vectors
from slmrec.models.width import widths
from slmrec.monitor import Monitor
from slmrec.provenance import commit, in_words, machine
from slmrec.studies.jobs import Job, Jobs
from slmrec.studies.plan import Look, Study, Trial
from slmrec.studies.pool import Tell, side_by_side
from slmrec.studies.results import summary
from slmrec.studies.speeds import measure_speeds, plan_speeds
from slmrec.training.cost import classic_cost, llm_cost
from slmrec.training.ensemble_weights import ensemble_weights
from slmrec.training.options import ClassicOptions, LLMOptions, NeighboursOptions, StudentOptions
from slmrec.training.train import distill, distill_scores, train


def run_study(
    study: Study,
    data_sets: Sequence[Dataset],
    seeds: int,
    out: Path,
    monitor: Monitor,
    command: str = "",
    processes: int = 1,
) -> Path:
    """Do a study, or what is left of it; returns the path of its JSON.

    Args:
        study: what to train and compare.
        data_sets: on which data.
        seeds: seeds 0, 1, … of each model.
        out: folder of all studies.
        monitor: is told the plan before it starts, and how it gets on.
        command: what was typed, for the page.
        processes: trainings at once. With several, no model's latency is measured: they would slow each other down.

    Raises:
        UserError: no seed, two data sets of one name, several processes for what is timed, or what a training refuses.
    """
    runner = _Runner(study, data_sets, seeds, Path(out), monitor, command)
    if study.timed:
        if processes > 1:
            raise UserError(f"study {study.name} times its models, and at once they slow each other down; drop --jobs")
        return measure_speeds(study, data_sets, Path(out), monitor, command)
    return runner.run() if processes == 1 else runner.run_side_by_side(processes)


def plan_study(study: Study, data_sets: Sequence[Dataset], seeds: int, out: Path, monitor: Monitor) -> None:
    """Tell what `run_study` would do and how long it would take."""
    runner = _Runner(study, data_sets, seeds, Path(out), monitor, "")
    if study.timed:
        plan_speeds(study, data_sets, Path(out), monitor)
        return
    runner.plan(list(runner.jobs.missing().values()))


class _Runner:
    def __init__(
        self, study: Study, data_sets: Sequence[Dataset], seeds: int, out: Path, monitor: Monitor, command: str
    ) -> None:
        if seeds < 1:
            raise UserError(f"seeds is {seeds}, but must be at least 1")
        names = [data.name for data in data_sets]
        for name in {name for name in names if names.count(name) > 1}:
            raise UserError(f"two data sets are called '{name}'; prepare one of them under another name")
        for data in data_sets:
            texts = {trial.name: _item_text(trial) for trial in study.trials}
            wanting = [name for name, text in texts.items() if text and not text.endswith(".parquet")]
            wanting += [trial.name for trial in study.trials if getattr(trial.options, "item_titles", False)]
            if wanting and data.catalogue.frame["text"].is_null().all():
                raise UserError(
                    f"no item of {data.name} has a text, which '{wanting[0]}' needs; prepare it with items' texts, or "
                    "choose other models by --model"
                )
        self.study, self.monitor = study, monitor
        self.data_sets = {data.name: data for data in data_sets}
        self.jobs = Jobs(study, self.data_sets, seeds, out)
        self.command = command
        self.alone = True
        """Whether no other model is made at the same time, so that times mean something."""
        self.result = out / f"{study.name}.json"

    def run(self) -> Path:
        """Everything that is missing, seed by seed, so that a study cut short has whole seeds."""
        jobs = list(self.jobs.missing().values())
        self.plan(jobs)
        for number, job in enumerate(jobs, 1):
            self.monitor.stage(number, len(jobs), _title(job))
            self._make(job)
            self._write()
        if not jobs:
            self._write()
        return self.result

    def run_side_by_side(self, processes: int) -> Path:
        """The same in several processes, each as soon as what it needs is there."""
        jobs = self.jobs.missing()
        self.plan(list(jobs.values()))
        for data in self.data_sets.values():
            for source in {text for trial in self.study.trials if (text := _item_text(trial))}:
                text_vectors(data.catalogue, source)  # kept from now on, so that no process makes them
        needs = {
            job: [jobs[path] for path in map(self.jobs.done, self.jobs.needs(job)) if path in jobs]
            for job in jobs.values()
        }
        seconds = {job: self._seconds(job) for job in needs}
        cost = {job: max(1, round(each)) for job, each in seconds.items()}  # looks take a little, too
        started: dict[Job, float] = {}
        share: dict[Job, float] = {}
        self.monitor.stage(1, 1, f"study {self.study.name}, {processes} models at once")

        def began(job: Job) -> None:
            started[job], share[job] = time.monotonic(), 0.0

        def moved(job: Job, now: float) -> None:
            share[job] = max(share[job], now)  # its test starts again from nothing, and is short
            note = "; ".join(f"{_title(job)} {share[job]:.0%}" for job in started)
            self.monitor.progress(round(sum(cost[job] * share[job] for job in share)), sum(cost.values()), note)

        def ended(job: Job) -> None:
            self.monitor.say(f"{_title(job)}: {time.monotonic() - started.pop(job):.0f} s")
            moved(job, 1.0)

        worker = copy.copy(self)
        worker.alone = False
        del worker.monitor  # a terminal cannot be sent to another process
        try:
            side_by_side(needs, seconds, processes, worker._make_elsewhere, began, moved, ended)
        finally:
            self._write()
        return self.result

    # -- making it --------------------------------------------------------------------------------------------

    def _make_elsewhere(self, job: Job, tell: Tell) -> None:
        self.monitor = _Away(tell)
        self._make(job)

    def _make(self, job: Job) -> None:
        name, what, seed = job
        data, model = self.data_sets[name], self.study.model(what)
        done = self.jobs.done(job)
        with exclusive(done, self.monitor.say):
            if done.exists():
                return  # another process has made it since this study was planned
            if isinstance(model, Trial):
                self._trial(data, model, seed)
            else:
                self._look(data, model, seed)

    def _trial(self, data: Dataset, trial: Trial, seed: int) -> None:
        folder = self.jobs.folder(data, trial, seed)
        trained = (folder / "config.json").exists()  # but cut off before it was measured
        model = nn.Module.to(load(folder), device_of()) if trained else self._train(data, trial, seed, folder)
        training = read_json(folder / "training.json", "model folder")
        told: dict[str, Any] = {"training": {key: training[key] for key in ("seconds", "steps", "best_epoch", "log")}}
        if trial.distillation is not None and trial.distillation.weigh_teachers:
            told["weights"] = dict(zip(trial.teachers, training["teacher_weights"], strict=True))
        if isinstance(model, SLMRec):
            told |= {"layer_roles": asdict(layer_roles(model, data)), "kept_layers": model.config.kept_layers}
        self._measure(data, trial, seed, model, told, {})

    def _train(self, data: Dataset, trial: Trial, seed: int, folder: Path) -> Recommender:
        options, progress = trial.options, self.monitor.progress
        if isinstance(options, ClassicOptions | StudentOptions):
            options = replace(options, training=replace(options.training, seed=seed))
        teachers = [self._load(data, need, seed) for need in trial.teachers]
        items: Any = self._load(data, trial.items, seed) if trial.items else None
        if items is not None and not getattr(options, "residual", ""):
            items = items.items
        data = _seen_by(data, trial)  # only now: what was made before is found by the whole data's name
        if not teachers:
            assert not isinstance(options, StudentOptions) or isinstance(options, LLMOptions)
            return train(data, options, folder, items, progress)
        if isinstance(options, ClassicOptions | LLMOptions):
            return distill_scores(teachers, data, folder, options, trial.distillation, items, progress)
        (teacher,) = teachers
        assert isinstance(teacher, SLMRec)
        assert isinstance(options, StudentOptions)
        return distill(teacher, data, folder, options, trial.distillation, items, progress)

    def _load(self, data: Dataset, need: str, seed: int) -> Recommender:
        return load(self.jobs.folder(data, *self.jobs.needed(need, seed)))

    def _look(self, data: Dataset, look: Look, seed: int) -> None:
        where = device_of(look.precision)
        models = [_changed(self._load(data, one, seed), look, data) for one in look.of]
        models = [nn.Module.to(model, where).use_precision(look.precision) for model in models]
        weights = ensemble_weights(models, data) if look.weighed else None
        told = {} if weights is None else {"weights": dict(zip(look.of, weights, strict=True))}
        how = {"newest": look.newest, "shuffled": look.shuffled}
        self._measure(data, look, seed, models[0] if len(models) == 1 else Ensemble.of(models, weights), told, how)

    def _measure(
        self,
        data: Dataset,
        what: Trial | Look,
        seed: int,
        model: Recommender,
        told: dict[str, Any],
        how: dict[str, Any],
    ) -> None:
        """Test a model and write what is kept of it; the JSON last, since its being there says that all is."""
        evaluation = evaluate(
            model, data, name=what.name, progress=lambda done, all: self.monitor.progress(done, all, "test"), **how
        )
        path = self.jobs.measured(data, what, seed)
        write_parquet(ranks_frame(evaluation, data), path.with_suffix(".parquet"))
        told = {**told, "kind": model.kind, "layers": getattr(model, "num_layers", None)}
        told["latency"] = self._latency(data, what.name, model)
        told["weight_bytes"] = model.weight_bytes()
        told |= {"model_seed": seed, "commit": commit(), "machine": in_words(machine())}
        write_json(path, {**evaluation.to_json(), **told})

    def _latency(self, data: Dataset, name: str, model: Recommender) -> dict[str, Any] | None:
        """Times of a request; None where something else keeps the machine busy."""
        if not self.alone:
            return None
        latency = request_latency(model, data)
        if latency.undisturbed:
            return asdict(latency)
        self.monitor.say(
            f"{name}: other processes kept {latency.others:.0%} of the machine busy while its requests were timed; "
            "the times are left out"
        )
        return None

    # -- telling ----------------------------------------------------------------------------------------------

    def plan(self, jobs: Sequence[Job]) -> None:
        """Say what will be done and how long it takes, before it costs anything."""
        self.monitor.say(f"study {self.study.name}: {self.study.question}")
        self.monitor.say(f"{len(self.jobs.asked())} results; to be made, with what they need: {len(jobs)}")
        if not jobs:
            return
        seconds: dict[tuple[str, str], list[float]] = {}
        with estimating(self.monitor.say):
            for job in jobs:
                if isinstance(self.study.model(job[1]), Trial):
                    seconds.setdefault(job[:2], []).append(self._seconds(job))
            for (where, name), each in seconds.items():
                self.monitor.say(f"  {where}: {name}, {len(each)} × {each[0] / 60:.1f} min")
            if seconds:
                minutes = sum(map(sum, seconds.values())) / 60
                self.monitor.say(f"training will take about {minutes:,.0f} min on this machine")

    def _seconds(self, job: Job) -> float:
        """Of a training by itself: what other seeds of it took, or else an estimate. A look costs next to nothing."""
        data, trial = self.data_sets[job[0]], self.study.model(job[1])
        if isinstance(trial, Look):
            return 0.0
        done = [self.jobs.measured(data, trial, seed) for seed in self.jobs.seeds_of(trial)]
        taken = [read_json(path, "study")["training"]["seconds"] for path in done if path.exists()]
        if taken:
            return sum(taken) / len(taken)
        online = trial.distillation is not None and trial.distillation.online
        teacher = self._deepest_teacher(trial)
        return _estimate(_seen_by(data, trial), self._shape(trial), teacher, _blocks(trial), online)

    def _shape(self, trial: Trial) -> Any:
        """A trial's options, a student's with what it has from its teacher."""
        options = trial.options
        if isinstance(options, StudentOptions) and not isinstance(options, LLMOptions):
            teacher = self.study.trial(trial.teachers[0].partition("@")[0]).options
            assert isinstance(teacher, LLMOptions)
            return options.beside(teacher)
        return options

    def _deepest_teacher(self, trial: Trial) -> LLMOptions | None:
        options = [self.study.trial(name.partition("@")[0]).options for name in trial.teachers]
        decoders = [found for found in options if isinstance(found, LLMOptions)]
        return max(decoders, key=lambda found: found.layers, default=None)

    def _write(self) -> None:
        """STUDY.json of all that has been measured."""
        found: dict[str, list[dict[str, Any]]] = {}
        ranks: dict[str, list[pl.DataFrame]] = {}
        for data in self.data_sets.values():
            for what in self.study.models:
                for seed in self.jobs.seeds_of(what):
                    path = self.jobs.measured(data, what, seed)
                    if path.exists():
                        found.setdefault(data.name, []).append(read_json(path, "study") | {"model": what.name})
                        frame = pl.read_parquet(path.with_suffix(".parquet"))
                        ranks.setdefault(data.name, []).append(
                            frame.with_columns(pl.lit(what.name).alias("model"), pl.lit(seed).alias("seed"))
                        )
        frames = {name: pl.concat(each) for name, each in ranks.items()}
        told = summary(self.study, list(self.data_sets.values()), found, frames, self.command)
        with exclusive(self.result, self.monitor.say):
            write_json(self.result, told)


class _Away:
    """A monitor in a process of its own: how far it is goes to the one that started it, and nothing else."""

    def __init__(self, tell: Tell) -> None:
        self.tell = tell

    def stage(self, number: int, total: int, title: str) -> None: ...

    def progress(self, done: int, total: int, note: str) -> None:
        self.tell(done, total)

    def remaining(self, seconds: float | None) -> None: ...

    def say(self, text: str) -> None: ...


def _title(job: Job) -> str:
    data, name, seed = job
    return f"{data}: {name}, seed {seed}"


def _item_text(trial: Trial) -> str:
    return getattr(trial.options, "item_text", "")


def _changed(model: Recommender, look: Look, data: Dataset) -> Recommender:
    """What a look is at, its precision apart."""
    if look.layers or not look.norm or look.neurons or look.head_groups:
        if not isinstance(model, SLMRec):
            raise UserError(f"{look.name}: a {model.kind} model has no decoder layers to choose from")
        if look.layers or not look.norm:
            model = model.with_layers(look.layers or range(model.num_layers), norm=look.norm)
        if look.neurons or look.head_groups:
            own = widths(model.backbone.config)
            kept = unit_importance(model, data).best(look.neurons or own.neurons, look.head_groups or own.groups)
            model = model.with_width(*kept)
    if look.item_rank:
        if not isinstance(model, DotProductRecommender):
            raise UserError(f"{look.name}: a {model.kind} model has no item vectors")
        model = model.with_low_rank_items(look.item_rank)
    return model


@cache
def _seen_by(data: Dataset, trial: Trial) -> Dataset:
    """The data as a trial trains on it."""
    if trial.users < 1:
        data = share_of_users(data, trial.users)
    return shuffled(data) if trial.shuffled else data


def _estimate(data: Dataset, options: Any, teacher: LLMOptions | None, blocks: int, online: bool) -> float:
    if options is None or isinstance(options, NeighboursOptions):
        return 0.0
    if isinstance(options, ClassicOptions):
        return classic_cost(data, options).seconds
    config = check_backbone(options.backbone, options.layers)
    return llm_cost(data, options, config, teacher, blocks, online).seconds


def _blocks(trial: Trial) -> int:
    distillation = trial.distillation
    return distillation.blocks if distillation and distillation.form != "scores" and distillation.lambda3 else 1
