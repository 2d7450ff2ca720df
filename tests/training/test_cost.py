"""What a training will cost: tokens counted by hand, and what is measured added up by hand."""

from dataclasses import replace

import pytest
from transformers import AutoConfig

from slmrec.training import cost
from slmrec.training.options import PATIENT_EPOCHS, BERT4RecOptions, LLMOptions, SASRecOptions, TrainingOptions


def test_tokens_are_those_of_the_training_sequences(cycle, llama):
    config = AutoConfig.from_pretrained(llama)
    wanted = sum(len(events) - 1 for events in cycle.train_sequences() if len(events) > 1)
    options = LLMOptions(backbone=str(llama), layers=2, training=TrainingOptions(epochs=3))
    assert cost.llm_cost(cycle, options, config).tokens == 3 * wanted
    assert cost.classic_cost(cycle, SASRecOptions(training=TrainingOptions(epochs=2))).tokens == 2 * wanted
    cloze = cost.classic_cost(cycle, BERT4RecOptions(training=TrainingOptions(epochs=2)))
    assert cloze.tokens == 2 * wanted
    assert cloze.seconds > 0


def test_steps_validation_layers_and_a_teacher_add_up(cycle, llama, monkeypatch):
    """A layer costs (step 3, ranking 5, encoding 1, …), the second adds (2, 1, 1, …), and so does every further one."""
    config = AutoConfig.from_pretrained(llama)
    monkeypatch.setattr(cost, "_probed", {})
    monkeypatch.setattr(
        cost,
        "_probe",
        lambda model, *rest: (
            cost._Probe(3, 5, 1, 1e9, 0.0) if model.num_layers == 1 else cost._Probe(5, 6, 2, 1.5e9, 0.0)
        ),
    )
    monkeypatch.setattr(cost, "_cross_entropy", lambda items, width: 0.5)
    monkeypatch.setattr(cost, "_held_now", lambda: 0)
    tokens = sum(len(events) - 1 for events in cycle.train_sequences() if len(events) > 1)
    cases = len(cycle.cases("valid").users)
    options = LLMOptions(backbone=str(llama), layers=4, training=TrainingOptions(epochs=3, evaluate_every=3))
    alone = cost.llm_cost(cycle, options, config)
    assert alone.seconds == pytest.approx(3 * (9 * tokens + 8 * cases / 3))
    assert alone.gigabytes == pytest.approx(2.5)
    assert alone.testing == pytest.approx(8 * len(cycle.cases("test").users))
    teacher = replace(options, layers=6)
    taught = cost.llm_cost(cycle, options, config, teacher, blocks=4)
    assert taught.seconds == pytest.approx(alone.seconds + 6 * tokens + 3 * 0.5 * tokens * 3)
    online = cost.llm_cost(cycle, options, config, teacher, blocks=4, online=True)
    assert online.seconds == pytest.approx(alone.seconds + 3 * 13 * tokens + 3 * 0.5 * tokens * 3)
    assert online.gigabytes == pytest.approx(2.5 + 3.5)
    narrow = replace(options, width=16)
    seen = len(cost._probed)
    monkeypatch.setattr(cost, "_probe", lambda model, *rest: cost._Probe(model.num_layers, 0, 0, 0.0, 0.0))
    assert cost.llm_cost(cycle, narrow, config, teacher).seconds == pytest.approx((3 * 4 + 6) * tokens)
    assert len(cost._probed) == seen + 1  # the narrow student's; its teacher is as wide as the decoder
    cost.llm_cost(cycle, narrow, config, replace(narrow, layers=6))
    assert len(cost._probed) == seen + 1  # both are narrow, and share what a layer costs
    cost.llm_cost(cycle, options, config, replace(options, layers=6, width=24))
    assert len(cost._probed) == seen + 2  # a wide student's narrow teacher


def test_early_stopping_is_expected_after_as_many_epochs_as_it_took(cycle):
    def tokens(**options) -> int:
        return cost.classic_cost(cycle, SASRecOptions(training=TrainingOptions(**options))).tokens

    assert tokens(epochs=100, patience=3) == tokens(epochs=PATIENT_EPOCHS)
    assert tokens(epochs=4, patience=3) == tokens(epochs=4)


def test_measured_parts_are_of_this_model(cycle, llama):
    """Weights: fp32, and a gradient and two moments for what trains; with LoRA the decoder's own do not."""
    config = AutoConfig.from_pretrained(llama)
    costs = {}
    for rank in (0, 2):
        options = LLMOptions(backbone=str(llama), layers=2, lora_rank=rank, training=TrainingOptions(epochs=1))
        costs[rank] = cost.llm_cost(cycle, options, config)
    probes = [cost._probed[key][0] for key in list(cost._probed)[-2:]]
    layer = 32 * 32 + 2 * 32 * 16 + 32 * 32 + 3 * 32 * 48 + 2 * 32
    rest = 21 * 64 + 64 * 32 + 32 + 32 * 64 + 64 + 32  # items, two adapters, the final norm
    assert probes[0].weights == 16 * (layer + rest)
    adapters = 3 * 2 * (32 + 48)
    assert probes[1].weights == 4 * (layer + rest) + 4 * adapters + 12 * (rest - 32 + adapters)
    assert all(probe.step > 0 and probe.encoding > 0 and probe.ranking > 0 for probe in probes)
    assert costs[0].gigabytes > 0
