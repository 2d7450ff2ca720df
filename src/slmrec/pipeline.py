"""The main job: from raw interactions to a distilled student, measured beside its teacher and a classic model.

A RUN folder is filled stage by stage, each result whole or not there; started again, it goes on where it was.
"""

import json
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
from torch import nn

from slmrec.busy import estimating
from slmrec.data import Dataset, prepare_source
from slmrec.data.description import in_a_sentence
from slmrec.data.sources import KNOWN, fetch
from slmrec.engine import device_of
from slmrec.errors import UserError
from slmrec.evaluation import Evaluation, evaluate, ranks_frame
from slmrec.exclusive import exclusive
from slmrec.files import check_replaceable, read_json, write_json, write_text
from slmrec.models import Recommender, SLMRec, load
from slmrec.models.backbone import check_backbone
from slmrec.models.card import model_card
from slmrec.models.items import ItemTable
from slmrec.monitor import Monitor
from slmrec.provenance import commit, machine
from slmrec.recipe import Recipe, as_dict
from slmrec.report import examples, write_report
from slmrec.training.build import student_shape
from slmrec.training.combine import combine
from slmrec.training.cost import Cost, classic_cost, llm_cost
from slmrec.training.counting import train_neighbours, train_popularity
from slmrec.training.options import EnsembleOptions, LLMOptions, NeighboursOptions, SASRecOptions
from slmrec.training.train import distill, distill_scores, train_classic, train_llm

COMBINED = ("sasrec", "student")
"""Models that have what trains nothing put beside them."""

ALONE = EnsembleOptions()
"""What a recipe says whose teacher teaches alone."""


def models_of(recipe: Recipe) -> list[str]:
    """The models that a run tests, in the order of its tables."""
    untrained = [name for name in recipe.ensemble.untrained if name != "item_knn"]
    taught = ["sasrec_taught"] if recipe.distillation.form == "scores" else []
    models = ["popularity", "item_knn", *untrained, "sasrec", *taught, "teacher", "student_ce", "student"]
    for name in COMBINED if recipe.ensemble.untrained else ():
        models.insert(models.index(name) + 1, f"{name}_combined")
    return models


def run(
    source: str,
    out: Path,
    recipe: Recipe,
    *,
    recipe_name: str,
    monitor: Monitor,
    format: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> Path:
    """Do the main job on a source, or what is left of it.

    Args:
        source: a known name ("ml-100k") or a path.
        out: the RUN folder.
        recipe: everything that can be chosen.
        recipe_name: what the report calls it.
        monitor: is told how it gets on.
        format: of the source, where it cannot be recognised.
        columns: our column names to the source's.

    Raises:
        UserError: the source or the recipe cannot be used, ``out`` holds another job, or another process is at it.
    """
    job = _Job(source, Path(out), recipe, recipe_name, monitor, format, columns)
    job.check()
    if not job.done:
        with exclusive(job.out):
            job.stages()
    return job.out


class _Job:
    """One RUN folder on its way."""

    def __init__(
        self,
        source: str,
        out: Path,
        recipe: Recipe,
        recipe_name: str,
        monitor: Monitor,
        format: str | None,
        columns: Mapping[str, str] | None,
    ) -> None:
        self.source, self.out, self.recipe, self.monitor = source, out, recipe, monitor
        self.format, self.columns = format, columns
        plain = json.loads(json.dumps(as_dict(recipe)))
        self.asked = {
            "source": source if source in KNOWN else str(Path(source).resolve()),
            "format": format,
            "columns": dict(columns or {}),
            "recipe_name": recipe_name,
            "recipe": plain,
        }
        self.info: dict[str, Any] = {**self.asked, "stages": [], "machine": machine(), "commit": commit()}
        self.stopwatch = time.monotonic()
        self.ahead: list[tuple[str, float]] = []  # stages, and the seconds that each is expected to take
        self.kept = self.out / ".teachers"  # what they say, for both students

    def check(self) -> None:
        """Refuse what cannot end well before anything is made."""
        self.recipe.student.check_start("pretrained")  # it is trained by cross-entropy alone, too
        for name in ("sasrecs", "taught_dropout"):
            given = getattr(self.recipe.ensemble, name)
            if given != getattr(ALONE, name) and not self._by_scores:
                raise UserError(
                    f"ensemble.{name} is {given}, but with distillation.form '{self.recipe.distillation.form}' the "
                    "teacher teaches alone; take form 'scores' (recipe taught does)"
                )
        check_replaceable(self.out, "run.json")
        if (self.out / "run.json").exists():
            self.info = read_json(self.out / "run.json", "run folder")
            differing = [key for key in _flat(self.asked) if _flat(self.asked)[key] != _flat(self.info).get(key)]
            if differing:
                raise UserError(
                    f"{self.out} holds a run with another {', '.join(differing[:4])}"
                    f"{' and more' if len(differing) > 4 else ''}; give another --out, or remove that folder"
                )
        if self.done:
            return
        teacher = self.recipe.teacher
        if not (self.out / "teacher").exists():
            check_backbone(teacher.backbone, teacher.layers, self.monitor.say, width=teacher.width)
            check_backbone(teacher.backbone, None, width=self.recipe.student.width)

    @property
    def done(self) -> bool:
        """Whether every result is there."""
        models = self.info.get("models", ())
        return all((self.out / name).exists() for name in ("data", *models, "metrics.json", "report.html"))

    # -- stages -----------------------------------------------------------------------------------------------

    def stages(self) -> None:
        """Everything in order; what is there already is taken as it is."""
        out = self.out
        self._number_stages()
        data = self._stage("data", self._data, lambda: Dataset.load(out / "data"))
        self._fit_to(data)
        recipe = self.recipe
        with estimating(self.monitor.say):
            self._estimate(data)
        classic = self._stage("sasrec", lambda: self._classics(data), lambda: load(out / "sasrec"))
        self._combine(data, "sasrec")
        items = classic.items
        for name, options in self._others().items():
            self._stage(name, partial(train_classic, data, options, out / name, self._progress))
        teacher = self._stage(
            "teacher",
            lambda: train_llm(data, recipe.teacher, out / "teacher", items, self._progress),
            lambda: load(out / "teacher"),
        )
        assert isinstance(teacher, SLMRec)
        alone = student_shape(teacher, recipe.student)
        self._stage("student_ce", lambda: train_llm(data, alone, out / "student_ce", items, self._progress))
        if self._by_scores:
            self._stage("student", lambda: self._teach(data, "student", alone, items))
            self._stage("sasrec_taught", lambda: self._teach(data, "sasrec_taught", recipe.taught_sasrec()))
            shutil.rmtree(self.kept, ignore_errors=True)
        else:
            self._stage("student", lambda: self._distill(teacher, data, items))
        self._combine(data, "student")
        self._stage("metrics.json", lambda: self._evaluate(data))
        self._stage("report.html", lambda: write_report(out))

    def _number_stages(self) -> None:
        recipe = self.recipe
        student = f"student: {recipe.student.layers} layers"
        taught = "taught by all of them" if self._by_scores else "distilled from the teacher"
        count = recipe.ensemble.sasrecs
        beside = recipe.ensemble.untrained
        titles = {
            "data": f"preparing {self.source}",
            "sasrec": "SASRec, and classic models that train nothing",
            **({"sasrec_combined": "SASRec with neighbours beside it"} if beside else {}),
            **{name: f"SASRec of another seed, {place} of {count}" for place, name in enumerate(self._others(), 2)},
            "teacher": f"teacher: {recipe.teacher.layers} layers of {recipe.teacher.backbone}",
            "student_ce": f"{student}, by cross-entropy alone",
            "student": f"{student}, {taught}",
            **({"sasrec_taught": "SASRec, taught by the same"} if self._by_scores else {}),
            **({"student_combined": "the student with neighbours beside it"} if beside else {}),
            "metrics.json": "evaluating all models on the test split",
            "report.html": "writing the report",
        }
        self.numbers = {name: (number, len(titles), title) for number, (name, title) in enumerate(titles.items(), 1)}

    @property
    def _by_scores(self) -> bool:
        """Whether students follow scores: then several teach, and a SASRec is taught, too."""
        return self.recipe.distillation.form == "scores"

    def _others(self) -> dict[str, SASRecOptions]:
        """The SASRecs that only teach, by name: the classic model with other seeds."""
        sasrec = self.recipe.sasrec
        seeds = range(1, self.recipe.ensemble.sasrecs if self._by_scores else 1)
        return {
            f"sasrec_{seed + 1}": replace(sasrec, training=replace(sasrec.training, seed=sasrec.training.seed + seed))
            for seed in seeds
        }

    def _fit_to(self, data: Dataset) -> None:
        """Do without text where items have none, and keep which models the run will have."""
        sasrec = self.recipe.sasrec
        if sasrec.item_text and not sasrec.item_text.endswith(".parquet") and not any(data.catalogue.frame["text"]):
            self.monitor.say("no item has a text, so items are known by their ids alone")
            sasrec = replace(sasrec, item_text="", id_dropout=0.0)
        ensemble = replace(self.recipe.ensemble, text_knn=self.recipe.ensemble.text_knn and bool(sasrec.item_text))
        self.recipe = replace(self.recipe, sasrec=sasrec, ensemble=ensemble)
        self.info["models"] = models_of(self.recipe)
        write_json(self.out / "run.json", self.info)

    def _stage(self, name: str, make: Callable[[], Any], have: Callable[[], Any] | None = None) -> Any:
        """Make a stage's result, or load the one that is there."""
        if (self.out / name).exists():
            self.ahead = [stage for stage in self.ahead if stage[0] != name]
            return have() if have else None
        number, total, title = self.numbers[name]
        self.monitor.stage(number, total, title)
        self.current, self.stopwatch = name, time.monotonic()
        started = datetime.now(UTC).isoformat(timespec="seconds")
        self._tell(0.0)
        self.info["stages"] = [stage for stage in self.info["stages"] if stage["name"] != name]
        result = make()
        seconds = time.monotonic() - self.stopwatch
        self.ahead = [stage for stage in self.ahead if stage[0] != name]
        self.info["stages"].append({"name": name, "title": title, "started": started, "seconds": round(seconds, 2)})
        if name == "data":
            self.info["dataset"] = {
                "name": result.name,
                "users": result.num_users,
                "items": result.num_items,
                "interactions": result.num_interactions,
                "fingerprint": result.fingerprint,
            }
        write_json(self.out / "run.json", self.info)
        self.monitor.say(f"{title}: {seconds:,.0f} s")
        return result

    def _data(self) -> Dataset:
        if self.source in KNOWN:
            fetch(self.source, self.monitor.say)
        data = prepare_source(self.source, self.format, self.columns, self.recipe.preparation)
        self.out.mkdir(parents=True, exist_ok=True)
        write_json(self.out / "run.json", self.info)  # first: from now on the folder is known as ours
        data.save(self.out / "data")
        self.monitor.say(data.describe())
        return data

    def _classics(self, data: Dataset) -> Recommender:
        recipe, out = self.recipe, self.out
        untrained: dict[str, NeighboursOptions] = {
            "item_knn": recipe.item_knn,
            "sequential_rules": recipe.sequential_rules,
        }
        if recipe.sasrec.item_text:
            untrained["text_knn"] = replace(recipe.text_knn, item_text=recipe.sasrec.item_text)
        if not (out / "popularity").exists():
            train_popularity(data, out / "popularity")
        for name, options in untrained.items():
            if name in self.info["models"] and not (out / name).exists():
                train_neighbours(data, options, out / name, self._progress)
        return train_classic(data, recipe.sasrec, out / "sasrec", self._progress)

    def _teach(
        self, data: Dataset, name: str, student: LLMOptions | SASRecOptions, items: ItemTable | None = None
    ) -> Recommender:
        """A student of the scores of all who teach, together."""
        teachers = ["sasrec", *self._others(), *self.recipe.ensemble.untrained, "teacher"]
        found = distill_scores(
            [load(self.out / each) for each in teachers],
            data,
            self.out / name,
            student,
            self.recipe.distillation,
            items,
            self._progress,
            self.kept,
        )
        weights = read_json(self.out / name / "training.json", "model folder")["teacher_weights"]
        self._say_weights("weights of the teachers", teachers, weights)
        return found

    def _combine(self, data: Dataset, name: str) -> None:
        """A trained model with what trains nothing beside it, as one more model."""
        members, out = [name, *self.recipe.ensemble.untrained], self.out / f"{name}_combined"

        def make() -> None:
            combine([load(self.out / each) for each in members], data, out)
            self._say_weights("weights", members, read_json(out / "training.json", "model folder")["weights"])

        if len(members) > 1:
            self._stage(out.name, make)

    def _say_weights(self, what: str, models: list[str], weights: list[float]) -> None:
        counted = ", ".join(f"{each} {weight:.2f}" for each, weight in zip(models, weights, strict=True))
        self.monitor.say(f"{what}: {counted}")

    def _distill(self, teacher: SLMRec, data: Dataset, items: ItemTable) -> Recommender:
        recipe = self.recipe
        start = items if recipe.distillation.start == "pretrained" else None
        return distill(teacher, data, self.out / "student", recipe.student, recipe.distillation, start, self._progress)

    def _evaluate(self, data: Dataset) -> None:
        """All models on the test split: metrics.json, ranks.parquet, examples.json, and each model's card."""
        evaluations: list[Evaluation] = []
        models = {name: load(self.out / name) for name in self.info["models"]}
        for place, (name, model) in enumerate(models.items()):
            nn.Module.to(model, device_of())
            evaluations.append(
                evaluate(
                    model,
                    data,
                    name=name,
                    progress=lambda done, total, place=place, name=name: self._progress(  # type: ignore[misc]
                        place * total + done, len(models) * total, name
                    ),
                )
            )
            nn.Module.cpu(model)
        for evaluation in evaluations:
            folder = self.out / evaluation.model
            facts = {
                "data": in_a_sentence(data),
                "recipe": self.asked["recipe_name"],
                "training": read_json(folder / "training.json", "model folder"),
                "metrics": [evaluation.to_json()],
            }
            write_json(folder / "metrics.json", facts["metrics"])
            write_text(folder / "README.md", model_card(models[evaluation.model], evaluation.model, facts))
        pl.concat(ranks_frame(evaluation, data) for evaluation in evaluations).write_parquet(self.out / "ranks.parquet")
        write_json(self.out / "examples.json", examples(models, data))
        write_json(self.out / "metrics.json", [evaluation.to_json() for evaluation in evaluations])

    # -- how long it will take --------------------------------------------------------------------------------

    def _estimate(self, data: Dataset) -> None:
        """Say what the run will cost before it costs anything."""
        recipe = self.recipe
        teacher = recipe.teacher
        config = check_backbone(teacher.backbone, None) if not (self.out / "teacher").exists() else None
        if config is None:
            saved = load(self.out / "teacher")
            assert isinstance(saved, SLMRec)
            config = saved.backbone.config
        student = recipe.student.beside(teacher)
        blocks = 1 if self._by_scores else recipe.distillation.blocks
        costs: list[tuple[str, Cost]] = [
            ("sasrec", classic_cost(data, recipe.sasrec)),
            *((name, classic_cost(data, options)) for name, options in self._others().items()),
            ("teacher", llm_cost(data, teacher, config)),
            ("student_ce", llm_cost(data, student, config)),
            ("student", llm_cost(data, student, config, teacher, blocks)),
            *([("sasrec_taught", classic_cost(data, recipe.taught_sasrec()))] if self._by_scores else []),
        ]
        missing = [(name, cost) for name, cost in costs if not (self.out / name).exists()]
        again = COMBINED if recipe.ensemble.untrained else ()
        testing = sum(cost.testing * (2 if name in again else 1) for name, cost in costs)
        self.ahead = [*((name, cost.seconds) for name, cost in missing), ("metrics.json", testing)]
        if missing:
            minutes = sum(cost.seconds for _, cost in missing) / 60
            each = "; ".join(f"{name} {cost}" for name, cost in missing)
            self.monitor.say(f"training will take about {minutes:,.0f} min on this machine ({each})")

    def _progress(self, done: int, total: int, note: str) -> None:
        self.monitor.progress(done, total, note)
        self._tell(done / max(1, total))

    def _tell(self, share: float) -> None:
        """Remaining time: the stage's own by its own speed, later ones by what they cost."""
        left = 0.0
        for name, seconds in self.ahead:
            if name == self.current and share > 0.02:
                left += (time.monotonic() - self.stopwatch) / share * (1 - share)
            else:
                left += seconds
        self.monitor.remaining(left if self.ahead else None)


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Nested options by dotted key."""
    if not isinstance(value, dict):
        return {prefix: value}
    return {
        name: item
        for key, below in value.items()
        for name, item in _flat(below, f"{prefix}.{key}" if prefix else key).items()
    }
