"""`slmrec train`: the folder against the options given, and what is refused before any training."""

import json

import pytest
import torch

from slmrec.cli.main import main
from slmrec.models import load


def test_each_kind_makes_a_model_folder_and_prints_one_line(house):
    for name, kind in [("popularity", "popularity"), ("sasrec", "sasrec"), ("teacher", "slmrec")]:
        folder = getattr(house, name)
        assert load(folder).kind == kind
        assert house.printed[name].startswith(f"{folder}: ")
        assert house.printed[name].count("\n") == 1
    assert "valid NDCG@10" in house.printed["sasrec"]


@pytest.mark.parametrize("kind", ["item-knn", "gru4rec", "caser", "bert4rec", "esasrec"])
def test_each_other_kind_too(kind, house, tmp_path, capsys):
    words = ["--data", str(house.data), "--out", str(tmp_path / "m"), "--recipe", str(house.recipe)]
    more = ["--neighbours", "7"] if kind == "item-knn" else ["--dropout", "0.1", f"--{kind}.training.seed", "5"]
    assert main(["train", kind, *words, *more]) == 0
    assert capsys.readouterr().out.startswith(f"{tmp_path / 'm'}: ")
    model = load(tmp_path / "m")
    assert model.kind == kind
    options = json.loads((tmp_path / "m" / "training.json").read_text())["options"]
    if kind == "item-knn":
        assert (options["neighbours"], model.config.neighbours) == (7, 7)
    else:
        assert (options["seed"], options["batch_size"]) == (5, 16)
        assert (model.config.dropout, model.config.hidden_size) == (0.1, 16)
    assert main(["evaluate", str(tmp_path / "m"), "--data", str(house.data)]) == 0
    assert kind in capsys.readouterr().out


def test_the_recipe_decides_what_the_command_line_does_not(house):
    options = json.loads((house.sasrec / "training.json").read_text())["options"]
    assert (options["epochs"], options["batch_size"]) == (2, 16)
    assert load(house.sasrec).config.hidden_size == 16


def test_the_command_line_decides_what_it_names(house, tmp_path, capsys):
    words = ["--data", house.data, "--out", tmp_path / "m", "--recipe", house.recipe]
    changed = ["--hidden-size", "8", "--training.max-steps", "1", "--training.seed", "5"]
    assert main(["train", "sasrec", *map(str, words), *changed]) == 0
    assert load(tmp_path / "m").item_vectors().shape == (30, 8)
    options = json.loads((tmp_path / "m" / "training.json").read_text())["options"]
    assert (options["max_steps"], options["seed"], options["batch_size"]) == (1, 5, 16)
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_the_item_table_is_where_the_llm_starts(house, tmp_path):
    words = [
        "--data",
        house.data,
        "--out",
        tmp_path / "m",
        "--recipe",
        house.recipe,
        "--item-table",
        house.sasrec,
    ]
    frozen = ["--train-items", "false", "--training.max-steps", "1", "--layers", "1"]
    assert main(["train", "llm", *map(str, words), *frozen]) == 0
    torch.testing.assert_close(load(tmp_path / "m").item_vectors(), load(house.sasrec).item_vectors())


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["sasrec", "--num-heads", "3"], "hidden_size 16 is not a multiple of num_heads 3"),
        (["caser", "--window", "11"], "window is 11, but only the 10 items of max_length are read"),
        (["bert4rec", "--mask-share", "0"], "mask_share is 0.0, but must lie between 0 and 1"),
        (["item-knn", "--decay", "2"], "decay is 2.0, but must be above 0 and at most 1"),
        (["item-knn", "--hidden-size", "8"], "unknown option --hidden-size"),
        (["sasrec", "--recipe", "no-such"], "there is no recipe 'no-such'"),
        (["sasrec", "--recipe", "missing.toml"], "there is no recipe file missing.toml"),
        (["llm", "--layers", "9"], "has 4 layers, but 9 were asked for"),
        (["llm", "--backbone", "no/such/decoder"], "backbone 'no/such/decoder' cannot be loaded"),
        (["llm", "--item-table", "no-such-folder"], "there is no model folder no-such-folder"),
        (["llm", "--item-table", "POPULARITY"], "holds a model of kind popularity, which has no item vectors"),
        (["sasrec", "--data", "no-such-folder"], "there is no data folder at no-such-folder"),
        (["sasrec", "--out", "DATA"], "not ours to replace"),
    ],
)
def test_mistakes_end_before_training(words, sentence, house, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    kind, *rest = [{"POPULARITY": str(house.popularity), "DATA": str(house.data)}.get(word, word) for word in words]
    defaults = ["--data", str(house.data), "--out", str(tmp_path / "m"), "--recipe", str(house.recipe)]
    assert main(["train", kind, *defaults, *rest]) == 2
    assert sentence in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("no_training")
def test_an_item_table_of_other_items_is_refused(house, tmp_path, capsys):
    other = tmp_path / "other.csv"
    other.write_text("user_id,item_id,timestamp\n" + "".join(f"1,{item},{item}\n" for item in range(10, 15)))
    recipe = ["--recipe", str(house.recipe)]
    assert main(["data", "prepare", str(other), "--out", str(tmp_path / "d"), *recipe]) == 0
    words = ["train", "llm", "--data", str(tmp_path / "d"), "--out", str(tmp_path / "m"), *recipe]
    capsys.readouterr()
    assert main([*words, "--item-table", str(house.sasrec)]) == 2
    assert "knows 30 items, 'other' has 5 others" in capsys.readouterr().err


def test_the_same_command_gives_the_same_model(house, tmp_path):
    words = ["--data", house.data, "--out", tmp_path / "again", "--recipe", house.recipe]
    assert main(["train", "sasrec", *map(str, words)]) == 0
    vectors = [load(folder).item_vectors().detach() for folder in (house.sasrec, tmp_path / "again")]
    torch.testing.assert_close(*vectors, rtol=0, atol=0)


def test_an_llm_that_adds_to_a_classic_model_takes_it_whole(house, tmp_path, capsys):
    words = ["--data", str(house.data), "--out", str(tmp_path / "m"), "--recipe", str(house.recipe)]
    assert main(["train", "llm", *words, "--residual", "frozen", "--item-table", str(house.sasrec)]) == 0
    model = load(tmp_path / "m")
    assert model.kind == "residual"
    assert torch.equal(model.classic.item_vectors(), load(house.sasrec).item_vectors())
    assert main(["evaluate", str(tmp_path / "m"), "--data", str(house.data)]) == 0
    other = [*words[:2], "--out", str(tmp_path / "n"), *words[4:]]
    assert main(["train", "llm", *other, "--residual", "frozen"]) == 2
    assert "a residual llm adds to a classic model; give one" in capsys.readouterr().err
