"""Load on `slmrec serve` over HTTP/1.1 with connections kept open, by wrk (Debian's package `wrk`).

    python benchmarks/serving.py --model MODEL [--seconds 60] [--precision fp32|int8] [--load NAME]… [--result FILE]

Each load has a server of its own: unknown users (a 10-event history in the call) and known users (one new event in the
call, which is kept first), 32 connections that each wait for their answer; a lone connection; and three times the rate
that unknown users reached, offered whatever comes back, by a client of our own, as wrk asks only once it is answered.
Times are the client's, after two seconds of warming up. The server logs into a file, as one in service would. Nothing
else should run meanwhile.
"""

import argparse
import asyncio
import itertools
import json
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import psutil
import uvloop

from slmrec.files import read_json, write_json
from slmrec.provenance import provenance

CLIENTS = 32
EVENTS = 10
K = 10
USERS = 1000
FILLED, TURNS = 30, 32
"""Of each `TURNS` requests about a known user the first `FILLED` bring an event; then all is deleted, and the next one
brings EVENTS at once: so all stay within the window. In a minute or less it does not come to that."""
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
    parser.add_argument("--load", action="append", choices=list(LOADS), help="only these (default: all)")
    parser.add_argument("--result", type=Path, default=Path(__file__).parent / "results" / "serving.json")
    arguments = parser.parse_args()
    if shutil.which("wrk") is None:
        parser.error("wrk is not installed; on Debian: apt install wrk")
    ids = _ids(arguments.model)
    wanted = arguments.load or list(LOADS)
    if "overload" in wanted and "unknown" not in wanted:
        parser.error("--load overload needs --load unknown, whose rate it is three times of")
    loads: dict[str, Callable[..., Any]] = {"lone": lone, "unknown": unknown, "known": known, "overload": overload}
    found: dict[str, Any] = {}
    for name in LOADS:
        if name in wanted:
            rate = OFFERED * found["unknown"]["recommendations/s"] if name == "overload" else None
            found[name] = measured(arguments, loads[name], ids, rate)
            print(name, json.dumps(found[name]), file=sys.stderr, flush=True)
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


def measured(arguments: argparse.Namespace, load: Callable[..., Any], ids: list[Any], rate: float | None) -> Any:
    """One load on a fresh server: what the client saw, and the server's memory meanwhile."""
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("w") as log:
        command = [sys.executable, "-m", "slmrec", "serve", str(arguments.model), "--port", "0"]
        command += ["--precision", arguments.precision, "--store", f"{folder}/events.sqlite"]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        memory: list[int] = []
        try:
            assert server.stdout is not None
            said = server.stdout.readline()
            if not said:
                raise SystemExit(f"the server did not start: {(Path(folder) / 'log').read_text()}")
            port = int(said.strip().rsplit(":", 1)[1])
            watched, done = psutil.Process(server.pid), threading.Event()

            def watch() -> None:
                while not done.wait(max(1.0, arguments.seconds / 60)):
                    memory.append(round(watched.memory_info().rss / 2**20))

            watcher = threading.Thread(target=watch)
            watcher.start()
            try:
                seen = load(port, ids, arguments.seconds, *([] if rate is None else [rate]))
            finally:
                done.set()
                watcher.join()
        finally:
            server.terminate()
            server.wait()
    every = max(1, len(memory) // 20)
    return seen | {"memory MB": memory[::every]}


# -- the loads --------------------------------------------------------------------------------------------------


def lone(port: int, ids: list[Any], seconds: float) -> dict[str, Any]:
    """One client with unknown users."""
    return _wrk(port, _UNKNOWN, ids, min(seconds, 10), 1)


def unknown(port: int, ids: list[Any], seconds: float) -> dict[str, Any]:
    """Clients with unknown users."""
    return _wrk(port, _UNKNOWN, ids, seconds, CLIENTS)


def known(port: int, ids: list[Any], seconds: float) -> dict[str, Any]:
    """Clients with known users: one new event, and the recommendation after it."""

    async def begin() -> None:
        drawn, users = random.Random(0), iter(range(USERS))

        async def client() -> None:
            connection = await Connection.open(port)
            for user in users:
                events = [
                    {"event_id": f"b{place}", "item_id": item} for place, item in enumerate(drawn.sample(ids, EVENTS))
                ]
                await connection.ask("POST", f"/users/u{user}/events", {"events": events})
                await connection.ask("POST", "/recommend", {"user": f"u{user}", "k": K})

        await asyncio.gather(*(client() for _ in range(CLIENTS)))

    uvloop.run(begin())
    return _wrk(port, _KNOWN, ids, seconds, CLIENTS)


def overload(port: int, ids: list[Any], seconds: float, rate: float) -> dict[str, Any]:
    """Requests at a rate, whatever comes back."""
    return uvloop.run(_offered(port, ids, seconds, rate))


_LUA = """
local function event(name) return '{"event_id":"' .. name .. '","item_id":' .. ids[math.random(#ids)] .. '}' end
local json = {["content-type"] = "application/json"}
local function ask(method, path, body) return wrk.format(method, path, json, body) end
local n = 0
function init(arguments) n = tonumber(arguments[1]) math.randomseed(n) end
function done(summary, latency)
    local e = summary.errors
    io.write(string.format('{"requests": %d, "seconds": %f, "refused": %d, "broken": %d, '
        .. '"p50 ms": %.2f, "p99 ms": %.2f, "most ms": %.2f}\\n', summary.requests, summary.duration / 1e6, e.status,
        e.connect + e.read + e.write + e.timeout, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
        latency.max / 1e3))
end
"""
_UNKNOWN = """
function request()
    local history = {}
    for place = 1, EVENTS do history[place] = ids[math.random(#ids)] end
    return ask("POST", "/recommend", '{"k":' .. K .. ',"history":[' .. table.concat(history, ",") .. ']}')
end
"""
_KNOWN = """
function request()
    local user, turn = "u" .. n % USERS, math.floor(n / USERS) % TURNS
    n = n + 1
    if turn == FILLED then return ask("DELETE", "/users/" .. user, "") end
    local events = {}
    for place = 1, turn > FILLED and EVENTS or 1 do events[place] = event(n .. "-" .. place) end
    local body = '"events":[' .. table.concat(events, ",") .. ']'
    return ask("POST", "/recommend", '{"k":' .. K .. ',"user":"' .. user .. '",' .. body .. '}')
end
"""


def _wrk(port: int, script: str, ids: list[Any], seconds: float, clients: int) -> dict[str, Any]:
    """What wrk saw of one load."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "load.lua"
        named = {"EVENTS": EVENTS, "K": K, "USERS": USERS, "FILLED": FILLED, "TURNS": TURNS}
        constants = "".join(f"local {name} = {value}\n" for name, value in named.items())
        quoted = ",".join(f"[==[{json.dumps(item)}]==]" for item in ids)
        path.write_text(f"{constants}local ids = {{{quoted}}}\n{_LUA}{script}")
        command = ["wrk", "--threads", "1", "--connections", str(clients), "--script", str(path), "--timeout", "10s"]
        first = 0
        for duration in (2, round(seconds)):  # to warm up, then to count
            url = f"http://127.0.0.1:{port}"
            ran = subprocess.run(
                [*command, "--duration", f"{duration}s", url, "--", str(first)],
                capture_output=True,
                text=True,
                check=True,
            )
            time.sleep(1)  # until what was under way at the end is out of the queue
            found = json.loads(ran.stdout.splitlines()[-1])
            first = found["requests"] + clients  # those that were under way at the end never came back
    return {
        "recommendations/s": round((found["requests"] - found["refused"]) / found["seconds"], 1),
        "refused": found["refused"],
        "broken": found["broken"],
        **{name: found[name] for name in ("p50 ms", "p99 ms", "most ms")},
    }


async def _offered(port: int, ids: list[Any], seconds: float, rate: float) -> dict[str, Any]:
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
    steady = "serving-ten-minutes.json"
    found = [read_json(path, "result") for path in sorted(RESULTS.glob("serving*.json")) if path.name != steady]
    if not found:
        return ["Not measured yet: `python benchmarks/serving.py --help`."]
    lines = [
        "| model | load | recommendations/s | p50 ms | p99 ms | refused | memory MB, first to most |",
        "|---|---|---|---|---|---|---|",
    ]
    for result in found:
        name = f"{result['model']['model_type']}, {result['precision']}"
        for load, title in LOADS.items():
            if load not in result:
                continue
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
        *_steadiness(read_json(RESULTS / steady, "result")),
    ]


def _steadiness(result: dict[str, Any]) -> list[str]:
    """What became of the memory in a long run of known users."""
    told = result["known"]
    memory = told["memory MB"]
    minute = len(memory) * 60 / result["seconds"]
    early, late = memory[round(minute) : round(3 * minute)], memory[-round(2 * minute) :]
    model = f"{result['model']['model_type']}, {result['precision']}"
    return [
        "",
        f"{result['seconds'] / 60:.0f} minutes of known users ({model}): {told['recommendations/s']:,.0f} requests/s, "
        f"of {TURNS} of which one deletes what is kept of its user; p99 {told['p99 ms']:.0f} ms; {told['refused']} "
        f"refused, {told['broken']} broken. Memory: {min(early)} to {max(early)} MB in the second and third minute, "
        f"{min(late)} to {max(late)} MB in the last two.",
    ]


if __name__ == "__main__":
    main()
