// A bundle in the browser: its files fetched and checked, its graph run by onnxruntime-web, answers in external ids.

import * as ort from "./ort/ort.wasm.bundle.min.mjs";
import { BackendError } from "./errors.js";
import { best, cosines, inputs, parseNpy, scorer, votes } from "./engine.js";

ort.env.wasm.numThreads = 1; // more would need a cross-origin isolated page, which a plain file server does not give
ort.env.wasm.wasmPaths = { wasm: new URL("./ort/ort-wasm-simd-threaded.wasm", import.meta.url).href };

const FORMAT = "slmrec-bundle";
const VERSION = 2;
/** Histories encoded at once for an explanation; between two such batches newer requests are heard. */
const TOGETHER = 8;
const UNREAD = Symbol("an event before the window that the model reads");
/** An attribute with more values than this is no use in a menu. */
const MOST_VALUES = 100;

export class Bundle {
  /** What `#without` found last: it serves every explanation of one list. */
  #explained = { key: "", scorers: [] };

  /** @private */
  constructor(manifest, session, table, catalogue, neighbours) {
    this.manifest = manifest;
    this.session = session;
    this.table = table.data; // (N × d)
    this.width = table.shape[1];
    this.neighbours = neighbours;
    this.ids = catalogue.item_id;
    this.texts = catalogue.text;
    this.rows = new Map(this.ids.map((id, row) => [String(id), row]));
    this.attributes = choosable(catalogue);
    this.folded = this.texts.map((text, row) => folded(text ?? String(this.ids[row])));
  }

  /**
   * Fetch, check and start a bundle.
   * @param {string} base  Address of the bundle's folder, ending in "/".
   * @param {(bytes: number, of: number) => void} report  Is told how far the fetching is.
   */
  static async load(base, report) {
    const manifest = await (await reached(base, "manifest.json")).json().catch(() => null);
    if (manifest?.format !== FORMAT) throw damaged(`${base}manifest.json is no bundle's manifest.`);
    if (manifest.version !== VERSION) {
      throw damaged(`The bundle has format version ${manifest.version}; this page reads version ${VERSION}.`);
    }
    const beside = manifest.neighbours.flatMap(({ files }) => Object.values(files));
    const names = ["items.npy", "catalogue.json", manifest.graph, ...beside];
    const missing = names.find((name) => !manifest.files?.[name]);
    if (missing) throw damaged(`The bundle's manifest does not list ${missing}.`);
    const of = names.reduce((sum, name) => sum + manifest.files[name].bytes, 0);
    let arrived = 0;
    const [items, texts, graph, ...arrays] = await Promise.all(
      names.map((name) => fetched(base, name, manifest.files[name], (bytes) => report((arrived += bytes), of))),
    );
    let table, catalogue, neighbours, session;
    try {
      table = parseNpy(items);
      catalogue = JSON.parse(new TextDecoder().decode(texts));
      const parsed = new Map(beside.map((name, place) => [name, parseNpy(arrays[place]).data]));
      neighbours = manifest.neighbours.map((told) => tables(told, parsed));
    } catch (error) {
      throw damaged(`The bundle's items cannot be read: ${error.message}.`);
    }
    const [rows, width] = table.shape;
    const fits = neighbours.every(({ offsets }) => offsets.length === rows + 1);
    if (rows !== manifest.num_items || catalogue.item_id.length !== rows || width !== manifest.item_dim || !fits) {
      throw damaged("The bundle's files do not fit each other: they disagree on the number or width of items.");
    }
    try {
      session = await ort.InferenceSession.create(new Uint8Array(graph), { executionProviders: ["wasm"] });
    } catch (error) {
      throw new BackendError("no-model", `This browser cannot run the model: ${error.message}`, "Try a current Firefox, Chromium or Safari.");
    }
    const bundle = new Bundle(manifest, session, table, catalogue, neighbours);
    await bundle.encode([[0]]); // the first run allocates; better now than at the first click
    return bundle;
  }

  item(row) {
    return { item_id: this.ids[row], text: this.texts[row] };
  }

  /** Rows of external ids; integers and their decimal spelling are one. Throws for an unknown one. */
  rowsOf(ids) {
    return ids.map((id) => {
      const row = this.rows.get(String(id));
      if (row === undefined) throw new BackendError("unknown-item", `This model does not know the item '${id}'.`);
      return row;
    });
  }

  /** The user vectors (d) after some histories of rows, none empty. */
  async encode(histories) {
    const { vectors, lengths, shape } = inputs(histories, this.table, this.width, this.manifest.max_length);
    const { user } = await this.session.run({
      vectors: new ort.Tensor("float32", vectors, shape),
      lengths: new ort.Tensor("int64", lengths, [shape[0]]),
    });
    return histories.map((_, b) => user.data.slice(b * this.width, (b + 1) * this.width));
  }

  /** What scores items after some histories of rows, none empty. */
  async scored(histories) {
    const { weight } = this.manifest;
    const vectors = await this.encode(histories);
    return vectors.map((vector, b) => {
      const beside = this.neighbours.map((one) => votes(one, histories[b], this.ids.length));
      return scorer(weight === 1 ? vector : vector.map((value) => weight * value), this.table, beside);
    });
  }

  /** The k best items after a history, without those of the history, the denied and the filtered out. */
  async recommend({ history, k, deny = [], filters = {}, explain = false }, stopped) {
    const started = performance.now();
    const seen = this.rowsOf(history);
    const [scorer] = await this.scored([seen]);
    const values = scorer.all();
    const rows = best(values, k, this.#out([...seen, ...this.rowsOf(deny)], filters));
    const milliseconds = performance.now() - started;
    const items = rows.map((row, i) => ({ ...this.item(row), score: values[row], rank: i + 1 }));
    if (explain) {
      for (const [i, row] of rows.entries()) {
        const all = await this.#contributions(seen, row, values[row], stopped);
        items[i].because = all
          .filter((one) => one.contribution > 0)
          .sort((a, b) => b.contribution - a.contribution)
          .slice(0, 3);
      }
    }
    return { items, history_length: history.length, milliseconds };
  }

  /** How much each event of a history adds to an item's score: the score with it minus the score without it. */
  async explain({ history, item_id }, stopped) {
    const [seen, [row]] = [this.rowsOf(history), this.rowsOf([item_id])];
    const [scorer] = await this.scored([seen]);
    const whole = scorer.of(row);
    return { item_id, score: whole, contributions: await this.#contributions(seen, row, whole, stopped) };
  }

  /** The k items most like one, by the cosine of their vectors. */
  similar(id, k) {
    const [row] = this.rowsOf([id]);
    const values = cosines(row, this.table, this.width);
    return best(values, k, this.#out([row], {})).map((found, i) => ({ ...this.item(found), score: values[found], rank: i + 1 }));
  }

  /** Items whose text has all the words asked for; those that begin with them come first, then the shorter. */
  search(query, limit) {
    const asked = folded(query);
    const words = asked.split(" ").filter(Boolean);
    const found = [];
    this.folded.forEach((text, row) => {
      if (!words.every((word) => text.includes(word))) return;
      const starts = words.every((word) => text.startsWith(word) || text.includes(` ${word}`));
      found.push([text.startsWith(asked) ? 0 : starts ? 1 : 2, words.length ? text.length : row, row]);
    });
    found.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    return found.slice(0, limit).map(([, , row]) => this.item(row));
  }

  /** The contributions of all events; the only event of a history contributes all of the score. */
  async #contributions(seen, row, whole, stopped) {
    const scorers = await this.#without(seen, stopped);
    return seen.map((event, place) => ({
      ...this.item(event),
      place,
      contribution: scorers[place] === UNREAD ? 0 : whole - (scorers[place]?.of(row) ?? 0),
    }));
  }

  /** What scores items without each event of a history; UNREAD for those before the window, null for an only one. */
  async #without(seen, stopped) {
    const key = seen.join();
    if (this.#explained.key === key) return this.#explained.scorers;
    if (seen.length === 1) return [null];
    const window = Math.max(this.manifest.max_length, ...this.neighbours.map((one) => one.max_length));
    const first = Math.max(0, seen.length - window);
    const scorers = Array(first).fill(UNREAD);
    for (let start = first; start < seen.length; start += TOGETHER) {
      // A turn for the messages that came meanwhile, "stop" among them.
      await new Promise((resolve) => setTimeout(resolve));
      if (stopped()) throw new DOMException("a newer request came", "AbortError");
      const places = seen.slice(start, start + TOGETHER).map((_, i) => start + i);
      scorers.push(...(await this.scored(places.map((place) => seen.toSpliced(place, 1)))));
    }
    this.#explained = { key, scorers };
    return scorers;
  }

  /** (N), 1 for rows that do not compete. */
  #out(rows, filters) {
    const out = new Uint8Array(this.ids.length);
    for (const row of rows) out[row] = 1;
    for (const [name, wanted] of Object.entries(filters)) {
      const attribute = this.attributes.find((one) => one.name === name);
      if (!attribute) throw new BackendError("unknown-attribute", `This model's items have no attribute “${name}”.`);
      attribute.of.forEach((values, row) => {
        if (!values.some((value) => wanted.includes(value))) out[row] = 1;
      });
    }
    return out;
  }
}

/** What a manifest tells of one of its neighbours, with the arrays of its files. */
function tables({ files, ...told }, parsed) {
  const [columns, strengths] = [parsed.get(files.columns), parsed.get(files.strengths)];
  return { ...told, offsets: Array.from(parsed.get(files.offsets), Number), columns, strengths };
}

/** Attributes with few enough values to choose from: [{name, values: [{value, count}], of: values of each row}]. */
function choosable({ item_id, text, ...columns }) {
  return Object.entries(columns).flatMap(([name, column]) => {
    const of = column.map(valuesOf);
    const counts = new Map();
    for (const value of of.flat()) counts.set(value, (counts.get(value) ?? 0) + 1);
    if (counts.size < 2 || counts.size > Math.min(MOST_VALUES, item_id.length / 2)) return [];
    const values = [...counts].map(([value, count]) => ({ value, count })).sort((a, b) => a.value.localeCompare(b.value, "en"));
    return [{ name, values, of }];
  });
}

/** An attribute's values: a list is several, and so is text with commas or bars in it; null is none. */
function valuesOf(cell) {
  if (cell == null) return [];
  return Array.isArray(cell) ? cell.map(String) : String(cell).split(/[,|]/).map((part) => part.trim());
}

/** Without case, accents and signs, so that "amelie" finds "Amélie". */
function folded(text) {
  return text
    .normalize("NFD")
    .replace(/\p{M}/gu, "")
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, " ")
    .trim();
}

async function reached(base, name) {
  let response;
  try {
    response = await fetch(base + name, { cache: "no-cache" });
  } catch {
    throw new BackendError("away", `${name} cannot be fetched.`, "Is the file server still running?");
  }
  if (!response.ok) {
    throw new BackendError("no-model", `The bundle lacks ${name} (${response.status}).`, "Export it again: slmrec export MODEL --to web --out DIR");
  }
  return response;
}

/** A file's bytes, checked against the manifest: its length always, its SHA-256 where the browser lets one compute it. */
async function fetched(base, name, expected, report) {
  const response = await reached(base, name);
  const bytes = new Uint8Array(expected.bytes);
  let length = 0;
  try {
    for (const reader = response.body.getReader(); ; ) {
      const { done, value } = await reader.read();
      if (done) break;
      if (length + value.length <= bytes.length) bytes.set(value, length);
      length += value.length;
      report(value.length);
    }
  } catch {
    throw new BackendError("away", `${name} broke off while it was fetched.`, "Is the file server still running?");
  }
  if (length !== expected.bytes) throw damaged(`${name} has ${length} bytes, and ${expected.bytes} are expected.`);
  if (globalThis.crypto?.subtle) {
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    const sum = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
    if (sum !== expected.sha256) throw damaged(`${name} is damaged: its SHA-256 is not the manifest's.`);
  }
  return bytes.buffer;
}

function damaged(message) {
  return new BackendError("no-model", message, "Export the bundle again: slmrec export MODEL --to web --out DIR");
}
