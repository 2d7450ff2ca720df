"""Averaged weights against the weighted mean written out, and what is kept against the weights of every step."""

import pytest
import torch
from torch import nn

from slmrec.data.batches import training_examples
from slmrec.errors import UserError
from slmrec.evaluation import evaluate
from slmrec.training.averaging import Average
from slmrec.training.build import build_classic
from slmrec.training.modules import NextItem
from slmrec.training.options import SASRecOptions, TrainingOptions
from slmrec.training.trainer import RecommenderTrainer, fit


def mean_of(steps: list[torch.Tensor], decay: float) -> torch.Tensor:
    """The newest counts 1, the one before decay, the one before that decay²."""
    counts = [decay**age for age in range(len(steps))][::-1]
    return sum(count * weights for count, weights in zip(counts, steps, strict=True)) / sum(counts)


@pytest.mark.parametrize("steps", [0.5, 1.0, 4.0, 1000.0])
def test_an_average_is_the_weighted_mean_of_all_steps(steps):
    weight, still = nn.Parameter(torch.zeros(3)), nn.Parameter(torch.ones(2), requires_grad=False)
    average = Average([weight, still], steps)
    seen = []
    for step in range(1, 8):
        with torch.no_grad():
            weight.copy_(torch.tensor([step, step**2, -1.0]))
        seen.append(weight.detach().double())
        average.update(step)
        (kept,) = average.buffers()  # of the trained one alone
        torch.testing.assert_close(kept.double(), mean_of(seen, max(0.0, 1 - 1 / steps)), rtol=1e-5, atol=1e-5)
    with average.in_place():
        torch.testing.assert_close(weight.detach().double(), mean_of(seen, max(0.0, 1 - 1 / steps)))
    assert torch.equal(weight.detach(), seen[-1].float())


def test_the_average_of_the_best_epoch_is_kept(cycle, tmp_path):
    training = TrainingOptions(epochs=6, batch_size=16, learning_rate=3e-2, average_epochs=1.5)
    options = SASRecOptions(hidden_size=16, num_blocks=1, dropout=0.2, max_length=8, training=training)
    torch.manual_seed(0)
    module = NextItem(build_classic(cycle, options, None), training)
    module.model.catalogue = cycle.catalogue
    examples = training_examples(cycle, 8, "every-position")
    weights = dict(module.model.named_parameters())
    seen = {name: [] for name in weights}

    def watch(done, total, note):
        for name, weight in weights.items():
            seen[name].append(weight.detach().double())

    trained = fit(module, examples, cycle, training, tmp_path / "work", watch)
    an_epoch = -(-len(examples) // 16)
    best = round(trained.best_epoch * an_epoch)
    for name, weight in weights.items():
        expected = mean_of(seen[name][:best], 1 - 1 / (1.5 * an_epoch))
        torch.testing.assert_close(weight.detach().double(), expected, rtol=1e-4, atol=1e-5)
        assert not torch.equal(weight.detach(), seen[name][best - 1].float())
    told = max(row["valid_NDCG@10"] for row in trained.log if "valid_NDCG@10" in row)
    module.eval()
    assert evaluate(module.model, cycle, "valid").metrics["NDCG@10"] == told


def test_weights_that_are_taken_apart_are_refused(cycle, tmp_path, monkeypatch):
    whole = RecommenderTrainer.create_accelerator_and_postprocess

    def apart(self):
        whole(self)
        self.is_fsdp_enabled = True

    monkeypatch.setattr(RecommenderTrainer, "create_accelerator_and_postprocess", apart)
    training = TrainingOptions(average_epochs=1.0)
    module = NextItem(build_classic(cycle, SASRecOptions(hidden_size=16, max_length=8), None), training)
    with pytest.raises(UserError, match="FSDP takes apart"):
        fit(module, training_examples(cycle, 8, "every-position"), cycle, training, tmp_path / "work")


def test_a_negative_span_is_refused():
    with pytest.raises(UserError, match="average_epochs is -1, but must be at least 0"):
        TrainingOptions(average_epochs=-1)
