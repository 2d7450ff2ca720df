"""A bundle's answers against the model's own, and what is said of damaged ones."""

import hashlib
import json
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given, settings

from slmrec.errors import UserError
from slmrec.runtime import Bundle, Recommendation

from ..conftest import ASKED

IDS = [f"{i:03d}" for i in range(20)]


def same(found: list[list[Recommendation]], frame) -> None:
    """A bundle's lists are what a model's frame says."""
    for user, own in enumerate(found):
        rows = frame.filter(frame["user_id"] == user)
        assert [one.item_id for one in own] == rows["item_id"].to_list()
        assert [one.rank for one in own] == rows["rank"].to_list()
        np.testing.assert_allclose([one.score for one in own], rows["score"], rtol=1e-4, atol=1e-5)


@settings(deadline=None, max_examples=60)
@given(**ASKED)
def test_recommends_what_the_model_does(model, bundle, histories, k, exclude_seen, allow, deny):
    choices = {"k": k, "exclude_seen": exclude_seen, "allow": allow, "deny": deny}
    same(bundle.recommend(histories, **choices), model.recommend(histories, **choices))


def test_items_of_the_whole_history_are_seen_not_only_the_read_ones(bundle):
    history = IDS[:12]  # 8 are read
    found = {one.item_id for one in bundle.recommend([history], k=20)[0]}
    assert found == set(IDS[12:])


def test_mistakes_are_named_as_the_model_names_them(model, bundle):
    for words in (
        {"histories": [["001", "nope"]]},
        {"histories": [["001"], []]},
        {"histories": [["nope"]], "unknown": "skip"},
        {"histories": [["001"]], "k": 0},
        {"histories": [["001"]], "deny": ["nope"]},
        {"histories": [["001"]], "allow": ["x", "y"]},
    ):
        with pytest.raises(UserError) as theirs:
            model.recommend(**words)
        with pytest.raises(UserError) as ours:
            bundle.recommend(**words)
        assert str(ours.value) == str(theirs.value)
    assert bundle.recommend([["001", "nope"]], unknown="skip") == bundle.recommend([["001"]])
    assert bundle.recommend([["001"]], allow=["001"]) == [[]]
    assert bundle.recommend([]) == []
    with pytest.raises(UserError, match="history 0 is '001', but must be a list"):
        bundle.recommend(["001"])


def test_top_k_in_indices(model, bundle):
    histories = [np.array([1, 2, 3]), np.array([9]), np.arange(1, 20)]
    for choices in ({}, {"exclude_seen": False}, {"allowed": np.array([3, 8, 2])}):
        scores, columns = bundle.top_k(histories, 4, **choices)
        wanted_scores, wanted = model.top_k(histories, 4, **choices)
        assert scores.dtype == np.float32
        assert columns.dtype == np.int64
        np.testing.assert_allclose(scores, wanted_scores, rtol=1e-4, atol=1e-5)
        left = np.isfinite(scores)
        assert np.array_equal(columns[left], wanted[left])
    np.testing.assert_allclose(bundle.score(histories), model.score(histories).numpy(), rtol=1e-4, atol=1e-5)


def test_encode_refuses_what_is_no_history(bundle):
    with pytest.raises(UserError, match="history 1 is empty"):
        bundle.encode([np.array([1]), np.array([], dtype=np.int64)])
    for wrong in (0, 21):
        with pytest.raises(IndexError, match=r"item indices are 1\.\.20"):
            bundle.encode([np.array([wrong])])


def test_many_histories_are_each_in_their_place(model, bundle):
    generator = np.random.default_rng(0)
    histories = [generator.integers(1, 21, size=generator.integers(1, 12)) for _ in range(700)]
    np.testing.assert_allclose(bundle.encode(histories), model.encode(histories).numpy(), rtol=1e-4, atol=1e-5)


def test_similar_items(model, bundle):
    found = bundle.similar_items(["005", "011"], k=3)
    wanted = model.similar_items(["005", "011"], k=3)
    assert [one.item_id for own in found for one in own] == wanted["item_id"].to_list()
    np.testing.assert_allclose([one.score for own in found for one in own], wanted["score"], rtol=1e-5)
    assert len(bundle.similar_items(["005"], k=50)[0]) == 19


def test_the_catalogue(model, bundle):
    theirs, ours = model.catalogue, bundle.catalogue
    everything = range(1, 21)
    assert len(ours) == 20
    assert ours.ids(everything) == theirs.ids(everything).to_list()
    assert ours.texts(everything) == theirs.texts(everything)
    assert ours.texts([1]) == ours.ids([1])  # it has no text
    assert ours.index(IDS).tolist() == theirs.index(IDS).tolist()
    assert ours.columns["price"][:2] == [None, 0.0]
    assert ours.columns["released"][0] == "1999-12-31"
    with pytest.raises(IndexError, match=r"item indices are 1\.\.20, found 0\.\.3"):
        ours.ids([3, 0])


def test_new_items_are_read_and_recommended(exported):
    bundle = Bundle.load(exported, threads=1)
    before = bundle.recommend([["001"]], k=3)
    vector = 100 * bundle.encode([bundle.catalogue.index(["001"])])  # what this user likes most
    bundle.add_items(["new"], ["A new one"], vector)
    found = bundle.recommend([["001"]], k=4)[0]
    assert found[0].item_id == "new"
    assert [one.item_id for one in found[1:]] == [one.item_id for one in before[0]]
    assert bundle.catalogue.texts([21]) == ["A new one"]
    assert bundle.recommend([["new", "001"]], k=1)[0][0].item_id not in ("new", "001")
    for ids, vectors, message in (
        (["new"], vector, "1 of the 1 new items are known already"),
        (["a", "b"], vector, r"must be finite and of shape \(2, 16\), but are \(1, 16\)"),
        (["a"], vector * np.nan, "must be finite"),
        ([7], vector, "all strings or all integers"),
    ):
        with pytest.raises(UserError, match=message):
            bundle.add_items(ids, [None] * len(ids), vectors)
    assert len(bundle.catalogue) == 21


def test_many_threads_may_use_one_bundle(bundle):
    histories = [[IDS[i], IDS[(7 * i) % 20]] for i in range(20)]
    wanted = [bundle.recommend([history]) for history in histories]
    found: dict[int, list] = {}

    def work(place: int) -> None:
        for _ in range(10):
            found[place] = bundle.recommend([histories[place]])

    threads = [threading.Thread(target=work, args=(place,)) for place in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[place] for place in range(20)] == wanted


def test_importing_it_brings_nothing_heavy_and_is_quick(exported):
    program = f"""
import sys, time
started = time.perf_counter()
import slmrec.runtime
took = time.perf_counter() - started
bundle = slmrec.runtime.Bundle.load({str(exported)!r})
bundle.recommend([["001"]])
heavy = [name for name in ("torch", "polars", "transformers", "pandas", "pyarrow") if name in sys.modules]
print(took, *heavy)
"""
    times = []
    for _ in range(3):  # the first may read files from a cold disk, and others run beside it
        ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        took, *heavy = ran.stdout.split()
        assert heavy == []
        times.append(float(took))
    assert min(times) < 0.3


class TestDamage:
    """Each is refused by one sentence that names the file."""

    def refused(self, folder, message):
        with pytest.raises(UserError, match=message) as caught:
            Bundle.load(folder)
        assert "\n" not in str(caught.value)

    def change(self, folder, **facts):
        manifest = json.loads((folder / "manifest.json").read_text())
        (folder / "manifest.json").write_text(json.dumps(manifest | facts))

    def sign(self, folder, name):
        """Let the manifest say that a file is as it should be."""
        content = (folder / name).read_bytes()
        files = json.loads((folder / "manifest.json").read_text())["files"]
        files[name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        self.change(folder, files=files)

    def test_no_bundle(self, tmp_path):
        self.refused(tmp_path / "none", "there is no bundle")
        self.refused(tmp_path, r"manifest\.json is missing")

    @pytest.mark.parametrize("name", ["encoder.onnx", "items.npy", "catalogue.json", "README.md"])
    def test_files(self, name, folder):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[:-1])
        self.refused(folder, rf"{name} is damaged: it has {len(content) - 1:,} bytes")
        (folder / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        self.refused(folder, rf"{name} is damaged: its content")
        (folder / name).unlink()
        self.refused(folder, rf"incomplete bundle: {name} is missing")

    @pytest.mark.parametrize(
        ("facts", "message"),
        [
            ({"version": 1}, "version 1, and this slmrec reads version 2"),
            ({"format": "zip"}, "is not a bundle's"),
            ({"max_length": None}, "'max_length' is None"),
            ({"max_length": True}, "'max_length' is True"),
            ({"num_items": 0}, "'num_items' is 0"),
            ({"num_items": 19}, r"of shape \(20, 16\), but the manifest says float32 of \(19, 16\)"),
            ({"item_dim": 15}, r"of shape \(20, 16\)"),
            ({"precision": "int4"}, "precision 'int4', which this slmrec lacks"),
            ({"graph": "other.onnx"}, r"does not list other\.onnx"),
            ({"graph": "../encoder.onnx"}, r"does not list \.\./encoder\.onnx"),
            ({"files": {}}, r"does not list encoder\.onnx"),
            ({"neighbours": [1]}, "'neighbours' holds 1; copy the bundle again"),
            ({"neighbours": [{"files": {}}]}, "'neighbours' holds {'files': {}}"),
            ({"neighbours": [{"files": {}, "more": 1}]}, "'neighbours' holds {'files': {}, 'more': 1}"),
            (
                {"neighbours": [dict.fromkeys(("kind", "weight", "decay", "max_length"), 1) | {"files": {}}]},
                "'neighbours' holds {'kind': 1",
            ),
        ],
    )
    def test_manifests(self, facts, message, folder):
        self.change(folder, **facts)
        self.refused(folder, message)

    def test_a_manifest_that_is_no_json(self, folder):
        (folder / "manifest.json").write_text("{")
        self.refused(folder, r"manifest\.json is damaged")
        (folder / "manifest.json").write_text("[]")
        self.refused(folder, "is not a bundle's")

    def test_files_outside_the_bundle_are_never_opened(self, folder):
        files = json.loads((folder / "manifest.json").read_text())["files"]
        self.change(folder, files={**files, "../secret": {"bytes": 1, "sha256": ""}})
        self.refused(folder, r"damaged at '\.\./secret'")

    def test_parts_that_are_whole_but_do_not_fit(self, folder, bundle):
        np.save(folder / "items.npy", bundle.item_vectors()[:, :15])
        self.sign(folder, "items.npy")
        self.change(folder, item_dim=15)
        self.refused(folder, r"encoder\.onnx does not fit its items: 'vectors'")

    def test_a_table_that_could_run_code(self, folder):
        np.save(folder / "items.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
        self.sign(folder, "items.npy")
        self.refused(folder, r"items\.npy is no NumPy array")

    @pytest.mark.parametrize(
        ("columns", "message"),
        [
            ({"item_id": IDS[:19], "text": IDS[:19]}, r"catalogue\.json has 19 items and items\.npy 20"),
            ({"item_id": IDS, "text": IDS[:19]}, "column text has 19 values"),
            ({"item_id": IDS}, "they need item_id and text"),
            ({"item_id": [*IDS[:19], 7], "text": IDS}, "all strings or all integers"),
            ({"item_id": [*IDS[:19], "000"], "text": IDS}, "only 19 different ones"),
            ([], "is no catalogue"),
            (3, "is no catalogue"),
        ],
    )
    def test_catalogues(self, columns, message, folder):
        (folder / "catalogue.json").write_text(json.dumps(columns))
        self.sign(folder, "catalogue.json")
        self.refused(folder, message)

    def test_a_graph_that_is_none(self, folder):
        (folder / "encoder.onnx").write_bytes(b"no graph")
        self.sign(folder, "encoder.onnx")
        self.refused(folder, r"encoder\.onnx cannot be run by onnxruntime")

    def test_threads(self, folder):
        with pytest.raises(UserError, match="threads is 0"):
            Bundle.load(folder, threads=0)

    def test_a_missing_package_names_its_extra(self, folder, monkeypatch):
        monkeypatch.setitem(sys.modules, "onnxruntime", None)
        self.refused(folder, r"onnxruntime.*slmrec\[runtime\]")
