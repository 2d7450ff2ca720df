"""recommend, similar_items and the model folder, on models whose answers are planted."""

import json

import numpy as np
import polars as pl
import pytest
import torch

from slmrec.errors import UserError
from slmrec.models import Popularity, SASRec, SASRecConfig, load


@pytest.fixture
def model(cycle) -> SASRec:
    """A random SASRec: any fixed scores do here."""
    torch.manual_seed(0)
    found = SASRec(SASRecConfig(num_items=cycle.num_items, max_length=8, hidden_size=16, initializer_range=0.5))
    found.catalogue = cycle.catalogue
    return found.eval()


def by_hand(model, cycle, history: list[str], k: int, banned: set[str]) -> list[str]:
    scores = model.score([cycle.catalogue.index(history)])[0].tolist()
    ids = cycle.catalogue.ids(range(1, 21)).to_list()
    return [item for _, item in sorted(zip(scores, ids, strict=True), reverse=True) if item not in banned][:k]


def test_recommends_the_best_unseen_items_in_external_ids(model, cycle):
    history = ["003", "004", "003"]
    frame = model.recommend([history], k=5)
    assert frame.columns == ["user_id", "item_id", "score", "rank"]
    assert frame["rank"].to_list() == [1, 2, 3, 4, 5]
    assert frame["user_id"].to_list() == [0] * 5
    assert frame["item_id"].to_list() == by_hand(model, cycle, history, 5, {"003", "004"})
    assert frame["score"].is_sorted(descending=True)


def test_seen_allowed_and_denied_items(model, cycle):
    history = ["003", "004"]
    kept = model.recommend([history], k=20, exclude_seen=False)["item_id"].to_list()
    assert kept == by_hand(model, cycle, history, 20, set())
    denied = model.recommend([history], k=3, deny=kept[:2])["item_id"].to_list()
    assert denied == by_hand(model, cycle, history, 3, {*history, *kept[:2]})
    allowed = model.recommend([history], k=9, allow=["001", "002", "003"])["item_id"].to_list()
    assert sorted(allowed) == ["001", "002"]
    assert model.recommend([history], allow=["003"]).is_empty()


def test_known_users_and_histories_by_name_agree(model, cycle):
    history = cycle.catalogue.ids(cycle.full_history(cycle.user_index("u7"))).to_list()
    known = model.recommend(users=["u7"], data=cycle, k=4)
    named = model.recommend({"u7": history}, k=4)
    assert known.equals(named)
    assert known["user_id"].to_list() == ["u7"] * 4


def test_integers_and_strings_spell_the_same_item(cycle):
    frame = pl.DataFrame({"user_id": [1] * 4 + [2] * 4, "item_id": [10, 20, 30, 40, 20, 30, 40, 10]})
    data = type(cycle).from_frame(frame)
    popular = Popularity.from_data(data)
    found = popular.recommend([[10, "20"]], k=2)
    assert found["item_id"].dtype == pl.Int64
    assert set(found["item_id"]) == {30, 40}


def test_popularity_counts_training_interactions(cycle):
    model = Popularity.from_data(cycle)
    train = cycle.sequence[cycle.split == 0]
    wanted = [float((train == item).sum()) for item in range(1, 21)]
    assert model.score([np.array([1], dtype=np.int32)])[0].tolist() == wanted


def test_similar_items_are_neighbours_by_cosine(model, cycle):
    vectors = model.item_vectors().detach().numpy()
    found = model.similar_items(["005"], k=3)
    row = cycle.catalogue.index(["005"])[0] - 1
    cosines = vectors @ vectors[row] / np.linalg.norm(vectors, axis=1) / np.linalg.norm(vectors[row])
    wanted = [i for i in np.argsort(-cosines) if i != row][:3]
    assert found["item_id"].to_list() == cycle.catalogue.ids([i + 1 for i in wanted]).to_list()
    assert found["target_item_id"].to_list() == ["005"] * 3


def test_only_the_newest_items_are_read(model):
    long = np.arange(1, 15, dtype=np.int32)
    torch.testing.assert_close(model.encode([long]), model.encode([long[-8:]]))


def test_mistakes_are_named(model, cycle):
    with pytest.raises(UserError, match="'nope'"):
        model.recommend([["001", "nope"]])
    assert model.recommend([["001", "nope"]], unknown="skip").equals(model.recommend([["001"]]))
    with pytest.raises(UserError, match="history of user 0 cannot be used: it is empty"):
        model.recommend([[]])
    with pytest.raises(UserError, match="none of its items is known"):
        model.recommend({"me": ["nope"]}, unknown="skip")
    with pytest.raises(UserError, match="either histories, or users"):
        model.recommend()
    with pytest.raises(UserError, match="without data"):
        model.recommend(users=["u1"])
    with pytest.raises(UserError, match="k is 0"):
        model.recommend([["001"]], k=0)


class TestFolder:
    """What a model folder holds, and how a damaged one is refused."""

    @pytest.fixture
    def folder(self, model, tmp_path):
        training = {"seconds": 3.0, "best_epoch": 2, "log": []}
        model.save_pretrained(tmp_path / "m", {"data": "cycle: tiny.", "recipe": "mine", "training": training})
        return tmp_path / "m"

    def test_it_gives_the_model_back(self, model, folder):
        again = load(folder)
        assert isinstance(again, SASRec)
        assert again.recommend([["001"]]).equals(model.recommend([["001"]]))
        assert {p.name for p in folder.iterdir()} == {
            "config.json",
            "model.safetensors",
            "items.parquet",
            "training.json",
            "README.md",
        }

    def test_its_card_says_what_it_is(self, folder):
        card = (folder / "README.md").read_text()
        for said in ("sasrec", "20 items", "cycle: tiny.", "mine", "model.recommend(", "slmrec recommend"):
            assert said in card

    def test_a_foreign_folder_is_never_replaced(self, model, tmp_path):
        (tmp_path / "precious.txt").write_text("x")
        with pytest.raises(UserError, match=r"holds files but no config\.json"):
            model.save_pretrained(tmp_path)
        assert [p.name for p in tmp_path.iterdir()] == ["precious.txt"]

    def test_a_failing_save_leaves_nothing(self, model, tmp_path, monkeypatch):
        def full(*args, **kwargs):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(type(model.catalogue), "save", full)
        with pytest.raises(OSError, match="No space"):
            model.save_pretrained(tmp_path / "m")
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        ("damage", "message"),
        [
            (
                lambda f: (f / "model.safetensors").write_bytes((f / "model.safetensors").read_bytes()[:900]),
                "damaged",
            ),
            (lambda f: (f / "model.safetensors").unlink(), r"model\.safetensors is missing"),
            (lambda f: (f / "items.parquet").unlink(), r"items\.parquet is missing"),
            (lambda f: (f / "items.parquet").write_bytes(b"PAR1 nonsense"), r"items"),
            (lambda f: (f / "config.json").unlink(), r"config\.json is missing"),
            (lambda f: (f / "config.json").write_text("{"), "damaged"),
            (lambda f: (f / "config.json").write_text('{"model_type": "bert"}'), "of type 'bert'"),
        ],
    )
    def test_damage_is_one_sentence(self, folder, damage, message):
        damage(folder)
        with pytest.raises(UserError, match=message) as caught:
            load(folder)
        assert "\n" not in str(caught.value)

    def test_weights_of_another_shape_are_refused(self, folder):
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | {"num_blocks": 3}))
        with pytest.raises(UserError, match="weights missing or unexpected"):
            load(folder)

    def test_another_kind_is_refused(self, folder):
        with pytest.raises(UserError, match="holds a sasrec model, but a popularity model was asked for"):
            Popularity.from_pretrained(folder)

    def test_no_folder(self, tmp_path):
        with pytest.raises(UserError, match="there is no model folder"):
            load(tmp_path / "none")
