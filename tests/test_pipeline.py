"""The main job: a run cut off anywhere and typed again ends with the weights and metrics of the unbroken one."""

import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
import torch

from slmrec.errors import UserError
from slmrec.models import load
from slmrec.pipeline import MODELS, examples, run
from slmrec.recipe import Recipe
from slmrec.training import trainer
from slmrec.training.options import (
    DistillationOptions,
    LLMOptions,
    SASRecOptions,
    StudentOptions,
    TrainingOptions,
)


class Watcher:
    """A monitor that counts what it is told, and ends the run at a given moment."""

    def __init__(self, end_at: int | None = None) -> None:
        self.told = 0
        self.end_at = end_at
        self.stages: list[str] = []
        self.left: list[float] = []
        self.said: list[str] = []

    def stage(self, number: int, total: int, title: str) -> None:
        self.stages.append(title)
        self._count()

    def progress(self, done: int, total: int, note: str) -> None:
        assert 0 <= done <= total
        self._count()

    def remaining(self, seconds: float | None) -> None:
        if seconds is not None:
            assert seconds >= 0
            self.left.append(seconds)

    def say(self, text: str) -> None:
        self.said.append(text)

    def _count(self) -> None:
        self.told += 1
        if self.told == self.end_at:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def source(cycle, tmp_path_factory) -> Path:
    users = [
        user
        for user, n in zip(cycle.users["user_id"], cycle.offsets[1:] - cycle.offsets[:-1], strict=True)
        for _ in range(n)
    ]
    frame = pl.DataFrame({"user_id": users, "item_id": cycle.catalogue.ids(cycle.sequence)})
    path = tmp_path_factory.mktemp("source") / "cycle.csv"
    frame.write_csv(path)
    return path


@pytest.fixture(scope="module")
def recipe(llama) -> Recipe:
    training = TrainingOptions(epochs=2, batch_size=16, learning_rate=5e-3)
    return Recipe(
        sasrec=SASRecOptions(hidden_size=16, num_blocks=1, max_length=8, training=training),
        teacher=LLMOptions(backbone=str(llama), layers=4, max_length=8, prompt_before="the user", training=training),
        student=StudentOptions(layers=2, training=training),
        distillation=DistillationOptions(blocks=2, lambda2=0.01),
    )


@pytest.fixture(scope="module")
def unbroken(source, recipe, tmp_path_factory) -> tuple[Path, Watcher]:
    watcher = Watcher()
    out = tmp_path_factory.mktemp("unbroken") / "run"
    return run(str(source), out, recipe, recipe_name="tiny", monitor=watcher), watcher


def weights(out: Path) -> dict[str, torch.Tensor]:
    return {f"{name}.{key}": value for name in MODELS for key, value in load(out / name).state_dict().items()}


@pytest.mark.parametrize("share", [0.02, 0.2, 0.45, 0.7, 0.8, 0.93, 0.99])
def test_cut_off_and_typed_again(source, recipe, unbroken, tmp_path, monkeypatch, share):
    monkeypatch.setattr(trainer, "SAVE_SECONDS", 0)
    whole, watcher = unbroken
    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        run(str(source), out, recipe, recipe_name="tiny", monitor=Watcher(max(2, int(watcher.told * share))))
    assert not (out / "report.html").exists()
    run(str(source), out, recipe, recipe_name="tiny", monitor=Watcher())
    ours, theirs = weights(out), weights(whole)
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []
    quality = [[one["metrics"] for one in json.loads((folder / "metrics.json").read_text())] for folder in (out, whole)]
    assert quality[0] == quality[1]
    assert not [path.name for path in out.iterdir() if path.name.startswith(".")]


def test_what_was_told(unbroken):
    _, watcher = unbroken
    assert len(watcher.stages) == 7
    assert any("training will take about" in text for text in watcher.said)
    assert watcher.left


def test_a_finished_run_does_nothing(unbroken, source, recipe):
    watcher = Watcher()
    run(str(source), unbroken[0], recipe, recipe_name="tiny", monitor=watcher)
    assert watcher.told == 0


def test_another_job_does_not_go_into_its_folder(unbroken, source, recipe):
    other = replace(recipe, distillation=replace(recipe.distillation, lambda1=2.0))
    with pytest.raises(UserError, match=r"another recipe\.distillation\.lambda1"):
        run(str(source), unbroken[0], other, recipe_name="tiny", monitor=Watcher())


def test_examples_are_what_the_models_recommend_before_the_target(unbroken, cycle):
    from slmrec.data import Dataset

    data = Dataset.load(unbroken[0] / "data")
    model = load(unbroken[0] / "student")
    found = examples({"student": model}, data)
    assert len(found) == 10
    for example in found:
        history = data.full_history(data.user_index(example["user_id"]))
        assert example["target"] == data.catalogue.texts(history[-1:])[0]
        assert example["history"] == data.catalogue.texts(history[:-1][-10:])
        frame = model.recommend([data.catalogue.ids(history[:-1]).to_list()])
        titles = [one["title"] for one in example["models"]["student"]]
        assert titles == data.catalogue.texts(data.catalogue.index(frame["item_id"]))


def test_a_run_may_teach_by_scores_and_know_items_by_text(source, recipe, cycle, tmp_path):
    rings = torch.nn.functional.one_hot(torch.arange(20) % 5).float().tolist()
    vectors = pl.DataFrame({"item_id": cycle.catalogue.frame["item_id"], "vector": rings})
    vectors.write_parquet(tmp_path / "vectors.parquet")
    sasrec = replace(recipe.sasrec, item_text=str(tmp_path / "vectors.parquet"))
    changed = replace(recipe, sasrec=sasrec, distillation=DistillationOptions(form="scores", candidates=8))
    out = run(str(source), tmp_path / "run", changed, recipe_name="scores", monitor=Watcher())
    log = json.loads((out / "student" / "training.json").read_text())["log"]
    assert "score_kl" in log[0]
    known = load(out / "student").items.text[1:]  # whitened; the five rings of four items are still told apart
    assert len({tuple(round(number, 4) for number in row) for row in known.tolist()}) == 5
    assert not known.isnan().any()
    assert "The student follows the teacher’s scores" in (out / "report.html").read_text()
    reader = replace(recipe.teacher, reading="last-prompt-token", prompt_after="next item ?")
    with pytest.raises(UserError, match="compares the scores of every-position"):
        replace(changed, teacher=reader)
