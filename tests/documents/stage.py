"""What the documents name, made tiny: data sources, decoders, a run and models that commands and code can work on.

Everything is made by the commands themselves. `ml-100k`, `smollm2-135m` and `minilm-l6` are stood in for by a made-up
data set in the same format, a random decoder and a random encoder, so that nothing is fetched.
"""

import contextlib
import hashlib
import importlib
import io
import random
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import onnx
import polars as pl
import pytest
import torch
from transformers import AutoModel, BertConfig, LlamaConfig, PreTrainedTokenizerFast

from slmrec.cli.main import main
from slmrec.export.onnx_graph import onnx_graph
from slmrec.models import DotProductRecommender

ADJECTIVES = ("Quiet", "Golden", "Last", "Hidden", "Blue", "Silver", "Broken", "Little", "Wild", "Distant")
NOUNS = ("River", "Garden", "Letter", "Harbour", "Mountain", "Station", "Orchard", "Lantern", "Island", "Bridge")
ITEMS = 190
USERS = 200
RECIPE = "tiny.toml"
"""The recipe that is taken wherever a document's command names none."""
SMALL = "hidden_size = 16\nmax_length = 50\ntraining = { epochs = 1, batch_size = 64 }"
TINY = f"""\
[sasrec]
num_blocks = 1
{SMALL}

[gru4rec]
state_size = 16
{SMALL}

[caser]
{SMALL}

[bert4rec]
{SMALL}

[esasrec]
{SMALL}

[teacher]
layers = 8
max_length = 50
prompt_before = "Items that a user chose"
training = {{ epochs = 1, batch_size = 64 }}

[student]
layers = 4
training = {{ epochs = 1, batch_size = 64 }}

[ensemble]
item_knn = true
sequential_rules = true
text_knn = true
"""


def prepare(folder: Path) -> None:
    """Make the stage that each page gets a copy of."""
    (folder / RECIPE).write_text(TINY)
    _decoder(folder / "named" / "smollm2-135m")
    _encoder(folder / "named" / "minilm-l6")
    rows = _walks()
    _recbole(folder / "named" / "ml-100k", "ml-100k", rows)
    _recbole(folder / "dataset" / "shop", "shop", rows)
    _frames(folder, rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        stand_in(patch, folder)
        run("run ml-100k --out runs/ml-100k")
        run("train gru4rec --data runs/ml-100k/data --out models/gru4rec")
        run("train sasrec --data runs/ml-100k/data --item-text minilm-l6 --out models/text")
    shutil.copytree(folder / "runs" / "ml-100k" / "data", folder / "data" / "ml-100k")
    for name in ("sasrec", "teacher", "student"):
        shutil.copytree(folder / "runs" / "ml-100k" / name, folder / "models" / name)


def stand_in(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let named sources be the tiny ones of a stage, and the cache be its own."""
    named = folder / "named"
    patch.setenv("SLMREC_CACHE", str(folder / "cache"))
    patch.setenv("HF_HUB_OFFLINE", "1")
    for module in ("slmrec.data.prepare", "slmrec.pipeline", "slmrec.models.backbone"):
        patch.setattr(importlib.import_module(module), "fetch", lambda name, report=None: named / name)
    patch.setattr("slmrec.export.bundle.onnx_graph", _traced)


_TRACED: dict[str, onnx.ModelProto] = {}


def _traced(model: DotProductRecommender) -> onnx.ModelProto:
    """A model's graph. Pages export the same student in several precisions, and tracing it takes the most of that."""
    found = hashlib.sha256(f"{model.kind} {model.config.max_length}".encode())
    for name, tensor in model.state_dict().items():
        found.update(name.encode() + tensor.contiguous().view(torch.uint8).numpy().tobytes())
    key = found.hexdigest()
    if key not in _TRACED:
        _TRACED[key] = onnx_graph(model)
    return _TRACED[key]


def run(line: str) -> str:
    """Run a command of ours with the tiny recipe; what it printed."""
    with contextlib.redirect_stdout(io.StringIO()) as stdout:
        code = main([*line.split(), "--recipe", RECIPE])
    assert code == 0, line
    return stdout.getvalue()


def _walks() -> list[tuple[int, int, int]]:
    """User, item, second: everybody walks round the ring of items from a place of their own."""
    drawn = random.Random(0)
    rows = []
    for user in range(1, USERS + 1):
        place = drawn.randrange(ITEMS)
        for step in range(drawn.randrange(5, 12)):
            rows.append((user, (place + step) % ITEMS + 1, 881_250_000 + 3_600 * user + 60 * step))
    return rows


def _title(item: int) -> str:
    return f"The {ADJECTIVES[item % 10]} {NOUNS[item // 10 % 10]}" + (" Returns" if item >= 100 else "")


def _recbole(folder: Path, name: str, rows: list[tuple[int, int, int]]) -> None:
    folder.mkdir(parents=True)
    lines = [f"{user}\t{item}\t{1 + item % 5}\t{second}" for user, item, second in rows]
    header = "user_id:token\titem_id:token\trating:float\ttimestamp:float"
    (folder / f"{name}.inter").write_text("\n".join([header, *lines]) + "\n")
    lines = [f"{item}\t{_title(item)}\t{1950 + item % 50}\tDrama Comedy" for item in range(1, ITEMS + 1)]
    header = "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq"
    (folder / f"{name}.item").write_text("\n".join([header, *lines]) + "\n")


def _frames(folder: Path, rows: list[tuple[int, int, int]]) -> None:
    """A shop's files: clicks, items, a RecTools frame, histories to score, new items."""
    users, items, seconds = zip(*rows, strict=True)
    moments = [datetime.fromtimestamp(second, UTC).replace(tzinfo=None) for second in seconds]
    skus = [_sku(item) for item in items]
    clicks = pl.DataFrame({"visitor": [f"v{user}" for user in users], "sku": skus, "timestamp": moments})
    clicks.write_parquet(folder / "clicks.parquet")
    items_of = range(1, ITEMS + 1)
    catalogue = {"item_id": [_sku(item) for item in items_of], "text": [_title(item) for item in items_of]}
    pl.DataFrame(catalogue).write_csv(folder / "items.csv")
    weights = pl.DataFrame({"user_id": users, "item_id": items, "weight": [1.0] * len(rows), "datetime": moments})
    weights.write_parquet(folder / "interactions.parquet")
    histories = clicks.group_by("visitor", maintain_order=True).agg("sku")
    histories.rename({"visitor": "user_id", "sku": "history"}).write_parquet(folder / "users.parquet")
    histories = weights.select("user_id", history=pl.col("item_id").cast(pl.String)).group_by("user_id").agg("history")
    histories.write_parquet(folder / "histories.parquet")
    new = pl.DataFrame({"item_id": ["N1", "N2"], "text": ["The Silver Orchard", "A Distant Lantern"]})
    new.write_parquet(folder / "new.parquet")
    assert moments[1] - moments[0] == timedelta(minutes=1)


def _sku(item: int) -> str:
    """Ids with leading zeros, as shops have them; `0042` and `0815` are among them."""
    return "0815" if item == 1 else f"{item:04}"


def _decoder(folder: Path) -> None:
    """A random LLaMA, 16 wide."""
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "intermediate_size": 24, "num_attention_heads": 2, "num_key_value_heads": 1}
    AutoModel.from_config(LlamaConfig(num_hidden_layers=12, vocab_size=40, **shape)).save_pretrained(folder)
    _tokenizer(["Items", "that", "a", "user", "chose"]).save_pretrained(folder)


def _encoder(folder: Path) -> None:
    """A sentence encoder of one layer that knows the words of the titles."""
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "intermediate_size": 24, "num_attention_heads": 2}
    AutoModel.from_config(BertConfig(num_hidden_layers=1, vocab_size=60, **shape)).save_pretrained(folder)
    _tokenizer([*ADJECTIVES, *NOUNS, "The", "A", "Returns"]).save_pretrained(folder)


def _tokenizer(vocabulary: list[str]) -> PreTrainedTokenizerFast:
    from tokenizers import Tokenizer, models, pre_tokenizers

    known = {word: place for place, word in enumerate(["<unk>", *vocabulary])}
    tokenizer = Tokenizer(models.WordLevel(known, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>")
