"""Losses against plain arithmetic over Python floats (golden.json), torch's own losses, and properties."""

import json
import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

import slmrec.losses.cross_entropy as chunking
import slmrec.losses.taught as taught_chunking
from slmrec.losses import (
    contrastive_loss,
    cosine_loss,
    gbce,
    multi_supervision_loss,
    norm_loss,
    relational_loss,
    sampled_softmax_cross_entropy,
    score_kl,
    slmrec_objective,
    softmax_cross_entropy,
    taught_loss,
)

GOLDEN = json.loads((Path(__file__).parents[1] / "golden.json").read_text())["losses"]


def states_with_scores(scores: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """States and a table whose dot products are these scores: an identity table behind the padding row."""
    return scores, torch.cat([torch.full((1, scores.shape[-1]), 9.0), torch.eye(scores.shape[-1])])


@pytest.fixture
def golden() -> dict:
    found = {name: torch.tensor(GOLDEN[name]) for name in ("teacher", "student", "inner_scores", "final_scores")}
    found["targets"] = torch.tensor(GOLDEN["target"]) + 1
    found["final"], found["table"] = states_with_scores(found["final_scores"])
    return found


def test_the_papers_terms_are_the_golden_ones(golden):
    paper = GOLDEN["paper"]
    assert 1 - cosine_loss(golden["teacher"], golden["student"]).item() == pytest.approx(paper["d_cos"], rel=1e-5)
    assert norm_loss(golden["teacher"], golden["student"]).item() == pytest.approx(paper["d_norm"], rel=1e-5)
    inner = multi_supervision_loss(golden["inner_scores"], golden["targets"], golden["table"])
    assert inner.item() == pytest.approx(paper["l_ms"], rel=1e-5)
    final = softmax_cross_entropy(golden["final"], golden["targets"], golden["table"])
    assert final.item() == pytest.approx(paper["l_ce"], rel=1e-5)


def test_the_published_codes_terms_are_the_golden_ones(golden):
    code = GOLDEN["code"]
    cosine = cosine_loss(golden["teacher"], golden["student"], "sum")
    norm = norm_loss(golden["teacher"], golden["student"], squared=False, reduction="sum")
    inner = multi_supervision_loss(golden["inner_scores"], golden["targets"], golden["table"], "sum")
    assert cosine.item() == pytest.approx(code["one_minus_cos"], rel=1e-5)
    assert norm.item() == pytest.approx(code["norm"], rel=1e-5)
    assert inner.item() == pytest.approx(code["l_ms"], rel=1e-5)


@pytest.mark.parametrize("form", ["paper", "published"])
def test_the_objective_is_the_golden_one(golden, form):
    weights = {name: GOLDEN[name] for name in ("lambda1", "lambda2", "lambda3")}
    found = slmrec_objective(
        golden["teacher"],
        golden["student"],
        golden["inner_scores"],
        golden["final"],
        golden["targets"],
        golden["table"],
        form=form,
        **weights,
    )
    code = GOLDEN["code"]
    published = (
        GOLDEN["paper"]["l_ce"]
        + weights["lambda1"] * code["one_minus_cos"]
        + weights["lambda2"] * code["norm"]
        + weights["lambda3"] * code["l_ms"]
    )
    wanted = GOLDEN["paper"]["objective"] if form == "paper" else published
    assert found["loss"].item() == pytest.approx(wanted, rel=1e-5)


def test_equal_states_cost_nothing_and_the_teacher_gets_no_gradient(golden):
    teacher = golden["teacher"].requires_grad_()
    student = teacher.detach().clone().requires_grad_()
    assert cosine_loss(teacher, student).item() == pytest.approx(0, abs=1e-6)
    assert norm_loss(teacher, student).item() == 0
    (cosine_loss(teacher, student) + norm_loss(teacher, student)).backward()
    assert teacher.grad is None
    assert student.grad is not None


@settings(max_examples=40, deadline=None)
@given(
    positions=st.integers(1, 9),
    items=st.integers(2, 12),
    width=st.integers(1, 6),
    chunk=st.integers(1, 40),
    seed=st.integers(0, 10**6),
)
def test_chunked_cross_entropy_has_torchs_value_and_gradients(positions, items, width, chunk, seed):
    """Ours in chunks of any size, theirs over all logits at once."""
    generator = torch.Generator().manual_seed(seed)
    states = torch.randn(positions, width, generator=generator)
    table = torch.randn(items + 1, width, generator=generator)
    targets = torch.randint(1, items + 1, (positions,), generator=generator)
    results = []
    original = chunking.CHUNK_ELEMENTS
    for ours in (True, False):
        s, t = states.clone().requires_grad_(), table.clone().requires_grad_()
        if ours:
            chunking.CHUNK_ELEMENTS = chunk
            loss = softmax_cross_entropy(s, targets, t)
            chunking.CHUNK_ELEMENTS = original
        else:
            loss = F.cross_entropy(s @ t[1:].T, targets - 1)
        (loss * 3).backward()
        results.append((loss.detach(), s.grad, t.grad))
    for ours_value, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours_value, theirs, rtol=1e-4, atol=1e-5)


def test_a_frozen_table_gets_no_gradient():
    states = torch.randn(3, 4, requires_grad=True)
    table = torch.randn(6, 4)
    softmax_cross_entropy(states, torch.tensor([1, 2, 5]), table).backward()
    assert states.grad is not None
    assert table.grad is None


def test_sampled_softmax_by_hand():
    """Two positions, target scores 1 and 2, negatives 0 and 1; the second position's target is also a negative."""
    states = torch.eye(2)
    table = torch.tensor([[0.0, 0], [1, 0], [0, 2], [0, 0], [1, 1]])
    loss = sampled_softmax_cross_entropy(states, torch.tensor([1, 2]), table, torch.tensor([3, 2]))
    # position 1: target 1, negatives s·v3 = 0 and s·v2 = 0; position 2: target 2, negative 0, the other left out
    first = math.log(math.e + 2) - 1
    second = math.log(math.e**2 + 1) - 2
    assert loss.item() == pytest.approx((first + second) / 2, rel=1e-5)


def test_logq_makes_the_sampled_sum_estimate_the_whole_one():
    """With every item drawn once M = N, so the corrected loss is that of the whole catalogue."""
    torch.manual_seed(0)
    states, table = torch.randn(5, 3), torch.randn(8, 3)
    targets = torch.tensor([1, 2, 3, 4, 5])
    everything = torch.arange(1, 8)
    ours = sampled_softmax_cross_entropy(states, targets, table, everything, logq=True)
    torch.testing.assert_close(ours, F.cross_entropy(states @ table[1:].T, targets - 1))
    twice = everything.repeat(2)
    ours = sampled_softmax_cross_entropy(states, targets, table, twice, logq=True)
    others = torch.cat([(states @ table[1:].T)], 1)
    hidden = others.scatter(1, targets[:, None] - 1, -torch.inf)
    wanted = (torch.logaddexp(others.gather(1, targets[:, None] - 1)[:, 0], hidden.logsumexp(1))).mean()
    torch.testing.assert_close(ours, wanted - others.gather(1, targets[:, None] - 1).mean())


def test_gbce_by_hand():
    """One position: target score 1, negatives 0 and -1, N = 5, M = 2."""
    states = torch.tensor([[1.0]])
    table = torch.tensor([[0.0], [1], [0], [-1], [3], [4]])
    sigmoid = lambda x: 1 / (1 + math.exp(-x))  # noqa: E731
    alpha = 2 / 4
    for t in (0.0, 0.75, 1.0):
        beta = alpha * (t * (1 - 1 / alpha) + 1 / alpha)
        wanted = -(beta * math.log(sigmoid(1)) + math.log(1 - sigmoid(0)) + math.log(1 - sigmoid(-1))) / 3
        loss = gbce(states, torch.tensor([1]), table, torch.tensor([2, 3]), t=t)
        assert loss.item() == pytest.approx(wanted, rel=1e-5)


def test_one_block_has_no_inner_supervision():
    loss = multi_supervision_loss(torch.zeros(0, 3, 4), torch.tensor([1, 2, 3]), torch.randn(5, 4))
    assert loss.item() == 0


def test_score_kl_by_hand_and_against_torch():
    """Two teachers whose mean scores are (0, ln 3): 1/4 and 3/4; a student that is undecided."""
    teachers = torch.tensor([[[1.0, math.log(3) - 1]], [[-1.0, math.log(3) + 1]]])
    student = torch.zeros(1, 2)
    wanted = 0.25 * math.log(0.5) + 0.75 * math.log(1.5)
    assert score_kl(teachers, student).item() == pytest.approx(wanted, rel=1e-6)
    torch.manual_seed(0)
    teachers, student = torch.randn(3, 5, 7), torch.randn(5, 7)
    for temperature in (0.5, 1.0, 4.0):
        theirs = torch.nn.functional.kl_div(
            (student / temperature).log_softmax(-1),
            (teachers.mean(0) / temperature).log_softmax(-1),
            log_target=True,
            reduction="batchmean",
        )
        torch.testing.assert_close(score_kl(teachers, student, temperature), temperature**2 * theirs)
    assert score_kl(student[None] + 3, student).abs() < 1e-6  # a constant more says nothing


class TestContrastive:
    def test_by_hand(self):
        # cosines: s0 with t0, t1 = 1, 0; s1 with t0, t1 = 0.6, 0.8; temperature 0.5 doubles them.
        teacher = torch.tensor([[2.0, 0.0], [0.0, 5.0]])
        student = torch.tensor([[1.0, 0.0], [3.0, 4.0]])
        first = math.log(1 + math.exp(0 - 2))
        second = math.log(1 + math.exp(1.2 - 1.6))
        assert contrastive_loss(teacher, student, 0.5).item() == pytest.approx((first + second) / 2)

    def test_teachers_that_are_all_alike_tell_nothing(self):
        assert contrastive_loss(torch.ones(6, 3), torch.randn(6, 3)).item() == pytest.approx(math.log(6), rel=1e-5)

    def test_no_gradient_reaches_the_teacher_and_lengths_play_no_part(self):
        torch.manual_seed(0)
        teacher, student = torch.randn(5, 4, requires_grad=True), torch.randn(5, 4, requires_grad=True)
        loss = contrastive_loss(teacher, student)
        loss.backward()
        assert teacher.grad is None
        assert student.grad.abs().max() > 0
        torch.testing.assert_close(contrastive_loss(3 * teacher, 7 * student), loss)


class TestRelational:
    def test_by_hand(self):
        # Distances 3, 4, 5 (mean 4) against 1, 1, 1 of an equilateral triangle: errors 1/4, 0, 1/4, all quadratic.
        teacher = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]])
        student = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.5, math.sqrt(3) / 2]])
        assert relational_loss(teacher, student).item() == pytest.approx((0.25**2 / 2 + 0 + 0.25**2 / 2) / 3, rel=1e-5)

    @given(st.integers(0, 1000), st.floats(0.1, 10))
    @settings(max_examples=20, deadline=None)
    def test_turning_moving_and_scaling_change_nothing(self, seed, scale):
        generator = torch.Generator().manual_seed(seed)
        teacher = torch.randn(7, 4, generator=generator)
        turn, _ = torch.linalg.qr(torch.randn(4, 4, generator=generator))
        assert relational_loss(teacher, scale * teacher @ turn + 3).item() == pytest.approx(0, abs=1e-9)

    def test_widths_may_differ_and_one_position_has_no_relation(self):
        student = torch.randn(1, 5, requires_grad=True)
        relational_loss(torch.randn(1, 3), student).backward()
        assert not student.grad.any()
        assert relational_loss(torch.randn(4, 3), torch.randn(4, 5)) > 0


@given(
    st.integers(0, 1000),
    st.integers(1, 9),
    st.floats(0, 2),
    st.sampled_from([0.5, 1.0, 3.0]),
    st.sampled_from([7, 10**6]),
)
@settings(max_examples=40, deadline=None)
def test_the_taught_loss_has_the_values_and_gradients_of_its_parts(seed, positions, weight, temperature, chunk):
    generator = torch.Generator().manual_seed(seed)
    states, vectors = torch.randn(positions, 4, generator=generator), torch.randn(6, 4, generator=generator)
    teachers = torch.randn(2, positions, 6, generator=generator)
    targets = torch.randint(0, 6, (positions,), generator=generator)
    gradients, losses = [], []
    for plain in (True, False):
        own = [tensor.clone().requires_grad_() for tensor in (states, vectors)]
        if plain:
            scores = own[0] @ own[1].T
            parts = {
                "cross_entropy": F.cross_entropy(scores, targets),
                "score_kl": score_kl(teachers, scores, temperature),
            }
            parts["loss"] = weight * parts["cross_entropy"] + parts["score_kl"]
        else:
            before, taught_chunking.CHUNK_ELEMENTS = taught_chunking.CHUNK_ELEMENTS, chunk
            told = {"cross_entropy": weight, "temperature": temperature}
            parts = taught_loss(*own, targets, teachers.mean(dim=0), **told)
            taught_chunking.CHUNK_ELEMENTS = before
        (3 * parts["loss"]).backward()
        losses.append({name: value.item() for name, value in parts.items()})
        gradients.append([tensor.grad for tensor in own])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4, abs=1e-5)
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
