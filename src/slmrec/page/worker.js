// The browser backend's other half, off the main thread so that the page never stutters: holds the bundles and answers.
// In: {id, folder, method, values} or {stop: id}. Out: {id, result} or {id, error: {name, code, message, hint}}, and
// {bytes, of} while a bundle is fetched.

import { Bundle } from "./bundle.js";

const bundles = new Map();
const stopped = new Set();

function bundle(folder) {
  if (!bundles.has(folder)) {
    const base = new URL(`./models/${folder}/`, import.meta.url).href;
    const loading = Bundle.load(base, (bytes, of) => postMessage({ bytes, of }));
    bundles.set(folder, loading);
    loading.catch(() => bundles.delete(folder)); // so that trying again fetches again
  }
  return bundles.get(folder);
}

const METHODS = {
  load: () => null,
  recommend: (model, id, request) => model.recommend(request, () => stopped.has(id)),
  explain: (model, id, request) => model.explain(request, () => stopped.has(id)),
  similar: (model, id, item, k) => model.similar(item, k),
  search: (model, id, query, limit) => model.search(query, limit),
  item: (model, id, item) => model.item(model.rowsOf([item])[0]),
  attributes: (model) => model.attributes.map(({ name, values }) => ({ name, values })),
};

// The graph runs one request at a time; those that were stopped while they waited are not begun.
let turn = Promise.resolve();

addEventListener("message", ({ data }) => {
  if ("stop" in data) {
    stopped.add(data.stop);
    return;
  }
  turn = turn.then(() => answer(data));
});

async function answer({ id, folder, method, values }) {
  try {
    if (!stopped.has(id)) postMessage({ id, result: await METHODS[method](await bundle(folder), id, ...values) });
  } catch (error) {
    const { name, code, message, hint } = error;
    postMessage({ id, error: { name, code, message, hint } });
  } finally {
    stopped.delete(id);
  }
}
