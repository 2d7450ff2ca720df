"""The engine against the model's own training forward, which tests/models holds to transformers' plain layout."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from slmrec.data.batches import PADDING, pad
from slmrec.engine import device_of, like_lengths
from slmrec.engine.decoder import FusedDecoder, PlainDecoder
from slmrec.errors import UserError

from ..conftest import build
from .conftest import SLOTS, close, random_histories

BEFORE, AFTER = "the user liked these items :", "next item ?"


def trained_way(model, histories):
    """(B, d): every history by itself through the forward that training uses."""
    vectors = []
    with torch.no_grad():
        for history in histories:
            kept = history[-SLOTS:]
            vectors.append(model(pad([kept], PADDING), torch.tensor([len(kept)]))[0, -1])
    return torch.stack(vectors)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"prompt_before": BEFORE},
        {"reading": "last-prompt-token", "prompt_before": BEFORE, "prompt_after": AFTER},
    ],
    ids=["bare", "before", "both"],
)
def test_equals_the_training_forward(decoder, cycle, options):
    model = build(cycle, decoder, **options)
    histories = random_histories(0, 40, 12)
    assert close(model.encode(histories), trained_way(model, histories))


def test_lora_counts_before_and_after_it_is_merged(llama, cycle):
    model = build(cycle, llama, prompt_before=BEFORE, lora_rank=2)
    histories = random_histories(0, 10, 9)
    without = model.encode(histories)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.1)
    adapted = trained_way(model, histories)
    assert not close(without, adapted)
    assert close(model.encode(histories), adapted)
    model.merge_lora()
    assert isinstance(model.encoder.decoder, FusedDecoder)
    assert close(model.encode(histories), adapted)


def test_the_fused_path_is_taken_where_it_is_known(decoder, cycle):
    model = build(cycle, decoder)
    fused = "gpt2" not in str(decoder)
    assert isinstance(model.encoder.decoder, FusedDecoder if fused else PlainDecoder)


def test_biases_are_used(llama, cycle, tmp_path):
    from ..conftest import DECODERS, save_decoder

    config = type(DECODERS["llama"])(**DECODERS["llama"].to_dict() | {"attention_bias": True, "mlp_bias": True})
    decoder = save_decoder(config, tmp_path / "biased")
    for name, weight in decoder.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(weight)
    decoder.save_pretrained(tmp_path / "biased")
    model = build(cycle, tmp_path / "biased", prompt_before=BEFORE)
    assert any(bool(w.any()) for n, w in model.backbone.named_parameters() if n.endswith("k_proj.bias"))
    histories = random_histories(1, 9, 9)
    assert close(model.encode(histories), trained_way(model, histories))


def test_follows_changes_of_any_weight(model):
    histories = random_histories(2, 5, 9)
    model.encode(histories)  # keeps the prompt
    for name in ("backbone.layers.0.self_attn.k_proj.weight", "prompt_before", "items.weight", "final_norm.weight"):
        weight = model.get_parameter(name)
        old = weight.detach().clone()
        with torch.no_grad():
            weight.mul_(1.5)
        assert close(model.encode(histories), trained_way(model, histories)), name
        weight.data = old
        assert close(model.encode(histories), trained_way(model, histories)), name


def test_follows_steps_of_a_fused_optimiser_which_move_no_version_counter(decoder, cycle):
    model = build(cycle, decoder, prompt_before=BEFORE)
    histories = random_histories(2, 5, 9)
    model.encode(histories)  # keeps the prompt
    model.choose_trained(items=True)
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.1, fused=True)
    model.train()(torch.tensor([[1, 2, 3]]), torch.tensor([3])).sum().backward()
    optimiser.step()
    model.eval()
    assert close(model.encode(histories), trained_way(model, histories))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 6))
def test_continued_histories_equal_whole_ones(model, seed, users):
    rng = np.random.default_rng(seed)
    histories = [rng.integers(1, 21, size=rng.integers(1, SLOTS + 1)).astype(np.int32) for _ in range(users)]
    done = [0] * users
    states: list[torch.Tensor | None] = [None] * users
    vectors = torch.zeros(users, 8)
    while any(done[i] < len(h) for i, h in enumerate(histories)):
        turn = [i for i, h in enumerate(histories) if done[i] < len(h) and rng.random() < 0.7]
        if not turn:
            continue
        steps = [int(rng.integers(1, len(histories[i]) - done[i] + 1)) for i in turn]
        new = [histories[i][done[i] : done[i] + step] for i, step in zip(turn, steps, strict=True)]
        with torch.inference_mode():
            found, extended = model.encoder.extend([states[i] for i in turn], new)
        for i, step, vector, state in zip(turn, steps, found, extended, strict=True):
            done[i] += step
            vectors[i], states[i] = vector, state
    assert close(vectors, model.encode(histories))


@pytest.mark.parametrize("family", ["gpt2", "qwen2"])
def test_other_families_continue_too(family, cycle, tmp_path):
    from ..conftest import DECODERS, save_decoder

    save_decoder(DECODERS[family], tmp_path / family)
    model = build(cycle, tmp_path / family, prompt_before=BEFORE)
    histories = random_histories(3, 6, SLOTS)
    with torch.inference_mode():
        _, states = model.encoder.extend([None] * 6, [history[:1] for history in histories])
        rest = [i for i, history in enumerate(histories) if len(history) > 1]
        vectors, _ = model.encoder.extend([states[i] for i in rest], [histories[i][1:] for i in rest])
    assert close(vectors, model.encode([histories[i] for i in rest]))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 30), st.integers(0, 9)), max_size=60), st.integers(1, 64), st.booleans())
def test_batches_hold_every_row_once_and_keep_to_the_budget(rows, tokens, with_pasts):
    lengths, pasts = [length for length, _ in rows], [past for _, past in rows]
    batches = list(like_lengths(lengths, tokens, pasts if with_pasts else None))
    assert sorted(i for batch in batches for i in batch) == list(range(len(rows)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[i] for i in batch) <= tokens


class TestReducedPrecision:
    def test_int8_weights_are_what_arithmetic_says(self):
        from slmrec.engine.precision import linears

        torch.manual_seed(0)
        module = torch.nn.Linear(16, 5)
        inputs = torch.randn(3, 16)
        scales = module.weight.detach().abs().amax(1) / 63  # seven bits
        weight = (module.weight.detach() / scales[:, None]).round() * scales[:, None]
        size = inputs.abs().amax(1, keepdim=True)  # one scale a position
        low, high = min(0.0, (inputs / size).min().item()), max(0.0, (inputs / size).max().item())
        step = (high - low) / 255
        zero = round(-low / step)
        rounded = ((inputs / size / step).round() + zero).clamp(0, 255).sub(zero).mul(step)
        wanted = rounded @ weight.T * size + module.bias.detach()
        torch.testing.assert_close(linears([module], "int8")(inputs)[0], wanted, rtol=0, atol=2e-3)
        alone = linears([module], "int8")(inputs[:1])[0]
        torch.testing.assert_close(alone, wanted[:1], rtol=0, atol=2e-2)  # whoever else is in the batch

    def test_int4_weights_are_what_arithmetic_says(self):
        """Groups of 64 of 100 inputs, each 15 steps from its least weight to its greatest, both in 16 bits."""
        from slmrec.engine.precision import linears

        torch.manual_seed(0)
        module = torch.nn.Linear(100, 3)
        rounded = torch.zeros(3, 100)
        for row in range(3):
            for columns in (range(64), range(64, 100)):
                values = [module.weight[row, i].item() for i in columns]
                least = float(np.float16(min(values)))
                step = float(np.float16((max(values) - least) / 15))
                for i, value in zip(columns, values, strict=True):
                    rounded[row, i] = min(max(round((value - least) / step), 0), 15) * step + least
        inputs = torch.randn(4, 100)
        wanted = inputs @ rounded.T + module.bias
        torch.testing.assert_close(linears([module], "int4")(inputs)[0], wanted.detach(), rtol=1e-4, atol=1e-5)
        alike = torch.nn.Linear(64, 1, bias=False)
        torch.nn.init.constant_(alike.weight, 0.25)  # no step at all
        assert linears([alike], "int4")(torch.ones(1, 64))[0].item() == pytest.approx(16)

    @pytest.mark.parametrize(("precision", "bound"), [("bf16", 0.05), ("int8", 0.25), ("int4", 0.5)])
    def test_is_near_and_never_silent(self, llama, cycle, precision, bound):
        model = build(cycle, llama, prompt_before=BEFORE)
        histories = random_histories(4, 30, 9)
        exact = model.encode(histories)
        assert model.use_precision(precision) is model
        reduced = model.encode(histories)
        assert 0 < (reduced - exact).norm() < bound * exact.norm()
        assert model.use_precision("fp32").encode(histories).equal(exact)

    @pytest.mark.parametrize(
        ("precision", "layer"),
        # Seven maps of 7,680 weights and 224 outputs; no more than 64 inputs, so one group of int4 an output.
        [("fp32", 4 * 7680), ("bf16", 2 * 7680), ("int8", 7680 + 4 * 224), ("int4", 7680 // 2 + 4 * 224)],
    )
    def test_weights_take_fewer_bytes(self, llama, cycle, precision, layer):
        model = build(cycle, llama, prompt_before=BEFORE)
        rest = 4 * model.parameter_counts()["without_vocabulary"] - model.num_layers * 4 * 7680
        assert model.use_precision(precision).weight_bytes() == rest + model.num_layers * layer

    def test_wrong_ones_are_refused(self, model, cycle, tmp_path):
        from ..conftest import DECODERS, save_decoder

        with pytest.raises(UserError, match=r"precision is 'int3'.*did you mean 'int"):
            model.use_precision("int3")
        save_decoder(DECODERS["gpt2"], tmp_path / "gpt2")
        other = build(cycle, tmp_path / "gpt2")
        with pytest.raises(UserError, match="this one is a gpt2"):
            other.use_precision("int8").encode([np.array([1])])


def test_models_run_on_the_accelerator_but_for_precisions_of_cpus(monkeypatch):
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("cuda"))
    places = {precision: device_of(precision).type for precision in ("fp32", "bf16", "int8", "int4")}
    assert places == {"fp32": "cuda", "bf16": "cuda", "int8": "cpu", "int4": "cpu"}
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: None)
    assert device_of() == torch.device("cpu")
