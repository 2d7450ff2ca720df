"""The search for options: what is tried, what is kept, and what a cut leaves."""

import json
from operator import attrgetter

import pytest

from slmrec import tuning
from slmrec.cli.main import main
from slmrec.data import Dataset
from slmrec.errors import UserError
from slmrec.evaluation import evaluate
from slmrec.models import load
from slmrec.recipe import load_recipe
from slmrec.training.options import ItemKNNOptions, SASRecOptions, TrainingOptions
from slmrec.tuning import SPACES, Range, tune

TRAINING = TrainingOptions(epochs=2, batch_size=64)
SMALL = SASRecOptions(hidden_size=64, num_blocks=1, max_length=7, dropout=0.2, training=TRAINING)
FIXED = ("num_blocks", "num_heads", "training.batch_size", "training.weight_decay")


class Told:
    def __init__(self) -> None:
        self.stages: list[str] = []
        self.said: list[str] = []

    def stage(self, number: int, total: int, title: str) -> None:
        self.stages.append(f"{number}/{total} {title}")

    def progress(self, done: int, total: int, note: str) -> None:
        pass

    def say(self, text: str) -> None:
        self.said.append(text)


def search(data: Dataset, out, trials: int, monitor: Told | None = None, **more):
    return tune(data, "sasrec", SMALL, out, trials=trials, monitor=monitor or Told(), fixed=FIXED, **more)


def test_the_first_trial_is_what_was_given_and_the_best_is_kept(cycle, tmp_path):
    told = Told()
    found = search(cycle, tmp_path, 3, told)
    assert told.stages[0] == "1/3 hidden_size 64, dropout 0.2, item_dropout 0, training.learning_rate 0.001"
    assert len(found) == 3
    assert [trial["valid_NDCG@10"] for trial in found] == sorted((t["valid_NDCG@10"] for t in found), reverse=True)
    assert len({json.dumps(trial["values"]) for trial in found}) == 3
    best = load(tmp_path / "model")
    assert evaluate(best, cycle, "valid").metrics["NDCG@10"] == pytest.approx(found[0]["valid_NDCG@10"])
    assert best.config.hidden_size == found[0]["values"]["hidden_size"]
    recipe = load_recipe(str(tmp_path / "best.toml"))
    assert recipe.sasrec.training.learning_rate == found[0]["values"]["training.learning_rate"]
    assert (recipe.sasrec.max_length, recipe.sasrec.training.epochs) == (7, 2)  # what was not searched
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("best.toml", "model", "search.json", "trials.json", "tuning.db")
    ]


def test_a_search_that_was_cut_off_goes_on_with_what_was_under_way(cycle, tmp_path, monkeypatch):
    whole = tuning._train
    tried = []

    def cut(data, options, out, values, *rest):
        tried.append(values)
        if len(tried) == 2:
            raise KeyboardInterrupt
        return whole(data, options, out, values, *rest)

    monkeypatch.setattr(tuning, "_train", cut)
    with pytest.raises(KeyboardInterrupt):
        search(cycle, tmp_path, 3)
    found = search(cycle, tmp_path, 3)
    assert tried[2] == tried[1]  # taken up
    assert len(tried) == 4
    assert len(found) == 3
    more = search(cycle, tmp_path, 4)
    assert len(more) == 4
    assert len({json.dumps(trial["values"]) for trial in more}) == 4
    assert search(cycle, tmp_path, 2) == more  # nothing is left to do


def test_a_training_that_diverges_is_a_trial_without_a_value(cycle, tmp_path, monkeypatch):
    def diverge(*_, **__):
        raise FloatingPointError("the training loss is nan at step 3")

    monkeypatch.setattr(tuning, "train", diverge)
    told = Told()
    found = search(cycle, tmp_path, 2, told)
    assert [trial["valid_NDCG@10"] for trial in found] == [None, None]
    assert told.said == ["trial 0: the training diverged", "trial 1: the training diverged"]
    assert not (tmp_path / "best.toml").exists()
    assert json.loads((tmp_path / "trials.json").read_text()) == found


def test_models_that_count_are_searched_too(cycle, tmp_path):
    found = tune(cycle, "item_knn", ItemKNNOptions(), tmp_path, trials=2, monitor=Told())
    assert found[0]["values"].keys() == SPACES["item_knn"].keys()


@pytest.mark.parametrize("section", SPACES)
def test_every_key_that_is_searched_is_an_option(section):
    options = getattr(load_recipe("default"), section)
    for key, choice in SPACES[section].items():
        assert isinstance(choice, Range) or len(set(choice)) > 1
        assert isinstance(attrgetter(key)(options), int | float)


def test_what_cannot_be_searched_is_refused(cycle, tmp_path):
    with pytest.raises(UserError, match="every option that is searched for sasrec is fixed"):
        tune(cycle, "sasrec", SMALL, tmp_path, trials=1, monitor=Told(), fixed=tuple(SPACES["sasrec"]))
    search(cycle, tmp_path / "a", 1)
    with pytest.raises(UserError, match="holds a search with another seed"):
        search(cycle, tmp_path / "a", 1, seed=1)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="not ours to replace"):
        search(cycle, tmp_path / "b", 1)


def test_from_the_command_line(cycle, tmp_path, capsys):
    cycle.save(tmp_path / "data")
    words = ["tune", "item-knn", "--data", str(tmp_path / "data"), "--trials", "2", "--out", str(tmp_path / "t")]
    assert main([*words, "--neighbours", "5"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("valid NDCG@10  options\n")
    assert "neighbours" not in printed
    assert load(tmp_path / "t" / "model").config.neighbours == 5
    train = ["train", "item-knn", "--data", str(tmp_path / "data"), "--recipe", str(tmp_path / "t" / "best.toml")]
    assert main([*train, "--out", str(tmp_path / "m")]) == 0
    assert main([*words, "--neighbours", "6"]) == 2
    assert "holds a search with another" in capsys.readouterr().err
