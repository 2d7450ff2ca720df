"""Load on `slmrec serve`, by a client in a process of its own over HTTP/1.1 with connections kept open.

    python benchmarks/serving.py --model MODEL [--seconds 60] [--precision fp32|int8] [--result FILE]

Four loads, each on a server of its own: unknown users (a 10-event history in the call) and known users (one new event
in the call, which is kept first) by 32 clients that each wait for their answer; then three times the rate that unknown
users reached, offered whatever comes back; and a lone client. Times are the client's. The server logs into a file, as
one in service would. Nothing else should run meanwhile.
"""

import argparse
import asyncio
import itertools
import json
import multiprocessing
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import psutil

from slmrec.files import read_json, write_json
from slmrec.provenance import provenance

CLIENTS = 32
EVENTS = 10
K = 10
USERS = 1000
RENEWED = 30
"""New events after which a known user is forgotten and begins again with EVENTS, so that all stay within the window;
that is not counted, but takes its share of the time."""
RESULTS = Path(__file__).parent / "results"
LOADS = {
    "lone": "one client, unknown users",
    "unknown": "unknown users",
    "known": "known users, one new event each",
    "overload": "three times the load of unknown users",
}
RESET = 0
"""Stands for the status of a request whose connection was closed without an answer."""
OFFERED = 3
"""How many times the rate that was reached is offered in overload."""


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--result", type=Path, default=Path(__file__).parent / "results" / "serving.json")
    arguments = parser.parse_args()
    ids = _ids(arguments.model)
    found: dict[str, Any] = {}
    for name, load in {"lone": lone, "unknown": unknown, "known": known}.items():
        found[name] = measured(arguments, load, ids)
        print(name, json.dumps(found[name]), file=sys.stderr, flush=True)
    rate = OFFERED * found["unknown"]["recommendations/s"]
    found["overload"] = measured(arguments, overload, ids, rate)
    print("overload", json.dumps(found["overload"]), file=sys.stderr, flush=True)
    facts = {
        "model": read_json(
            arguments.model / ("manifest.json" if _is_bundle(arguments.model) else "config.json"), "model"
        ),
        "precision": arguments.precision,
        "seconds": arguments.seconds,
        "clients": CLIENTS,
        "events": EVENTS,
        "items": len(ids),
        "k": K,
    }
    facts["model"] = {key: facts["model"].get(key) for key in ("model_type", "item_dim", "max_length")}
    write_json(arguments.result, facts | found | {"provenance": provenance()})


def measured(arguments: argparse.Namespace, load: Callable[..., Awaitable[Any]], ids: list[Any], *given: float) -> Any:
    """One load on a fresh server: what the client saw, and the server's memory meanwhile."""
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("w") as log:
        command = [sys.executable, "-m", "slmrec", "serve", str(arguments.model), "--port", "0"]
        command += ["--precision", arguments.precision, "--store", f"{folder}/events.sqlite"]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            assert server.stdout is not None
            said = server.stdout.readline()
            if not said:
                raise SystemExit(f"the server did not start: {(Path(folder) / 'log').read_text()}")
            port = int(said.strip().rsplit(":", 1)[1])
            results: Any = multiprocessing.Queue()
            client = multiprocessing.Process(
                target=_client, args=(load, port, ids, arguments.seconds, given, results), daemon=True
            )
            client.start()
            watched, memory = psutil.Process(server.pid), []
            before = sum(watched.cpu_times()[:2])
            while results.empty():
                memory.append(round(watched.memory_info().rss / 2**20))
                time.sleep(max(1.0, arguments.seconds / 60))
                if not client.is_alive() and results.empty():
                    raise SystemExit("the client failed")
            seen = results.get()
            seen["server CPU s"] = round(sum(watched.cpu_times()[:2]) - before, 1)
        finally:
            server.terminate()
            server.wait()
    every = max(1, len(memory) // 20)
    return seen | {"memory MB": memory[::every]}


def _client(
    load: Callable[..., Awaitable[Any]],
    port: int,
    ids: list[Any],
    seconds: float,
    given: tuple[float, ...],
    results: Any,
) -> None:
    import uvloop

    results.put(uvloop.run(load(port, ids, seconds, *given)))


# -- the loads --------------------------------------------------------------------------------------------------


async def lone(port: int, ids: list[Any], seconds: float) -> dict[str, Any]:
    """One client with unknown users."""
    return await _closed(port, min(seconds, 10), 1, lambda connection, drawn: _unknown(connection, drawn, ids))


async def unknown(port: int, ids: list[Any], seconds: float) -> dict[str, Any]:
    """Clients with unknown users."""
    return await _closed(port, seconds, CLIENTS, lambda connection, drawn: _unknown(connection, drawn, ids))


async def known(port: int, ids: list[Any], seconds: float) -> dict[str, Any]:
    """Clients with known users: one new event, and the recommendation after it."""
    numbers = itertools.count()
    first = await Connection.open(port)
    started = random.Random(0)

    async def begin(connection: Connection, user: int) -> None:
        events = [{"event_id": next(numbers), "item_id": item} for item in started.sample(ids, EVENTS)]
        await connection.ask("DELETE", f"/users/u{user}", {})
        await connection.ask("POST", f"/users/u{user}/events", {"events": events})
        await connection.ask("POST", "/recommend", {"user": f"u{user}", "k": K})

    for user in range(USERS):
        await begin(first, user)
    turn = itertools.count()

    async def before(connection: Connection) -> int:
        turns, user = divmod(next(turn), USERS)
        if (turns + user) % RENEWED == 0:  # a few at a time
            await begin(connection, user)
        return user

    async def one(connection: Connection, drawn: random.Random, user: int) -> int:
        event = {"event_id": next(numbers), "item_id": drawn.choice(ids)}
        return (await connection.ask("POST", "/recommend", {"user": f"u{user}", "events": [event], "k": K}))[0]

    return await _closed(port, seconds, CLIENTS, one, before)


async def overload(port: int, ids: list[Any], seconds: float, rate: float) -> dict[str, Any]:
    """Requests at a rate, on a connection that is free, or a new one where none is."""
    free: list[Connection] = []
    taken: dict[int, list[float]] = {}
    running = set()
    drawn = random.Random(0)

    async def one() -> None:
        started = time.perf_counter()
        connection = free.pop() if free else await Connection.open(port)
        try:
            status = await _unknown(connection, drawn, ids)
            free.append(connection)
        except (ConnectionError, asyncio.IncompleteReadError):
            status = RESET
        taken.setdefault(status, []).append(time.perf_counter() - started)

    began = time.perf_counter()
    for number in itertools.count():
        wait = began + number / rate - time.perf_counter()
        if wait > 0:
            await asyncio.sleep(wait)
        elif number % 50 == 0:
            await asyncio.sleep(0)
        if time.perf_counter() - began > seconds:
            break
        task = asyncio.create_task(one())
        running.add(task)
        task.add_done_callback(running.discard)
    await asyncio.gather(*running)
    elapsed = time.perf_counter() - began
    every = sum(map(len, taken.values()))
    refused = [value for status, values in taken.items() if status in (429, 503) for value in values]
    return {
        "offered/s": round(every / elapsed, 1),
        "answered/s": round(len(taken.get(200, ())) / elapsed, 1),
        "statuses": {str(status): len(values) for status, values in sorted(taken.items())},
        "share refused": round(len(refused) / every, 3),
        "answered": _quantiles(taken.get(200, [])),
        "refused": _quantiles(refused),
    }


async def _unknown(connection: "Connection", drawn: random.Random, ids: list[Any]) -> int:
    status, _ = await connection.ask("POST", "/recommend", {"history": drawn.sample(ids, EVENTS), "k": K})
    return status


async def _closed(
    port: int,
    seconds: float,
    clients: int,
    one: Callable[..., Awaitable[int]],
    before: Callable[["Connection"], Awaitable[int]] | None = None,
) -> dict[str, Any]:
    """Clients that ask again as soon as they have their answer; the first two seconds warm up.

    What `before` does is not timed; what it returns is given to `one`.
    """
    statuses: Counter[int] = Counter()
    taken: list[float] = []
    began = time.perf_counter() + 2.0

    async def client(number: int) -> None:
        connection, drawn = await Connection.open(port), random.Random(number)
        while time.perf_counter() < began + seconds:
            given = [await before(connection)] if before else []
            started = time.perf_counter()
            status = await one(connection, drawn, *given)
            if started >= began:
                statuses[status] += 1
                taken.append(time.perf_counter() - started)

    await asyncio.gather(*(client(number) for number in range(clients)))
    return {
        "recommendations/s": round(statuses[200] / (time.perf_counter() - began), 1),
        "statuses": {str(status): count for status, count in sorted(statuses.items())},
        **_quantiles(taken),
    }


def _quantiles(seconds: list[float]) -> dict[str, float]:
    if not seconds:
        return {}
    p50, p99, most = np.percentile(np.array(seconds) * 1e3, (50, 99, 100)).round(2).tolist()
    return {"p50 ms": p50, "p99 ms": p99, "most ms": most}


class Connection:
    """One connection, one request at a time: as little client as will do, since it shares the machine."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, port: int) -> "Connection":
        """Connect."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def ask(self, method: str, path: str, body: Any) -> tuple[int, bytes]:
        """Status and body of the answer."""
        sent = json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        head += f"content-length: {len(sent)}\r\n\r\n"
        self.writer.write(head.encode() + sent)
        answer = await self.reader.readuntil(b"\r\n\r\n")
        lines = answer.decode("latin-1").lower().split("\r\n")
        length = next(int(line.split(":")[1]) for line in lines if line.startswith("content-length:"))
        return int(lines[0].split()[1]), await self.reader.readexactly(length)


def _is_bundle(folder: Path) -> bool:
    return (folder / "manifest.json").exists()


def _ids(folder: Path) -> list[Any]:
    if _is_bundle(folder):
        return read_json(folder / "catalogue.json", "bundle")["item_id"]
    return pl.read_parquet(folder / "items.parquet")["item_id"].to_list()


def block() -> list[str]:
    """The table of docs/tasks/serve.md, from the results that there are."""
    found = [read_json(path, "result") for path in sorted(RESULTS.glob("serving*.json"))]
    if not found:
        return ["Not measured yet: `python benchmarks/serving.py --help`."]
    lines = [
        "| model | load | recommendations/s | p50 ms | p99 ms | refused | memory MB, first to most |",
        "|---|---|---|---|---|---|---|",
    ]
    for result in found:
        name = f"{result['model']['model_type']}, {result['precision']}"
        for load, title in LOADS.items():
            told = result[load]
            times = told.get("answered", told)
            rate = told.get("recommendations/s", told.get("answered/s"))
            refused = f"{told['share refused']:.0%} of {told['offered/s']:,.0f}/s" if "share refused" in told else "–"
            memory = f"{told['memory MB'][0]} to {max(told['memory MB'])}"
            times = f"{times['p50 ms']:.0f} | {times['p99 ms']:.0f}"
            lines.append(f"| {name} | {title} | {rate:,.0f} | {times} | {refused} | {memory} |")
            name = ""
    result = found[0]
    machine = result["provenance"]["machine"]
    return [
        *lines,
        "",
        f"{result['items']:,} items, histories of {result['events']} events, {result['clients']} clients on the same "
        f"{machine['cores']} cores ({machine['cpu']}), "
        + ", ".join(f"{one['seconds']:.0f} s a load ({one['model']['model_type']})" for one in found)
        + ". A known user's recommendation follows one new event, which is on the disk first.",
    ]


if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    main()
