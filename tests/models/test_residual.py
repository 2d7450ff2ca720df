"""An LLM that adds to a classic model: against the two scored by themselves, through training, folder and engine."""

import numpy as np
import polars as pl
import pytest
import torch

from slmrec.data.batches import PADDING, pad
from slmrec.errors import UserError
from slmrec.evaluation import evaluate
from slmrec.models import load
from slmrec.models.residual import Residual
from slmrec.serving.served import ServedModel
from slmrec.training.build import build_classic, build_llm, build_residual
from slmrec.training.options import (
    BERT4RecOptions,
    DistillationOptions,
    GRU4RecOptions,
    LLMOptions,
    SASRecOptions,
    TrainingOptions,
)
from slmrec.training.train import distill_scores, train, train_classic

HISTORIES = [np.array([3, 1, 4, 1, 5], dtype=np.int32), np.array([20], dtype=np.int32)]
TRAINING = TrainingOptions(epochs=4, batch_size=16, learning_rate=3e-3)


@pytest.fixture(scope="module")
def classic(cycle, tmp_path_factory):
    training = TrainingOptions(epochs=12, batch_size=16, learning_rate=1e-2)
    options = SASRecOptions(hidden_size=16, num_blocks=1, max_length=7, dropout=0.3, training=training)
    return train_classic(cycle, options, tmp_path_factory.mktemp("c") / "sasrec")


def llm(llama, **more) -> LLMOptions:
    options = {"backbone": str(llama), "layers": 2, "max_length": 7, "residual": "frozen", "training": TRAINING}
    return LLMOptions(**options | {"prompt_before": "the user"} | more)


def test_scores_are_the_classic_ones_and_the_gated_llms(cycle, llama, classic):
    model = build_residual(cycle, llm(llama), classic).eval()
    with torch.no_grad():
        model.gate.fill_(0.7)
    ours = model.score(HISTORIES)
    torch.testing.assert_close(ours, classic.score(HISTORIES) + 0.7 * model.llm.score(HISTORIES), rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        states = model(pad(HISTORIES, PADDING), torch.tensor([5, 1]))
    torch.testing.assert_close(model.encode(HISTORIES), torch.stack([states[0, 4], states[1, 0]]), rtol=1e-4, atol=1e-5)
    scores, columns = model.top_k(HISTORIES, 3, exclude_seen=False)
    torch.testing.assert_close(torch.from_numpy(scores), ours.topk(3).values)
    assert (columns == ours.topk(3).indices.numpy()).all()


@pytest.mark.parametrize(("residual", "lora"), [("frozen", 2), ("trained", 0)])
def test_training_changes_what_it_may_and_the_folder_gives_it_back(residual, lora, cycle, llama, classic, tmp_path):
    options = llm(llama, residual=residual, lora_rank=lora)
    before = classic.score(HISTORIES)
    start = build_residual(cycle, options, classic)
    assert start.train().classic.training == (residual == "trained")
    model = train(cycle, options, tmp_path / "model", classic)
    assert isinstance(model, Residual)
    torch.testing.assert_close(classic.score(HISTORIES), before)  # a copy was trained
    assert torch.allclose(model.classic.score(HISTORIES), before) == (residual == "frozen")
    assert model.gate != start.gate
    assert not any("lora" in name for name in model.state_dict())
    again = load(tmp_path / "model")
    assert again.num_layers == 2
    torch.testing.assert_close(again.score(HISTORIES), model.score(HISTORIES))
    assert evaluate(again, cycle).metrics == evaluate(model, cycle).metrics
    counts = again.parameter_counts()
    assert counts["without_vocabulary"] == 1 + sum(
        part.parameter_counts()["without_vocabulary"] for part in (model.classic, model.llm)
    )
    assert counts["total"] - counts["without_vocabulary"] == 40 * 32
    int8 = again.use_precision("int8").score(HISTORIES)
    assert not torch.equal(int8, model.score(HISTORIES))
    assert again.weight_bytes() < model.weight_bytes() == 4 * model.parameter_counts()["without_vocabulary"]


def test_it_begins_near_the_classic_model_and_only_adds(cycle, llama, classic):
    model = build_residual(cycle, llm(llama), classic).eval()
    with torch.no_grad():
        model.gate.zero_()
    assert evaluate(model, cycle).metrics == evaluate(classic, cycle).metrics


def test_it_teaches_and_is_taught(cycle, llama, classic, tmp_path):
    scores = DistillationOptions(form="scores", candidates=64)
    taught = distill_scores([classic], cycle, tmp_path / "taught", llm(llama), scores, classic)
    assert isinstance(taught, Residual)
    student = SASRecOptions(hidden_size=8, num_blocks=1, max_length=7, training=TRAINING)
    assert distill_scores([taught], cycle, tmp_path / "student", student, scores).kind == "sasrec"


def test_new_items_come_by_text_in_both(cycle, llama, tmp_path):
    angles = np.arange(20) / 20 * 2 * np.pi
    rings = np.stack([np.sin(angles), np.cos(angles)], axis=1)
    frame = pl.DataFrame({"item_id": [f"{i:03d}" for i in range(20)], "vector": rings.tolist()})
    frame.write_parquet(tmp_path / "v.parquet")
    options = GRU4RecOptions(
        hidden_size=8,
        state_size=8,
        max_length=7,
        item_text=str(tmp_path / "v.parquet"),
        training=TrainingOptions(epochs=1, batch_size=16),
    )
    known = train_classic(cycle, options, tmp_path / "gru")
    model = build_residual(cycle, llm(llama), known).requires_grad_(False).eval()
    before = model.score(HISTORIES)
    assert model.known_by_text == (str(tmp_path / "v.parquet"), 2)
    model.add_items(frame[6:7].with_columns(item_id=pl.lit("new")))
    torch.testing.assert_close(model.score(HISTORIES)[:, :20], before)
    served = ServedModel("residual", model, "fp32", 1)
    more = served.extended([{"item_id": "newer", "text": "Newer", "vector": [0.5, 0.5]}])
    assert (served.adds_items, len(served.ids), more.ids[20:]) == (True, 21, ["new", "newer"])
    model.save_pretrained(tmp_path / "more")
    again = load(tmp_path / "more")
    assert again.recommend([["new"]], k=3)["rank"].to_list() == [1, 2, 3]
    assert again.item_vectors().shape == (21, 16)


def test_what_cannot_be_added_is_refused(cycle, llama, classic, tmp_path):
    bert = build_classic(cycle, BERT4RecOptions(hidden_size=8, max_length=7), None)
    with pytest.raises(UserError, match="the classic model is a bert4rec"):
        build_residual(cycle, llm(llama), bert)
    reader = llm(llama, reading="last-prompt-token", prompt_after="?")
    with pytest.raises(UserError, match="adds at every position, but the llm reads once"):
        build_residual(cycle, reader, classic)
    with pytest.raises(UserError, match="the classic model reads 7 items, the llm 50; give the llm --max-length 7"):
        build_residual(cycle, llm(llama, max_length=50), classic)
    with pytest.raises(UserError, match="a residual llm adds to a classic model; give one"):
        train(cycle, llm(llama), tmp_path / "m", classic.items)
    with pytest.raises(UserError, match="only the llm itself is trained here"):
        build_llm(cycle, llm(llama), classic.items)
