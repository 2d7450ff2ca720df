"""A timed study on tiny models: what is timed, what is kept, and a page whose ratios are those of its numbers."""

import json
from dataclasses import replace

import pytest
import torch

from slmrec.data.batches import training_examples
from slmrec.models.items import ItemTable
from slmrec.recipe import Recipe
from slmrec.studies import speeds
from slmrec.studies.page import pages
from slmrec.studies.plan import named_study
from slmrec.studies.runner import plan_study, run_study
from slmrec.training.build import build_llm
from slmrec.training.distillation import Distillation
from slmrec.training.modules import NextItem
from slmrec.training.options import DistillationOptions, LLMOptions, StudentOptions, TrainingOptions
from slmrec.training.speed import TrainingSpeed, seconds_a_position, training_speed

from .test_runner import SASREC, TRAINING, Told


@pytest.fixture(scope="module")
def study(llama):
    llm = LLMOptions(backbone=str(llama), layers=2, max_length=7, lora_rank=2, training=TRAINING)
    recipe = Recipe(
        sasrec=SASREC,
        teacher=llm,
        student=StudentOptions(layers=1, training=replace(TRAINING, epochs=2)),
        distillation=DistillationOptions(blocks=1),
    )
    return named_study("efficiency", recipe)


@pytest.fixture(scope="module")
def done(study, cycle, tmp_path_factory):
    out, told = tmp_path_factory.mktemp("studies"), Told()
    path = run_study(study, [cycle], 3, out, told, "slmrec study efficiency")
    return out, json.loads(path.read_text()), told


def test_every_model_is_timed_once_whatever_the_seeds(done, study, cycle):
    out, result, told = done
    assert [stage.removeprefix("cycle: ") for stage in told.stages] == [trial.name for trial in study.trials]
    found = result["data"]["cycle"]["speeds"]
    assert found.keys() == {trial.name for trial in study.trials}
    assert all(speed["users_per_second"] > 0 and speed["latency"]["p50"] > 0 for speed in found.values())
    assert found["popularity"]["training"]["epochs"] == 0
    assert found["SASRec"]["training"]["epoch"] > 0 == found["SASRec"]["training"]["once"]
    distilled = found["LLM, 1 layers, distilled from 2"]
    assert distilled["training"]["once"] > 0
    assert distilled["training"]["total"] == pytest.approx(
        distilled["training"]["once"] + 2 * distilled["training"]["epoch"]
    )
    assert found["LLM, all 4 layers"]["layers"] == 4
    assert not list(out.glob("models"))
    again = Told()
    run_study(study, [cycle], 1, out, again)
    assert not again.stages
    plan = Told()
    plan_study(study, [cycle], 1, out, plan)
    assert any("measured already" in line for line in plan.said)


def test_the_page_tells_ratios_and_the_papers(done):
    _, result, _ = done
    for name, speed in result["data"]["cycle"]["speeds"].items():
        speed["users_per_second"] = 10.0 if name == "LLM, all 4 layers" else 25.0
        speed["training"] |= {"epoch": 6.0 if name == "LLM, all 4 layers" else 1.5, "once": 1.0, "epochs": 2}
        speed["parameters"] = {"without_vocabulary": 10**8 if "all" in name else 2 * 10**7, "total": 4 * 10**8}
    written = pages(result)
    assert written.keys() == {"efficiency.md"}
    page = written["efficiency.md"]
    assert "| LLM, 2 layers, as teacher | 20 | 400 | 1.5 |" in page
    row = next(line for line in page.splitlines() if line.startswith("| LLM, 2 layers, as teacher |"))
    assert " 4.0x | 25 | 2.5x |" in row
    assert "| parameters | 13.0% of Open-P5's, 14.2% of E4SRec's | 20.0% of those held, 100.0% with" in page
    assert "| training an epoch | 6.6x faster | 4.0x faster, 3.0x with its share of the teacher's states |" in page
    assert "| inference | 8.0x faster | 2.5x faster |" in page


def test_a_step_is_timed_by_its_positions(cycle, llama, monkeypatch):
    """A clock by hand: 0.2 s a batch of 4 positions, then 0.3 of 10 and 0.1 of 5, the first being for warming up."""
    ticks = iter([0.0, 0.3, 1.0, 1.1])
    monkeypatch.setattr("slmrec.training.speed.time.perf_counter", lambda: next(ticks))
    batches = [{"lengths": torch.tensor([size])} for size in (4, 10, 5)]
    assert seconds_a_position(lambda batch: None, batches) == pytest.approx((0.03 + 0.02) / 2)


def test_a_distilled_student_is_timed_apart_from_its_teacher(cycle, llama, monkeypatch):
    works = []
    monkeypatch.setattr(
        "slmrec.training.speed.seconds_a_position",
        lambda work, batches: (works.append((work(batches[0]), "teacher" in batches[0])), 0.5 * len(works))[1],
    )
    options = LLMOptions(backbone=str(llama), layers=1, training=TrainingOptions(epochs=3, batch_size=8))
    items = ItemTable.of(torch.randn(20, 8))
    examples = training_examples(cycle, 50, "every-position")
    positions = sum(len(example.inputs) for example in examples)
    alone = training_speed(NextItem(build_llm(cycle, options, items), options.training), examples, options.training)
    assert alone == TrainingSpeed(epoch=0.5 * positions, once=0.0, epochs=3)
    pair = build_llm(cycle, options, items), build_llm(cycle, replace(options, layers=2), items)
    module = Distillation(*pair, DistillationOptions(blocks=1))
    assert training_speed(module, examples, options.training).once == 1.0 * positions
    assert [known for _, known in works] == [False, True, True]  # the step reads what the teacher has left


def test_the_plan_makes_nothing(study, cycle, tmp_path, monkeypatch):
    monkeypatch.setattr(speeds, "_measure", None)
    told = Told()
    plan_study(study, [cycle], 3, tmp_path, told)
    assert not list(tmp_path.iterdir())
    assert f"  cycle: {len(study.trials)} models to be timed" in told.said
