"""What a training will cost: tokens counted by hand, arithmetic that grows as the model does."""

import pytest
from transformers import AutoConfig

from slmrec.training import cost
from slmrec.training.options import LLMOptions, SASRecOptions, TrainingOptions


@pytest.fixture(autouse=True)
def _slow_machine(monkeypatch):
    monkeypatch.setattr(cost, "matrix_speed", lambda: 1e9)


def test_tokens_are_those_of_the_training_sequences(cycle, llama):
    config = AutoConfig.from_pretrained(llama)
    wanted = sum(len(events) - 1 for events in cycle.train_sequences() if len(events) > 1)
    options = LLMOptions(backbone=str(llama), layers=2, training=TrainingOptions(epochs=3))
    assert cost.llm_cost(cycle, options, config).tokens == 3 * wanted
    assert cost.sasrec_cost(cycle, SASRecOptions(training=TrainingOptions(epochs=2))).tokens == 2 * wanted


def test_layers_epochs_and_a_teacher_add_up(cycle, llama):
    config = AutoConfig.from_pretrained(llama)

    def seconds(layers: int, epochs: int, teacher: int | None = None) -> float:
        options = LLMOptions(backbone=str(llama), layers=layers, training=TrainingOptions(epochs=epochs))
        return cost.llm_cost(cycle, options, config, teacher).seconds

    assert seconds(2, 4) == pytest.approx(2 * seconds(2, 2))
    assert seconds(4, 1) - seconds(3, 1) == pytest.approx(seconds(2, 1) - seconds(1, 1))
    assert seconds(2, 1, teacher=4) > seconds(2, 1)


def test_the_arithmetic_of_a_layer_by_hand(cycle, llama):
    """One layer of the tiny LLaMA: q, k, v, o, three of the feed-forward, two norms and a share of the last norm."""
    config = AutoConfig.from_pretrained(llama)
    layer = 32 * 32 + 2 * 32 * 16 + 32 * 32 + 3 * 32 * 48 + 2 * 32
    options = LLMOptions(backbone=str(llama), layers=1, training=TrainingOptions(epochs=1, evaluate_every=10**9))
    found = cost.llm_cost(cycle, options, config)
    scores = found.tokens * 20 * 64 * 6 / cost.LOSS_SHARE
    wanted = (found.tokens * 3 * (layer + 32 / 4) * 2 / cost.LLM_SHARE + scores) / 1e9
    assert found.seconds == pytest.approx(wanted, rel=1e-6)
