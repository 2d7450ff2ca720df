"""Options made from the recipe, against the dataclasses (walked with asdict) and values typed by hand."""

import argparse
from dataclasses import asdict, dataclass, field

import pytest

from slmrec.cli import flags
from slmrec.cli.main import main, parser
from slmrec.errors import UserError
from slmrec.recipe import RUN_SECTIONS, Recipe, as_dict, convert, override
from slmrec.training.options import LLMOptions, SASRecOptions, TrainingOptions


def leaves(value: dict, prefix: str = "") -> dict[str, object]:
    found = {}
    for name, inner in value.items():
        found |= leaves(inner, f"{prefix}{name}.") if isinstance(inner, dict) else {prefix + name: inner}
    return found


ALL = leaves(asdict(Recipe()))
RUN = {name: value for name, value in ALL.items() if name.split(".")[0] in RUN_SECTIONS}


def page(capsys: pytest.CaptureFixture, *arguments: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--help"])
    assert ended.value.code == 0
    return capsys.readouterr().out


@pytest.fixture
def recipe(tmp_path) -> str:
    path = tmp_path / "mine.toml"
    path.write_text("[sasrec]\nhidden_size = 48\n[teacher.training]\nepochs = 17\n")
    return str(path)


def run_arguments(*words: str) -> argparse.Namespace:
    return parser().parse_args(["run", "source", "--out", "out", *words])


def test_the_page_of_run_lists_every_key_that_it_uses_and_no_other(capsys, recipe):
    words = page(capsys, "run", "--recipe", recipe).split()
    shown = {word.removeprefix("--").replace("-", "_") for word in words if word.startswith("--") and "." in word}
    assert shown == set(RUN)
    assert leaves(as_dict(Recipe())) == RUN
    assert 90 < len(RUN) < len(ALL)


@pytest.mark.parametrize(
    ("command", "sections"),
    [
        (["data", "prepare"], ["preparation"]),
        (["train", "sasrec"], ["sasrec"]),
        (["train", "item-knn"], ["item_knn"]),
        (["train", "bert4rec"], ["bert4rec"]),
        (["train", "llm"], ["teacher"]),
        (["distill"], ["student", "distillation"]),
        (["distill", "--kind", "gru4rec"], ["gru4rec", "distillation"]),
    ],
)
def test_the_page_of_a_step_lists_its_sections_without_their_name(capsys, recipe, command, sections):
    words = page(capsys, *command, "--recipe", recipe).split()
    for section in sections:
        for name in leaves(asdict(getattr(Recipe(), section))):
            assert "--" + name.replace("_", "-") in words
    assert not [word for word in words if word.startswith(("--sasrec", "--teacher.", "--student", "--distill"))]


def test_a_page_explains_each_key_and_shows_the_chosen_recipe(capsys, recipe):
    text = " ".join(page(capsys, "run", "--recipe", recipe).split())
    assert "those shown are of '" in text
    assert "--sasrec.hidden-size N Width of item vectors and states. (default: 48)" in text
    assert "--teacher.training.epochs N Passes over the training sequences. (default: 17)" in text
    assert "Weight of 1 - D_cos, the cosine distance of block ends. (default: 1.0)" in text
    assert "--preparation.min-rating X|none" in text
    assert "--student.train-items true|false" in text


def test_every_key_has_a_docstring():
    assert [key.name for key in flags.keys(Recipe) if not key.doc.endswith(".")] == []


def test_what_a_page_shows_as_default_can_be_typed():
    wanted = {key.name: key.wanted for key in flags.keys(Recipe)}
    for name, value in ALL.items():
        shown = flags.spell(value).strip("'")
        assert convert(shown, wanted[name], name) == value


def test_docstrings_are_found_under_own_and_inherited_fields():
    @dataclass(frozen=True)
    class Base:
        """Not a field."""

        first: int = 1
        """Two
        lines."""
        second: str = "x"
        """Of the base."""

    @dataclass(frozen=True)
    class Derived(Base):
        second: str = "y"
        """Of the derived."""
        third: dict = field(default_factory=dict)
        """Last."""

    assert flags.field_docs(Derived) == {
        "first": "Two lines.",
        "second": "Of the derived.",
        "third": "Last.",
    }


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (["--teacher.training.epochs", "3"], {"teacher.training.epochs": 3}),
        (["--teacher.training.epochs=3"], {"teacher.training.epochs": 3}),
        (["--teacher.training.max-steps", "-1"], {"teacher.training.max_steps": -1}),
        (["--sasrec.hidden-size", "32"], {"sasrec.hidden_size": 32}),
        (["--sasrec.hidden_size", "32"], {"sasrec.hidden_size": 32}),
        (["--sasrec.hidden_size=32"], {"sasrec.hidden_size": 32}),
        (["--student.train-items", "false"], {"student.train_items": False}),
        (["--student.lora-targets", "q_proj,v_proj"], {"student.lora_targets": ("q_proj", "v_proj")}),
        (["--preparation.min-rating", "none"], {"preparation.min_rating": None}),
        (["--teacher.prompt-before", "a_b = --x_y"], {"teacher.prompt_before": "a_b = --x_y"}),
        (["--teacher.training.learning-rate", "3e-4"], {"teacher.training.learning_rate": 3e-4}),
        ([], {}),
    ],
)
def test_words_become_values_of_the_right_type(words, value):
    assert flags.overrides(run_arguments(*words)) == value


def test_a_step_understands_short_and_whole_names():
    train = ["train", "sasrec", "--data", "d", "--out", "o"]
    short = parser().parse_args([*train, "--training.batch_size", "8", "--dropout", "0"])
    whole = parser().parse_args([*train, "--sasrec.training.batch-size", "8", "--sasrec.dropout", "0"])
    assert flags.overrides(short) == flags.overrides(whole)
    assert flags.overrides(short) == {"sasrec.training.batch_size": 8, "sasrec.dropout": 0.0}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["--teacher.training.epoks", "3"],
            "unknown option --teacher.training.epoks; did you mean '--teacher.t",
        ),
        (
            ["--teacher.training.epoks=3"],
            "unknown option --teacher.training.epoks; did you mean '--teacher.t",
        ),
        (["--sasrec.hidden-siz", "3"], "did you mean '--sasrec.hidden-size'?"),  # cut short is unknown too
        (["--sasrec.hidden-size", "wide"], "--sasrec.hidden-size: it is 'wide', but must be a whole number"),
        (["--sasrec.hidden-size", "3.5"], "--sasrec.hidden-size: it is '3.5', but must be a whole number"),
        (["--sasrec.dropout", "much"], "--sasrec.dropout: it is 'much', but must be a number"),
        (["--student.train-items", "yes"], "it is 'yes', but must be true or false"),
        (["--sasrec.training.loss", "bpr"], "must be one of: softmax, sampled-softmax, gbce"),
        (["--student.layers-by", "infuence"], "must be one of: '', influence, contribution"),
        (["--sasrec.hidden-size"], "--sasrec.hidden-size: expected one argument"),
        (["--gru4rec.dropout", "0.1"], "unknown option --gru4rec.dropout"),  # a section that a run does not use
        (["-x"], "unknown option -x; see `slmrec run --help`"),
        (["another"], "too many arguments: another"),
    ],
)
def test_mistakes_are_named(words, sentence):
    with pytest.raises(UserError) as error:
        run_arguments(*words)
    assert sentence in str(error.value)
    assert str(error.value).endswith("; see `slmrec run --help`")


def test_a_section_is_the_recipes_with_the_command_lines_values(recipe):
    train = ["train", "sasrec", "--data", "d", "--out", "o", "--recipe", recipe]
    arguments = parser().parse_args([*train, "--dropout", "0.1", "--training.epochs", "3"])
    assert flags.section(arguments, "sasrec") == SASRecOptions(
        hidden_size=48, dropout=0.1, training=TrainingOptions(epochs=3)
    )


def test_a_section_is_judged_alone(recipe):
    """A teacher of 2 layers could not teach this recipe's student of 4: no matter when it trains alone."""
    train = ["train", "llm", "--data", "d", "--out", "o", "--recipe", recipe]
    arguments = parser().parse_args([*train, "--layers", "2"])
    assert flags.section(arguments, "teacher") == LLMOptions(layers=2, training=TrainingOptions(epochs=17))


def test_values_that_contradict_each_other_are_refused():
    with pytest.raises(UserError, match="hidden_size 64 is not a multiple of num_heads 3"):
        override(SASRecOptions(), {"num_heads": 3})
    with pytest.raises(UserError, match="batch_size 10 does not divide into 4 pieces"):
        override(SASRecOptions(), {"training.batch_size": 10, "training.gradient_accumulation": 4})
