"""Items read by their titles: against means of the word table taken by hand, through training, folder and engine."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from slmrec.data import Catalogue, Dataset
from slmrec.data.batches import PADDING, pad
from slmrec.errors import UserError
from slmrec.models import SLMRec, load
from slmrec.models.items import ItemTable
from slmrec.training.build import build_llm, student_shape
from slmrec.training.options import LLMOptions, StudentOptions, TrainingOptions
from slmrec.training.train import train_llm

from ..conftest import WORDS, build

BEFORE = "the user liked these items :"
TRAINING = TrainingOptions(epochs=1, batch_size=16)


@pytest.fixture(scope="module")
def titled(cycle) -> Dataset:
    """The cycle, item i called by two of the words, the last by nothing."""
    texts = [f"{WORDS[1 + i % 9]} {WORDS[1 + (i // 3) % 9]}" for i in range(19)] + [None]
    return replace(cycle, catalogue=Catalogue(cycle.catalogue.frame.with_columns(text=pl.Series(texts))))


def test_what_enters_is_the_titles_mean_and_the_scaled_projection(titled, decoder):
    model = build(titled, decoder, item_titles=True)
    words = AutoModel.from_pretrained(decoder).get_input_embeddings().weight
    tokenizer = AutoTokenizer.from_pretrained(decoder)
    ids = torch.tensor([[1, 7, 20], [3, 0, 0]])
    with torch.no_grad():
        model.titles.scale.fill_(0.3)
        entered = model.read_in(ids)
        for row, column in ((0, 0), (0, 1), (0, 2), (1, 0)):
            item = int(ids[row, column])
            text = titled.catalogue.frame["text"][item - 1]
            tokens = tokenizer(text).input_ids if text else []  # none by the toy tokenizer of one family
            mean = words[tokens].mean(0) if tokens else torch.zeros(32)
            wanted = mean + 0.3 * model.input_adapter(model.items(torch.tensor(item)))
            torch.testing.assert_close(entered[row, column], wanted)


def test_the_fast_path_reads_them_too(titled, decoder):
    model = build(titled, decoder, item_titles=True, prompt_before=BEFORE)
    histories = [np.array([3, 1, 4, 1, 5], dtype=np.int32), np.array([20], dtype=np.int32)]
    with torch.no_grad():
        states = model(pad(histories, PADDING), torch.tensor([5, 1]))
    torch.testing.assert_close(model.encode(histories), torch.stack([states[0, 4], states[1, 0]]), rtol=1e-4, atol=1e-5)


def test_scale_trains_and_words_do_not_and_the_folder_gives_them_back(titled, llama, tmp_path):
    options = LLMOptions(backbone=str(llama), layers=2, max_length=7, item_titles=True, training=TRAINING)
    start = build_llm(titled, options, None)
    assert start.titles.means[1:20].any(dim=1).all()
    model = train_llm(titled, options, tmp_path / "llm")
    assert torch.equal(model.titles.means, start.titles.means)
    assert model.titles.scale != start.titles.scale
    again = load(tmp_path / "llm")
    history = [np.array([1, 2, 3], dtype=np.int32)]
    torch.testing.assert_close(again.encode(history), model.encode(history))
    shallow = model.with_layers([0])
    torch.testing.assert_close(shallow.read_in(torch.tensor([4])), model.read_in(torch.tensor([4])))
    held = sum(p.numel() for p in again.parameters())
    assert held - sum(p.numel() for n, p in again.named_parameters() if "titles" not in n) == 21 * 32 + 1
    assert student_shape(model, StudentOptions(layers=1)).item_titles


def test_a_new_item_is_read_like_an_old_one_of_the_same_title(titled, llama, tmp_path):
    torch.manual_seed(0)
    items = ItemTable(20, 8, text_dim=4, text_source="own.parquet")
    items.describe(torch.randn(20, 4), torch.ones(20, dtype=torch.bool))
    model = build_llm(titled, LLMOptions(backbone=str(llama), layers=2, max_length=7, item_titles=True), items).eval()
    twin = pl.DataFrame({"item_id": ["new"], "text": [titled.catalogue.frame["text"][4]], "vector": [[1.0, 0, 0, 0]]})
    before = model.encode([np.array([5, 6])])
    with pytest.raises(UserError, match="every new item needs its text"):
        model.add_items(twin.drop("text"))
    with pytest.raises(UserError, match="vectors have 2 numbers"):
        model.add_items(twin.with_columns(vector=pl.Series([[1.0, 2.0]])))
    assert len(model.titles.means) == len(model.items.weight) == 21  # as they were
    model.add_items(twin)
    torch.testing.assert_close(model.titles.means[21], model.titles.means[5])
    torch.testing.assert_close(model.encode([np.array([5, 6])]), before)
    assert model.encode([np.array([21])]).isfinite().all()
    model.save_pretrained(tmp_path / "more")
    again = SLMRec.from_pretrained(tmp_path / "more")
    torch.testing.assert_close(again.encode([np.array([21])]), model.encode([np.array([21])]))


def test_what_has_no_titles_is_refused(titled, cycle, llama):
    bare = replace(cycle, catalogue=Catalogue(cycle.catalogue.frame.with_columns(text=pl.lit(None, pl.String))))
    with pytest.raises(UserError, match="no item of cycle has a text, which item_titles reads"):
        build(bare, llama, item_titles=True)
    random = build(titled, llama, item_titles=True, pretrained=False)
    with pytest.raises(UserError, match="random words, which were not kept"):
        random.add_items(pl.DataFrame({"item_id": ["n"], "text": ["the"]}))
