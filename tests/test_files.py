"""Files and folders are whole or not there."""

import json

import pytest

from slmrec.errors import UserError
from slmrec.files import check_replaceable, read_json, whole_folder, write_json


def test_a_folder_appears_whole_and_replaces_its_own_kind(tmp_path):
    target = tmp_path / "out"
    for text in ("first", "second"):
        with whole_folder(target, "marker") as scratch:
            (scratch / "marker").write_text(text)
            assert not target.exists() or (target / "marker").read_text() == "first"
    assert (target / "marker").read_text() == "second"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_what_fails_leaves_the_old_and_nothing_else(tmp_path, error):
    target = tmp_path / "out"
    with whole_folder(target, "marker") as scratch:
        (scratch / "marker").write_text("old")

    def fail():
        with whole_folder(target, "marker") as scratch:
            (scratch / "marker").write_text("new")
            raise error

    with pytest.raises(error):
        fail()
    assert (target / "marker").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_is_not_ours_is_not_replaced(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="is a file, but a folder"):
        check_replaceable(tmp_path / "file", "marker")
    with pytest.raises(UserError, match="holds files but no marker"):
        check_replaceable(tmp_path, "marker")
    (tmp_path / "empty").mkdir()
    check_replaceable(tmp_path / "empty", "marker")
    check_replaceable(tmp_path / "none", "marker")


def test_json_goes_and_comes_and_damage_is_named(tmp_path):
    write_json(tmp_path / "a.json", {"é": [1, 2.5]})
    assert read_json(tmp_path / "a.json", "thing") == {"é": [1, 2.5]}
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"é": [1, 2.5]}
    (tmp_path / "b.json").write_text("{")
    with pytest.raises(UserError, match=r"b\.json is damaged .* make the thing again"):
        read_json(tmp_path / "b.json", "thing")
    with pytest.raises(UserError, match=r"is no thing: c\.json is missing"):
        read_json(tmp_path / "c.json", "thing")
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".part")]
