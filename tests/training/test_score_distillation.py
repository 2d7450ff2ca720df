"""Distillation by scores: a student of any kind follows teachers of any kind, and one like its teacher has no loss."""

import json
from dataclasses import replace

import pytest
import torch

from slmrec.data.batches import collate, training_examples
from slmrec.errors import UserError
from slmrec.evaluation import evaluate
from slmrec.models import BERT4Rec, BERT4RecConfig, Ensemble, ItemKNN, Popularity, SASRec, SASRecConfig
from slmrec.models.items import ItemTable
from slmrec.training.build import build_classic, build_llm
from slmrec.training.options import (
    BERT4RecOptions,
    CaserOptions,
    DistillationOptions,
    ESASRecOptions,
    GRU4RecOptions,
    LLMOptions,
    SASRecOptions,
    TrainingOptions,
)
from slmrec.training.score_distillation import ScoreDistillation, teacher_scores
from slmrec.training.train import distill, distill_scores, train_classic

SMALL = {"hidden_size": 16, "num_blocks": 1, "dropout": 0.0}
BY_SCORES = DistillationOptions(form="scores", candidates=64)


@pytest.fixture(scope="module")
def teacher(cycle, tmp_path_factory):
    training = TrainingOptions(epochs=30, batch_size=16, learning_rate=1e-2)
    return train_classic(cycle, SASRecOptions(**SMALL, training=training), tmp_path_factory.mktemp("t") / "teacher")


def test_a_student_that_is_its_teacher_has_nothing_to_learn(cycle, teacher):
    batch = collate(training_examples(cycle, 50, "every-position")[:8])
    module = ScoreDistillation(teacher, Ensemble.of([teacher]), BY_SCORES)
    parts = module(**batch)
    assert parts["score_kl"].abs() < 1e-5
    torch.testing.assert_close(parts["loss"], 0.05 * parts["cross_entropy"] + parts["score_kl"])


def test_a_catalogue_no_larger_than_the_candidates_takes_part_as_a_whole(cycle, teacher):
    batch = collate(training_examples(cycle, 50, "every-position")[:8])
    found = ScoreDistillation(teacher, Ensemble.of([teacher]), BY_SCORES)(**batch)["cross_entropy"]
    valid = batch["labels"] > 0
    every = teacher.position_scores(batch["input_ids"], batch["lengths"], torch.arange(1, 21))[valid]
    torch.testing.assert_close(found, torch.nn.functional.cross_entropy(every, batch["labels"][valid] - 1))


def test_scores_kept_and_computed_alongside_teach_alike(cycle, teacher, tmp_path):
    knn = ItemKNN.from_data(cycle)
    found = []
    for way in ("cached", "alongside"):
        options = SASRecOptions(**SMALL, training=TrainingOptions(max_steps=4, batch_size=16, learning_rate=1e-2))
        distillation = replace(BY_SCORES, teacher_states=way)
        distill_scores([teacher, knn], cycle, tmp_path / way, options, distillation)
        found.append(json.loads((tmp_path / way / "training.json").read_text())["log"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alongside", "cached"]
    for one, other in zip(*found, strict=True):
        assert one["score_kl"] == pytest.approx(other["score_kl"], rel=1e-3)
        assert one["cross_entropy"] == pytest.approx(other["cross_entropy"], rel=1e-3)


def test_scores_are_kept_for_further_students_where_asked(cycle, teacher, tmp_path, monkeypatch):
    options = SASRecOptions(**SMALL, training=TrainingOptions(max_steps=2, batch_size=16))
    distillation, kept = replace(BY_SCORES, teacher_states="cached"), tmp_path / "kept"
    distill_scores([teacher], cycle, tmp_path / "one", options, distillation, kept=kept)
    monkeypatch.setattr(type(teacher), "position_scores", None)  # whoever asks the teacher again fails
    distill_scores([teacher], cycle, tmp_path / "two", replace(options, dropout=0.4), distillation, kept=kept)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept", "one", "two"]


def test_kept_scores_are_the_weighted_sum_at_every_target_up_to_a_constant(cycle, teacher, tmp_path):
    examples = training_examples(cycle, 8, "every-position")
    knn = ItemKNN.from_data(cycle)
    kept = teacher_scores(Ensemble.of([teacher, knn], [0.2, 0.8]), examples, tmp_path / "kept")
    for place in (0, len(examples) - 1):
        history = examples[place].inputs
        for position in range(len(history)):
            one, other = (model.log_scores([history[: position + 1]])[0] for model in (teacher, knn))
            wanted = 0.2 * one + 0.8 * other
            found = torch.from_numpy(kept[place][position].astype("float32"))
            torch.testing.assert_close(found, wanted - wanted.max(), rtol=2e-3, atol=2e-3)


def test_candidates_are_the_targets_and_others_each_once_and_in_order(cycle, teacher):
    module = ScoreDistillation(teacher, Ensemble.of([teacher]), DistillationOptions(form="scores", candidates=5))
    torch.manual_seed(0)
    seen = set()
    for _ in range(50):
        candidates = module._candidates(torch.tensor([7, 3, 7]), 20)
        assert {3, 7} <= set(candidates.tolist())
        assert candidates.tolist() == sorted(set(candidates.tolist()))
        assert 2 <= len(candidates) <= 2 + 5
        seen |= set(candidates.tolist())
    assert seen == set(range(1, 21))


def test_several_teachers_count_by_their_mean(cycle, teacher):
    """Beside itself and its mirror image (all scores negated) a student is to hold every item alike."""
    torch.manual_seed(0)
    mirror = SASRec(teacher.config).eval()
    mirror.load_state_dict(teacher.state_dict())
    with torch.no_grad():
        mirror.norm.weight.neg_()
        mirror.norm.bias.neg_()
    mirror.catalogue = cycle.catalogue
    batch = collate(training_examples(cycle, 50, "every-position")[:8])
    undecided = SASRec(teacher.config).eval()
    with torch.no_grad():
        undecided.norm.weight.zero_()
        undecided.norm.bias.zero_()
    module = ScoreDistillation(undecided, Ensemble.of([teacher, mirror]), BY_SCORES)
    assert module(**batch)["score_kl"].abs() < 1e-5


@pytest.mark.parametrize("kind", ["sasrec", "esasrec", "gru4rec", "caser", "llm"])
def test_students_of_any_kind_come_near_their_teachers(kind, cycle, llama, teacher, tmp_path):
    training = TrainingOptions(epochs=12, batch_size=16, learning_rate=1e-2)
    classic = {"hidden_size": 16, "dropout": 0.0, "training": training}
    options = {
        "sasrec": SASRecOptions(num_blocks=1, **classic),
        "esasrec": ESASRecOptions(num_blocks=1, **classic),
        "gru4rec": GRU4RecOptions(state_size=32, **classic),
        "caser": CaserOptions(window=3, **classic),
        "llm": LLMOptions(backbone=str(llama), layers=1, training=training),
    }[kind]
    start = build_llm(cycle, options, teacher.items) if kind == "llm" else build_classic(cycle, options, None)
    batch = collate(training_examples(cycle, 50, "every-position"))
    before = ScoreDistillation(start.eval(), Ensemble.of([teacher]), BY_SCORES)(**batch)["score_kl"]
    items = teacher.items if kind == "llm" else None
    student = distill_scores([teacher], cycle, tmp_path / "s", options, BY_SCORES, items)
    after = ScoreDistillation(student, Ensemble.of([teacher]), BY_SCORES)(**batch)["score_kl"]
    assert after < 0.2 * before
    assert evaluate(student, cycle).metrics["NDCG@10"] > 0.5
    assert not (tmp_path / ".s.work").exists()


def test_teachers_of_all_kinds_teach_together(cycle, teacher):
    """Their mean is taken of log-probabilities: a student at that mean has zero loss, whatever a teacher's unit."""
    popular, knn = Popularity.from_data(cycle), ItemKNN.from_data(cycle, decay=0.5)
    batch = collate(training_examples(cycle, 50, "every-position")[:8])
    module = ScoreDistillation(teacher, Ensemble.of([teacher, popular, knn]), BY_SCORES)
    found = module(**batch)["score_kl"]
    valid = batch["labels"] > 0
    every = torch.arange(1, 21)
    read = (batch["input_ids"], batch["lengths"], every)
    given = [model.position_scores(*read)[valid] for model in (teacher, popular, knn)]
    wanted = torch.stack([scores.log_softmax(-1) for scores in given]).mean(0).softmax(-1)
    divergence = (wanted * (wanted.log() - given[0].log_softmax(-1))).sum(-1).mean()
    assert divergence > 0.1
    torch.testing.assert_close(found, divergence)


@pytest.mark.parametrize(
    "way",
    [{"top_items": 5, "own_items": 5}, {"top_items": 5, "rank_decay": 2.0, "consistency": 0.1}],
    ids=["scores of the best", "their order"],
)
def test_the_best_items_alone_teach_too(way, cycle, teacher, tmp_path):
    """By the teacher's lists and no cross-entropy a student learns the planted order that the teacher knows."""
    training = TrainingOptions(epochs=12, batch_size=16, learning_rate=1e-2)
    distillation = DistillationOptions(form="scores", cross_entropy=0.0, **way)
    student = distill_scores([teacher], cycle, tmp_path / "s", SASRecOptions(**SMALL, training=training), distillation)
    assert evaluate(student, cycle).metrics["NDCG@10"] > 0.5


def test_ways_that_contradict_each_other_are_refused():
    for options, said in (
        ({"top_items": 5}, "form 'paper' compares no scores"),
        ({"own_items": 5, "form": "scores"}, "goes with top_items, which is 0"),
        ({"rank_decay": 1.0, "form": "scores"}, "goes with top_items, which is 0"),
        ({"top_items": -1}, "top_items is -1"),
        ({"top_items": 5, "rank_decay": 1.0, "own_items": 5, "form": "scores"}, "own_items have none"),
        ({"top_items": 5, "consistency": 1.0, "form": "scores"}, "set rank_decay too"),
        ({"online": True, "form": "scores"}, "online teaching is of states"),
        ({"online": True, "start": "teacher-adapters"}, "learnt nothing to start from"),
    ):
        with pytest.raises(UserError, match=said):
            DistillationOptions(**options)


def test_teachers_that_cannot_teach_are_refused(cycle, llama, teacher, tmp_path):
    options = SASRecOptions(**SMALL)
    with pytest.raises(UserError, match="no teacher"):
        distill_scores([], cycle, tmp_path / "s", options)
    bert = BERT4Rec(BERT4RecConfig(num_items=20, **SMALL))
    bert.catalogue = cycle.catalogue
    with pytest.raises(UserError, match="a teacher is of kind bert4rec and scores one position a history"):
        distill_scores([teacher, bert], cycle, tmp_path / "s", options)
    with pytest.raises(UserError, match="a bert4rec reads a history once and cannot follow scores"):
        distill_scores([teacher], cycle, tmp_path / "s", BERT4RecOptions(**SMALL))
    knn = ItemKNN.from_data(cycle, max_length=5)
    with pytest.raises(UserError, match="a teacher of kind item-knn reads 5 items, the student 50"):
        distill_scores([knn], cycle, tmp_path / "s", options)
    short = SASRec(SASRecConfig(num_items=20, max_length=5, **SMALL))
    short.catalogue = cycle.catalogue
    with pytest.raises(UserError, match="reads 5 items, the student 50"):
        distill_scores([short], cycle, tmp_path / "s", options)
    paper = {"reading": "last-prompt-token", "prompt_after": "next item ?"}
    reader = build_llm(cycle, LLMOptions(backbone=str(llama), layers=1, **paper), ItemTable.of(torch.randn(20, 8)))
    with pytest.raises(UserError, match="of kind slmrec that reads 'last-prompt-token' and scores one position"):
        distill_scores([reader], cycle, tmp_path / "s", options)
    with pytest.raises(UserError, match="the student reads 'last-prompt-token'"):
        distill_scores([teacher], cycle, tmp_path / "s", LLMOptions(backbone=str(llama), **paper))
    with pytest.raises(UserError, match="call distill_scores"):
        distill(reader, cycle, tmp_path / "s", distillation=BY_SCORES)
