"""The item table with text: by hand, through training, and the vectors it is made of."""

import numpy as np
import polars as pl
import pytest
import torch

from slmrec.data import Catalogue, Dataset
from slmrec.errors import UserError
from slmrec.evaluation import evaluate
from slmrec.models import load
from slmrec.models.items import ItemTable
from slmrec.models.text import text_vectors
from slmrec.training.options import LLMOptions, SASRecOptions, TrainingOptions
from slmrec.training.train import train_classic, train_llm


@pytest.fixture
def table() -> ItemTable:
    torch.manual_seed(0)
    table = ItemTable(5, 3, text_dim=4, id_dropout=0.5)
    table.describe(torch.randn(5, 4), torch.tensor([True, True, False, True, True]))
    return table.eval()


def test_a_vector_is_the_ids_plus_the_projected_text(table):
    with torch.no_grad():
        wanted = table.weight + table.text @ table.projection.weight.T
        wanted[3] = table.text[3] @ table.projection.weight.T  # never seen in training: its id says nothing
        torch.testing.assert_close(table.table(), wanted)
        assert not table.table()[0].any()
        ids = torch.tensor([[1, 3], [5, 0]])
        torch.testing.assert_close(table(ids), wanted[ids])
    torch.testing.assert_close(table.table(), wanted)  # with gradients too


def test_the_kept_table_follows_changes(table):
    with torch.no_grad():
        before = table.table()
        assert table.table() is before
        table.projection.weight.mul_(2)
        assert not torch.equal(table.table(), before)
        torch.testing.assert_close(table.table(), table(torch.arange(6)))


def test_id_dropout_leaves_text_alone_in_training(table):
    text = table.text @ table.projection.weight.T
    whole = table.table()
    table.train()
    rows = torch.stack([table.table() for _ in range(200)])
    dropped = (rows - text).abs().sum(-1) < 1e-6  # (200, 6)
    kept = (rows - whole).abs().sum(-1) < 1e-6
    assert (dropped | kept).all()
    assert 0.35 < dropped[:, 1].float().mean() < 0.65


@pytest.mark.parametrize("shape", [{}, {"text_dim": 4}, {"rank": 2}])
def test_dropout_leaves_numbers_out_in_training_where_items_are_read_and_scored_with(shape):
    torch.manual_seed(0)
    table = ItemTable(5, 3, dropout=0.25, **shape).eval()
    rows = torch.arange(6)
    whole = table.table()
    torch.testing.assert_close(table(rows), whole)
    table.train()
    for vectors in (
        torch.stack([table(rows) for _ in range(400)]),
        torch.stack([table.table() for _ in range(400)]),
    ):
        left_out = vectors == 0
        torch.testing.assert_close(vectors, torch.where(left_out, 0, whole / 0.75))
        assert ((left_out[:, 1:].float().mean(0) - 0.25).abs() < 0.1).all()


@pytest.fixture
def vectors(tmp_path) -> str:
    """Text that says where on the ring an item stands."""
    angles = np.arange(20) / 20 * 2 * np.pi
    rings = np.stack([np.sin(angles), np.cos(angles), np.sin(2 * angles), np.cos(2 * angles)], axis=1)
    frame = pl.DataFrame({"item_id": [f"{i:03d}" for i in range(20)], "vector": rings.tolist()})
    frame.write_parquet(tmp_path / "vectors.parquet")
    return str(tmp_path / "vectors.parquet")


def test_an_item_that_training_never_saw_is_ranked_by_its_text(cycle, vectors, tmp_path):
    """Without item 007 in training, users who stand before it get it recommended by its text, never by its id."""
    frame = pl.DataFrame(
        [
            (f"u{user}", f"{item % 20:03d}", 100 * user + step)
            for user in range(200)
            for step, item in enumerate(range(user % 20, user % 20 + 6))
            if item % 20 != 7
        ],
        schema=["user_id", "item_id", "timestamp"],
        orient="row",
    )
    data = Dataset.from_frame(frame, name="gap")
    assert len(data.catalogue) == 19
    training = TrainingOptions(epochs=60, batch_size=32, learning_rate=1e-2, patience=0)
    options = {"hidden_size": 16, "num_blocks": 1, "dropout": 0.0, "training": training}
    model = train_classic(data, SASRecOptions(item_text=vectors, id_dropout=0.3, **options), tmp_path / "text")
    model.add_items(pl.read_parquet(vectors).filter(pl.col("item_id") == "007"))
    found = model.recommend([["004", "005", "006"]], k=5)["item_id"].to_list()
    assert "007" in found


def test_the_table_goes_from_the_classic_model_to_the_llm_and_through_the_folder(cycle, llama, vectors, tmp_path):
    training = TrainingOptions(epochs=1, batch_size=16)
    options = SASRecOptions(hidden_size=8, num_blocks=1, item_text=vectors, training=training)
    classic = train_classic(cycle, options, tmp_path / "sasrec")
    llm = LLMOptions(backbone=str(llama), layers=1, train_items=False, training=training)
    model = train_llm(cycle, llm, tmp_path / "llm", classic.items)
    torch.testing.assert_close(model.item_vectors(), classic.item_vectors())
    again = load(tmp_path / "llm")
    torch.testing.assert_close(again.item_vectors(), classic.item_vectors())
    assert evaluate(again, cycle).metrics == evaluate(model, cycle).metrics
    trained = train_llm(
        cycle, LLMOptions(backbone=str(llama), layers=1, training=training), tmp_path / "b", classic.items
    )
    assert torch.equal(trained.items.text, classic.items.text)
    assert not torch.equal(trained.items.projection.weight, classic.items.projection.weight)
    counts = again.parameter_counts()
    assert counts["without_vocabulary"] - sum(p.numel() for n, p in again.named_parameters() if "items" not in n) == (
        21 * 8 + 21 * 4 + 21 + 4 * 8 + 5 * 4
    )


class TestNewItems:
    @pytest.fixture
    def model(self, cycle, vectors, tmp_path):
        training = TrainingOptions(epochs=20, batch_size=32, learning_rate=1e-2)
        options = SASRecOptions(hidden_size=16, num_blocks=1, item_text=vectors, id_dropout=0.3, training=training)
        return train_classic(cycle, options, tmp_path / "sasrec")

    def test_are_read_and_recommended_like_an_old_item_of_the_same_text(self, model, cycle, vectors, tmp_path):
        before = model.recommend([["003", "004"]], k=20)
        twin = pl.read_parquet(vectors).filter(pl.col("item_id") == "006")
        model.add_items(twin.with_columns(item_id=pl.lit("new")))
        model.save_pretrained(tmp_path / "with-new")
        again = load(tmp_path / "with-new")
        after = again.recommend([["003", "004"]], k=21)
        old = after.filter(pl.col("item_id") != "new")
        assert old["item_id"].to_list() == before["item_id"].to_list()
        torch.testing.assert_close(old["score"].to_torch(), before["score"].to_torch())
        twin_row = int(again.catalogue.index(["006"])[0])
        text = again.items.text[twin_row] @ again.items.projection.weight.T
        torch.testing.assert_close(again.item_vectors()[20], text)  # its text, and no id
        assert again.recommend([["new"]], k=3)["rank"].to_list() == [1, 2, 3]
        with pytest.raises(UserError, match="1 of the 1 new items are known already, the first is 'new'"):
            again.add_items(twin.with_columns(item_id=pl.lit("new")))

    def test_what_cannot_be_known_is_refused(self, model, cycle, tmp_path):
        wide = pl.DataFrame({"item_id": ["n"], "vector": [[1.0, 2.0]]})
        with pytest.raises(UserError, match="vectors have 2 numbers, the model's 4"):
            model.add_items(wide)
        with pytest.raises(UserError, match="have no text to be known by, the first is 'n'"):
            model.add_items(pl.DataFrame({"item_id": ["n"], "vector": [[0.0] * 4]}))
        with pytest.raises(UserError, match="they need item_id"):
            model.add_items(pl.DataFrame({"id": ["n"]}))
        options = SASRecOptions(hidden_size=8, num_blocks=1, training=TrainingOptions(epochs=1))
        plain = train_classic(cycle, options, tmp_path / "plain")
        with pytest.raises(UserError, match="has no item table with text"):
            plain.add_items(wide)

    def test_the_command_adds_them(self, model, tmp_path, capsys):
        from slmrec.cli.main import main

        new = pl.DataFrame({"item_id": ["n1", "n2"], "vector": [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]]})
        new.write_parquet(tmp_path / "n.parquet")
        assert main(["items", "add", str(tmp_path / "sasrec"), str(tmp_path / "n.parquet")]) == 0
        assert "2 items added to 20" in capsys.readouterr().out
        assert len(load(tmp_path / "sasrec").catalogue) == 22
        assert main(["items", "add", str(tmp_path / "sasrec"), str(tmp_path / "n.parquet")]) == 2
        assert "known already" in capsys.readouterr().err
        (tmp_path / "n.json").write_text('[{"item_id": "n3"}]')
        for name, said in (("n.json", "n.json is damaged or no Parquet"), ("none.parquet", "none.parquet is missing")):
            assert main(["items", "add", str(tmp_path / "sasrec"), str(tmp_path / name)]) == 2
            told = capsys.readouterr().err
            assert said in told
            assert "give a Parquet file with item_id and text" in told


class TestTextVectors:
    @pytest.fixture
    def catalogue(self) -> Catalogue:
        texts = ["the user liked these items", None, "next item", "the"]
        return Catalogue(pl.DataFrame({"item_id": ["a", "b", "c", "d"], "text": texts}))

    def test_are_means_of_an_encoders_states(self, llama, catalogue, tmp_path, monkeypatch):
        from transformers import AutoModel, AutoTokenizer

        monkeypatch.setenv("SLMREC_CACHE", str(tmp_path))
        found = text_vectors(catalogue, str(llama))
        tokenizer, model = AutoTokenizer.from_pretrained(llama), AutoModel.from_pretrained(llama).eval()
        for row, text in zip(found, catalogue.frame["text"], strict=True):
            if text is None:
                assert not row.any()
                continue
            with torch.no_grad():
                states = model(torch.tensor([tokenizer(text).input_ids])).last_hidden_state[0]
            wanted = torch.nn.functional.normalize(states.mean(0), dim=0)
            torch.testing.assert_close(row, wanted, rtol=1e-4, atol=1e-5)
        monkeypatch.setattr("slmrec.models.text._encode", None)
        torch.testing.assert_close(text_vectors(catalogue, str(llama)), found)  # kept

    def test_wrong_sources_are_told(self, catalogue, tmp_path):
        path = tmp_path / "v.parquet"
        for columns, said in (
            ({"item_id": ["a"], "vec": [[1.0]]}, "it needs item_id and vector"),
            ({"item_id": ["a", "b"], "vector": [[1.0], [1.0, 2.0]]}, "of different lengths: 1, 2"),
            ({"item_id": ["z"], "vector": [[1.0]]}, "a vector for none of the 4 items"),
            ({"item_id": ["a"], "vector": ["x"]}, "must hold lists of numbers"),
        ):
            pl.DataFrame(columns).write_parquet(path)
            with pytest.raises(UserError, match=said):
                text_vectors(catalogue, str(path))
        bare = Catalogue(
            pl.DataFrame({"item_id": ["a"], "text": [None]}, schema={"item_id": pl.String, "text": pl.String})
        )
        with pytest.raises(UserError, match="no item has a text"):
            text_vectors(bare, "minilm-l6")
        nowhere = tmp_path / "no-encoder"
        with pytest.raises(UserError, match=r"text encoder '.*no-encoder' cannot be loaded .* the packaged minilm-l6"):
            text_vectors(catalogue, str(nowhere))
        with pytest.raises(UserError, match=r"id_dropout is 0\.2"):
            SASRecOptions(id_dropout=0.2)


def test_validation_between_steps_of_a_fused_optimiser_sees_their_work(table):
    optimiser = torch.optim.AdamW([p for p in table.parameters() if p.requires_grad], lr=0.1, fused=True)
    with torch.no_grad():
        before = table.eval().table()
    table.train().table().square().sum().backward()
    optimiser.step()  # it moves no version counter
    with torch.no_grad():
        after = table.eval().table()
        torch.testing.assert_close(after[1:], (table.weight * table.known + table.projection(table.text))[1:])
    assert not torch.equal(after, before)


class TestLowRank:
    def test_is_the_nearest_table_of_its_rank(self, table):
        """Eckart and Young: the error is that of the singular values left out; the text is folded in."""
        with torch.no_grad():
            whole = table.table()[1:]
            low = table.low_rank(2)
            values = torch.linalg.svdvals(whole)
            assert (low.table()[1:] - whole).norm() == pytest.approx(values[2:].norm().item(), rel=1e-4)
            assert torch.linalg.matrix_rank(low.table()) == 2
            torch.testing.assert_close(low(torch.tensor([[1, 5, 0]])), low.table()[[1, 5, 0]][None])
        assert low.text is None
        assert not low.table()[0].any()
        assert sum(p.numel() for p in low.parameters()) == 6 * 2 + 2 * 3
        with pytest.raises(UserError, match="rank 3 was asked for, but the item table is 3 wide; give 1 to 2"):
            table.low_rank(3)

    def test_few_items_are_held_exactly(self):
        torch.manual_seed(0)
        table = ItemTable.of(torch.randn(3, 16))
        torch.testing.assert_close(table.low_rank(8).table(), table.table())

    @pytest.mark.parametrize("kind", ["sasrec", "llm"])
    def test_a_model_keeps_all_but_its_table_and_goes_through_its_folder(self, kind, cycle, llama, vectors, tmp_path):
        training = TrainingOptions(epochs=2, batch_size=16)
        options = SASRecOptions(hidden_size=8, num_blocks=1, item_text=vectors, training=training)
        model = train_classic(cycle, options, tmp_path / "sasrec")
        if kind == "llm":
            options = LLMOptions(backbone=str(llama), layers=1, training=training)
            model = train_llm(cycle, options, tmp_path / "llm", model.items)
        history = [np.array([1, 2, 3])]
        before = model.score(history)
        low = model.with_low_rank_items(3)
        torch.testing.assert_close(model.score(history), before)
        torch.testing.assert_close(low.item_vectors(), model.items.low_rank(3).table()[1:])
        assert not torch.allclose(low.encode(history), model.encode(history))  # they are read too
        low.save_pretrained(tmp_path / "low")
        again = load(tmp_path / "low")
        torch.testing.assert_close(again.score(history), low.score(history))
        torch.testing.assert_close(model.with_low_rank_items(7).score(history), before, rtol=0.5, atol=0.5)
        with pytest.raises(UserError, match="has no item table with text"):
            again.add_items(pl.DataFrame({"item_id": ["n"], "vector": [[1.0, 0, 0, 0]]}))

    def test_ids_of_low_rank_train_and_new_items_come_by_text(self, table):
        torch.manual_seed(0)
        low = ItemTable(5, 3, text_dim=4, rank=2)
        low.describe(torch.randn(5, 4), torch.ones(5, dtype=torch.bool))
        low.table().square().sum().backward()
        assert low.basis.weight.grad.any()
        assert low.weight.grad[1:].any()
        more = low.eval().extended(torch.randn(2, 4))
        with torch.no_grad():
            torch.testing.assert_close(more.table()[:6], low.table())
            torch.testing.assert_close(more.table()[6:], more.text[6:] @ low.projection.weight.T)
