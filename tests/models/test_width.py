"""A narrower decoder against the whole one whose removed units are silenced; importance against plain loops."""

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaModel

from slmrec.data.batches import collate, training_examples
from slmrec.errors import UserError
from slmrec.evaluation import unit_importance
from slmrec.losses import softmax_cross_entropy
from slmrec.models import SLMRec, load
from slmrec.models.width import with_hidden
from slmrec.training.build import build_llm, student_shape
from slmrec.training.options import LLMOptions, StudentOptions

from ..conftest import DECODERS, build, save_decoder

BEFORE = "the user liked these items :"


@pytest.fixture(scope="module", params=["llama", "qwen2"])
def family(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    save_decoder(DECODERS[request.param], folder)
    return folder


def silence(model: SLMRec, neurons, groups) -> None:
    """What is not kept contributes nothing: its columns of the last maps are zero. Two query heads of 8 share a key."""
    with torch.no_grad():
        for layer, (kept, heads) in enumerate(zip(neurons, groups, strict=True)):
            down = model.backbone.layers[layer].mlp.down_proj.weight
            out = model.backbone.layers[layer].self_attn.o_proj.weight
            for neuron in set(range(48)) - set(kept.tolist()):
                down[:, neuron] = 0
            for group in set(range(2)) - set(heads.tolist()):
                out[:, group * 16 : (group + 1) * 16] = 0


def test_a_narrower_model_is_the_whole_one_with_units_silenced(family, cycle, tmp_path):
    model = build(cycle, family, prompt_before=BEFORE)
    torch.manual_seed(3)
    neurons = [torch.randperm(48)[:20].sort().values for _ in range(3)]
    groups = [torch.tensor([1]), torch.tensor([0]), torch.tensor([1])]
    narrow = model.with_width(neurons, groups)
    histories = [np.array([3, 1, 4], dtype=np.int32), np.array([5], dtype=np.int32)]
    before = model.encode(histories)
    ours = narrow.encode(histories)
    assert narrow.backbone.config.intermediate_size == 20
    assert narrow.backbone.layers[0].self_attn.q_proj.weight.shape == (16, 32)
    torch.testing.assert_close(model.encode(histories), before)  # as it was
    silence(model, neurons, groups)
    torch.testing.assert_close(ours, model.encode(histories), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(ours, before, rtol=1e-2)
    narrow.save_pretrained(tmp_path / "narrow")
    torch.testing.assert_close(SLMRec.from_pretrained(tmp_path / "narrow").encode(histories), ours)
    assert narrow.parameter_counts()["without_vocabulary"] < 0.7 * model.parameter_counts()["without_vocabulary"]


def test_all_units_are_the_model_itself(family, cycle):
    model = build(cycle, family)
    history = [np.array([3, 1, 4], dtype=np.int32)]
    torch.testing.assert_close(model.with_width().encode(history), model.encode(history))


def test_activation_importance_is_the_mean_norm_of_what_a_unit_adds(llama, cycle):
    model = build(cycle, llama)
    found = unit_importance(model, cycle, histories=20)
    order = np.random.default_rng(0).permutation(len(training_examples(cycle, 7, "every-position")))[:20]
    examples = [training_examples(cycle, 7, "every-position")[i] for i in order]
    layer = model.backbone.layers[1]
    entered = {}
    for name, target in (("down", layer.mlp.down_proj), ("out", layer.self_attn.o_proj)):
        target.register_forward_pre_hook(lambda module, args, name=name: entered.__setitem__(name, args[0][0]))
    norms = {"down": [], "out": []}
    for example in examples:  # one at a time: no padding
        batch = collate([example])
        with torch.no_grad():
            model(batch["input_ids"], batch["lengths"])
        for position in range(len(example.inputs)):
            down, out = entered["down"][position], entered["out"][position]
            norms["down"].append([(layer.mlp.down_proj.weight[:, j] * down[j]).norm().item() for j in (0, 7, 47)])
            norms["out"].append(
                [
                    (layer.self_attn.o_proj.weight[:, g * 16 : g * 16 + 16] @ out[g * 16 : g * 16 + 16]).norm().item()
                    for g in (0, 1)
                ]
            )
    np.testing.assert_allclose(found.neurons[1, [0, 7, 47]], np.mean(norms["down"], axis=0), rtol=1e-4)
    np.testing.assert_allclose(found.groups[1], np.mean(norms["out"], axis=0), rtol=1e-4)


def test_taylor_importance_is_the_first_order_change_of_the_loss(llama, cycle):
    """One history of one item: the loss when a unit gives a little less, by a difference quotient."""
    model = build(cycle, llama, max_length=1, prompt_before=BEFORE).requires_grad_(False)
    found = unit_importance(model, cycle, by="taylor", histories=1)
    examples = training_examples(cycle, 1, "every-position")
    batch = collate([examples[np.random.default_rng(0).permutation(len(examples))[0]]])

    def loss() -> float:
        with torch.no_grad():
            states = model(batch["input_ids"], batch["lengths"])[0]
            return softmax_cross_entropy(states.double(), batch["labels"][0], model.items.table().double()).item()

    def quotient(target: torch.nn.Linear, columns: slice) -> float:
        """The change of the loss by a unit's output at the item; the text before it keeps its own."""
        ends = []
        for sign in (1, -1):

            def scaled(module, args, sign=sign):
                entered = args[0].clone()
                if entered.shape[1] == 1:
                    entered[..., columns] *= 1 + sign * 1e-2
                return (entered,)

            handle = target.register_forward_pre_hook(scaled)
            ends.append(loss())
            handle.remove()
        return abs(ends[0] - ends[1]) / 2e-2

    layer = model.backbone.layers[0]
    for neuron in found.neurons[0].topk(3).indices.tolist():
        wanted = quotient(layer.mlp.down_proj, slice(neuron, neuron + 1))
        assert found.neurons[0, neuron].item() == pytest.approx(wanted, rel=2e-2)
    wanted = quotient(layer.self_attn.o_proj, slice(16, 32))
    assert found.groups[0, 1].item() == pytest.approx(wanted, rel=2e-2, abs=1e-5)
    assert not any(p.requires_grad for p in model.parameters())  # as it was


def test_what_matters_is_kept(llama, cycle):
    model = build(cycle, llama)
    kept = [torch.arange(10, 40)] * 3, [torch.tensor([1])] * 3
    silence(model, *kept)
    for by in ("activation", "taylor"):
        neurons, groups = unit_importance(model, cycle, by=by).best(30, 1)
        assert all(torch.equal(each, kept[0][0]) for each in neurons)
        assert all(torch.equal(each, kept[1][0]) for each in groups)
    histories = [np.array([3, 1, 4], dtype=np.int32)]
    torch.testing.assert_close(model.with_width(neurons, groups).encode(histories), model.encode(histories))


def test_what_cannot_be_narrowed_is_refused(llama, cycle, tmp_path):
    model = build(cycle, llama)
    with pytest.raises(UserError, match="neurons of 3 layers are needed, equally many"):
        model.with_width([torch.arange(3), torch.arange(3), torch.arange(4)])
    with pytest.raises(UserError, match="a layer has groups 0 to 1"):
        model.with_width(groups=[torch.tensor([2])] * 3)
    with pytest.raises(UserError, match="a layer has neurons 0 to 47"):
        model.with_width([torch.tensor([5, 5])] * 3)
    save_decoder(DECODERS["gpt2"], tmp_path / "gpt2")
    with pytest.raises(UserError, match="this one is a gpt2"):
        unit_importance(build(cycle, tmp_path / "gpt2"), cycle)


def test_another_hidden_width_keeps_the_heads_as_wide_and_the_rest_in_proportion():
    """SmolLM2-135M's numbers by hand: 4 of 9 heads of 64; 256 / 576 of 1,536 neurons are 683, the next 32nd is 704."""
    shape = {"hidden_size": 576, "intermediate_size": 1536, "num_attention_heads": 9, "num_key_value_heads": 3}
    narrow = with_hidden(LlamaConfig(**shape, rope_theta=100_000.0), 256)
    assert (narrow.hidden_size, narrow.intermediate_size, narrow.head_dim) == (256, 704, 64)
    assert (narrow.num_attention_heads, narrow.num_key_value_heads) == (4, 2)
    assert narrow.rope_parameters == LlamaConfig(rope_theta=100_000.0).rope_parameters
    assert with_hidden(LlamaConfig(**shape), 576).num_key_value_heads == 3


@pytest.mark.parametrize("name", ["llama", "qwen2"])
def test_a_decoder_of_its_own_width_has_random_weights_and_is_kept_whole(name, cycle, tmp_path):
    """Half of 32 is two heads of 8, and 24 neurons the next 32nd; parameters by transformers' own count."""
    save_decoder(DECODERS[name], tmp_path / name)
    wide, model = (build(cycle, tmp_path / name, prompt_before=BEFORE, width=width) for width in (0, 16))
    assert model.input_adapter.out_features == 16
    assert not model.config.pretrained
    assert model.config.backbone_vocabulary == 40 * 16
    if name == "llama":
        told = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2}
        twin = LlamaModel(LlamaConfig(**told, num_key_value_heads=1, head_dim=8, vocab_size=1))
        assert sum(p.numel() for p in model.backbone.parameters()) == sum(p.numel() for p in twin.layers.parameters())
    assert [student_shape(model, StudentOptions(layers=2, width=width)).width for width in (0, 24)] == [16, 24]
    assert student_shape(wide, StudentOptions(layers=2)).width == 0
    shape = StudentOptions(layers=2).beside(LLMOptions(width=16))
    assert (shape.layers, shape.width) == (2, 16)
    model.save_pretrained(tmp_path / "narrow")
    histories = [np.array([3, 1, 4], dtype=np.int32)]
    torch.testing.assert_close(load(tmp_path / "narrow").encode(histories), model.encode(histories))
    again = build(cycle, tmp_path / "narrow", prompt_before=BEFORE, layers=2)  # a decoder that was trained here
    assert torch.equal(again.backbone.layers[0].mlp.up_proj.weight, model.backbone.layers[0].mlp.up_proj.weight)
    assert build(cycle, tmp_path / "narrow", prompt_before=BEFORE, width=24).input_adapter.out_features == 24
    assert wide.input_adapter.out_features == 32


def test_a_width_that_a_decoder_cannot_have_is_refused(llama, cycle, tmp_path):
    for width in (12, 4):
        with pytest.raises(UserError, match=f"width is {width}, but the heads of this decoder want a multiple of 8"):
            build(cycle, llama, width=width)
    with pytest.raises(UserError, match="width is -8, but cannot be negative"):
        StudentOptions(width=-8)
    with pytest.raises(UserError, match="width is 16, which takes random weights, but start 'teacher-adapters'"):
        StudentOptions(width=16).check_start("teacher-adapters")
    save_decoder(DECODERS["gpt2"], tmp_path / "gpt2")
    with pytest.raises(UserError, match="this one is a gpt2"):
        build(cycle, tmp_path / "gpt2", width=16)
    random = build(cycle, tmp_path / "gpt2", pretrained=False)  # as wide as its student, whose decoder stays as it is
    assert build_llm(cycle, student_shape(random, StudentOptions(layers=2)), random.items).num_layers == 2
