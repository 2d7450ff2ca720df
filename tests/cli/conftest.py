"""A tiny house for the commands: 40 users, 30 items, a random decoder of 4 layers, and a fitting recipe."""

import contextlib
import io
import random
from dataclasses import dataclass
from pathlib import Path

import pytest
import transformers

from slmrec.cli.main import main

from ..conftest import DECODERS, save_decoder

transformers.utils.logging.disable_progress_bar()  # commands do so before the import, which here came first

RECIPE = """\
[sasrec]
hidden_size = 16
num_blocks = 1
max_length = 10
training = {{ epochs = 2, batch_size = 16 }}

[gru4rec]
hidden_size = 16
state_size = 16
max_length = 10
training = {{ epochs = 1, batch_size = 16 }}

[caser]
hidden_size = 16
max_length = 10
training = {{ epochs = 1, batch_size = 16 }}

[bert4rec]
hidden_size = 16
max_length = 10
training = {{ epochs = 1, batch_size = 16 }}

[esasrec]
hidden_size = 16
max_length = 10
training = {{ epochs = 1, batch_size = 16 }}

[teacher]
backbone = "{backbone}"
layers = 4
max_length = 10
training = {{ epochs = 1, batch_size = 16 }}

[student]
layers = 2
training = {{ epochs = 1, batch_size = 16 }}

[distillation]
blocks = 2
"""


@dataclass(frozen=True)
class House:
    """What the commands made, and what they printed meanwhile."""

    rows: list[tuple[str, str, int]]
    """User, item, seconds."""
    source: Path
    """Those rows as a CSV file with columns user, item, when; ids have leading zeros."""
    recipe: Path
    decoder: Path
    data: Path
    popularity: Path
    sasrec: Path
    teacher: Path
    student: Path
    printed: dict[str, str]
    """Standard output, by the name of what was made."""


def interactions() -> list[tuple[str, str, int]]:
    """Rows of user, item, seconds: every user walks round the ring of 30 items from a place of their own."""
    drawn = random.Random(0)
    rows = []
    for user in range(40):
        place = drawn.randrange(30)
        for step in range(drawn.randrange(5, 12)):
            rows.append((f"u{user:03}", f"{(place + step) % 30:03}", 1_600_000_000 + 60 * step))
    return rows


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    """Everything made by the commands themselves."""
    folder = tmp_path_factory.mktemp("house")
    source, recipe, decoder = folder / "clicks.csv", folder / "tiny.toml", folder / "decoder"
    rows = interactions()
    source.write_text("\n".join(["user,item,when", *(",".join(map(str, row)) for row in rows)]) + "\n")
    recipe.write_text(RECIPE.format(backbone=decoder))
    save_decoder(DECODERS["llama"], decoder)
    printed: dict[str, str] = {}

    def make(name: str, *arguments: object) -> Path:
        with contextlib.redirect_stdout(io.StringIO()) as stdout:
            assert main([*map(str, arguments), "--out", str(folder / name)]) == 0
        printed[name] = stdout.getvalue()
        return folder / name

    columns = [word for pair in ("user_id=user", "item_id=item", "timestamp=when") for word in ("--column", pair)]
    recipe_flag = ("--recipe", recipe)
    data = make("data", "data", "prepare", source, *columns, *recipe_flag)
    popularity = make("popularity", "train", "popularity", "--data", data)
    sasrec = make("sasrec", "train", "sasrec", "--data", data, *recipe_flag)
    teacher = make("teacher", "train", "llm", "--data", data, "--item-table", sasrec, *recipe_flag)
    student = make("student", "distill", "--teacher", teacher, "--data", data, *recipe_flag)
    return House(rows, source, recipe, decoder, data, popularity, sasrec, teacher, student, printed)


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make any training a fault."""

    def train(*_, **__):
        raise AssertionError("it went on to train")

    for name in ("train_popularity", "train_neighbours", "train_classic", "train_llm", "distill"):
        monkeypatch.setattr(f"slmrec.training.train.{name}", train)
