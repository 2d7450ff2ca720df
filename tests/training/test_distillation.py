"""Distillation: a copy of the teacher costs nothing, cached states are the teacher's, and the student learns."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from slmrec.data.batches import IGNORED, collate, training_examples
from slmrec.errors import UserError
from slmrec.evaluation import evaluate, layer_roles, unit_importance
from slmrec.losses import contrastive_loss, relational_loss, slmrec_objective
from slmrec.models import SLMRec, load
from slmrec.models.items import ItemTable
from slmrec.training.build import build_from, build_llm, student_shape
from slmrec.training.distillation import Distillation, OnlineDistillation
from slmrec.training.kept import Kept, keeping_pays
from slmrec.training.modules import NextItem
from slmrec.training.options import (
    DistillationOptions,
    LLMOptions,
    StudentOptions,
    TrainingOptions,
    block_ends,
)
from slmrec.training.teacher_states import teacher_states
from slmrec.training.train import distill, distill_scores, train_llm

from ..conftest import DECODERS, save_decoder


@pytest.fixture(scope="module")
def teacher_folder(cycle, llama, tmp_path_factory) -> Path:
    """A trained teacher of four layers."""
    torch.manual_seed(0)
    training = TrainingOptions(epochs=12, batch_size=16, learning_rate=1e-2, backbone_learning_rate=2e-3)
    options = LLMOptions(backbone=str(llama), layers=4, max_length=8, prompt_before="the user", training=training)
    folder = tmp_path_factory.mktemp("teacher") / "model"
    train_llm(cycle, options, folder, ItemTable.of(torch.randn(20, 16) * 0.3))
    return folder


@pytest.fixture
def teacher(teacher_folder) -> SLMRec:
    model = load(teacher_folder)
    assert isinstance(model, SLMRec)
    return model


def batch_of(cycle):
    return collate(training_examples(cycle, 8, "every-position")[:6])


@pytest.mark.parametrize("form", ["paper", "published"])
def test_a_student_that_is_its_teacher_costs_only_cross_entropy(cycle, teacher_folder, form):
    teacher, twin = load(teacher_folder), load(teacher_folder)
    module = Distillation(twin, teacher, DistillationOptions(blocks=2, form=form))
    parts = module.parts(**batch_of(cycle))
    assert parts["cosine"].item() == pytest.approx(0, abs=1e-5)
    assert parts["norm"].item() == pytest.approx(0, abs=1e-2)
    assert parts["cross_entropy"].item() > 0


def test_the_parts_are_the_objective_of_states_had_one_layer_at_a_time(cycle, llama, teacher):
    """Against states gathered in a plain loop over users and layers, fed to the golden-tested objective."""
    options = LLMOptions(backbone=str(llama), layers=2, max_length=8, prompt_before="the user")
    student = build_llm(cycle, options, ItemTable.of(torch.randn(20, 16))).eval()
    weights = {"lambda1": 0.7, "lambda2": 0.2, "lambda3": 0.5}
    module = Distillation(student, teacher, DistillationOptions(blocks=2, **weights)).eval()
    examples = training_examples(cycle, 8, "every-position")[:6]
    with torch.no_grad():
        parts = module.parts(**collate(examples))
        gathered = {"teacher": [], "student": []}
        targets = []
        for example in examples:
            ids, length = torch.tensor(example.inputs)[None].long(), torch.tensor([len(example.inputs)])
            for name, model, layers in (("teacher", teacher, (2, 4)), ("student", student, (1, 2))):
                gathered[name].append(torch.stack([model.hidden(ids, length, (layer,))[0, 0] for layer in layers]))
            targets += example.targets.tolist()
        ours = {name: torch.cat(states, dim=1) for name, states in gathered.items()}
        inner = module.inner_adapters[0](student.final_norm(ours["student"][0]))[None]
        wanted = slmrec_objective(
            ours["teacher"],
            ours["student"],
            inner,
            student.read_out(ours["student"][1]),
            torch.tensor(targets),
            student.items.weight,
            **weights,
        )
    for name, value in wanted.items():
        assert parts[name].item() == pytest.approx(value.item(), rel=1e-4), name


def test_contrast_and_relations_are_of_the_last_states_and_count_by_their_weight(cycle, llama, teacher):
    options = LLMOptions(backbone=str(llama), layers=2, max_length=8, prompt_before="the user")
    student = build_llm(cycle, options, ItemTable.of(torch.randn(20, 16))).eval()
    batch, plain = batch_of(cycle), DistillationOptions(blocks=1)
    valid = batch["labels"] > 0
    with torch.no_grad():
        before = Distillation(student, teacher, plain).parts(**batch)
        ends = [
            model.hidden(batch["input_ids"], batch["lengths"], (n,))[0][valid]
            for model, n in ((teacher, 4), (student, 2))
        ]
        parts = Distillation(student, teacher, replace(plain, contrastive=0.3, relational=2.0)).parts(**batch)
    assert "contrastive" not in before
    assert parts["contrastive"].item() == pytest.approx(contrastive_loss(*ends).item(), rel=1e-4)
    assert parts["relational"].item() == pytest.approx(relational_loss(*ends).item(), rel=1e-4)
    wanted = before["loss"] + 0.3 * parts["contrastive"] + 2.0 * parts["relational"]
    torch.testing.assert_close(parts["loss"], wanted)


def test_cached_states_are_the_teachers_to_half_precision(cycle, teacher, tmp_path):
    examples = training_examples(cycle, 8, "every-position")
    states = teacher_states(teacher, examples, [2, 4], tmp_path / "states")
    batch = collate(examples[:5])
    with torch.no_grad():
        direct = teacher.hidden(batch["input_ids"], batch["lengths"], (2, 4))  # (K, B, R, D)
    for row in range(5):
        length = int((batch["labels"][row] != IGNORED).sum())
        wanted = direct[:, row, :length].transpose(0, 1)
        torch.testing.assert_close(torch.from_numpy(states[row].copy()).float(), wanted, rtol=2e-3, atol=2e-3)


def test_kept_states_are_used_for_their_own_teacher_only(cycle, teacher, tmp_path, monkeypatch):
    examples = training_examples(cycle, 8, "every-position")
    teacher_states(teacher, examples, [4], tmp_path / "states")
    first = Kept(tmp_path / "states").facts
    calls = []
    monkeypatch.setattr(
        "slmrec.training.teacher_states.block_end_states",
        lambda *arguments: calls.append(1) or torch.zeros(1, sum(len(e.targets) for e in ()), 32),
    )
    teacher_states(teacher, examples, [4], tmp_path / "states")
    assert not calls
    monkeypatch.undo()
    with torch.no_grad():
        teacher.final_norm.weight.mul_(1.5)
    teacher_states(teacher, examples, [4], tmp_path / "states")
    assert Kept(tmp_path / "states").facts["teacher"] != first["teacher"]


@pytest.mark.parametrize("states", ["cached", "alongside"])
def test_a_student_is_taught(cycle, teacher_folder, tmp_path, states):
    teacher = load(teacher_folder)
    before = {name: p.clone() for name, p in teacher.state_dict().items()}
    training = TrainingOptions(epochs=10, batch_size=16, learning_rate=1e-2, backbone_learning_rate=2e-3)
    options = DistillationOptions(blocks=2, lambda2=0.01, teacher_states=states)
    student = distill(teacher, cycle, tmp_path / "student", StudentOptions(layers=2, training=training), options)
    assert all(torch.equal(p, before[name]) for name, p in teacher.state_dict().items())
    assert student.num_layers == 2
    assert evaluate(student, cycle).metrics["HR@1"] > 0.8
    log = json.loads((tmp_path / "student" / "training.json").read_text())["log"]
    for part in ("cross_entropy", "cosine", "norm", "multi_supervision"):
        assert log[-1][part] < log[0][part], part
    assert not [name for name, _ in student.named_parameters() if "inner" in name]
    assert [p.name for p in tmp_path.iterdir()] == ["student"]


def test_cached_and_alongside_teach_alike(cycle, teacher, tmp_path):
    training = TrainingOptions(max_steps=3, batch_size=16, learning_rate=1e-3)
    results = []
    for states in ("cached", "alongside"):
        options = DistillationOptions(blocks=2, lambda2=0.01, teacher_states=states)
        results.append(distill(teacher, cycle, tmp_path / states, StudentOptions(layers=2, training=training), options))
    for (name, one), other in zip(results[0].state_dict().items(), results[1].state_dict().values(), strict=True):
        torch.testing.assert_close(one, other, rtol=0.05, atol=2e-3, msg=name)


def test_the_student_may_start_where_the_teacher_ended(cycle, teacher, tmp_path):
    training = TrainingOptions(max_steps=1, batch_size=16, learning_rate=1e-9)
    options = DistillationOptions(blocks=2, start="teacher-adapters")
    student = distill(teacher, cycle, tmp_path / "s", StudentOptions(layers=2, training=training), options)
    torch.testing.assert_close(student.output_adapter.weight, teacher.output_adapter.weight, atol=1e-6, rtol=0)
    torch.testing.assert_close(student.items.weight, teacher.items.weight, atol=1e-6, rtol=0)


def test_the_papers_reading_is_taught_too(cycle, llama, tmp_path):
    """One target a user, read at the prompt's last token, LoRA on a frozen decoder, frozen items."""
    training = TrainingOptions(epochs=3, batch_size=16, learning_rate=1e-2)
    paper = {"lora_rank": 4, "train_items": False, "training": training}
    options = LLMOptions(
        backbone=str(llama),
        layers=4,
        max_length=8,
        reading="last-prompt-token",
        prompt_before="the user liked",
        prompt_after="next item ?",
        **paper,
    )
    vectors = torch.randn(20, 16)
    teacher = train_llm(cycle, options, tmp_path / "teacher", ItemTable.of(vectors))
    torch.testing.assert_close(teacher.item_vectors(), vectors)
    options = DistillationOptions(blocks=2, form="published", lambda2=0.1)
    student = distill(teacher, cycle, tmp_path / "student", StudentOptions(layers=2, **paper), options)
    log = json.loads((tmp_path / "student" / "training.json").read_text())["log"]
    assert log[-1]["loss"] < log[0]["loss"]
    assert student.config.lora is None
    torch.testing.assert_close(student.item_vectors(), vectors)


@pytest.mark.parametrize("form", ["paper", "published"])
def test_online_the_teacher_learns_from_its_targets_alone(cycle, llama, form):
    """Its gradient is that of its own cross-entropy, and the student's is that of the offline objective."""
    torch.manual_seed(0)
    items = ItemTable.of(torch.randn(20, 16) * 0.3)
    shape = LLMOptions(backbone=str(llama), layers=4, max_length=8)
    options = DistillationOptions(blocks=2, form=form, contrastive=0.1, relational=0.1, online=True)

    def pair():
        torch.manual_seed(1)
        return build_llm(cycle, replace(shape, layers=2), items), build_llm(cycle, shape, items)

    batch = batch_of(cycle)
    student, teacher = pair()
    torch.manual_seed(2)
    parts = OnlineDistillation(student, teacher, options).parts(**batch)
    parts["loss"].backward()
    alone_student, alone_teacher = pair()
    NextItem(alone_teacher, TrainingOptions()).parts(**batch)["loss"].backward()
    torch.manual_seed(2)
    Distillation(alone_student, alone_teacher, options).parts(**batch)["loss"].backward()
    assert any(p.grad is not None for p in teacher.parameters())
    for ours, theirs in ((teacher, alone_teacher), (student, alone_student)):
        wanted = dict(theirs.named_parameters())
        for name, parameter in ours.named_parameters():
            if parameter.grad is not None:
                torch.testing.assert_close(parameter.grad, wanted[name].grad, rtol=1e-4, atol=1e-5)
    assert parts["teacher_cross_entropy"] > 0


def test_online_takes_of_the_teacher_its_shape_and_leaves_it_alone(cycle, teacher, tmp_path):
    before = {name: weight.clone() for name, weight in teacher.state_dict().items()}
    training = TrainingOptions(epochs=8, batch_size=16, learning_rate=1e-2, backbone_learning_rate=2e-3)
    options = DistillationOptions(blocks=2, lambda2=1e-4, online=True)
    student = distill(teacher, cycle, tmp_path / "s", StudentOptions(layers=2, training=training), options)
    assert student.num_layers == 2
    assert evaluate(student, cycle).metrics["NDCG@10"] > 0.5
    log = json.loads((tmp_path / "s" / "training.json").read_text())["log"]
    assert log[-1]["teacher_cross_entropy"] < 0.8 * log[0]["teacher_cross_entropy"]
    assert all(torch.equal(weight, before[name]) for name, weight in teacher.state_dict().items())
    assert not (tmp_path / ".s.teacher_states").exists()
    assert not any("teacher" in name for name in load(tmp_path / "s").state_dict())


@pytest.mark.parametrize("form", ["paper", "scores"])
def test_a_student_cut_from_its_teacher_begins_as_what_is_left_of_it(cycle, teacher, form, tmp_path, monkeypatch):
    """Untrained it is the teacher's first layers with the neurons that matter most, and its adapters and items."""
    shape = StudentOptions(layers=2, neurons=24, head_groups=1)
    distillation = DistillationOptions(blocks=2, form=form, start="teacher", lambda2=1e-4)
    started = {}

    def not_trained(build, *rest, **told):
        started["model"] = build().model
        return started["model"]

    monkeypatch.setattr("slmrec.training.train._train", not_trained)
    if form == "paper":
        distill(teacher, cycle, tmp_path / "s", shape, distillation)
    else:
        distill_scores([teacher], cycle, tmp_path / "s", student_shape(teacher, shape), distillation)
    first = teacher.with_layers([0, 1])
    wanted = first.with_width(*unit_importance(first, cycle).best(24, 1))
    history = [np.array([1, 2, 3])]
    torch.testing.assert_close(started["model"].eval().score(history), wanted.score(history))
    assert all(p.requires_grad for n, p in started["model"].named_parameters() if "prompt" not in n)


@pytest.mark.parametrize("by", ["influence", "contribution"])
def test_a_student_keeps_the_layers_that_do_most(cycle, teacher, by, tmp_path):
    """Trained for a step at a rate of nothing, it is the teacher without the others."""
    kept = layer_roles(teacher, cycle, "train").best(2, by)
    with torch.no_grad():  # a layer that does nothing is not among them
        for name, parameter in teacher.backbone.named_parameters():
            if f"layers.{kept[0]}." in name and name.endswith(("o_proj.weight", "down_proj.weight")):
                parameter.zero_()
    wanted = layer_roles(teacher, cycle, "train").best(2, by)
    assert kept[0] not in wanted
    training = TrainingOptions(max_steps=1, batch_size=16, learning_rate=1e-12)
    shape = StudentOptions(layers=2, layers_by=by, training=training)
    student = distill(teacher, cycle, tmp_path / "s", shape, DistillationOptions(blocks=2, start="teacher"))
    assert student.config.kept_layers == (wanted if wanted != [0, 1] else None)
    history = [np.array([1, 2, 3])]
    torch.testing.assert_close(load(tmp_path / "s").score(history), teacher.with_layers(wanted).score(history))


def test_an_llm_has_its_own_dropout_on_item_vectors_and_so_has_what_is_cut_from_it(cycle, llama, tmp_path):
    training = TrainingOptions(epochs=1, batch_size=16)
    shape = LLMOptions(backbone=str(llama), layers=2, max_length=8, item_dropout=0.25, training=training)
    classic = ItemTable(20, 400, dropout=0.9)
    teacher = train_llm(cycle, shape, tmp_path / "teacher", classic)
    assert load(tmp_path / "teacher").config.item_dropout == 0.25
    cut = build_from(teacher, cycle, student_shape(teacher, StudentOptions(layers=1, item_dropout=0.5)))
    for model, rate in ((teacher, 0.25), (cut, 0.5)):
        whole = model.train().items.table()[1:]
        assert (whole == 0).float().mean() == pytest.approx(rate, abs=0.03)
        assert (model.eval().items.table()[1:] != 0).all()
    with pytest.raises(UserError, match=r"item_dropout is 1\.0, but must be at least 0 and below 1"):
        StudentOptions(item_dropout=1.0)


def test_what_was_cut_heals(cycle, teacher, tmp_path):
    training = TrainingOptions(epochs=4, batch_size=16, learning_rate=3e-3, backbone_learning_rate=1e-3)
    shape = student_shape(teacher, StudentOptions(layers=4, neurons=12, lora_rank=2, training=training))
    cut = teacher.with_width(unit_importance(teacher, cycle).best(12, 2)[0])
    options = DistillationOptions(form="scores", start="teacher")
    healed = distill_scores([teacher], cycle, tmp_path / "s", shape, options)
    assert healed.backbone.config.intermediate_size == 12
    assert evaluate(healed, cycle).metrics["NDCG@10"] > evaluate(cut, cycle).metrics["NDCG@10"]
    assert load(tmp_path / "s").num_layers == 4


def test_cutting_that_cannot_be_done_is_refused(cycle, teacher, llama, tmp_path):
    narrow = StudentOptions(layers=2, neurons=24)
    with pytest.raises(UserError, match="neurons is 24, but which ones to keep is seen in a trained model"):
        distill(teacher, cycle, tmp_path / "s", narrow, DistillationOptions(blocks=2))
    chosen = student_shape(teacher, StudentOptions(layers=2, layers_by="influence"))
    with pytest.raises(UserError, match="layers_by is influence, but"):
        distill_scores([teacher], cycle, tmp_path / "s", chosen)
    start = DistillationOptions(blocks=2, start="teacher")
    with pytest.raises(UserError, match="neurons is 99, but a layer of the teacher has 48"):
        distill(teacher, cycle, tmp_path / "s", replace(narrow, neurons=99), start)
    scores = replace(start, form="scores")
    deep = LLMOptions(backbone=str(llama), layers=4, max_length=8)
    with pytest.raises(UserError, match="the student has 4 layers, the teacher 2"):
        distill_scores([teacher.with_layers([0, 1])], cycle, tmp_path / "s", deep, scores)
    with pytest.raises(UserError, match="needs one teacher, an llm"):
        distill_scores([teacher, teacher], cycle, tmp_path / "s", deep, scores)
    with pytest.raises(UserError, match="neurons is -1"):
        StudentOptions(neurons=-1)


def test_block_ends_and_their_refusals():
    assert block_ends(8, 4, "teacher") == [2, 4, 6, 8]
    assert block_ends(4, 1, "student") == [4]
    with pytest.raises(UserError, match=r"the student has 7 layers and 3 blocks were asked for.*use 1 or 7 blocks"):
        block_ends(7, 3, "student")
    with pytest.raises(UserError, match="has 1 layer and 4 blocks"):
        block_ends(1, 4, "student")
    with pytest.raises(UserError, match="blocks is 0"):
        DistillationOptions(blocks=0)
    with pytest.raises(UserError, match="lambda2 is -1"):
        DistillationOptions(lambda2=-1)


def test_pairs_that_do_not_fit_are_refused_before_anything_is_made(cycle, teacher, llama, tmp_path):
    with pytest.raises(UserError, match="the student has 5 layers, the teacher 4"):
        distill(teacher, cycle, tmp_path / "s", StudentOptions(layers=5), DistillationOptions(blocks=1))
    with pytest.raises(UserError, match="3 layers and 2 blocks"):
        distill(teacher, cycle, tmp_path / "s", StudentOptions(layers=3), DistillationOptions(blocks=2))
    wide = DECODERS["llama"].__class__(**{**DECODERS["llama"].to_dict(), "hidden_size": 64, "head_dim": 16})
    save_decoder(wide, tmp_path / "wide")
    other = build_llm(cycle, LLMOptions(backbone=str(tmp_path / "wide"), layers=2), None)
    with pytest.raises(UserError, match="32 wide, the student's 64"):
        Distillation(other, teacher, DistillationOptions(blocks=2))
    smaller = build_llm(cycle, LLMOptions(backbone=str(llama), layers=2), None)
    smaller.catalogue = type(cycle.catalogue)(cycle.catalogue.frame[:19])
    with pytest.raises(UserError, match=r"item table \(20 items\) is not the student's \(19 items\)"):
        Distillation(smaller, teacher, DistillationOptions(blocks=2))
    reader = build_llm(
        cycle, LLMOptions(backbone=str(llama), layers=2, reading="last-prompt-token", prompt_after="?"), None
    )
    with pytest.raises(UserError, match="both must read the sequence the same way"):
        Distillation(reader, teacher, DistillationOptions(blocks=2))


def test_what_teachers_say_is_kept_where_it_is_read_more_than_once_and_fits(cycle):
    examples = training_examples(cycle, 8, "every-position")
    once, twice = TrainingOptions(epochs=1), TrainingOptions(epochs=2)
    assert not keeping_pays(DistillationOptions(), once, examples, 64)
    assert keeping_pays(DistillationOptions(), twice, examples, 64)
    assert keeping_pays(DistillationOptions(), TrainingOptions(max_steps=9), examples, 64)
    assert not keeping_pays(replace(DistillationOptions(), cache_gigabytes=0), twice, examples, 64)
    gigabytes = sum(len(example.targets) for example in examples) * 64 * 2 / 1e9
    assert keeping_pays(replace(DistillationOptions(), cache_gigabytes=gigabytes), twice, examples, 64)
    assert not keeping_pays(replace(DistillationOptions(), cache_gigabytes=gigabytes), twice, examples, 65)
    assert keeping_pays(replace(DistillationOptions(), teacher_states="cached"), once, examples, 64)
