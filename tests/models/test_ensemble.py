"""Models that score together: against the mean of log-probabilities, which must rank alike."""

import numpy as np
import pytest
import torch

from slmrec.errors import UserError
from slmrec.evaluation import evaluate
from slmrec.models import Ensemble, SASRec, SASRecConfig


def member(data, seed: int) -> SASRec:
    torch.manual_seed(seed)
    model = SASRec(SASRecConfig(num_items=data.num_items, hidden_size=8, initializer_range=0.5)).eval()
    model.catalogue = data.catalogue
    return model


def test_the_mean_of_scores_ranks_as_the_mean_of_log_probabilities(cycle):
    members = [member(cycle, seed) for seed in range(3)]
    histories = [np.array([1, 2, 3]), np.array([7])]
    ours = Ensemble.of(members).score(histories)
    theirs = torch.stack([m.score(histories).log_softmax(dim=1) for m in members]).mean(dim=0)
    torch.testing.assert_close(ours.log_softmax(dim=1), theirs.log_softmax(dim=1))
    one = Ensemble.of(members[:1]).score(histories)
    torch.testing.assert_close(one, members[0].score(histories))


def test_weights_count_and_a_member_of_none_is_not_asked(cycle):
    one, other, silent = members = [member(cycle, seed) for seed in range(3)]
    silent.score = None  # whoever asks it fails
    together = Ensemble.of(members, [0.5, 2.0, 0.0])
    history = np.array([3, 1, 2])
    wanted = 0.5 * one.score([history]) + 2.0 * other.score([history])
    torch.testing.assert_close(together.score([history]), wanted)
    read = (torch.tensor([[3, 1, 2]]), torch.tensor([3]), torch.arange(1, cycle.num_items + 1))
    torch.testing.assert_close(together.position_scores(*read)[:, 2], wanted)


@pytest.mark.parametrize("weights", [[1.0], [1.0, -0.1], [0.0, 0.0], []])
def test_weights_that_make_no_sense_are_refused(cycle, weights):
    with pytest.raises(ValueError, match="must be 2, none negative and not all 0"):
        Ensemble.of([member(cycle, 0), member(cycle, 1)], weights)


def test_it_is_evaluated_like_a_model(cycle):
    members = [member(cycle, seed) for seed in range(2)]
    found = evaluate(Ensemble.of(members), cycle)
    assert found.kind == "ensemble"
    assert found.parameters["total"] == 2 * members[0].parameter_counts()["total"]


def test_members_must_rank_the_same_items(cycle):
    other = member(cycle, 0)
    other.catalogue = type(cycle.catalogue)(cycle.catalogue.frame.reverse())
    with pytest.raises(UserError, match="members 0 and 1"):
        Ensemble.of([member(cycle, 0), other])
    with pytest.raises(UserError, match="at least one member"):
        Ensemble.of([])
