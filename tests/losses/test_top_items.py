"""Teaching by a teacher's best items: by hand over Python floats, and by what it has to leave alone."""

import math

import pytest
import torch

from slmrec.losses import ranked_loss, score_kl, top_items_loss
from slmrec.training.options import DistillationOptions
from slmrec.training.top_items import top_items_parts


def softmax(values):
    powers = [math.exp(value) for value in values]
    return [power / sum(powers) for power in powers]


def test_top_items_by_hand():
    """The teacher's best two are items 2 and 0, the student's best is 3; T = 2."""
    teacher, student = torch.tensor([[1.0, -1.0, 2.0, 0.5]]), torch.tensor([[0.0, 0.0, 1.0, 3.0]])

    def divergence(columns):
        wanted, given = (softmax([row[0, i].item() / 2 for i in columns]) for row in (teacher, student))
        return 4 * sum(p * math.log(p / q) for p, q in zip(wanted, given, strict=True))

    found = top_items_loss(student, teacher, items=2, temperature=2.0)
    assert found.item() == pytest.approx(divergence([2, 0]), rel=1e-5)
    both = top_items_loss(student, teacher, items=2, own_items=1, temperature=2.0)
    assert both.item() == pytest.approx(divergence([2, 0, 3]), rel=1e-5)


def test_all_items_are_the_plain_divergence():
    torch.manual_seed(0)
    teacher, student = torch.randn(5, 7), torch.randn(5, 7, requires_grad=True)
    ours = top_items_loss(student, teacher, items=100)
    theirs = score_kl(teacher[None], student)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(*(torch.autograd.grad(loss, student)[0] for loss in (ours, theirs)))


def test_items_that_are_nobodys_best_get_no_gradient():
    """Row 0 has three choices, row 1 two, as its lists agree: what fills row 1 up must not count."""
    teacher = torch.tensor([[3.0, 2.0, 1.0, 0.0], [3.0, 2.0, 1.0, 0.0]], requires_grad=True)
    student = torch.tensor([[0.0, 1.0, 9.0, 0.0], [1.0, 2.0, 0.0, 0.0]], requires_grad=True)
    loss = top_items_loss(student, teacher, items=2, own_items=2)
    gradient, none = torch.autograd.grad(loss, (student, teacher), allow_unused=True)
    assert none is None
    assert gradient.isfinite().all()
    assert (gradient != 0).tolist() == [[True, True, True, False], [True, True, False, False]]
    separate = [top_items_loss(student[i : i + 1], teacher[i : i + 1], items=2, own_items=2) for i in (0, 1)]
    torch.testing.assert_close(loss, torch.stack(separate).mean())


def test_ranked_by_hand():
    """Teacher's order 2, 0, 3 (K = 3) counts 1, e^-1, e^-2 with μ = 1; item 2 is no best of the student's."""
    teacher, student = torch.tensor([[1.0, -1.0, 2.0, 0.5]]), torch.tensor([[4.0, 3.0, 1.0, 2.0]])
    given = softmax(student[0].tolist())
    counts = {2: 1.0, 0: math.exp(-1), 3: math.exp(-2)}

    def loss(counts):
        total = sum(counts.values())
        return sum(c / total * math.log(c / total / given[i]) for i, c in counts.items())

    assert ranked_loss(student, teacher, items=3, decay=1.0).item() == pytest.approx(loss(counts), rel=1e-5)
    agreed = {2: counts[2], 0: counts[0] + 0.5, 3: counts[3] + 0.5}
    found = ranked_loss(student, teacher, items=3, decay=1.0, consistency=0.5)
    assert found.item() == pytest.approx(loss(agreed), rel=1e-5)


def test_only_the_order_of_the_best_counts():
    torch.manual_seed(0)
    teacher, student = torch.randn(4, 9), torch.randn(4, 9)
    found = ranked_loss(student, teacher, items=4, decay=2.0)
    torch.testing.assert_close(ranked_loss(student, 7 * teacher + 3, items=4, decay=2.0), found)
    assert ranked_loss(student, teacher, items=10**6, decay=1e-3).isfinite()  # places that count nothing


def test_parts_add_up_with_cross_entropy():
    torch.manual_seed(0)
    states, vectors, teachers = torch.randn(3, 4), torch.randn(6, 4), torch.randn(3, 6)
    targets = torch.tensor([0, 5, 2])
    for more, taught in (
        ({"own_items": 1, "temperature": 2.0}, top_items_loss(
            states @ vectors.T, teachers, items=2, own_items=1, temperature=2.0
        )),
        ({"rank_decay": 1.0, "consistency": 0.2}, ranked_loss(
            states @ vectors.T, teachers, items=2, decay=1.0, consistency=0.2
        )),
    ):  # fmt: skip
        options = DistillationOptions(form="scores", cross_entropy=0.3, top_items=2, **more)
        parts = top_items_parts(states, vectors, targets, teachers, options)
        torch.testing.assert_close(parts["score_kl"], taught)
        entropy = torch.nn.functional.cross_entropy(states @ vectors.T, targets)
        torch.testing.assert_close(parts["loss"], 0.3 * entropy + taught)
