// The backend that asks `slmrec serve` over HTTP. Addresses are relative, so the page also works under a prefix.

import { BackendError } from "./errors.js";

const KEY = "slmrec-key";
const SECONDS = 20;

/**
 * Connect to the server that this page came from.
 *
 * Both backends give the same object:
 *   models, first        what is served: [{name, kind, layers, parameters, items, precision, adds_items, milliseconds}],
 *                        and the name of the one to start with
 *   place                a sentence: where the model runs
 *   adding               why no item can be added by its description, or "" where it can
 *   recommend(request), explain(request), similar(id, k, model), search(query, limit), item(id), attributes(model)
 *   addItem(item), audience(id, k), withdraw(id)      where `adding` is ""
 * A request is {model, history: [ids], k, deny: [ids], filters: {attribute: [values]}, explain}; each call takes an
 * AbortSignal last, and throws BackendError.
 */
export async function connect() {
  const { models, default: first } = await call("GET", "models");
  if (!models?.length) {
    throw new BackendError("no-model", "The server runs, but no model is loaded.", "Start it with a model: slmrec serve MODEL");
  }
  const able = models.some((model) => model.adds_items);
  return {
    models,
    first: first ?? models[0].name,
    place: "Answers come from this server.",
    adding: able
      ? ""
      : "None of the served models takes new items. Serve one trained with item texts to add items by description.",
    recommend: ({ filters, ...request }, signal) =>
      call("POST", "recommend", { ...request, ...(Object.keys(filters ?? {}).length ? { filters } : {}) }, signal),
    explain: (request, signal) => call("POST", "explain", request, signal),
    similar: async (id, k, model, signal) =>
      (await call("GET", `items/${encodeURIComponent(id)}/similar?${new URLSearchParams({ k, model })}`, undefined, signal)).items,
    search: async (query, limit, signal) =>
      (await call("GET", `items?${new URLSearchParams({ query, limit })}`, undefined, signal)).items,
    item: (id, signal) => call("GET", `items/${encodeURIComponent(id)}`, undefined, signal),
    attributes,
    addItem: (item, signal) => call("POST", "items", { items: [item] }, signal),
    audience: async (id, k, signal) =>
      (await call("GET", `items/${encodeURIComponent(id)}/audience?${new URLSearchParams({ k })}`, undefined, signal)).users,
    withdraw: (id, signal) => call("DELETE", `items/${encodeURIComponent(id)}`, undefined, signal),
  };
}

/** Remember the key for this tab. */
export function useKey(key) {
  sessionStorage.setItem(KEY, key);
}

/** What can be filtered by: [{name, values: [{value, count}]}]; none where the catalogue has no attributes. */
async function attributes(model, signal) {
  try {
    return (await call("GET", `attributes?${new URLSearchParams({ model })}`, undefined, signal)).attributes;
  } catch (error) {
    if (error.code === 404) return [];
    throw error;
  }
}

async function call(method, path, body, signal) {
  const key = sessionStorage.getItem(KEY);
  const limit = AbortSignal.timeout(SECONDS * 1000);
  let response;
  try {
    response = await fetch(path, {
      method,
      headers: { ...(body === undefined ? {} : { "Content-Type": "application/json" }), ...(key ? { "X-API-Key": key } : {}) },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
      cache: "no-store",
    });
    if (response.ok) return response.status === 204 ? null : await response.json();
  } catch (error) {
    if (signal?.aborted) throw error;
    if (error.name === "TimeoutError") {
      throw new BackendError("away", `The server did not answer within ${SECONDS} seconds.`, "Try again in a moment.");
    }
    throw new BackendError("away", "The server does not answer.", "Is it still running? Start it with: slmrec serve MODEL");
  }
  throw await refusal(response);
}

/** The server's own words for a status that is no success. */
async function refusal(response) {
  const said = await response.json().catch(() => null);
  const message = said?.error?.message ?? `The server answered ${response.status}.`;
  if (response.status === 401) return new BackendError("key", message);
  if (response.status === 429 || response.status === 503) {
    return new BackendError("busy", message, "Try again in a moment.");
  }
  return new BackendError(said?.error ? said.error.code : response.status, message);
}
