"""A bundle of a model with neighbours beside it answers as torch's ensemble does."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings

from slmrec.errors import UserError
from slmrec.evaluation import evaluate
from slmrec.export import export_bundle
from slmrec.models import Ensemble, ItemKNN, Popularity, SequentialRules, TextKNN
from slmrec.runtime import Bundle
from slmrec.runtime.neighbours import Neighbours
from slmrec.serving.served import ServedCombination

from ..conftest import ASKED
from .conftest import tiny


def neighbours(cycle):
    """Item-kNN, rules that forget, and text-kNN; the padding's column, their own lengths and zeros among them."""
    rings = torch.nn.functional.one_hot(torch.arange(20) % 5).float()
    return [
        ItemKNN.from_data(cycle, max_length=5),
        SequentialRules.from_data(cycle, max_length=9),
        TextKNN.from_data(cycle, rings, neighbours=4),
    ]


@pytest.fixture(scope="module")
def combined(cycle, tmp_path_factory):
    """SASRec and three kinds of neighbours, each of another weight, and the folder of its bundle."""
    folder = tmp_path_factory.mktemp("combined")
    members = [*neighbours(cycle), tiny("sasrec", cycle, folder / "decoder")]
    model = Ensemble.of(members, [0.4, 0.3, 0.2, 0.7])
    model.save_pretrained(folder / "model")
    export_bundle(folder / "model", folder / "together", data=cycle)
    return model, folder / "together"


@pytest.fixture(scope="module")
def bundle(combined) -> Bundle:
    return Bundle.load(combined[1], threads=1)


@settings(deadline=None, max_examples=60)
@given(**ASKED)
def test_recommends_what_the_ensemble_does(combined, bundle, histories, k, exclude_seen, allow, deny):
    choices = {"k": k, "exclude_seen": exclude_seen, "allow": allow, "deny": deny}
    wanted = combined[0].recommend(histories, **choices)
    for user, own in enumerate(bundle.recommend(histories, **choices)):
        rows = wanted.filter(wanted["user_id"] == user)
        assert len(own) == len(rows)
        np.testing.assert_allclose([one.score for one in own], rows["score"], rtol=1e-4, atol=1e-4)
        scores = dict(zip(rows["item_id"], rows["score"], strict=True))
        for one, score in zip(own, rows["score"], strict=True):  # two that score alike may change places
            assert scores.get(one.item_id, score) == pytest.approx(score, rel=1e-4, abs=1e-4)


def test_scores_are_the_ensembles(combined, bundle):
    generator = np.random.default_rng(0)
    histories = [generator.integers(1, 21, size=size).astype(np.int32) for size in (1, 3, 5, 12, 30)]
    wanted = combined[0].score(histories).numpy()
    np.testing.assert_allclose(bundle.score(histories), wanted, rtol=1e-4, atol=1e-4)


def test_what_is_said_of_it(combined, cycle):
    model, folder = combined
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["kind"], manifest["weight"]) == ("sasrec", 0.7)
    told = [(each["kind"], each["weight"], each["max_length"]) for each in manifest["neighbours"]]
    assert told == [("item-knn", 0.4, 5), ("sequential-rules", 0.3, 9), ("text-knn", 0.2, 50)]
    parity = manifest["parity"]
    assert parity["same_except_ties"] == parity["histories"] == len(cycle.cases("test"))
    assert parity["torch_NDCG@10"] == evaluate(model, cycle, "test").metrics["NDCG@10"]
    assert parity["bundle_NDCG@10"] == pytest.approx(parity["torch_NDCG@10"], abs=1e-6)
    card = (folder / "README.md").read_text()
    assert "for onnxruntime, with item-knn, sequential-rules and text-knn beside it: a history" in card


def test_items_that_come_later_are_read_and_have_no_neighbours(combined):
    bundle = Bundle.load(combined[1], threads=1)
    before = bundle.recommend([["001"]], k=19)[0]
    bundle.add_items(["new"], [None], np.full((1, 16), 0.1))
    after = [one for one in bundle.recommend([["001"]], k=20)[0] if one.item_id != "new"]
    assert [one.item_id for one in after] == [one.item_id for one in before]
    *others, sasrec = combined[0].members
    history = [np.array([2])]
    votes = sum(
        weight * (each.score(history) + each.score(history).sum() / 21).log()  # the mean over all items there are now
        for weight, each in zip([0.4, 0.3, 0.2], others, strict=True)
    )
    wanted = (0.7 * sasrec.score(history) + votes).numpy()
    np.testing.assert_allclose(bundle.score(history)[:, :20], wanted, rtol=1e-4, atol=1e-4)
    assert len(bundle.recommend([["new"]], k=5)[0]) == 5


def test_served_it_ranks_alike(bundle):
    served = ServedCombination("b", bundle)
    histories = [np.array([3, 4, 5]), np.array([20])]
    for excluded, allowed in ((None, None), ([row - 1 for row in histories], np.array([7, 2, 19, 2]))):
        scores, columns = served.rank(served.encode(histories), 6, excluded, allowed)
        wanted, places = bundle.top_k(histories, 6, exclude_seen=excluded is not None, allowed=allowed)
        np.testing.assert_allclose(scores, wanted, rtol=1e-4, atol=1e-4)
        left = np.isfinite(wanted)
        assert np.array_equal(columns[left], places[left])
    scores = served.scores(served.encode(histories), np.array([4, 1]))
    np.testing.assert_allclose(scores, bundle.score(histories)[:, [4, 1]], rtol=1e-5)


def test_a_history_that_points_nowhere_leaves_the_vectors_order(cycle, tmp_path):
    """Neighbours of no item at all: every item gets the same, however little it is."""
    alone = tiny("sasrec", cycle, tmp_path / "decoder")
    nobody = ItemKNN(ItemKNN.config_class(num_items=20))
    nobody.catalogue = cycle.catalogue
    model = Ensemble.of([alone, nobody], [0.5, 0.5])
    export_bundle(model, tmp_path / "b")
    bundle = Bundle.load(tmp_path / "b", threads=1)
    histories = [np.array([1, 2, 3])]
    np.testing.assert_allclose(bundle.score(histories), model.score(histories).numpy(), rtol=1e-4, atol=1e-4)
    _, columns = bundle.top_k(histories, 5)
    assert np.array_equal(columns, alone.top_k(histories, 5)[1])


def test_what_one_graph_cannot_hold_is_refused(combined, cycle, tmp_path):
    one, other = (tiny(kind, cycle, tmp_path / "decoder") for kind in ("sasrec", "gru4rec"))
    knn = ItemKNN.from_data(cycle)
    for members, kinds in (
        ([one, other, knn], "sasrec, gru4rec"),
        ([knn, SequentialRules.from_data(cycle)], "none"),
        ([combined[0], knn], "ensemble"),
    ):
        with pytest.raises(UserError, match=f"beside the neighbours of this ensemble stand: {kinds}; a bundle holds"):
            export_bundle(Ensemble.of(members), tmp_path / "out")
    with pytest.raises(UserError, match="kind popularity makes no user vectors"):
        export_bundle(Ensemble.of([Popularity.from_data(cycle), knn]), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_damaged_neighbours_are_named(combined, tmp_path):
    tables = Neighbours(np.array([0, 1, 2]), np.zeros(2, np.int32), np.ones(2, np.float32), 1.0, 1.0, 5)
    facts = tables.save(tmp_path, "knn")
    assert Neighbours.load(tmp_path, facts, 2).votes(np.array([2]), 2)[0].tolist() == [0]
    with pytest.raises(UserError, match=r"knn-offsets\.npy does not fit the bundle's 3 items"):
        Neighbours.load(tmp_path, facts, 3)
    (tmp_path / "knn-columns.npy").write_bytes(b"no array")
    with pytest.raises(UserError, match=r"knn-columns\.npy is no NumPy array"):
        Neighbours.load(tmp_path, facts, 2)
