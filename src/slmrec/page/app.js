// The page: what was chosen goes to a backend, what it recommends is drawn.

import { connect } from "./backend.js";
import { comparison } from "./compare.js";
import { announce, byId, count, el, icon, plural, time } from "./dom.js";
import { superseded } from "./errors.js";
import { examples } from "./examples.js";
import { recommendationList, SHOWN } from "./list.js";
import { moves, summary } from "./moves.js";
import { newItem } from "./newitem.js";
import { searchBox } from "./search.js";
import { useKey } from "./server.js";
import { Choices, fromAddress, shuffled, toAddress } from "./state.js";
import { timeline } from "./timeline.js";
import { inWords } from "./titles.js";

const ALIKE = 4;
const EXPLAIN_AFTER = 150;

const choices = new Choices();
const page = { backend: null, model: "", shown: null, ownShown: null, running: new AbortController(), compare: null };

const list = recommendationList({
  add: (item) => choices.add(item),
  deny: (item) => {
    choices.deny(item);
    byId("denied").querySelector("button")?.focus();
    announce("change", `${inWords(item)} will not be shown again.`);
  },
  details: async (item, signal) => {
    const { backend, model } = page;
    const [explained, similar] = await Promise.all([
      backend.explain({ model, history: choices.ids, item_id: item.item_id }, signal),
      backend.similar(item.item_id, ALIKE, model, signal).catch((error) => {
        if (superseded(error)) throw error;
        return []; // a kind of model that does not compare items still explains
      }),
    ]);
    return { explained, similar };
  },
});

// -- starting ---------------------------------------------------------------------------------------------------

async function start() {
  instead(progress());
  const report = (bytes, of) => {
    const bar = document.querySelector("progress");
    if (!bar) return;
    bar.max = of;
    bar.value = bytes;
    byId("loading").textContent = `Fetching the model: ${(bytes / 1e6).toFixed(1)} of ${(of / 1e6).toFixed(1)} MB`;
  };
  try {
    page.backend = await connect(report);
  } catch (error) {
    failed(error, start);
    return;
  }
  const { models, first, place } = page.backend;
  const wanted = fromAddress(location.hash);
  page.model = models.some((model) => model.name === wanted.model) ? wanted.model : first;
  byId("where").textContent = place;
  byId("model").replaceChildren(...models.map((model) => el("option", { value: model.name, selected: model.name === page.model }, model.name)));
  byId("model").disabled = models.length < 2;
  byId("model").parentElement.classList.remove("waiting");
  byId("tab-compare").hidden = models.length < 2;
  page.compare = comparison(page.backend, request);
  newItem(page.backend, { add: (item) => choices.add(item), changed: refresh, model: () => page.model });
  facts();
  await Promise.all([filters(), restore(wanted.ids)]);
  if (!choices.history.length) refresh();
}

/** Take up an address that was changed while the page is open: a link pasted, a bookmark. */
function follow(hash) {
  const { ids, model } = fromAddress(hash);
  if (!page.backend || !ids.length || hash === toAddress(choices.ids, page.model)) return;
  if (page.backend.models.some(({ name }) => name === model)) choose(model);
  restore(ids);
}

function choose(model) {
  page.model = model;
  byId("model").value = model;
  facts();
  filters().then(controls);
}

/** Start from the ids of the address; those the catalogue does not know are left out, and that is said. */
async function restore(ids) {
  const items = await Promise.all(ids.map((id) => page.backend.item(id).catch(() => null)));
  const known = items.filter(Boolean);
  if (known.length) choices.start(known);
  if (known.length < ids.length) notice(`${plural(ids.length - known.length, "title")} of the address ${ids.length - known.length === 1 ? "is" : "are"} not in this catalogue.`);
}

function facts() {
  const { kind, layers, parameters, items, precision } = page.backend.models.find((model) => model.name === page.model);
  byId("facts").textContent = [
    kind,
    layers && plural(layers, "layer"),
    parameters && `${count(parameters)} parameters`,
    precision,
    items && plural(count(items), "title"),
  ]
    .filter(Boolean)
    .join(" · ");
}

async function filters() {
  const found = await page.backend.attributes(page.model).catch(() => []);
  byId("filters").replaceChildren(
    ...found.map(({ name, values }) => {
      const words = name.replaceAll("_", " ");
      const select = el(
        "select",
        { "data-name": name, onchange: () => choices.filter(name, select.value) },
        el("option", { value: "" }, "any"),
        ...values.map(({ value, count: times }) => el("option", { value }, times ? `${value} (${times})` : value)),
      );
      return el("label", {}, words.charAt(0).toUpperCase() + words.slice(1), select);
    }),
  );
}

// -- recommending -----------------------------------------------------------------------------------------------

const request = () => ({
  model: page.model,
  history: choices.ids,
  k: SHOWN,
  deny: choices.denied.map((item) => item.item_id),
  filters: Object.fromEntries(Object.entries(choices.filters).map(([name, value]) => [name, [value]])),
});

async function refresh() {
  page.running.abort();
  page.running = new AbortController();
  const { signal } = page.running;
  banner(null);
  controls();
  if (!choices.history.length) {
    page.shown = null;
    page.ownShown = null;
    list.clear();
    changed("");
    byId("time").textContent = "";
    page.compare.draw();
    await offer(signal);
    return;
  }
  instead(null);
  list.waiting();
  if (!byId("view-compare").hidden) page.compare.draw();
  const started = performance.now();
  let answer;
  try {
    answer = await page.backend.recommend(request(), signal);
  } catch (error) {
    if (signal.aborted || superseded(error)) return;
    failed(error, refresh);
    return;
  }
  if (signal.aborted) return;
  const all = performance.now() - started;
  draw(answer, all);
  await new Promise((resolve) => setTimeout(resolve, EXPLAIN_AFTER));
  if (signal.aborted) return;
  try {
    list.because((await page.backend.recommend({ ...request(), explain: true }, signal)).items);
  } catch (error) {
    if (signal.aborted || superseded(error)) return;
    notice(`The list stands, but why is not known: ${error.message}`);
  }
}

function draw({ items, milliseconds }, all) {
  const reference = choices.own ? page.ownShown : page.shown;
  const found = moves(items, reference);
  const focusLost = document.activeElement?.closest("#list");
  list.draw(items, found);
  if (focusLost && !document.activeElement?.closest("#list")) list.first()?.focus({ preventScroll: true });
  page.shown = items;
  if (!choices.own) page.ownShown = items;
  const said = found ? `${choices.own ? "Against your order" : "Since your last change"}: ${summary(found)}.` : "";
  changed(said || "Best first, without what you chose already.");
  byId("time").textContent = `${time(milliseconds)} in the model, ${time(all)} in all`;
  if (items.length) announce("list", `${plural(items.length, "recommendation")}, first ${inWords(items[0])}. ${said}`);
  else {
    instead(el("div", { class: "empty" }, el("h3", {}, "Nothing is left to recommend"), el("p", {}, "Your history, what you denied and the filters leave out every title.")));
    announce("list", "Nothing is left to recommend.");
  }
}

// -- what else is shown -----------------------------------------------------------------------------------------

function controls() {
  const { history, denied, own } = choices;
  byId("undo").disabled = !choices.undoable;
  byId("clear").disabled = !history.length;
  for (const id of ["reverse", "shuffle"]) byId(id).disabled = new Set(choices.ids.map(String)).size < 2;
  byId("restore").hidden = !own;
  for (const select of byId("filters").querySelectorAll("select")) select.value = choices.filters[select.dataset.name] ?? "";
  const hidden = byId("denied");
  hidden.hidden = !denied.length;
  hidden.replaceChildren(
    el("h3", {}, "Not shown; choose one to have it back"),
    el(
      "ul",
      { class: "chips" },
      ...denied.map((item) =>
        el("li", {}, el("button", { type: "button", "aria-label": `Show ${inWords(item)} again`, onclick: () => again([item]) }, icon("back"), inWords(item))),
      ),
    ),
  );
  byId("above").hidden = !history.length;
  byId("search").disabled = false;
  address();
}

function again(items) {
  choices.allow(items);
  (byId("denied").querySelector("button") ?? byId("next")).focus();
}

function address() {
  const wanted = toAddress(choices.ids, page.model);
  if (wanted !== location.hash) window.history.replaceState(null, "", wanted || location.pathname + location.search);
}

function changed(text) {
  byId("change").textContent = text || " ";
}

function notice(text) {
  banner(el("p", {}, text));
}

function banner(content) {
  byId("banner").hidden = !content;
  byId("banner").replaceChildren(...(content ? [content] : []));
}

/** Show something where the list would be; null takes it away. */
function instead(content) {
  byId("instead").replaceChildren(...(content ? [content] : []));
}

function progress() {
  return el("div", { class: "empty" }, el("p", { id: "loading", role: "status" }, "Loading…"), el("progress", { "aria-labelledby": "loading" }));
}

async function offer(signal) {
  const box = el("div", { class: "examples" });
  instead(
    el(
      "div",
      { class: "empty" },
      el("h3", {}, "Choose a few titles you know"),
      el("p", {}, "Search for them in the order you met them. The list appears with the first one and changes with every click. Or start from here:"),
      box,
    ),
  );
  page.examples ??= await examples(page.backend, page.model).catch(() => []);
  if (signal.aborted) return;
  box.replaceChildren(
    ...page.examples.map(({ name, items }) =>
      el(
        "button",
        { type: "button", class: "example", onclick: () => choices.start(items) },
        el("span", { class: "name" }, name),
        el("span", { class: "detail" }, items.map(inWords).join(" → ")),
      ),
    ),
  );
}

/** Say what went wrong where it is seen, with a way to go on. */
function failed(error, retry) {
  if (error.code === "key") {
    askKey(retry);
    return;
  }
  const box = el(
    "div",
    { class: "trouble", role: "alert" },
    el("h3", {}, { away: "Nobody answers", "no-model": "No model to ask", busy: "Too much to do just now" }[error.code] ?? "That did not work"),
    el("p", {}, error.message),
    error.hint && el("p", { class: "quiet" }, error.hint),
    el("button", { type: "button", class: "main", onclick: () => retry() }, "Try again"),
  );
  if (page.shown) {
    banner(box);
    byId("list").removeAttribute("aria-busy");
  } else {
    list.clear();
    instead(box);
  }
  if (!error.code) throw error; // a fault of ours: to the console too
}

function askKey(retry) {
  const dialog = byId("key");
  const submit = (event) => {
    event.preventDefault();
    useKey(byId("key-value").value);
    byId("key-form").reset();
    dialog.close("given");
  };
  byId("key-form").addEventListener("submit", submit);
  byId("key-cancel").onclick = () => dialog.close("");
  dialog.addEventListener(
    "close",
    () => {
      byId("key-form").removeEventListener("submit", submit);
      if (dialog.returnValue === "given") retry();
      else failed({ code: "no-key", message: "The server asks for an API key, and none was given." }, retry);
    },
    { once: true },
  );
  dialog.returnValue = "";
  dialog.showModal();
}

// -- wiring -----------------------------------------------------------------------------------------------------

function tabs() {
  const all = [...document.querySelectorAll("[role=tab]")];
  const show = (tab) => {
    for (const other of all) {
      const selected = other === tab;
      other.setAttribute("aria-selected", String(selected));
      other.tabIndex = selected ? 0 : -1;
      byId(other.getAttribute("aria-controls")).hidden = !selected;
    }
    if (tab.id === "tab-compare") page.compare?.draw();
    else page.compare?.stop();
  };
  for (const tab of all) {
    tab.addEventListener("click", () => show(tab));
    tab.addEventListener("keydown", (event) => {
      const seen = all.filter((other) => !other.hidden);
      const at = seen.indexOf(tab);
      const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: seen.length - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      const target = seen[(to + seen.length) % seen.length];
      show(target);
      target.focus();
    });
  }
}

timeline(choices);
tabs();
searchBox(
  (query, limit, signal) => page.backend.search(query, limit, signal),
  (item) => choices.add(item),
  (error) => notice(`The search failed: ${error.message}`),
);
choices.addEventListener("change", refresh);
byId("undo").addEventListener("click", () => choices.undo());
byId("clear").addEventListener("click", () => {
  choices.start([]);
  byId("search").focus();
});
byId("reverse").addEventListener("click", () => choices.rearrange((events) => events.toReversed()));
byId("shuffle").addEventListener("click", () => choices.rearrange(shuffled));
byId("restore").addEventListener("click", () => {
  choices.restore();
  byId("reverse").focus();
});
byId("model").addEventListener("change", (event) => {
  choose(event.target.value);
  refresh();
});
addEventListener("hashchange", (event) => follow(new URL(event.newURL).hash));
addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input, textarea");
  if ((event.ctrlKey || event.metaKey) && event.key === "z" && !event.shiftKey && !typing) {
    event.preventDefault();
    choices.undo();
  } else if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    byId("search").focus();
  }
});
start();
