"""What a study makes, from what, and where it is kept: every model once, whatever studies ask for it.

OUT holds `models/DATA/TRIAL-DIGEST/seed-K` (model folders) and `measured/…` beside it (test ranks and metrics). The
digest tells a trial's options, its data and what it was made from, so studies that share a model share its folder, and
a changed option makes another one.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from slmrec.data import Dataset
from slmrec.studies.plan import Look, Study, Trial
from slmrec.training.options import chosen

Job = tuple[str, str, int]
"""What is made at once: a data set, a trial or look, and a seed."""


class Jobs:
    """A study's jobs.

    Args:
        study: what to train and compare.
        data_sets: on which data, by name.
        seeds: seeds 0, 1, … of each model.
        out: folder of all studies.
    """

    def __init__(self, study: Study, data_sets: Mapping[str, Dataset], seeds: int, out: Path) -> None:
        self.study, self.data_sets, self.seeds, self.out = study, data_sets, seeds, out

    def seeds_of(self, what: Trial | Look) -> range:
        """Seeds of a model; of a look at models of fixed seeds there is one."""
        return range(1 if isinstance(what, Look) and what.seedless else self.seeds)

    def missing(self) -> dict[Path, Job]:
        """What has still to be made, what others need before them, by the file that will say that it is done."""
        found: dict[Path, Job] = {}

        def add(job: Job) -> None:
            path = self.done(job)
            if path in found or path.exists():
                return
            for need in self.needs(job):
                add(need)
            found[path] = job

        for job in self.asked():
            add(job)
        return found

    def asked(self) -> list[Job]:
        """What the study is about, there already or not: seed by seed, and without what is made for others alone."""
        models = [what for what in self.study.models if what.name not in self.study.helpers]
        return [
            (name, what.name, seed)
            for seed in range(self.seeds)
            for name in self.data_sets
            for what in models
            if seed in self.seeds_of(what)
        ]

    def needs(self, job: Job) -> list[Job]:
        """What a job is made from."""
        data, name, seed = job
        needed = (self.needed(need, seed) for need in self.study.model(name).needs)
        return [(data, trial.name, own) for trial, own in needed]

    def done(self, job: Job) -> Path:
        """The file whose being there says that a job is done."""
        data, name, seed = job
        return self.measured(self.data_sets[data], self.study.model(name), seed)

    def needed(self, need: str, seed: int) -> tuple[Trial, int]:
        """The trial and seed that "name" or "name@2" means for a model of ``seed``."""
        name, _, fixed = need.partition("@")
        return self.study.trial(name), int(fixed) if fixed else seed

    def _digest(self, data: Dataset, what: Trial | Look) -> str:
        """Names all that a model depends on but its seed."""

        def named(need: str) -> str:
            name, at, seed = need.partition("@")
            return self._digest(data, self.study.trial(name)) + at + seed

        told: dict[str, Any] = {**asdict(what), "name": ""}
        if isinstance(what, Look):
            told["of"] = [named(one) for one in what.of]
        else:
            told |= {"kind": type(what.options).__name__, "data": data.fingerprint}
            told |= {"items": what.items and named(what.items), "teachers": [named(one) for one in what.teachers]}
        return hashlib.sha256(json.dumps(chosen(told), sort_keys=True).encode()).hexdigest()[:10]

    def _place(self, data: Dataset, what: Trial | Look, seed: int) -> Path:
        kind = "look" if isinstance(what, Look) else what.kind.lower()
        return Path(_plain(data.name)) / f"{kind}-{self._digest(data, what)}" / f"seed-{seed}"

    def folder(self, data: Dataset, trial: Trial, seed: int) -> Path:
        """The model folder of a trial."""
        return self.out / "models" / self._place(data, trial, seed)

    def measured(self, data: Dataset, what: Trial | Look, seed: int) -> Path:
        """What is kept of a model's test; its ranks have the same name and another ending."""
        return (self.out / "measured" / self._place(data, what, seed)).with_suffix(".json")


def _plain(name: str) -> str:
    """A name that every file system takes."""
    return re.sub(r"[^\w.+-]+", "-", name).strip("-") or "model"
