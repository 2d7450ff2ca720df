"""The LLM recommender against the plain layout: every slot, every word, a mask, transformers' own forward."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from slmrec.data import Dataset
from slmrec.data.batches import PADDING, pad
from slmrec.errors import UserError
from slmrec.models import SLMRec, SLMRecConfig
from slmrec.models.backbone import load_pretrained

from ..conftest import DECODERS, build, save_decoder

BEFORE, AFTER = "the user liked these items :", "next item ?"


def plain_layout(model: SLMRec, folder: Path, histories: list[np.ndarray]) -> torch.Tensor:
    """(B, d): the published layout, word by word and slot by slot, through the decoder as transformers has it.

    Slots fill from the right, empty ones are masked, positions count every slot; with the reading "every-position"
    there are no empty slots and nothing follows the items.
    """
    theirs = AutoModel.from_pretrained(folder).eval()
    if hasattr(theirs, "layers"):
        theirs.layers = theirs.layers[: model.num_layers]
    else:
        theirs.h = theirs.h[: model.num_layers]
    theirs.config.num_hidden_layers = model.num_layers
    theirs.load_state_dict(model.backbone.state_dict(), strict=False)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    words = theirs.get_input_embeddings()
    before = words(torch.tensor(tokenizer(model.config.prompt_before).input_ids, dtype=torch.long))
    after = words(torch.tensor(tokenizer(model.config.prompt_after).input_ids, dtype=torch.long))
    outputs = []
    for history in histories:
        kept = history[-model.config.max_length :]
        every = model.config.reading == "every-position"
        slots = len(kept) if every else model.config.max_length
        empty = slots - len(kept)
        ids = torch.tensor([PADDING] * empty + kept.tolist())
        embedded = torch.cat([before, model.input_adapter(model.items(ids)), after])[None]
        mask = torch.ones(1, embedded.shape[1], dtype=torch.long)
        mask[0, len(before) : len(before) + empty] = 0
        states = theirs(
            inputs_embeds=embedded, attention_mask=mask, position_ids=torch.arange(embedded.shape[1])[None]
        ).last_hidden_state  # the final norm is in it
        outputs.append(model.output_adapter(states[0, -1]))
    return torch.stack(outputs)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"prompt_before": BEFORE},
        {"reading": "last-prompt-token", "prompt_after": AFTER},
        {"reading": "last-prompt-token", "prompt_before": BEFORE, "prompt_after": AFTER},
    ],
    ids=["bare", "before", "after", "both"],
)
def test_equals_the_plain_layout(decoder, cycle, options):
    model = build(cycle, decoder, **options)
    rng = np.random.default_rng(0)
    histories = [rng.integers(1, 21, size=length).astype(np.int32) for length in (1, 3, 7, 12, 2)]
    with torch.no_grad():
        theirs = plain_layout(model, decoder, histories)
    ours = model.encode(histories)
    scale = theirs.abs().max()
    assert (ours - theirs).abs().max() < 1e-4 * scale
    alone = torch.cat([model.encode([history]) for history in histories])
    assert (alone - ours).abs().max() < 1e-4 * scale


def test_gradients_flow_through_the_shared_prompt_as_through_the_plain_layout(llama, cycle):
    model = build(cycle, llama, prompt_before=BEFORE)
    histories = [np.array([1, 2, 3], dtype=np.int32), np.array([4, 5], dtype=np.int32)]
    weight = model.backbone.layers[0].self_attn.k_proj.weight
    plain_layout(model, llama, histories)  # theirs has weights of its own, so compare by difference quotients
    lengths = torch.tensor([3, 2])
    states = model(pad(histories, PADDING), lengths)
    value = states[0, 2].sum() + states[1, 1].sum()
    (ours,) = torch.autograd.grad(value, weight)
    direction = torch.randn_like(weight)
    with torch.no_grad():
        ends = []
        for sign in (1, -1):
            weight.add_(direction, alpha=sign * 1e-3)
            ends.append(plain_layout(model, llama, histories).sum())
            weight.add_(direction, alpha=-sign * 1e-3)
    quotient = (ends[0] - ends[1]) / 2e-3
    assert (ours * direction).sum().item() == pytest.approx(quotient.item(), rel=2e-2)


def test_a_state_knows_nothing_of_later_items_and_equals_that_of_the_shorter_history(llama, cycle):
    model = build(cycle, llama, prompt_before=BEFORE)
    history = np.array([3, 1, 4, 1, 5], dtype=np.int32)
    with torch.no_grad():
        states = model(pad([history], PADDING), torch.tensor([5]))[0]
    prefixes = model.encode([history[: i + 1] for i in range(5)])
    torch.testing.assert_close(states, prefixes, rtol=1e-4, atol=1e-5)


def test_hidden_gives_the_raw_states_that_transformers_gives(llama, cycle):
    model = build(cycle, llama)
    theirs = AutoModel.from_pretrained(llama).eval()
    ids = torch.tensor([[1, 2, 3]])
    with torch.no_grad():
        ours = model.hidden(ids, torch.tensor([3]), (1, 2, 3))
        embedded = model.input_adapter(model.items(ids))
        wanted = theirs(inputs_embeds=embedded, output_hidden_states=True).hidden_states  # four layers, no norm in 1..3
    torch.testing.assert_close(ours, torch.stack(wanted[1:4]), rtol=1e-4, atol=1e-5)


def test_the_word_table_is_counted_but_not_held(llama, cycle):
    model = build(cycle, llama, prompt_before=BEFORE)
    counts = model.parameter_counts()
    assert counts["total"] - counts["without_vocabulary"] == 40 * 32
    assert not any(40 in p.shape for p in model.parameters())


def test_lora_merges_into_the_same_function_and_only_it_trains(llama, cycle):
    model = build(cycle, llama, lora_rank=4, train_items=False)
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert trained
    assert all("lora_" in name or "adapter" in name for name in trained)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "lora_B" in name:
                p.normal_(std=0.1)
    history = [np.array([1, 2, 3], dtype=np.int32)]
    unmerged = model.encode(history)
    model.merge_lora()
    assert not any("lora" in name for name, _ in model.named_parameters())
    torch.testing.assert_close(model.encode(history), unmerged, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("lora", [0, 4])
def test_the_folder_gives_the_model_back(llama, cycle, tmp_path, lora):
    model = build(cycle, llama, prompt_before=BEFORE, lora_rank=lora)
    model.save_pretrained(tmp_path / "model")
    again = SLMRec.from_pretrained(tmp_path / "model")
    history = [np.array([1, 2, 3], dtype=np.int32)]
    torch.testing.assert_close(again.encode(history), model.encode(history))
    assert again.catalogue.frame.equals(cycle.catalogue.frame)


def test_items_enter_at_the_scale_of_words(llama, cycle):
    model = build(cycle, llama)
    words = AutoModel.from_pretrained(llama).get_input_embeddings().weight
    entered = model.input_adapter(model.items.weight[1:])
    assert entered.square().mean().sqrt().item() == pytest.approx(words.square().mean().sqrt().item(), rel=0.3)


def test_random_weights_have_the_shape_but_not_the_values(llama):
    real = load_pretrained(str(llama), 2, ("the",))
    random = load_pretrained(str(llama), 2, ("the",), weights=False)
    assert {k: v.shape for k, v in real.state.items()} == {k: v.shape for k, v in random.state.items()}
    assert not any(torch.equal(real.state[key], random.state[key]) for key in real.state if "proj" in key)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_a_trained_recommenders_decoder_starts_another_of_other_items(family, cycle, tmp_path):
    save_decoder(DECODERS[family], tmp_path / "words")
    source = build(cycle, tmp_path / "words", prompt_before=BEFORE)
    with torch.no_grad():
        for parameter in source.parameters():
            parameter.add_(0.01)
    source.save_pretrained(tmp_path / "source")
    frame = cycle.catalogue.frame[:5].with_columns(item_id="x" + pl.col("item_id"), text=pl.lit("the user"))
    events = pl.DataFrame({"user_id": ["a"] * 5, "item_id": frame["item_id"], "timestamp": range(5)})
    other = Dataset.from_frame(events, items=frame, name="other")
    model = build(other, tmp_path / "source", layers=2, prompt_before=BEFORE, item_titles=True)
    assert model.config.num_items == 5
    ours = {name: value for name, value in model.state_dict().items() if name.startswith(("backbone.", "final_norm."))}
    assert len(ours) > 10
    for name, value in ours.items():
        torch.testing.assert_close(value, source.state_dict()[name])
    words = load_pretrained(str(tmp_path / "words"), 1, (BEFORE,), titles=["the user"])
    torch.testing.assert_close(model.prompt_before.data, words.prompts[0])
    torch.testing.assert_close(model.titles.means[1:], words.titles.expand(5, -1))
    assert model.config.backbone_vocabulary == 40 * 32
    again = load_pretrained(str(tmp_path / "source"), 2, (), weights=False)
    assert again.state.keys() == load_pretrained(str(tmp_path / "source"), 2, ()).state.keys()
    with pytest.raises(UserError, match="has 3 layers, but 4 were asked for"):
        build(other, tmp_path / "source", layers=4)
    (tmp_path / "source" / "model.safetensors").write_bytes(b"no")
    with pytest.raises(UserError, match="is damaged or incomplete"):
        build(other, tmp_path / "source", layers=2)


def test_refusals(llama, tmp_path):
    with pytest.raises(UserError, match=r"has 4 layers, but 9 were asked for"):
        load_pretrained(str(llama), 9, ())
    with pytest.raises(UserError, match="cannot be loaded"):
        load_pretrained(str(tmp_path), 2, ())
    with pytest.raises(UserError, match="prompt_after must be empty"):
        SLMRecConfig(prompt_after="?")
    with pytest.raises(UserError, match="needs a prompt_after"):
        SLMRecConfig(reading="last-prompt-token")


def test_gradient_checkpointing_changes_memory_and_nothing_else(decoder, cycle):
    gradients, kept = [], []
    for checkpointing in (False, True):
        model = build(cycle, decoder, prompt_before=BEFORE, gradient_checkpointing=checkpointing).train()
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        tensors: dict[int, int] = {}

        def keep(tensor, tensors=tensors):
            tensors[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            states = model(torch.arange(1, 19).view(3, 6), torch.tensor([6, 6, 6]))
        states.square().sum().backward()
        gradients.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
        kept.append(sum(tensors.values()))
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        assert (gradients[1][name] - gradient).abs().max() <= 1e-4 * gradient.abs().max(), name
    assert kept[1] < 0.7 * kept[0]


def test_fewer_layers_of_a_model_are_its_inner_states(decoder, cycle):
    model = build(cycle, decoder, prompt_before=BEFORE)
    ids, lengths = torch.arange(1, 13).view(2, 6), torch.tensor([6, 6])
    with torch.no_grad():
        states = model.hidden(ids, lengths, (1, 2))
        first, second = model.with_layers([0]), model.with_layers([0, 1], norm=False)
        torch.testing.assert_close(first(ids, lengths), model.read_out(states[0]))
        torch.testing.assert_close(second(ids, lengths), model.output_adapter(states[1]))
        torch.testing.assert_close(model.with_layers(range(3))(ids, lengths), model(ids, lengths))
        without_second = model.with_layers([0, 2])
        assert without_second.config.kept_layers == [0, 2]
        assert without_second.with_layers([1]).config.kept_layers == [2]
        assert without_second.with_layers([0]).config.kept_layers is first.config.kept_layers is None
        assert without_second.num_layers == 2
        assert not torch.allclose(without_second(ids, lengths), model(ids, lengths))
    histories = [np.array([1, 2, 3]), np.array([4, 5])]
    with torch.no_grad():
        wanted = first(torch.tensor([[1, 2, 3]]), torch.tensor([3]))[0, -1]
    torch.testing.assert_close(first.encode(histories)[0], wanted, rtol=1e-4, atol=1e-5)  # the fast path follows
    assert model.num_layers == 3


@pytest.mark.parametrize("kept", [[], [3], [-1], [1, 0], [0, 0]])
def test_layers_that_there_are_not_are_refused(llama, cycle, kept):
    with pytest.raises(UserError, match="0 to 2, in rising order"):
        build(cycle, llama).with_layers(kept)
