"""Studies on tiny models: what runs, what is not run twice, what is shared, what the results say."""

import json
import os
import shutil
from dataclasses import replace

import polars as pl
import pytest

from slmrec.data import Catalogue
from slmrec.data.variations import shuffled
from slmrec.errors import UserError
from slmrec.evaluation import Latency, evaluate
from slmrec.models import Ensemble, load
from slmrec.recipe import Recipe
from slmrec.studies import jobs, runner
from slmrec.studies.names import STUDIES
from slmrec.studies.page import pages
from slmrec.studies.plan import Look, Study, Trial, named_study
from slmrec.studies.results import summary
from slmrec.studies.runner import plan_study, run_study
from slmrec.training.options import (
    DistillationOptions,
    LLMOptions,
    SASRecOptions,
    StudentOptions,
    TrainingOptions,
    chosen,
)

TRAINING = TrainingOptions(epochs=1, batch_size=16)
SASREC = SASRecOptions(hidden_size=8, num_blocks=1, max_length=7, training=TRAINING)
SCORES = DistillationOptions(form="scores", candidates=8)


class Told:
    """A monitor that keeps what it is told."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.said: list[str] = []
        self.shares: list[float] = []

    def stage(self, number: int, total: int, title: str) -> None:
        self.stages.append(title)

    def progress(self, done: int, total: int, note: str) -> None:
        assert 0 <= done <= total
        self.shares.append(done / total)

    def say(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture(scope="module")
def small(cycle) -> Study:
    """A classic model, popularity, a student of two seeds, and two looks."""
    trials = [
        Trial("popularity"),
        Trial("SASRec", SASREC),
        Trial("taught", SASREC, teachers=("SASRec@0", "SASRec@1"), distillation=SCORES),
    ]
    looks = [Look("both", ("SASRec@0", "SASRec@1")), Look("newest 1", ("SASRec",), newest=1)]
    return Study("small", "Which?", trials, looks, [("taught", "SASRec"), ("SASRec", "popularity")])


@pytest.fixture(scope="module")
def done(small, cycle, tmp_path_factory):
    """The study, run once with two seeds: its folder, its result and what was told."""
    out, told = tmp_path_factory.mktemp("studies"), Told()
    path = run_study(small, [cycle], 2, out, told)
    return out, json.loads(path.read_text()), told


def test_every_model_runs_once_a_seed_after_what_it_needs(done):
    _, _, told = done
    names = [title.removeprefix("cycle: ") for title in told.stages]
    assert len(names) == len(set(names)) == 2 * (3 + 1) + 1  # members of fixed seeds score together once
    for seed in (0, 1):
        assert names.index(f"SASRec, seed {seed}") < names.index("taught, seed 0")
    assert any("9 results; to be made, with what they need: 9" in line for line in told.said)


@pytest.mark.parametrize(("others", "timed"), [(0.1, True), (0.5, False)])
def test_requests_timed_beside_other_work_are_told_and_left_out(cycle, tmp_path, monkeypatch, others, timed):
    monkeypatch.setattr(runner, "request_latency", lambda model, data: Latency(2.0, 3.0, 7, others))
    told = Told()
    path = run_study(Study("one", "Which?", [Trial("popularity")], [], []), [cycle], 1, tmp_path, told)
    seed = json.loads(path.read_text())["data"][cycle.name]["models"]["popularity"]["seeds"]["0"]
    assert seed.get("request_ms") == (2.0 if timed else None)
    assert any("popularity: other processes kept 50% of the machine busy" in line for line in told.said) == (not timed)


def test_an_option_that_is_off_is_not_in_a_models_name():
    told = {"rank": 8, "loss": "", "teachers": [], "training": {"logq": False, "epochs": 3, "added_later": 0.0}}
    assert chosen(told) == {"rank": 8, "training": {"epochs": 3}}


def test_results_hold_what_evaluation_gives(done, small, cycle):
    out, result, _ = done
    found = result["data"]["cycle"]["models"]
    made = jobs.Jobs(small, {"cycle": cycle}, 2, out)
    members = [load(made.folder(cycle, small.trial("SASRec"), seed)) for seed in (0, 1)]
    for seed, member in enumerate(members):
        theirs = evaluate(member, cycle).metrics["NDCG@10"]
        assert found["SASRec"]["seeds"][str(seed)]["NDCG@10"] == pytest.approx(theirs, abs=1e-5)
        newest = evaluate(member, cycle, newest=1).metrics["NDCG@10"]
        assert found["newest 1"]["seeds"][str(seed)]["NDCG@10"] == pytest.approx(newest, abs=1e-5)
    together = evaluate(Ensemble.of(members), cycle).metrics["NDCG@10"]
    assert found["both"]["mean"]["NDCG@10"] == pytest.approx(together, abs=1e-5)
    assert found["both"]["seeds"].keys() == {"0"}  # whatever the study's seeds, it is one ensemble
    assert found["both"]["sd"] is None
    assert "request_ms" not in found["both"]["mean"]
    assert found["SASRec"]["seeds"]["0"]["NDCG@10"] != found["SASRec"]["seeds"]["1"]["NDCG@10"]
    pairs = [(c["model"], c["baseline"]) for c in result["data"]["cycle"]["comparisons"]]
    assert pairs == [("taught", "SASRec"), ("SASRec", "popularity")]
    assert result["written"]["machine"]["torch"]


def test_a_look_at_fewer_seeds_is_compared_with_what_it_looks_at_by_those(done, small, cycle, tmp_path):
    out = shutil.copytree(done[0], tmp_path / "copy")
    study = replace(small, pairs=[("newest 1", "SASRec"), ("both", "SASRec"), ("taught", "SASRec")])
    made = jobs.Jobs(study, {"cycle": cycle}, 2, out)
    for name in ("popularity", "newest 1"):
        made.done(("cycle", name, 1)).unlink()

    class CutOff(Told):
        def stage(self, number: int, total: int, title: str) -> None:
            if "newest" in title:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_study(study, [cycle], 2, out, CutOff())
    found = json.loads((out / "small.json").read_text())["data"]["cycle"]
    seeds = {comparison["model"]: comparison["seeds"] for comparison in found["comparisons"]}
    assert seeds == {"newest 1": [1, 1], "both": [1, 2], "taught": [2, 2]}  # the taught have teachers of fixed seeds
    ours, theirs = (found["models"][name]["seeds"]["0"]["NDCG@10"] for name in ("newest 1", "SASRec"))
    assert found["comparisons"][0]["difference"] == pytest.approx(ours - theirs, abs=2e-5)


def test_what_shares_its_luck_but_no_seed_is_not_compared(done, small, cycle):
    made = jobs.Jobs(small, {"cycle": cycle}, 2, done[0])
    entries, frames = [], []
    for name, seed in (("SASRec", 0), ("newest 1", 1), ("taught", 1)):
        path = made.done(("cycle", name, seed))
        entries.append(json.loads(path.read_text()) | {"model": name})
        told = pl.lit(name).alias("model"), pl.lit(seed).alias("seed")
        frames.append(pl.read_parquet(path.with_suffix(".parquet")).with_columns(*told))
    study = replace(small, pairs=[("newest 1", "SASRec"), ("taught", "SASRec")])
    found = summary(study, [cycle], {"cycle": entries}, {"cycle": pl.concat(frames)}, "")["data"]["cycle"]
    assert [comparison["model"] for comparison in found["comparisons"]] == ["taught"]


def test_what_is_finished_is_not_done_again_and_another_study_shares_it(done, small, cycle):
    out, _, _ = done
    again = Told()
    run_study(small, [cycle], 2, out, again)
    assert not again.stages
    other = Study("other", "?", [Trial("classic", SASREC), Trial("popularity")])
    shared = Told()
    path = run_study(other, [cycle], 2, out, shared)
    assert not shared.stages  # the same model under another name
    assert json.loads(path.read_text())["data"]["cycle"]["models"]["classic"]["seeds"].keys() == {"0", "1"}
    changed = Told()
    run_study(replace(other, trials=[Trial("classic", replace(SASREC, dropout=0.1))]), [cycle], 1, out, changed)
    assert len(changed.stages) == 1


def test_what_others_need_is_made_at_the_seeds_they_need_and_no_more(cycle, tmp_path):
    taught = Trial("taught", SASREC, teachers=("first@0", "second"), distillation=SCORES)
    study = Study("s", "?", [Trial("first", SASREC), Trial("second", replace(SASREC, dropout=0.1)), taught])

    def made(names: list[str]) -> list[tuple[str, int]]:
        missing = jobs.Jobs(study.only(names), {"cycle": cycle}, 2, tmp_path).missing()
        return sorted((name, seed) for _, name, seed in missing.values())

    needed = [("first", 0), ("second", 0), ("second", 1), ("taught", 0), ("taught", 1)]
    assert made(["taught"]) == needed
    assert made(["first", "taught"]) == sorted([*needed, ("first", 1)])


def test_a_model_that_was_trained_but_not_measured_is_only_measured(small, cycle, tmp_path, monkeypatch):
    one = small.only(["SASRec"])
    run_study(one, [cycle], 1, tmp_path, Told())
    (measured,) = tmp_path.glob("measured/cycle/*/seed-0.json")
    before = json.loads(measured.read_text())
    measured.unlink()

    def train(*_, **__):
        raise AssertionError("it was trained again")

    monkeypatch.setattr(runner, "train", train)
    run_study(one, [cycle], 1, tmp_path, Told())
    assert json.loads(measured.read_text())["metrics"] == before["metrics"]


def test_what_teachers_count_is_told_where_the_validation_split_decides(cycle, tmp_path):
    teachers = ("SASRec@0", "narrow@0")
    trials = [
        Trial("SASRec", SASREC),
        Trial("narrow", replace(SASREC, hidden_size=4)),
        Trial("taught", SASREC, teachers=teachers, distillation=replace(SCORES, weigh_teachers=True)),
    ]
    looks = [Look("alike", teachers), Look("weighed", teachers, weighed=True)]
    result = json.loads(run_study(Study("s", "?", trials, looks), [cycle], 1, tmp_path, Told()).read_text())
    trained = [json.loads(path.read_text()) for path in tmp_path.glob("models/cycle/*/seed-0/training.json")]
    (kept,) = (training["teacher_weights"] for training in trained if "teacher_weights" in training)
    weights = dict(zip(teachers, kept, strict=True))
    models = {name: model["seeds"]["0"] for name, model in result["data"]["cycle"]["models"].items()}
    assert models["taught"]["weights"] == models["weighed"]["weights"] == weights
    assert "weights" not in models["alike"]
    page = pages(result)["s.md"]
    row = f"| weighed | 0 | SASRec@0 {weights['SASRec@0']:.2f}, narrow@0 {weights['narrow@0']:.2f} |"
    assert row in page.splitlines()


def test_a_study_cut_short_goes_on_where_it_was(small, cycle, tmp_path, monkeypatch):
    whole = runner._Runner._trial

    def cut(self, data, trial, seed):
        if trial.name == "taught":
            raise KeyboardInterrupt
        whole(self, data, trial, seed)

    monkeypatch.setattr(runner._Runner, "_trial", cut)
    with pytest.raises(KeyboardInterrupt):
        run_study(small, [cycle], 1, tmp_path, Told())
    monkeypatch.undo()
    partial = json.loads((tmp_path / "small.json").read_text())["data"]["cycle"]["models"]
    assert set(partial) == {"popularity", "SASRec"}
    rest = Told()
    run_study(small, [cycle], 1, tmp_path, rest)
    assert [title.removeprefix("cycle: ") for title in rest.stages] == [
        "taught, seed 0",
        "both, seed 0",
        "newest 1, seed 0",
    ]


def test_side_by_side_gives_what_one_after_another_gives(done, small, cycle, tmp_path):
    _, alone, _ = done
    told = Told()
    path = run_study(small, [cycle], 2, tmp_path, told, processes=2)
    assert sum(line.startswith("cycle: ") for line in told.said) == 9
    assert told.shares == sorted(told.shares)
    assert told.shares[-1] == 1
    result = json.loads(path.read_text())
    assert result["trials"] == alone["trials"]
    for name, model in alone["data"]["cycle"]["models"].items():
        theirs = result["data"]["cycle"]["models"][name]
        for seed, metrics in model["seeds"].items():
            assert theirs["seeds"][seed]["NDCG@10"] == pytest.approx(metrics["NDCG@10"], abs=1e-4)
            assert "request_ms" not in theirs["seeds"][seed]  # nobody's time is told that others shared
    again = Told()
    run_study(small, [cycle], 2, tmp_path, again, processes=2)
    assert not any(line.startswith("cycle: ") for line in again.said)


@pytest.mark.parametrize("processes", [1, 2])
def test_what_another_process_has_made_meanwhile_is_taken(small, cycle, tmp_path, processes):
    made: dict[str, int] = {}

    class Meanwhile(Told):
        """Another study does the first seed, once this one has been planned."""

        def stage(self, number: int, total: int, title: str) -> None:
            super().stage(number, total, title)
            if number == 1:
                run_study(small, [cycle], 1, tmp_path, Told())
                made.update({str(path): path.stat().st_mtime_ns for path in tmp_path.glob("measured/cycle/*/*")})

    path = run_study(small, [cycle], 2, tmp_path, Meanwhile(), processes=processes)
    seeds = json.loads(path.read_text())["data"]["cycle"]["models"]["SASRec"]["seeds"]
    assert seeds.keys() == {"0", "1"}
    assert len(made) == 2 * 6  # ranks and metrics; the student's second teacher, too
    assert {name: os.stat(name).st_mtime_ns for name in made} == made


def test_variations_change_training_alone(cycle, tmp_path):
    trials = [Trial("whole", SASREC), Trial("mixed", SASREC, shuffled=True), Trial("few", SASREC, users=0.5)]
    path = run_study(Study("varied", "?", trials), [cycle], 1, tmp_path, Told())
    found = json.loads(path.read_text())["data"]["cycle"]["models"]
    assert {model["cases"] for model in found.values()} == {len(cycle.cases("test"))}
    assert len({model["mean"]["NDCG@10"] for model in found.values()}) == 3
    assert shuffled(cycle).name != cycle.name


def test_variations_find_what_was_made_before(cycle, llama, tmp_path):
    """An LLM on changed data takes the item table of the model it names, whatever data that had."""
    llm = LLMOptions(backbone=str(llama), layers=1, max_length=7, training=TRAINING)
    trials = [Trial("SASRec", SASREC), Trial("mixed", SASREC, shuffled=True)]
    trials += [Trial(f"on {name}", llm, items=name, shuffled=True) for name in ("SASRec", "mixed")]
    trials += [Trial("taught", replace(SASREC), teachers=("mixed",), distillation=SCORES, users=0.5)]
    path = run_study(Study("varied", "?", trials), [cycle], 1, tmp_path, Told())
    found = json.loads(path.read_text())["data"]["cycle"]["models"]
    assert set(found) == {"SASRec", "mixed", "on SASRec", "on mixed", "taught"}
    assert found["on SASRec"]["mean"] != found["on mixed"]["mean"]


def test_llm_trials_students_and_looks_inside(cycle, llama, tmp_path):
    llm = LLMOptions(backbone=str(llama), layers=2, max_length=7, training=TRAINING)
    trials = [
        Trial("SASRec", SASREC),
        Trial("teacher", llm, items="SASRec"),
        Trial(
            "student",
            StudentOptions(layers=1, training=TRAINING),
            items="SASRec",
            teachers=("teacher",),
            distillation=DistillationOptions(blocks=1),
        ),
        Trial("by scores", replace(llm, layers=1), items="SASRec", teachers=("teacher", "SASRec"), distillation=SCORES),
    ]
    looks = [
        Look("first layer", ("teacher",), layers=(0,)),
        Look("first layer, raw", ("teacher",), layers=(0,), norm=False),
        Look("int8", ("teacher",), precision="int8"),
        Look("narrow", ("teacher",), neurons=16, head_groups=1),
        Look("narrow, int4, low rank", ("teacher",), neurons=16, precision="int4", item_rank=2),
    ]
    told = Told()
    study = Study(
        "inside",
        "?",
        trials,
        looks,
        [("student", "teacher")],
        {"teacher": 2.0, "first layer": 1.0},
        "layers",
        inside=True,
    )
    path = run_study(study, [cycle], 1, tmp_path, told)
    result = json.loads(path.read_text())
    found = result["data"]["cycle"]["models"]
    assert found["student"]["layers"] == found["by scores"]["layers"] == found["first layer"]["layers"] == 1
    assert found["first layer"]["mean"] != found["first layer, raw"]["mean"]
    held = [found[name]["parameters"]["without_vocabulary"] for name in ("narrow", "narrow, int4, low rank", "teacher")]
    assert held[2] - held[0] == 2 * (3 * 32 * (48 - 16) + 2 * 16 * 32 + 2 * 8 * 32)  # of two layers, each of four maps
    assert held[2] - held[1] == 2 * 3 * 32 * (48 - 16) + 21 * 8 - (21 * 2 + 2 * 8)
    assert len(found["teacher"]["layer_roles"]["block_influence"]) == 2
    assert "layer_roles" not in found["SASRec"]
    written = pages(result)
    assert written.keys() == {"inside.md", "inside-cycle.svg"}
    assert "| student | teacher |" in written["inside.md"]
    assert "What each layer of teacher does" in written["inside.md"]
    assert "one seed" in written["inside.md"]  # and no verdict from it
    assert written["inside-cycle.svg"].count("first layer") >= 2
    assert pages(result) == written


def test_the_plan_is_told_and_nothing_is_made(small, cycle, tmp_path):
    told = Told()
    plan_study(small, [cycle], 2, tmp_path, told)
    assert not list(tmp_path.iterdir())
    assert any("taught, 2 ×" in line for line in told.said)
    assert any(line.startswith("training will take about") for line in told.said)


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_is_whole_and_names_what_it_has(name, llama):
    teacher = LLMOptions(backbone=str(llama), layers=4)
    recipe = Recipe(teacher=teacher, student=StudentOptions(layers=2), distillation=DistillationOptions(blocks=2))
    study = named_study(name, recipe)
    assert study.name == name
    assert study.trials
    assert study.pairs
    first = study.trials[-1].name
    assert first in [trial.name for trial in study.only([first]).trials]


def test_wrong_requests_name_what_is_wrong(small, cycle, tmp_path):
    with pytest.raises(UserError, match="seeds is 0"):
        run_study(small, [cycle], 0, tmp_path, Told())
    with pytest.raises(UserError, match="study timed times its models"):
        run_study(Study("timed", "?", small.trials, timed=True), [cycle], 1, tmp_path, Told(), processes=2)
    with pytest.raises(UserError, match="two data sets are called 'cycle'"):
        run_study(small, [cycle, cycle], 1, tmp_path, Told())
    bare = replace(cycle, catalogue=Catalogue(cycle.catalogue.frame.with_columns(text=pl.lit(None, pl.String))))
    with pytest.raises(UserError, match="no item of cycle has a text, which 'by text' needs"):
        run_study(
            Study("t", "?", [Trial("by text", replace(SASREC, item_text="minilm-l6"))]), [bare], 1, tmp_path, Told()
        )
    with pytest.raises(UserError, match="no model 'SASrec'"):
        small.only(["SASrec"])
    with pytest.raises(UserError, match="no study 'ablaton'; did you mean 'ablation'"):
        named_study("ablaton", Recipe())
    with pytest.raises(ValueError, match="has no trial 'nobody'"):
        Study("wrong", "?", [Trial("a", SASREC, items="nobody")])
    with pytest.raises(ValueError, match="two trials 'a'"):
        Study("wrong", "?", [Trial("a"), Trial("a")])


def test_ranks_of_every_seed_are_kept_beside_the_metrics(done):
    out, _, _ = done
    for path in out.glob("measured/cycle/*/seed-*.json"):
        frame = pl.read_parquet(path.with_suffix(".parquet"))
        assert len(frame) == json.loads(path.read_text())["cases"]
