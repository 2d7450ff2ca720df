"""A model in the browser: what is fetched, how soon the first list stands, how soon each further one.

    python benchmarks/web.py MODEL [MODEL …] [--result FILE] [--precision int8]

MODEL: model folders or bundles over one catalogue; the first is measured. The page is served from localhost by the
standard library, opened in the system's Chromium by playwright, each time with nothing cached. "First" counts from the
navigation until a list for ten events stands; "further" from a click on Shuffle, ten events in another order, until the
new list stands; "model" is the part of it in the graph and the ranking. Nothing else should run meanwhile.
"""

import argparse
import os
import shutil
import statistics
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
from playwright.sync_api import Browser, sync_playwright

from slmrec.export import export_web
from slmrec.files import read_json, write_json
from slmrec.provenance import provenance

RESULT = Path(__file__).parent / "results" / "web.json"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
EVENTS = 10
LOADS = 5
CLICKS = 100
FIRST = """() => new Promise((resolve) => {
  const look = () => {
    const stands = document.querySelector("#list:not([aria-busy]) .row .score")?.textContent;
    if (stands) resolve(performance.now()); else requestAnimationFrame(look);
  };
  look();
})"""
FURTHER = """async (clicks) => {
  const list = document.querySelector("#list");
  const found = [];
  for (let i = 0; i < clicks; i += 1) {
    const started = performance.now();
    const stands = new Promise((resolve) => {
      const watcher = new MutationObserver(() => {
        if (list.hasAttribute("aria-busy")) return;
        watcher.disconnect();
        resolve();
      });
      watcher.observe(list, { attributes: true, attributeFilter: ["aria-busy"] });
    });
    document.querySelector("#shuffle").click();
    await stands;
    await new Promise((resolve) => setTimeout(resolve)); // the time is written after the list
    const all = performance.now() - started;
    found.push([all, parseFloat(document.querySelector("#time").textContent)]);
    await new Promise((resolve) => setTimeout(resolve, 30)); // before the explanations begin
  }
  return found;
}"""


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--precision", default="int8")
    parser.add_argument("--result", type=Path, default=RESULT)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "page"
        written = export_web(arguments.models, folder, arguments.precision)
        first = written["models"][0]
        place = folder / "models" / first["folder"]
        catalogue = read_json(place / "catalogue.json", "bundle")
        with served(folder) as address, sync_playwright() as playwright:
            path = next(filter(None, map(shutil.which, BROWSERS)))
            browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
            measured = measure(browser, address, catalogue["item_id"])
            version = browser.version
            browser.close()
    found = {
        "model": {name: first[name] for name in ("name", "kind", "layers", "parameters", "precision", "items")},
        "events": EVENTS,
        "folder_bytes": written["bytes"],
        "model_bytes": sum(
            file["bytes"] for name, file in written["files"].items() if name.startswith(f"models/{first['folder']}/")
        ),
        **measured,
        "chromium": version,
        "onnxruntime_web": written["onnxruntime_web"],
        "load_average": round(os.getloadavg()[0], 1),
        "provenance": provenance(),
    }
    write_json(arguments.result, found)
    print({name: value for name, value in found.items() if name != "provenance"})


def measure(browser: Browser, address: str, ids: list[Any]) -> dict[str, Any]:
    """Milliseconds of first and of further lists."""
    drawn = np.random.default_rng(0)
    firsts, further = [], []
    for load in range(LOADS):
        history = [ids[place] for place in drawn.choice(len(ids), EVENTS, replace=False)]
        context = browser.new_context()
        page = context.new_page()
        page.goto(f"{address}#{urlencode([('h', item) for item in history])}", wait_until="commit")
        firsts.append(page.evaluate(FIRST))
        if load == LOADS - 1:
            page.wait_for_timeout(1000)  # as a reader would; the browser compiles the hot code meanwhile
            further = page.evaluate(FURTHER, CLICKS)
        context.close()
    clicks, models = zip(*further, strict=True)
    return {
        "first_ms": {"median": round(statistics.median(firsts)), "all": [round(value) for value in firsts]},
        "further_ms": spread(clicks),
        "model_ms": spread(models),
    }


def spread(values: tuple[float, ...]) -> dict[str, float]:
    """Median and 95th percentile."""
    return {
        "median": round(statistics.median(values), 1),
        "p95": round(float(np.percentile(values, 95)), 1),
        "count": len(values),
    }


class Quiet(SimpleHTTPRequestHandler):
    """`python -m http.server` without its log."""

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Static files on a free port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


def block() -> list[str]:
    """The table of docs/tasks/browser.md."""
    if not RESULT.exists():
        return ["Not measured yet: `python benchmarks/web.py --help`."]
    result = read_json(RESULT, "result")
    model, machine = result["model"], result["provenance"]["machine"]
    first, further = result["first_ms"], result["further_ms"]
    folder, own = (result[part] / 1e6 for part in ("folder_bytes", "model_bytes"))
    slowest, clicks = max(first["all"]), further["count"]
    return [
        "| | measured |",
        "|---|---|",
        f"| the folder, of it the model | {folder:.1f} MB, {own:.1f} MB |",
        f"| until the first list stands | {first['median']:,} ms (slowest of {len(first['all'])}: {slowest:,}) |",
        f"| each further list | {further['median']:.0f} ms, 95 % within {further['p95']:.0f} ms ({clicks} clicks) |",
        "",
        f"{model['name']} of {model['layers']} layers in {model['precision']}, {model['items']:,} items, histories of "
        f"{result['events']} events, from localhost, Chromium {result['chromium'].partition('.')[0]}, onnxruntime-web "
        f"{result['onnxruntime_web']}, {machine['cores']} cores of {machine['cpu']}.",
    ]


if __name__ == "__main__":
    main()
