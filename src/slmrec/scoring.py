"""Recommendations for any number of users: Parquet in, shards of Parquet out, in flat memory.

A shard is written whole or not at all and covers a fixed range of the input's rows, so that a run that was cut off
goes on with the next one and ends with the very same files.
"""

import ctypes
import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from slmrec.data import Catalogue
from slmrec.data.parquet import write_parquet
from slmrec.errors import UserError
from slmrec.files import read_json, whole_file, write_json
from slmrec.models import Recommender
from slmrec.models.base import recommendations
from slmrec.models.folder import fingerprint

SHARD = 16_384
"""Users a shard."""
TRIMMED = 4
"""Shards after which freed memory is given back; each time costs the next shard some 3 % to ask for it anew."""
MARKER = "score.json"


def score_parquet(
    model: Recommender,
    histories: Path,
    out: Path,
    k: int = 10,
    *,
    exclude_seen: bool = True,
    unknown: Literal["error", "skip"] = "error",
    progress: Callable[[int, int, str], None] | None = None,
) -> int:
    """Write the k best next items of every user of a Parquet file.

    Args:
        model: the recommender.
        histories: Parquet with the columns `user_id` and `history`, a list of item ids, oldest first.
        out: folder of the shards `part-00000.parquet`, …: `user_id, item_id, score, rank`, best first.
        k: items a user; fewer come where fewer are left.
        exclude_seen: leave out the items of the history.
        unknown: what to do with an item that the model lacks: say so, or go on without it.
        progress: told after each shard.

    Returns:
        How many users were scored; those whose history has no known item are left out when unknown is "skip".

    Raises:
        UserError: the file or a history cannot be used; named by row.
    """
    file = _open(histories)
    job = {
        "model": fingerprint(model),
        "precision": getattr(model, "precision", "fp32"),
        "histories": _digest(histories),
        "k": k,
        "exclude_seen": exclude_seen,
        "unknown": unknown,
    }
    _claim(out, job)
    users = done = 0
    for number, frame in enumerate(_shards(file)):
        shard = out / f"part-{number:05d}.parquet"
        if shard.exists():
            users += pl.scan_parquet(shard).select(pl.col("rank").eq(1).sum()).collect().item()
        else:
            found = _score(model, frame, done, histories, k, exclude_seen, unknown)
            with whole_file(shard) as scratch:
                write_parquet(found, scratch)
            users += int((found["rank"] == 1).sum())
            if number % TRIMMED == 0:
                _give_back()
        done += len(frame)
        if progress:
            progress(done, file.metadata.num_rows, "scoring")
    write_json(out / MARKER, job | {"users": users, "complete": True})
    return users


def _give_back() -> None:
    """Return freed memory to the system: glibc keeps pieces between what lives, some 50 MB more with every shard."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # other C libraries have none
        if trim is not None:
            trim(0)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _open(path: Path) -> pq.ParquetFile:
    try:
        file = pq.ParquetFile(path)
    except FileNotFoundError:
        raise UserError(f"there is no file {path}") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{path} is no Parquet file ({str(error).splitlines()[0]})") from error
    names = file.schema_arrow.names
    for name in ("user_id", "history"):
        if names.count(name) != 1:
            raise UserError(
                f"{path} has the columns {', '.join(names)}; "
                "it needs one `user_id` and one `history`, a list of item ids"
            )
    kind = file.schema_arrow.field("history").type
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        raise UserError(f"{path}: column history holds {kind}, but must hold lists of item ids")
    if not file.metadata.num_rows:
        raise UserError(f"{path} has no rows")
    return file


def _claim(out: Path, job: dict[str, Any]) -> None:
    """Make the folder, or take up one in which the same job was cut off or done."""
    if out.exists() and any(out.iterdir()):
        if not (out / MARKER).exists():
            raise UserError(f"{out} holds files but no {MARKER}: not ours to write into; choose another folder")
        before = read_json(out / MARKER, "folder of scores")
        same = {key: before.get(key) for key in job} == json.loads(json.dumps(job))
        if not same and any(out.glob("part-*.parquet")):
            raise UserError(f"{out} holds the scores of another model, input or k; choose another folder or remove it")
        if same:
            return
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / MARKER, job | {"complete": False})


def _shards(file: pq.ParquetFile) -> Iterator[pl.DataFrame]:
    for batch in file.iter_batches(batch_size=SHARD, columns=["user_id", "history"]):
        yield pl.DataFrame(pa.Table.from_batches([batch]))


def _score(
    model: Recommender,
    frame: pl.DataFrame,
    first: int,
    path: Path,
    k: int,
    exclude_seen: bool,
    unknown: Literal["error", "skip"],
) -> pl.DataFrame:
    """One shard's answer; ``first`` is the row of the file that the frame begins with."""
    rows, offsets = _indices(model.catalogue, frame, first, path, unknown)
    kept = np.flatnonzero(np.diff(offsets))
    histories = [rows[offsets[i] : offsets[i + 1]] for i in kept]
    if not histories:
        scores, columns = np.zeros((0, 1), dtype=np.float32), np.zeros((0, 1), dtype=np.int64)
    else:
        scores, columns = model.top_k(histories, k, exclude_seen=exclude_seen)
    return recommendations(frame["user_id"].gather(kept), model.catalogue, scores, columns)


def _indices(
    catalogue: Catalogue, frame: pl.DataFrame, first: int, path: Path, unknown: str
) -> tuple[np.ndarray, np.ndarray]:
    """Item indices of all histories, flat, and (B + 1,) offsets."""
    flat = frame.select(pl.int_range(pl.len()).alias("row"), pl.col("history")).explode("history")
    known = catalogue.frame.select(
        pl.col("item_id").cast(pl.String), pl.int_range(1, pl.len() + 1, dtype=pl.Int32).alias("index")
    )
    spelled = flat.with_columns(pl.col("history").cast(pl.String))
    found = spelled.join(known, left_on="history", right_on="item_id", how="left", maintain_order="left")
    counts = np.bincount(found["row"].to_numpy(), minlength=len(frame))
    nowhere = found["index"].is_null()
    if unknown == "error" and (nowhere.any() or not counts.all()):
        empty = np.flatnonzero(counts == 0)[:1].tolist()
        strange = [(row, item) for row, item, _ in found.filter(nowhere).head(1).iter_rows()]
        row, item = min([*strange, *((row, None) for row in empty)])
        what = "is empty or holds a null" if item is None else f"holds item '{item}', which the model does not know"
        raise UserError(
            f"{path}, row {first + row + 1}: the history of user {frame['user_id'][row]} {what}; "
            "correct it, or ask for unknown items to be skipped"
        )
    found = found.filter(pl.col("index").is_not_null())
    counts = np.bincount(found["row"].to_numpy(), minlength=len(frame))
    return found["index"].to_numpy(), np.concatenate([[0], np.cumsum(counts)])
