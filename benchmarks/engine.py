"""The engine side by side with the published layout: throughput, training, latency, growth, precision, parity.

    python benchmarks/engine.py SOURCE [SECTION …] [--result FILE] [--student MODEL]

SOURCE: amazon14-beauty, or any source; its test histories are what is encoded. Sections: throughput, training,
latency, growth, index, batch, compile, and precision, parity and slide of the trained --student. Each is measured in
one process, its rivals taking turns, and written when it is done; one that stands in the result file is not run again
unless it is named. Nothing else should run meanwhile.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from published import SLOTS, published_layout
from slmrec.data import Dataset, prepare_source
from slmrec.data.batches import LengthBatches, collate, training_examples
from slmrec.engine import ItemIndex, UserStates, top_k
from slmrec.engine.decoder import FusedDecoder
from slmrec.evaluation import evaluate
from slmrec.files import write_json
from slmrec.models import SASRec, SASRecConfig, SLMRec, load
from slmrec.models.items import ItemTable
from slmrec.provenance import provenance
from slmrec.recipe import load_recipe
from slmrec.scoring import score_parquet
from slmrec.training.build import build_llm
from slmrec.training.distillation import Distillation
from slmrec.training.kept import TaughtExamples
from slmrec.training.options import LLMOptions
from slmrec.training.teacher_states import block_end_states, teacher_states

RESULT = Path(__file__).parent / "results" / "engine.json"
LAYER_FLOPS = 2 * 3_539_000
"""Multiplications and additions of one SmolLM2-135M layer a position."""
ITEM_DIM = 64


def main() -> None:
    """Measure what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("sections", nargs="*")
    parser.add_argument("--result", type=Path, default=RESULT)
    parser.add_argument("--student", type=Path)
    arguments = parser.parse_args()
    found = json.loads(arguments.result.read_text()) if arguments.result.exists() else {}
    data = prepare_source(arguments.source)
    for name, section in SECTIONS.items():
        wanted = name in arguments.sections if arguments.sections else name not in found
        if not wanted or (name in TRAINED and arguments.student is None):
            continue
        print(name, file=sys.stderr, flush=True)
        torch.manual_seed(0)
        torch.set_num_threads(psutil.cpu_count(logical=False) or 1)
        started = time.perf_counter()
        measured = section(data, arguments.student) if name in TRAINED else section(data)
        found[name] = measured | {
            "data": data.name,
            "took": round(time.perf_counter() - started, 1),
            "provenance": provenance(),
        }
        write_json(arguments.result, found)
        print(json.dumps(found[name], indent=1), file=sys.stderr, flush=True)


# -- throughput -------------------------------------------------------------------------------------------------


def throughput(data: Dataset) -> dict[str, Any]:
    """Users a second: encoding alone, rivals in turn; and the share of the machine's GEMM rate."""
    histories = test_histories(data)
    deep, shallow, sasrec = llm(data, 30), llm(data, 4), small_sasrec(data)
    few, many = sample(histories, 16), sample(histories, 2048)
    rivals: dict[str, tuple[Callable[[], Any], int]] = {
        "published layout, 30 layers": (no_grad(lambda: published_layout(deep)(few)), len(few)),
        "published layout, 4 layers": (no_grad(lambda: published_layout(shallow)(few)), len(few)),
        "engine, 30 layers": (lambda: deep.encode(many[:512]), 512),
        "engine, 4 layers": (lambda: shallow.encode(many), len(many)),
        "SASRec, 64 wide": (lambda: sasrec.encode(many), len(many)),
    }
    result: dict[str, Any] = {"mean history": float(np.mean([len(h[-50:]) for h in histories]))}
    for threads in (torch.get_num_threads(), 1):
        torch.set_num_threads(threads)
        rates: dict[str, list[float]] = {name: [] for name in [*rivals, "GEMM GFLOP/s"]}
        for turn in range(6):  # the first warms up
            for name, (work, users) in rivals.items():
                rates[name].append(users / seconds(work))
                if turn == 0:
                    rates[name].clear()
            rates["GEMM GFLOP/s"].append(gemm_rate() / 1e9)
        table = {name: spread(values) for name, values in rates.items()}
        tokens = sum(len(h[-50:]) for h in many)
        # Three whole layers, keys and values of the last, and the rest of it for one position a history.
        flops = tokens * (3 + 2 * 576 * 192 / 3_539_000) * LAYER_FLOPS + len(many) * LAYER_FLOPS
        table["share of GEMM, engine, 4 layers"] = (
            flops / len(many) * table["engine, 4 layers"]["median"] / 1e9 / table["GEMM GFLOP/s"]["median"]
        )
        base = table["published layout, 30 layers"]["median"]
        table["ratios"] = {
            "4 layers here : 30 published": table["engine, 4 layers"]["median"] / base,
            "30 layers here : 30 published": table["engine, 30 layers"]["median"] / base,
            "4 layers published : 30 published": table["published layout, 4 layers"]["median"] / base,
            "SASRec : 4 layers here": table["SASRec, 64 wide"]["median"] / table["engine, 4 layers"]["median"],
        }
        result[f"{threads} threads"] = table
    return result


# -- training ---------------------------------------------------------------------------------------------------


def training(data: Dataset) -> dict[str, Any]:
    """Seconds a user of a step as published, and of distilling here, the teacher's part included."""
    paper, default = load_recipe("paper", {}), load_recipe("default", {})
    result: dict[str, Any] = {}
    published = build_llm(data, replace(paper.teacher, layers=30), vectors(data, 128)).train()
    layout = published_layout(published).train()
    rows = training_examples(data, SLOTS, "last-position")
    plain_optimiser = torch.optim.AdamW([p for p in published.parameters() if p.requires_grad], fused=True)

    def published_step(examples) -> None:
        states = layout([example.inputs for example in examples])
        targets = torch.tensor([int(example.targets[0]) for example in examples])
        torch.nn.functional.cross_entropy(states @ published.item_vectors().T, targets - 1).backward()
        plain_optimiser.step()
        plain_optimiser.zero_grad()

    modes = {}
    for name, recipe, supervise, batch_size, width in (
        ("one target a user", paper, "last-position", 256, 128),
        ("every position", default, "every-position", 16, ITEM_DIM),
    ):
        teacher = build_llm(data, recipe.teacher, vectors(data, width)).eval()
        student_options = replace(
            recipe.teacher, **{key: getattr(recipe.student, key) for key in type(recipe.student).__dataclass_fields__}
        )
        student = build_llm(data, student_options, vectors(data, width)).train()
        module = Distillation(student, teacher, recipe.distillation).train()
        optimiser = torch.optim.AdamW([p for p in module.parameters() if p.requires_grad], fused=True)
        examples = training_examples(data, recipe.teacher.max_length, supervise)
        batches = list(LengthBatches([len(e.inputs) for e in examples], batch_size))
        epochs = recipe.student.training.epochs
        modes[name] = (teacher, module, optimiser, examples, batches, epochs)
        result[f"states in 16 bits, {name}"] = sixteen_bits(module, teacher, collate([examples[i] for i in batches[0]]))
        some = [examples[i] for i in sorted(i for batch in batches[:8] for i in batch)]
        with tempfile.TemporaryDirectory() as folder:
            making = seconds(teacher_states, teacher, some, module.teacher_layers, Path(folder) / "states")
            kept = TaughtExamples(some, teacher_states(teacher, some, module.teacher_layers, Path(folder) / "states"))
            reading = seconds(lambda kept=kept: [kept[i].teacher.sum() for i in range(len(kept))])
        result[f"cache, {name}"] = {
            "computing and writing, ms an example": 1e3 * making / len(some),
            "reading, ms an example": 1e3 * reading / len(some),
        }
    times: dict[str, list[float]] = {"published, 30 layers, a user": []}
    for turn in range(4):  # the first warms up
        few = [rows[i] for i in range(turn * 8, turn * 8 + 8)]
        elapsed = [seconds(published_step, few) / len(few)]
        for name, (teacher, module, optimiser, examples, batches, epochs) in modes.items():
            layers = module.teacher_layers
            taught = student_time = 0.0
            targets = users = 0
            for batch in batches[turn * 4 : turn * 4 + (1 if "one" in name else 4)]:
                tensors = collate([examples[i] for i in batch])
                taught += seconds(teach, teacher, tensors, layers)
                student_time += seconds(step, module, optimiser, tensors)
                targets += len(tensors["teacher"])
                users += len(batch)
            whole = taught / epochs + student_time
            times.setdefault(f"{name}: student alone, a target", []).append(student_time / targets)
            times.setdefault(f"{name}: teacher's states once, a target", []).append(taught / targets)
            times.setdefault(f"{name}: both, a target", []).append(whole / targets)
            times.setdefault(f"{name}: both, teacher paid in one epoch, a target", []).append(
                (taught + student_time) / targets
            )
        times["published, 30 layers, a user"] += elapsed
        if turn == 0:
            for values in times.values():
                values.clear()
    result["seconds"] = {name: spread(values) for name, values in times.items()}
    base = result["seconds"]["published, 30 layers, a user"]["median"]
    for name, mode in modes.items():
        result["ratios"] = result.get("ratios", {}) | {
            f"{name}, published 30 layers : distilling here": base
            / result["seconds"][f"{name}: both, a target"]["median"],
            f"{name}, the same, teacher paid in one epoch": base
            / result["seconds"][f"{name}: both, teacher paid in one epoch, a target"]["median"],
        }
        result[f"epochs, {name}"] = mode[-1]
    return result


def sixteen_bits(module: Distillation, teacher: SLMRec, batch: dict[str, torch.Tensor]) -> dict[str, float]:
    """What teacher states kept in 16 bits change: the loss, and the gradient's direction and size."""
    exact = block_end_states(teacher, batch, module.teacher_layers).transpose(0, 1)
    losses, gradients = [], []
    for states in (exact, exact.half()):
        torch.manual_seed(0)  # the same dropout
        loss = module(**batch, teacher=states)["loss"]
        found = torch.autograd.grad(loss, [p for p in module.parameters() if p.requires_grad], allow_unused=True)
        losses.append(loss.item())
        gradients.append(torch.cat([gradient.flatten() for gradient in found if gradient is not None]))
    difference = (gradients[1] - gradients[0]).norm() / gradients[0].norm()
    return {"loss, relative": abs(losses[1] / losses[0] - 1), "gradient, relative": difference.item()}


def teach(teacher: SLMRec, tensors: dict[str, torch.Tensor], layers: Sequence[int]) -> None:
    """Put the teacher's states into a batch, as they come from the cache."""
    tensors["teacher"] = block_end_states(teacher, tensors, layers).transpose(0, 1).half()


def step(module: Distillation, optimiser: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]) -> None:
    """One optimiser step."""
    module(**tensors)["loss"].backward()
    optimiser.step()
    optimiser.zero_grad()


# -- latency ----------------------------------------------------------------------------------------------------


def latency(data: Dataset) -> dict[str, Any]:
    """One request in process on one core: ids in, ids out; and one more event of a known user."""
    torch.set_num_threads(1)
    model = llm(data, 4)
    rng = np.random.default_rng(0)
    result: dict[str, Any] = {"items": data.num_items, "events": 10, "k": 10}
    ids = data.catalogue.frame["item_id"].to_list()
    requests = [[ids[i] for i in rng.choice(data.num_items, 10, replace=False)] for _ in range(300)]
    for precision in ("fp32", "int8"):
        model.use_precision(precision)
        states = UserStates(model.encoder)
        table = model.item_vectors()
        known = {user: model.catalogue.index(request) for user, request in enumerate(requests)}
        with torch.inference_mode():
            states.encode(known)

        one, more = [], []
        for user, request in enumerate(requests):  # in turn
            one.append(seconds(model.recommend, [request], k=10))
            longer = np.append(known[user], rng.integers(1, data.num_items + 1)).astype(np.int32)
            more.append(seconds(event, states, table, user, longer))
        result[precision] = {
            "one request, ms": quantiles(one[20:]),
            "one more event, ms": quantiles(more[20:]),
            "matrix products of a request, ms": quantiles([products(model, 10) for _ in range(100)]),
            "matrix products of an event, ms": quantiles([products(model, 1) for _ in range(100)]),
        }
    return result


def products(model: SLMRec, positions: int) -> float:
    """Seconds of the layers' matrix products alone, the last layer's as the engine takes them."""
    layers = cast(FusedDecoder, model.encoder.decoder).layers
    many, one = torch.randn(positions, 576), torch.randn(1, 576)
    wide = (torch.randn(positions, 1536), torch.randn(1, 1536))
    with torch.inference_mode():
        started = time.perf_counter()
        for number, layer in enumerate(layers):
            last = number == len(layers) - 1
            layer.enter(many)
            layer.leave(one if last else many)
            layer.widen(one if last else many)
            layer.narrow(wide[1] if last else wide[0])
        return time.perf_counter() - started


def event(states: UserStates, table: torch.Tensor, user: int, history: np.ndarray) -> None:
    """A known user's new ten best."""
    with torch.inference_mode():
        top_k(states.encode({user: history}), table, 10, excluded=[history - 1])


# -- growth -----------------------------------------------------------------------------------------------------


def growth(data: Dataset) -> dict[str, Any]:
    """Cost against history length and catalogue."""
    result: dict[str, Any] = {"history": {}, "catalogue": {}}
    rng = np.random.default_rng(0)
    long = llm(data, 4, max_length=1000)
    for length in (10, 30, 100, 300, 1000):
        histories = [rng.integers(1, data.num_items + 1, size=length) for _ in range(max(1, 1280 // length))]
        long.encode(histories)
        taken = [seconds(long.encode, histories) / len(histories) for _ in range(3)]
        result["history"][str(length)] = spread([1e3 * value for value in taken])
    for items in (10_000, 100_000, 1_000_000, 10_000_000):
        table = torch.randn(items, ITEM_DIM)
        users = torch.randn(256, ITEM_DIM)
        seen = [rng.integers(0, items, size=10) for _ in range(256)]
        one = [seconds(top_k, users[:1], table, 10, excluded=seen[:1]) for _ in range(4)][1:]
        batch = [seconds(top_k, users, table, 10, excluded=seen) / 256 for _ in range(3)][1:]
        result["catalogue"][str(items)] = {
            "one request, ms": spread([1e3 * value for value in one]),
            "a user of 256, ms": spread([1e3 * value for value in batch]),
            "memory GB": round(psutil.Process().memory_info().rss / 1e9, 2),
        }
    return result


def index(data: Dataset) -> dict[str, Any]:
    """Approximate against exact search, one request at a time, over clustered item vectors."""
    result: dict[str, Any] = {}
    for items in (100_000, 1_000_000, 10_000_000):
        centres = torch.randn(items // 100, ITEM_DIM)
        table = centres[torch.randint(len(centres), (items,))] + 0.5 * torch.randn(items, ITEM_DIM)
        users = centres[torch.randint(len(centres), (200,))] + 0.5 * torch.randn(200, ITEM_DIM)
        started = time.perf_counter()
        built = ItemIndex(table, users[:100], recall=0.95)
        building = time.perf_counter() - started
        asked = users[100:]
        approximate = [seconds(built.top_k, asked[i : i + 1], 10) for i in range(100)]
        exact = [seconds(top_k, asked[i : i + 1], table, 10) for i in range(20)]
        same = (built.top_k(asked, 10)[1][:, :, None] == top_k(asked, table, 10)[1][:, None]).any(1).float().mean()
        result[str(items)] = {
            "recall@10 of other users": round(same.item(), 4),
            "lists searched": round(built.searched, 5),
            "build s": round(building, 1),
            "approximate, ms": quantiles(approximate),
            "exact, ms": quantiles(exact),
        }
        del built
    return result


def batch(data: Dataset) -> dict[str, Any]:
    """`score`, Parquet in, Parquet out, as a process of its own; and its rate beside `top_k` of the same histories."""
    result: dict[str, Any] = {}
    histories = test_histories(data)
    ids = data.catalogue.frame["item_id"].to_numpy()
    rng = np.random.default_rng(0)
    for kind, model, compared, sizes in (
        ("engine, 4 layers", llm(data, 4), 10_000, (1_000, 10_000)),
        ("SASRec, 64 wide", small_sasrec(data), 100_000, (10_000, 100_000, 1_000_000)),
    ):
        with tempfile.TemporaryDirectory() as folder:
            path, saved = Path(folder) / "in.parquet", Path(folder) / "model"
            model.save_pretrained(saved)
            for users in sizes:
                chosen = rng.integers(0, len(histories), size=users)
                flat = np.concatenate([ids[histories[i] - 1] for i in chosen])
                offsets = np.cumsum([0, *(len(histories[i]) for i in chosen)])
                lists = pa.ListArray.from_arrays(offsets, pa.array(flat))
                pq.write_table(pa.table({"user_id": np.arange(users), "history": lists}), path)
                out = Path(folder) / f"out-{users}"
                command = [
                    sys.executable,
                    "-m",
                    "slmrec",
                    "score",
                    saved,
                    "--histories",
                    path,
                    "--out",
                    out,
                    "-k",
                    "10",
                ]
                started = time.perf_counter()
                process = subprocess.Popen([str(part) for part in command], stderr=subprocess.DEVNULL)
                _, status, usage = os.wait4(process.pid, 0)
                taken = time.perf_counter() - started
                assert status == 0
                result[f"{kind}, {users:,} users"] = {
                    "seconds": round(taken, 2),
                    "users a second": round(users / taken, 1),
                    "most memory GB": round(usage.ru_maxrss / 1e6, 2),
                }
                if users != compared:
                    continue
                rows = [histories[i] for i in chosen]
                shares = []
                for turn in range(3):
                    alone = seconds(model.top_k, rows, 10)
                    whole = seconds(score_parquet, model, path, Path(folder) / f"compared-{turn}", 10)
                    shares.append(alone / whole)
                result[f"{kind}, {users:,} users"]["share of top_k's rate"] = spread(shares)
    return result


def compiled(data: Dataset) -> dict[str, Any]:
    """torch.compile of the decoder in training and inference forward, against eager."""
    model = llm(data, 4)
    batch = collate(training_examples(data, 50, "every-position")[:64])
    inputs, lengths = batch["input_ids"], batch["lengths"]

    def step() -> None:
        model(inputs, lengths).sum().backward()
        model.zero_grad()

    eager = [seconds(step) for _ in range(4)][1:]
    plain = model.backbone
    model.backbone.forward = torch.compile(plain.forward, dynamic=True)
    try:
        first = seconds(step)
        later = [seconds(step) for _ in range(4)][1:]
    except Exception as error:
        return {"eager s": spread(eager), "fails with": f"{type(error).__name__}: {str(error)[:200]}"}
    return {
        "eager s": spread(eager),
        "compiled s": spread(later),
        "first step s": round(first, 1),
        "ratio": statistics.median(eager) / statistics.median(later),
    }


# -- of a trained student ---------------------------------------------------------------------------------------


def precision(data: Dataset, folder: Path) -> dict[str, Any]:
    """What reduced precisions change: NDCG@10, and the ten best of every user."""
    model = trained(folder, data)
    histories = test_histories(data)
    result: dict[str, Any] = {"student": f"{model.num_layers} layers, {model.config.reading}"}
    exact = None
    for name, users in (("fp32", len(histories)), ("int8", len(histories)), ("bf16", 2048)):
        model.use_precision(name)
        started = time.perf_counter()
        _, found = model.top_k(histories[:users], 10)
        taken = time.perf_counter() - started
        if exact is None:
            exact = found
        overlap = (found[:, :, None] == exact[:users, None, :]).any(axis=1).mean()
        cases = None if users == len(histories) else users
        result[name] = {
            "users": users,
            "NDCG@10": evaluate(model, data, max_cases=cases).metrics["NDCG@10"],
            "overlap of the ten best": float(overlap),
            "users a second": round(users / taken, 1),
        }
    model.use_precision("fp32")
    result["fp32 on the users of bf16"] = evaluate(model, data, max_cases=2048).metrics["NDCG@10"]
    return result


def parity(data: Dataset, folder: Path) -> dict[str, Any]:
    """The engine's vectors and ten best of every test user against the plain layout in transformers' own forward."""
    model = trained(folder, data)
    histories = test_histories(data)
    before, after = model.config.prompt_lengths
    slots = model.config.max_length
    table = model.item_vectors().detach()
    worst = scale = 0.0
    different = ties = 0
    for start in range(0, len(histories), 64):
        some = [history[-slots:] for history in histories[start : start + 64]]
        rows = len(some)
        every = model.config.reading == "every-position"
        width = max(map(len, some)) if every else slots
        ids = torch.zeros(rows, width, dtype=torch.int64)
        mask = torch.ones(rows, before + width + after, dtype=torch.int64)
        for row, history in enumerate(some):
            at = 0 if every else width - len(history)
            ids[row, at : at + len(history)] = torch.from_numpy(history.astype(np.int64))
            empty = slice(before + len(history), None) if every else slice(before, before + at)
            mask[row, empty] = 0
        with torch.inference_mode():
            items = model.input_adapter(model.items(ids))
            texts = [text.expand(rows, -1, -1) for text in (model.prompt_before, model.prompt_after)]
            inputs = torch.cat([texts[0], items, texts[1]], dim=1)
            states = model.backbone(inputs_embeds=inputs, attention_mask=mask, use_cache=False).last_hidden_state
            last = [before + len(history) - 1 if every else -1 for history in some]
            plain = model.read_out(states[torch.arange(rows), last])
            ours = model.encode(some)
        worst = max(worst, (ours - plain).abs().max().item())
        scale = max(scale, plain.abs().max().item())
        seen = [history - 1 for history in histories[start : start + 64]]
        with torch.inference_mode():
            (scores, mine), (_, theirs) = (top_k(v, table, 10, excluded=seen) for v in (ours, plain))
        for row in torch.nonzero((mine != theirs).any(1))[:, 0].tolist():
            values = plain[row] @ table[mine[row]].T - plain[row] @ table[theirs[row]].T
            if values.abs().max() <= 1e-5 * scores[row].abs().max():
                ties += 1
            else:
                different += 1
    return {
        "users": len(histories),
        "largest difference over scale": worst / scale,
        "users whose ten best differ": different,
        "users whose ten best differ by a tie to 1e-5": ties,
    }


class Hopping:
    """A model that reads the windows of `UserStates(slide="hop")`."""

    def __init__(self, model: SLMRec) -> None:
        self.model, self.kind, self.catalogue = model, model.kind, model.catalogue
        self.parameter_counts = model.parameter_counts
        self.window = UserStates(model.encoder, slide="hop").window

    def score(self, histories: Sequence[np.ndarray]) -> torch.Tensor:
        """As the protocol asks."""
        return self.model.score([self.window(history) for history in histories])


def slide(data: Dataset, folder: Path) -> dict[str, Any]:
    """What the shorter windows of slide="hop" cost."""
    model = trained(folder, data)
    slots = model.config.max_length
    histories = test_histories(data)
    return {
        "window": slots,
        "users": len(histories),
        "beyond": sum(len(history) > slots for history in histories),
        "exact": evaluate(model, data).metrics["NDCG@10"],
        "hop": evaluate(Hopping(model), data).metrics["NDCG@10"],
    }


SECTIONS: dict[str, Callable[..., dict[str, Any]]] = {
    "throughput": throughput,
    "training": training,
    "latency": latency,
    "growth": growth,
    "index": index,
    "batch": batch,
    "compile": compiled,
    "precision": precision,
    "parity": parity,
    "slide": slide,
}
TRAINED = ("precision", "parity", "slide")


# -- helpers ----------------------------------------------------------------------------------------------------


def llm(data: Dataset, layers: int, max_length: int = 50) -> SLMRec:
    """The default recipe's model, untrained, of so many layers."""
    options: LLMOptions = replace(load_recipe("default", {}).teacher, layers=layers, max_length=max_length)
    return build_llm(data, options, vectors(data, ITEM_DIM)).eval()


def trained(folder: Path, data: Dataset) -> SLMRec:
    """The student whose answers are compared."""
    model = load(folder)
    assert isinstance(model, SLMRec)
    assert model.catalogue.frame["item_id"].equals(data.catalogue.frame["item_id"])
    return model


def small_sasrec(data: Dataset) -> SASRec:
    """An untrained SASRec."""
    model = SASRec(SASRecConfig(num_items=data.num_items, max_length=50, hidden_size=64)).eval()
    model.catalogue = data.catalogue
    return model


def vectors(data: Dataset, width: int) -> ItemTable:
    """Random item vectors."""
    return ItemTable.of(torch.randn(data.num_items, width) * 0.02)


def test_histories(data: Dataset) -> list[np.ndarray]:
    """The history of every test case."""
    cases = data.cases("test")
    return [data.history(user, position) for user, position in zip(cases.users, cases.positions, strict=True)]


def sample(histories: Sequence[np.ndarray], count: int) -> list[np.ndarray]:
    """Some of them, drawn once."""
    chosen = np.random.default_rng(0).choice(len(histories), count, replace=False)
    return [histories[i] for i in chosen]


def no_grad(work: Callable[[], Any]) -> Callable[[], Any]:
    """Without gradients."""
    return torch.inference_mode()(work)


def seconds(work: Callable[..., Any], *arguments: Any, **named: Any) -> float:
    """How long a call takes."""
    started = time.perf_counter()
    work(*arguments, **named)
    return time.perf_counter() - started


def gemm_rate() -> float:
    """Floating-point operations a second of this machine's matrix product, at a decoder layer's size."""
    left, right = torch.randn(1024, 576), torch.randn(1536, 576)
    taken = min(seconds(torch.nn.functional.linear, left, right) for _ in range(10))
    return 2 * 1024 * 576 * 1536 / taken


def spread(values: list[float]) -> dict[str, float]:
    """Median with the extremes."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def quantiles(values: list[float]) -> dict[str, float]:
    """In milliseconds."""
    return {"p50": 1e3 * float(np.quantile(values, 0.5)), "p99": 1e3 * float(np.quantile(values, 0.99))}


if __name__ == "__main__":
    main()
