"""Tiny things that many tests build on: random decoders of several families and a data set with a planted order."""

import gc
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
import transformers
from hypothesis import strategies as st
from transformers import AutoModel, GPT2Config, LlamaConfig, PreTrainedModel, Qwen2Config

from slmrec.data import Dataset
from slmrec.models import SLMRec
from slmrec.models.items import ItemTable
from slmrec.training.build import build_llm
from slmrec.training.options import LLMOptions

torch.set_num_threads(1)  # on things this tiny a second thread only waits
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()


CYCLE_IDS = st.lists(st.sampled_from([f"{i:03d}" for i in range(20)]), min_size=1, max_size=15)
ASKED = {
    "histories": st.lists(CYCLE_IDS, min_size=1, max_size=4),
    "k": st.integers(1, 25),
    "exclude_seen": st.booleans(),
    "allow": st.none() | CYCLE_IDS,
    "deny": st.none() | CYCLE_IDS,
}
"""Anything that recommendations of `cycle`'s items can be asked for, for hypothesis to draw."""


@pytest.fixture(scope="module", autouse=True)
def frozen() -> None:
    """Each training collects garbage once (accelerate's `free_memory`), and would look at all that libraries and
    earlier files of tests have loaded: that was a quarter of the tests' processor time."""
    gc.collect()
    gc.freeze()


DECODERS = {
    "llama": LlamaConfig(
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=40,
        max_position_embeddings=256,
    ),
    "qwen2": Qwen2Config(
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=40,
        max_position_embeddings=256,
    ),
    "gpt2": GPT2Config(n_embd=32, n_layer=4, n_head=4, vocab_size=40, n_positions=256, bos_token_id=1, eos_token_id=2),
}
WORDS = ["<unk>", "the", "user", "liked", "these", "items", "next", "item", ":", "?"]


def save_decoder(config: transformers.PretrainedConfig, folder: Path) -> PreTrainedModel:
    """A random decoder with a word-level tokenizer, as a folder that a backbone can be loaded from."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    torch.manual_seed(0)
    model = AutoModel.from_config(config)
    matrices = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    for parameter in matrices:  # the default 0.02 leaves every layer close to doing nothing
        torch.nn.init.normal_(parameter, std=0.2)
    for parameter in model.parameters():  # biases of zero and norms of one would hide that one is left out
        if parameter.ndim == 1:
            parameter.data += 0.1 * torch.randn_like(parameter)
    model.save_pretrained(folder)
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>").save_pretrained(folder)
    return model.eval()


def build(data: Dataset, folder: Path, **options) -> SLMRec:
    """An untrained recommender of three layers of a decoder, seven items and width 8."""
    torch.manual_seed(1)
    chosen = LLMOptions(**{"backbone": str(folder), "layers": 3, "max_length": 7} | options)
    return build_llm(data, chosen, ItemTable.of(torch.randn(data.num_items, 8))).eval()


@pytest.fixture(scope="session", params=DECODERS)
def decoder(request, tmp_path_factory) -> Path:
    """Folder of a random decoder, one family after the other."""
    folder = tmp_path_factory.mktemp(request.param)
    save_decoder(DECODERS[request.param], folder)
    return folder


@pytest.fixture(scope="session")
def llama(tmp_path_factory) -> Path:
    """Folder of a random LLaMA with grouped-query attention."""
    folder = tmp_path_factory.mktemp("llama")
    save_decoder(DECODERS["llama"], folder)
    return folder


@pytest.fixture(scope="session")
def cycle() -> Dataset:
    """60 users who walk round 20 items in order from random starts: the next item is the one after the last."""
    rng = np.random.default_rng(0)
    rows = []
    for user in range(60):
        start = int(rng.integers(20))
        for step in range(int(rng.integers(4, 13))):
            rows.append((f"u{user}", f"{(start + step) % 20:03d}", user * 100 + step))
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")
    items = pl.DataFrame({"item_id": [f"{i:03d}" for i in range(20)], "text": [f"Item {i}" for i in range(20)]})
    return Dataset.from_frame(frame, items=items, name="cycle")
