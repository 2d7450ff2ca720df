"""Vectors of the items' text: from a sentence encoder, from any Hugging Face model, or the user's own.

An encoder's last states are averaged over a text's tokens and scaled to length one (as sentence-transformers does
with the packaged MiniLM). Vectors are kept in the cache, by the texts and the encoder they belong to.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import torch
from torch import Tensor
from transformers import AutoModel, AutoTokenizer

from slmrec.data import Catalogue
from slmrec.data.packages import cache_folder
from slmrec.data.parquet import read_parquet
from slmrec.engine import like_lengths
from slmrec.errors import UserError
from slmrec.files import whole_file
from slmrec.models.backbone import check_backbone, locate

LONGEST = 64
"""Tokens of a text that are read."""
TOKENS = 4096
"""Tokens that run together."""

Told = Callable[[int, int, str], None]


def text_vectors(catalogue: Catalogue, source: str, progress: Told | None = None) -> Tensor:
    """(N, e) float32: a vector for each item's text; zeros for an item without one.

    Args:
        catalogue: the items.
        source: `minilm-l6`, another encoder's Hugging Face name or folder, or a Parquet file with `item_id` and
            `vector`.
        progress: told after each batch.

    Raises:
        UserError: no such encoder or file, or no item has a text.
    """
    if source.endswith(".parquet"):
        return _from_frame(catalogue, read_parquet(Path(source), "give a Parquet file with item_id and vector"), source)
    texts = catalogue.frame["text"].fill_null("").to_list()
    if not any(texts):
        raise UserError("no item has a text to encode; put items.csv with item_id and text beside the interactions")
    digest = hashlib.sha256(repr((source, LONGEST, texts)).encode()).hexdigest()[:24]
    kept = cache_folder() / "text_vectors" / f"{digest}.npy"
    if kept.exists():
        return torch.from_numpy(np.load(kept))
    vectors = _encode(texts, source, progress)
    kept.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(kept) as scratch, scratch.open("wb") as file:
        np.save(file, vectors.numpy())
    return vectors


def _encode(texts: list[str], source: str, progress: Told | None) -> Tensor:
    check_backbone(source, None, role="text encoder", packaged="minilm-l6")
    where, options = locate(source)
    try:
        tokenizer = AutoTokenizer.from_pretrained(where, **options)
        model = AutoModel.from_pretrained(where, dtype=torch.float32, **options).eval()
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"text encoder '{source}' cannot be loaded ({reason})") from error
    tokens = [tokenizer(text, truncation=True, max_length=LONGEST).input_ids if text else [] for text in texts]
    some = [place for place, ids in enumerate(tokens) if ids]
    vectors = torch.zeros(len(texts), model.config.hidden_size)
    done = 0
    with torch.inference_mode():
        for batch in like_lengths([len(tokens[place]) for place in some], TOKENS):
            places = [some[i] for i in batch]
            longest = max(len(tokens[place]) for place in places)
            ids = torch.zeros(len(places), longest, dtype=torch.int64)
            mask = torch.zeros(len(places), longest, dtype=torch.int64)
            for row, place in enumerate(places):
                ids[row, : len(tokens[place])] = torch.tensor(tokens[place])
                mask[row, : len(tokens[place])] = 1
            states = model(input_ids=ids, attention_mask=mask).last_hidden_state  # (B, L, e)
            mean = (states * mask[:, :, None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)
            vectors[places] = torch.nn.functional.normalize(mean, dim=1)
            done += len(places)
            if progress:
                progress(done, len(some), "encoding the items' texts")
    return vectors.clone()


def new_vectors(catalogue: Catalogue, frame: pl.DataFrame, source: str, width: int) -> Tensor:
    """(M, width): vectors of new items as a trained model's own were made.

    Args:
        catalogue: the new items alone.
        frame: them with a column `vector`, where vectors were the user's own.
        source: what the model's vectors came from.
        width: of the model's vectors.

    Raises:
        UserError: an item has nothing to be known by, or vectors of another width.
    """
    own = source.endswith(".parquet")
    vectors = _from_frame(catalogue, frame, "the table of new items") if own else text_vectors(catalogue, source)
    if vectors.shape[1] != width:
        raise UserError(f"the new items' vectors have {vectors.shape[1]} numbers, the model's {width}")
    nothing = torch.nonzero(~vectors.any(dim=1))[:, 0].tolist()
    if nothing:
        item = catalogue.frame["item_id"][nothing[0]]
        raise UserError(f"{len(nothing)} new items have no text to be known by, the first is '{item}'")
    return vectors


def _from_frame(catalogue: Catalogue, frame: pl.DataFrame, path: str) -> Tensor:
    if not {"item_id", "vector"} <= set(frame.columns):
        raise UserError(f"{path} has the columns {', '.join(frame.columns)}; it needs item_id and vector")
    try:
        matrix = frame["vector"].cast(pl.List(pl.Float32)).to_list()
    except pl.exceptions.PolarsError as error:
        raise UserError(
            f"{path}: column vector holds {frame['vector'].dtype}, but must hold lists of numbers"
        ) from error
    widths = {len(row) if row is not None else 0 for row in matrix}
    if len(widths) != 1 or 0 in widths:
        raise UserError(f"{path}: vectors are of different lengths: {', '.join(map(str, sorted(widths)))}")
    by_id = dict(zip(frame["item_id"].cast(pl.String).to_list(), matrix, strict=True))
    ids = catalogue.frame["item_id"].cast(pl.String).to_list()
    if not any(item in by_id for item in ids):
        raise UserError(f"{path} has a vector for none of the {len(ids)} items; its item_id are of another catalogue")
    none = [0.0] * widths.pop()
    return torch.tensor([by_id.get(item, none) for item in ids], dtype=torch.float32)
