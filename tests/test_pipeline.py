"""The main job: a run cut off anywhere and typed again ends with the weights and metrics of the unbroken one."""

import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
import torch

from slmrec.errors import UserError
from slmrec.exclusive import exclusive
from slmrec.models import Ensemble, load
from slmrec.pipeline import run
from slmrec.recipe import Recipe
from slmrec.report import examples
from slmrec.studies.plan import named_study
from slmrec.training import trainer
from slmrec.training.options import (
    DistillationOptions,
    EnsembleOptions,
    LLMOptions,
    SASRecOptions,
    SequentialRulesOptions,
    StudentOptions,
    TextKNNOptions,
    TrainingOptions,
)

MODELS = ["popularity", "item_knn", "sequential_rules", "sasrec", "sasrec_combined"]
MODELS += ["teacher", "student_ce", "student", "student_combined"]


class Watcher:
    """A monitor that counts what it is told, and ends the run at a given moment."""

    def __init__(self, end_at: int | None = None) -> None:
        self.told = 0
        self.end_at = end_at
        self.stages: list[str] = []
        self.left: dict[str, float] = {}  # by stage, as last told in it
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
            self.left[self.stages[-1]] = seconds

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
        ensemble=EnsembleOptions(item_knn=True, sequential_rules=True, text_knn=True),
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
    assert len(watcher.stages) == 9
    assert any("training will take about" in text for text in watcher.said)
    assert set(watcher.left) >= set(watcher.stages[1:-1])  # from the first training to the test


def test_neighbours_stand_beside_sasrec_and_the_student(unbroken, cycle):
    out, watcher = unbroken
    tested = [one["model"] for one in json.loads((out / "metrics.json").read_text())]
    assert tested == MODELS  # without text-kNN: no item has a text
    history = [cycle.history(0, int(cycle.offsets[1]) - 1)]
    for name in ("sasrec", "student"):
        together = load(out / f"{name}_combined")
        assert isinstance(together, Ensemble)
        members = [load(out / each) for each in (name, "item_knn", "sequential_rules")]
        weights = json.loads((out / f"{name}_combined" / "training.json").read_text())["weights"]
        scores = sum(weight * one.log_scores(history) for one, weight in zip(members, weights, strict=True))
        torch.testing.assert_close(together.score(history), scores)
        assert any(text.startswith(f"weights: {name} {weights[0]:.2f}, item_knn ") for text in watcher.said)
    told = (out / "report.html").read_text()
    assert "Beside SASRec, and beside the student: item-kNN, sequential rules, each counted" in told


def test_a_recipe_may_do_without_neighbours(source, recipe, tmp_path):
    alone, watcher = replace(recipe, ensemble=EnsembleOptions()), Watcher(end_at=3)
    with pytest.raises(KeyboardInterrupt):
        run(str(source), tmp_path / "run", alone, recipe_name="alone", monitor=watcher)
    models = json.loads((tmp_path / "run" / "run.json").read_text())["models"]
    assert models == ["popularity", "item_knn", "sasrec", "teacher", "student_ce", "student"]


def test_a_finished_run_does_nothing(unbroken, source, recipe):
    watcher = Watcher()
    run(str(source), unbroken[0], recipe, recipe_name="tiny", monitor=watcher)
    assert watcher.told == 0


def test_another_job_does_not_go_into_its_folder(unbroken, source, recipe):
    other = replace(recipe, distillation=replace(recipe.distillation, lambda1=2.0))
    with pytest.raises(UserError, match=r"another recipe\.distillation\.lambda1"):
        run(str(source), unbroken[0], other, recipe_name="tiny", monitor=Watcher())


def test_a_run_that_another_process_is_at_is_left_to_it(source, recipe, tmp_path):
    out = tmp_path / "run"
    with exclusive(out), pytest.raises(UserError, match=rf"another process is at work on {out}"):
        run(str(source), out, recipe, recipe_name="tiny", monitor=Watcher())
    assert not out.exists()


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


@pytest.fixture(scope="module")
def texts(cycle, tmp_path_factory) -> Path:
    rings = torch.nn.functional.one_hot(torch.arange(20) % 5).float().tolist()
    path = tmp_path_factory.mktemp("texts") / "vectors.parquet"
    pl.DataFrame({"item_id": cycle.catalogue.frame["item_id"], "vector": rings}).write_parquet(path)
    return path


@pytest.fixture(scope="module")
def by_scores(recipe, texts) -> Recipe:
    return replace(
        recipe,
        sasrec=replace(recipe.sasrec, item_text=str(texts)),
        sequential_rules=SequentialRulesOptions(max_length=8),
        text_knn=TextKNNOptions(max_length=8),
        distillation=DistillationOptions(form="scores", candidates=8, weigh_teachers=True),
        ensemble=EnsembleOptions(sasrecs=2, sequential_rules=True, text_knn=True),
    )


def test_a_run_may_teach_by_scores_and_know_items_by_text(source, by_scores, tmp_path):
    watcher = Watcher()
    out = run(str(source), tmp_path / "run", by_scores, recipe_name="scores", monitor=watcher)
    tested = [one["model"] for one in json.loads((out / "metrics.json").read_text())]
    rules = ["popularity", "item_knn", "sequential_rules", "text_knn"]
    others = ["sasrec_taught", "teacher", "student_ce"]
    assert tested == [*rules, "sasrec", "sasrec_combined", *others, "student", "student_combined"]
    assert len(watcher.stages) == 11  # one more SASRec, and the one that is taught
    one, other = (load(out / name).state_dict() for name in ("sasrec", "sasrec_2"))
    assert any(not torch.equal(one[name], other[name]) for name in one)
    for name in ("student", "sasrec_taught"):
        assert "score_kl" in json.loads((out / name / "training.json").read_text())["log"][0]
    known = load(out / "student").items.text[1:]  # whitened; the five rings of four items are still told apart
    assert len({tuple(round(number, 4) for number in row) for row in known.tolist()}) == 5
    assert not known.isnan().any()
    page = (out / "report.html").read_text()
    assert "the teacher and 2 SASRecs, sequential rules, text-kNN together" in page
    assert any(text.startswith("weights of the teachers: sasrec ") and "sasrec_2" in text for text in watcher.said)
    assert not [path.name for path in out.iterdir() if path.name.startswith(".")]
    again = Watcher()
    run(str(source), out, by_scores, recipe_name="scores", monitor=again)
    assert again.told == 0


def test_a_run_by_scores_without_texts_does_with_ids(source, by_scores, tmp_path):
    worded = replace(by_scores, sasrec=replace(by_scores.sasrec, item_text="minilm-l6"))
    watcher = Watcher(end_at=3)  # the third thing told is of the first training
    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        run(str(source), out, worded, recipe_name="scores", monitor=watcher)
    assert "no item has a text, so items are known by their ids alone" in watcher.said
    assert "text_knn" not in json.loads((out / "run.json").read_text())["models"]
    run(str(source), out, worded, recipe_name="scores", monitor=Watcher())
    assert not (out / "text_knn").exists()
    assert (out / "sequential_rules").exists()
    assert load(out / "sasrec_taught").items.text is None


def test_what_cannot_be_taught_by_scores_is_refused_before_anything_is_made(by_scores, tmp_path):
    reader = replace(by_scores.teacher, reading="last-prompt-token", prompt_after="next item ?")
    with pytest.raises(UserError, match="compares the scores of every-position"):
        replace(by_scores, teacher=reader)
    with pytest.raises(UserError, match=r"text_knn\.max_length is 9, teacher\.max_length 8"):
        replace(by_scores, text_knn=TextKNNOptions(max_length=9))
    with pytest.raises(UserError, match=r"distillation\.start is teacher"):
        replace(by_scores, distillation=replace(by_scores.distillation, start="teacher"))
    alone = replace(by_scores, distillation=DistillationOptions(blocks=2))
    with pytest.raises(UserError, match=r"ensemble\.sasrecs is 2, but .* 'paper' the teacher teaches alone"):
        run("no-such-file", tmp_path / "run", alone, recipe_name="x", monitor=Watcher())
    softer = replace(alone, ensemble=EnsembleOptions(taught_dropout=0.1))
    with pytest.raises(UserError, match=r"ensemble\.taught_dropout is 0\.1, but"):
        run("no-such-file", tmp_path / "run", softer, recipe_name="x", monitor=Watcher())
    narrow = replace(by_scores, student=replace(by_scores.student, neurons=8))
    with pytest.raises(UserError, match="neurons is 8, but which ones to keep is seen in a trained model"):
        run("no-such-file", tmp_path / "run", narrow, recipe_name="x", monitor=Watcher())
    with pytest.raises(UserError, match="neurons is 8"):
        named_study("ablation", narrow)
    assert not list(tmp_path.iterdir())
    with pytest.raises(UserError, match="sasrecs is 0"):
        EnsembleOptions(sasrecs=0)
