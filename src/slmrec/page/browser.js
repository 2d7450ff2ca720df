// The backend that runs in the browser alone: no server sees a history. See server.js for the object it gives.

import { BackendError } from "./errors.js";

/**
 * Connect to the bundles beside this page, named in web.json; the first is fetched now, others when they are asked.
 * @param {(bytes: number, of: number) => void} report  Is told how far the fetching of a bundle is.
 */
export async function connect(report) {
  if (typeof WebAssembly === "undefined") {
    throw new BackendError("no-model", "This browser has no WebAssembly, which the model runs on.", "Try a current Firefox, Chromium or Safari.");
  }
  const models = await listed();
  const folders = new Map(models.map(({ name, folder }) => [name, folder]));
  const ask = talk(folders, report);
  const first = models[0].name;
  await ask(first, "load", []);
  return {
    models,
    first,
    place: "Runs in this browser: no server sees your history.",
    adding: "Adding an item by its description needs the text encoder, which this page does not carry. It needs the server: slmrec serve MODEL",
    recommend: ({ model, ...request }, signal) => ask(model, "recommend", [request], signal),
    explain: ({ model, ...request }, signal) => ask(model, "explain", [request], signal),
    similar: (id, k, model, signal) => ask(model, "similar", [id, k], signal),
    search: (query, limit, signal) => ask(first, "search", [query, limit], signal),
    item: (id, signal) => ask(first, "item", [id], signal),
    attributes: (model, signal) => ask(model, "attributes", [], signal),
  };
}

async function listed() {
  let response;
  try {
    response = await fetch("web.json", { cache: "no-cache" });
  } catch {
    throw new BackendError("away", "The models cannot be fetched.", "Is the file server still running?");
  }
  const found = response.ok ? await response.json().catch(() => null) : null;
  if (!found?.models?.length) {
    throw new BackendError("no-model", "There is no model beside this page.", "Export it again: slmrec export MODEL --to web --out DIR");
  }
  return found.models;
}

/** Start the worker; gives the function that asks it something. */
function talk(folders, report) {
  const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
  const waiting = new Map();
  let last = 0;
  worker.addEventListener("message", ({ data }) => {
    if ("bytes" in data) {
      report(data.bytes, data.of);
      return;
    }
    const asker = waiting.get(data.id);
    waiting.delete(data.id);
    if (!asker) return;
    if (!data.error) asker.resolve(data.result);
    else if (data.error.code) asker.reject(new BackendError(data.error.code, data.error.message, data.error.hint));
    else asker.reject(new BackendError("failed", `The model failed: ${data.error.message}`, "Reload the page."));
  });
  worker.addEventListener("error", (event) => {
    event.preventDefault();
    const error = new BackendError("no-model", "The model's program did not start.", "Export it again: slmrec export MODEL --to web --out DIR");
    for (const asker of waiting.values()) asker.reject(error);
    waiting.clear();
  });
  return (model, method, values, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason);
        return;
      }
      const id = (last += 1);
      waiting.set(id, { resolve, reject });
      worker.postMessage({ id, folder: folders.get(model), method, values });
      signal?.addEventListener("abort", () => {
        if (!waiting.delete(id)) return;
        worker.postMessage({ stop: id });
        reject(signal.reason);
      });
    });
}
