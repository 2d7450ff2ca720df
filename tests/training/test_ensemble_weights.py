"""How much teachers count: planted ones whose best weights are known, and another optimiser's answer."""

import itertools
import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import scipy.optimize
import torch

from slmrec.data import Dataset
from slmrec.errors import UserError
from slmrec.models import ItemKNN, Popularity, SequentialRules, load
from slmrec.training.combine import combine
from slmrec.training.ensemble_weights import ensemble_weights
from slmrec.training.options import DistillationOptions, SASRecOptions, TrainingOptions
from slmrec.training.train import distill_scores


@pytest.fixture(scope="module")
def walks() -> Dataset:
    """400 users who go on to the next of 20 items in every other step, and anywhere else in the others."""
    rng = np.random.default_rng(0)
    rows = []
    for user in range(400):
        item = int(rng.integers(20))
        for step in range(6):
            rows.append((f"u{user}", f"{item:02d}", step))
            item = (item + 1) % 20 if rng.random() < 0.5 else int(rng.integers(20))
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")
    return Dataset.from_frame(frame, name="walks")


class Planted(Popularity):
    """Scores that are given, by the history's last item."""

    table: torch.Tensor  # (N + 1, N)

    def log_scores(self, histories):
        return self.table[torch.tensor([int(history[-1]) for history in histories])]


def planted(data, table: torch.Tensor) -> Planted:
    model = Planted.from_data(data)
    model.table = table
    return model


def noise(data, seed: int) -> torch.Tensor:
    return torch.randn(data.num_items + 1, data.num_items, generator=torch.Generator().manual_seed(seed))


def truth(data) -> torch.Tensor:
    """Log-counts of what came next, with one of each added."""
    counts = torch.ones(data.num_items + 1, data.num_items)
    for sequence in data.train_sequences():
        for item, following in itertools.pairwise(sequence):
            counts[item, following - 1] += 1
    return counts.log()


def test_a_model_that_knows_nothing_gets_nothing(walks):
    knowing, ignorant = ensemble_weights([planted(walks, truth(walks)), planted(walks, noise(walks, 0))], walks)
    assert ignorant == 0
    assert knowing == pytest.approx(1, abs=0.15)  # log-frequencies are as sure as they may be


def test_a_model_that_is_too_sure_counts_the_less(walks):
    once = max(ensemble_weights([planted(walks, truth(walks)), planted(walks, noise(walks, 1))], walks))
    thrice = max(ensemble_weights([planted(walks, 3 * truth(walks)), planted(walks, noise(walks, 1))], walks))
    assert thrice == pytest.approx(once / 3, rel=0.02)


def test_they_are_where_another_optimiser_finds_them(walks):
    tables = [truth(walks) + noise(walks, 2), truth(walks) + noise(walks, 3), noise(walks, 4) * 0.5]
    cases = walks.cases("valid")
    rows = [int(walks.history(int(u), int(p))[-1]) for u, p in zip(cases.users, cases.positions, strict=True)]
    targets = np.array([int(walks.sequence[position]) for position in cases.positions]) - 1
    scores = torch.stack(tables)[:, rows].double().numpy()  # (T, P, N)

    def loss(weights: np.ndarray) -> float:
        together = np.tensordot(weights, scores, 1)
        top = together.max(axis=1)
        sums = np.log(np.exp(together - top[:, None]).sum(axis=1)) + top
        return float((sums - together[np.arange(len(targets)), targets]).mean())

    wanted = scipy.optimize.minimize(loss, np.full(3, 1 / 3), bounds=[(0, None)] * 3, method="L-BFGS-B").x
    found = ensemble_weights([planted(walks, table) for table in tables], walks)
    np.testing.assert_allclose(found[:2], wanted[:2], rtol=0.05, atol=0.02)


def test_one_teacher_counts_as_it_is(walks):
    assert ensemble_weights([planted(walks, noise(walks, 5))], walks) == [1.0]


def test_students_follow_them_where_asked(walks, tmp_path):
    teachers = [SequentialRules.from_data(walks), ItemKNN.from_data(walks)]
    options = SASRecOptions(hidden_size=16, num_blocks=1, training=TrainingOptions(max_steps=2, batch_size=16))
    alike = DistillationOptions(form="scores")
    for name, distillation in {"alike": alike, "weighed": replace(alike, weigh_teachers=True)}.items():
        distill_scores(teachers, walks, tmp_path / name, options, distillation)
    told = {
        name: json.loads((tmp_path / name / "training.json").read_text())["teacher_weights"]
        for name in ("alike", "weighed")
    }
    assert told["alike"] == [0.5, 0.5]
    assert told["weighed"] == pytest.approx(ensemble_weights(teachers, walks), abs=1e-4)
    with pytest.raises(UserError, match="weigh_teachers is on"):
        DistillationOptions(form="paper", weigh_teachers=True)


def test_combined_models_are_those_that_count(walks, tmp_path):
    """Rules know this walk; a popularity of items that are all alike adds nothing."""
    rules, knn, popular = SequentialRules.from_data(walks), ItemKNN.from_data(walks), Popularity.from_data(walks)
    weights = ensemble_weights([popular, rules, knn], walks)
    assert 0 in weights
    together = combine([popular, rules, knn], walks, tmp_path / "model")
    told = json.loads((tmp_path / "model" / "training.json").read_text())
    assert told["weights"] == weights
    asked = [(model, weight) for model, weight in zip((popular, rules, knn), weights, strict=True) if weight]
    again = load(tmp_path / "model")
    assert again.weights == [weight for _, weight in asked]
    history = [np.array([3, 4])]
    wanted = sum(weight * model.log_scores(history) for model, weight in asked)
    torch.testing.assert_close(again.score(history), wanted)
    torch.testing.assert_close(together.score(history), wanted)


def test_what_cannot_be_combined_is_refused(walks, cycle, tmp_path):
    rules = SequentialRules.from_data(walks)
    with pytest.raises(UserError, match="give two or more"):
        combine([rules], walks, tmp_path / "model")
    with pytest.raises(UserError, match="model 1 ranks other items than 'walks'"):
        combine([rules, SequentialRules.from_data(cycle)], walks, tmp_path / "model")
    assert not list(tmp_path.iterdir())
