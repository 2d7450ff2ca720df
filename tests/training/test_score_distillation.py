"""Distillation by scores: a student of either kind follows teachers of either kind."""

import pytest
import torch

from slmrec.data.batches import collate, training_examples
from slmrec.errors import UserError
from slmrec.evaluation import evaluate
from slmrec.models import SASRec, SASRecConfig
from slmrec.models.items import ItemTable
from slmrec.training.options import DistillationOptions, LLMOptions, SASRecOptions, TrainingOptions
from slmrec.training.score_distillation import ScoreDistillation
from slmrec.training.train import build_llm, build_sasrec, distill, distill_scores, train_popularity, train_sasrec

SMALL = {"hidden_size": 16, "num_blocks": 1, "dropout": 0.0}
BY_SCORES = DistillationOptions(form="scores", candidates=64)


@pytest.fixture(scope="module")
def teacher(cycle, tmp_path_factory):
    training = TrainingOptions(epochs=30, batch_size=16, learning_rate=1e-2)
    return train_sasrec(cycle, SASRecOptions(**SMALL, training=training), tmp_path_factory.mktemp("t") / "teacher")


def test_a_student_that_is_its_teacher_has_nothing_to_learn(cycle, teacher):
    batch = collate(training_examples(cycle, 50, "every-position")[:8])
    module = ScoreDistillation(teacher, [teacher], BY_SCORES, TrainingOptions())
    parts = module(**batch)
    assert parts["score_kl"].abs() < 1e-5
    torch.testing.assert_close(parts["loss"], 0.2 * parts["cross_entropy"] + parts["score_kl"])


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
    module = ScoreDistillation(undecided, [teacher, mirror], BY_SCORES, TrainingOptions())
    assert module(**batch)["score_kl"].abs() < 1e-5


@pytest.mark.parametrize("kind", ["sasrec", "llm"])
def test_students_of_either_kind_come_near_their_teachers(kind, cycle, llama, teacher, tmp_path):
    training = TrainingOptions(epochs=12, batch_size=16, learning_rate=1e-2)
    options = (
        SASRecOptions(**SMALL, training=training)
        if kind == "sasrec"
        else LLMOptions(backbone=str(llama), layers=1, training=training)
    )
    start = build_sasrec(cycle, options, None) if kind == "sasrec" else build_llm(cycle, options, teacher.items)
    batch = collate(training_examples(cycle, 50, "every-position"))
    before = ScoreDistillation(start.eval(), [teacher], BY_SCORES, training)(**batch)["score_kl"]
    items = None if kind == "sasrec" else teacher.items
    student = distill_scores([teacher], cycle, tmp_path / "s", options, BY_SCORES, items)
    after = ScoreDistillation(student, [teacher], BY_SCORES, training)(**batch)["score_kl"]
    assert after < 0.2 * before
    assert evaluate(student, cycle).metrics["NDCG@10"] > 0.5
    assert not (tmp_path / ".s.work").exists()


def test_teachers_that_cannot_teach_are_refused(cycle, llama, teacher, tmp_path):
    options = SASRecOptions(**SMALL)
    with pytest.raises(UserError, match="no teacher"):
        distill_scores([], cycle, tmp_path / "s", options)
    with pytest.raises(UserError, match="popularity model has no item vectors"):
        distill_scores([train_popularity(cycle, tmp_path / "p")], cycle, tmp_path / "s", options)
    short = SASRec(SASRecConfig(num_items=20, max_length=5, **SMALL))
    short.catalogue = cycle.catalogue
    with pytest.raises(UserError, match="reads 5 items, the student 50"):
        distill_scores([short], cycle, tmp_path / "s", options)
    paper = {"reading": "last-prompt-token", "prompt_after": "next item ?"}
    reader = build_llm(cycle, LLMOptions(backbone=str(llama), layers=1, **paper), ItemTable.of(torch.randn(20, 8)))
    with pytest.raises(UserError, match="need"):
        distill_scores([reader], cycle, tmp_path / "s", options)
    with pytest.raises(UserError, match="the student reads 'last-prompt-token'"):
        distill_scores([teacher], cycle, tmp_path / "s", LLMOptions(backbone=str(llama), **paper))
    with pytest.raises(UserError, match="call distill_scores"):
        distill(reader, cycle, tmp_path / "s", distillation=BY_SCORES)
