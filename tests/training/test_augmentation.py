"""Copies of training sequences: thinned, continued as the teachers would have it, taught at every position."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from slmrec.data.batches import training_examples
from slmrec.errors import UserError
from slmrec.models import Ensemble, ItemKNN, Popularity
from slmrec.training.augmentation import augmented, drawn, thinned
from slmrec.training.options import DistillationOptions, SASRecOptions, TrainingOptions
from slmrec.training.train import distill_scores


class Wanting:
    """Scores 12 items alike after every history: log-probabilities that a test writes down."""

    def __init__(self, scores):
        self.scores = torch.tensor(scores)

    def score(self, histories):
        return self.scores.repeat(len(histories), 1)


def test_items_are_drawn_from_the_softmax_of_the_scores_without_those_had():
    scores = np.log([0.5, 0.1, 0.1, 0.3])
    histories = [np.array([1])] * 20_000
    found = drawn(Wanting(scores), histories, np.random.default_rng(0))
    shares = np.bincount(found, minlength=5)[1:] / len(found)
    np.testing.assert_allclose(shares, [0.0, 0.2, 0.2, 0.6], atol=0.015)  # without item 1 the others make up .5


@given(st.lists(st.integers(1, 99), min_size=1, max_size=60), st.integers(0, 1000))
def test_what_is_left_of_a_sequence_is_in_its_order_and_ends_as_it_did(events, seed):
    found = thinned(np.array(events), np.random.default_rng(seed)).tolist()
    rest = iter(events)
    assert all(item in rest for item in found)
    assert found[-1] == events[-1]


def test_half_of_the_sequences_stay_whole_and_the_others_lose_a_fifth_of_their_older_items():
    generator = np.random.default_rng(0)
    lengths = np.array([len(thinned(np.arange(21), generator)) for _ in range(4000)])
    assert (lengths == 21).mean() == pytest.approx(0.5 + 0.5 * 0.8**20, abs=0.03)
    assert lengths.mean() == pytest.approx(21 - 0.5 * 0.2 * 20, abs=0.15)


def test_a_copy_goes_on_by_two_items_that_the_teachers_like_and_all_of_it_is_taught(cycle):
    examples = training_examples(cycle, 6, "every-position")
    teachers = Ensemble.of([ItemKNN.from_data(cycle)])
    copies = augmented(teachers, examples, 3, 6, seed=1)
    assert len(copies) == 3 * len(examples)
    for number, copy in enumerate(copies):
        original = examples[number % len(examples)]
        whole = [*original.inputs, original.targets[-1]]
        np.testing.assert_array_equal(copy.inputs[1:], copy.targets[:-1])
        assert len(copy.inputs) <= 6
        assert copy.inputs.dtype == original.inputs.dtype
        assert copy.inputs[-2] == whole[-1]  # the newest of its own, then the one that was drawn, then its target
        assert copy.inputs[-1] not in copy.inputs[:-1]
        assert copy.targets[-1] not in copy.inputs
    again = augmented(teachers, examples, 3, 6, seed=1)
    assert all((one.inputs == other.inputs).all() for one, other in zip(copies, again, strict=True))


def test_drawn_items_follow_the_teachers_together(cycle):
    teachers = [ItemKNN.from_data(cycle), Popularity.from_data(cycle)]
    history = cycle.train_sequences()[0][:3]
    wanted = Ensemble.of(teachers).score([history])[0].clone()
    wanted[history - 1] = -torch.inf
    found = drawn(Ensemble.of(teachers), [history] * 4000, np.random.default_rng(0))
    shares = np.bincount(found, minlength=len(wanted) + 1)[1:] / len(found)
    np.testing.assert_allclose(shares, wanted.softmax(0), atol=0.03)


def test_an_epoch_has_the_copies_too_and_scores_kept_or_not_teach_alike(cycle, tmp_path):
    training = TrainingOptions(epochs=2, batch_size=16, learning_rate=1e-2)
    options = SASRecOptions(hidden_size=16, num_blocks=1, dropout=0.0, training=training)
    scores = DistillationOptions(form="scores", candidates=64)
    last = {}
    for name, distillation in {
        "own": scores,
        "cached": replace(scores, augmented=2, teacher_states="cached"),
        "alongside": replace(scores, augmented=2, teacher_states="alongside"),
    }.items():
        distill_scores([ItemKNN.from_data(cycle)], cycle, tmp_path / name, options, distillation)
        last[name] = json.loads((tmp_path / name / "training.json").read_text())["log"][-1]
    assert last["cached"]["step"] >= 2.5 * last["own"]["step"]
    assert last["cached"]["step"] == last["alongside"]["step"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alongside", "cached", "own"]


def test_only_scores_teach_histories_that_no_user_had():
    with pytest.raises(UserError, match="augmented is 2, but form 'paper'"):
        DistillationOptions(augmented=2)
    with pytest.raises(UserError, match="augmented is -1"):
        DistillationOptions(form="scores", augmented=-1)
