// The list of recommendations: score, why each is there, what moved, and what can be done with each.

import { byId, el, gliding, icon, titled } from "./dom.js";
import { inFull, superseded } from "./errors.js";
import { inWords, readable } from "./titles.js";

export const SHOWN = 10;

/**
 * @param {{add: (item) => void, deny: (item) => void, details: (item, signal) => Promise<{explained, similar}>}} does
 */
export function recommendationList(does) {
  const list = byId("list");
  const rows = new Map();

  const row = (item) => {
    const words = inWords(item);
    const details = el("div", { class: "details", id: `why-${rows.size}-${Date.now()}`, hidden: true });
    const why = el(
      "button",
      { type: "button", class: "why", "aria-expanded": "false", "aria-controls": details.id, "aria-label": `Why ${words}?`, onclick: () => toggle(made) },
      "Why?",
    );
    const made = el(
      "li",
      { class: "row", "data-id": String(item.item_id) },
      el("span", { class: "rank" }),
      titled(item),
      el("span", { class: "move" }),
      el("span", { class: "score" }),
      el("p", { class: "because" }, " "),
      el(
        "span",
        { class: "acts" },
        why,
        el("button", { type: "button", class: "not", "aria-label": `Not this: ${words}`, onclick: () => does.deny(item) }, "Not this"),
        el("button", { type: "button", class: "add", "aria-label": `Add ${words} to your history`, onclick: () => does.add(item) }, icon("add"), "Add"),
      ),
      details,
    );
    made.item = item;
    return made;
  };

  const toggle = (made) => {
    const open = made.querySelector(".details").hidden;
    made.querySelector(".details").hidden = !open;
    made.querySelector(".why").setAttribute("aria-expanded", String(open));
    made.classList.toggle("open", open);
    made.stop?.abort();
    if (open) fill(made);
  };

  const fill = async (made) => {
    const panel = made.querySelector(".details");
    made.stop?.abort();
    made.stop = new AbortController();
    const { signal } = made.stop;
    panel.setAttribute("aria-busy", "true");
    if (!panel.children.length) panel.append(el("p", { class: "quiet" }, "Working it out…"));
    try {
      const found = await does.details(made.item, signal);
      if (!signal.aborted) panel.replaceChildren(...explanation(found, does.add));
    } catch (error) {
      if (signal.aborted || superseded(error)) return;
      panel.replaceChildren(el("p", { class: "wrong" }, inFull(error)));
    }
    panel.removeAttribute("aria-busy");
  };

  return {
    /** Draw a list; `found` are its moves against the one before, or null. */
    draw(items, found) {
      list.classList.remove("stale");
      list.removeAttribute("aria-busy");
      const wanted = items.map((item) => {
        const id = String(item.item_id);
        if (!rows.has(id)) rows.set(id, row(item));
        return rows.get(id);
      });
      for (const [id, made] of rows) {
        if (wanted.includes(made)) continue;
        made.stop?.abort();
        rows.delete(id);
      }
      const focused = document.activeElement;
      gliding(list, () => list.replaceChildren(...wanted));
      if (focused !== document.activeElement && list.contains(focused)) focused.focus({ preventScroll: true });
      wanted.forEach((made, i) => {
        made.querySelector(".rank").textContent = items[i].rank;
        made.querySelector(".score").replaceChildren(el("span", { class: "unseen" }, "score "), items[i].score.toFixed(2));
        made.querySelector(".because").textContent = " ";
        mark(made.querySelector(".move"), found?.[i]);
        if (made.classList.contains("open")) fill(made);
      });
    },

    /** Say why each is there, once that is known. */
    because(items) {
      for (const item of items) {
        const line = rows.get(String(item.item_id))?.querySelector(".because");
        if (line) line.replaceChildren(...reason(item.because ?? []));
      }
    },

    /** Show that a new list is on its way: the old one stays where it is, or blank rows hold its place. */
    waiting() {
      list.setAttribute("aria-busy", "true");
      if (rows.size) list.classList.add("stale");
      else list.replaceChildren(...blanks());
    },

    clear() {
      for (const made of rows.values()) made.stop?.abort();
      rows.clear();
      list.replaceChildren();
      list.removeAttribute("aria-busy");
    },

    /** The first row's button, for a focus whose row has gone. */
    first: () => list.querySelector(".row .add"),
  };
}

function blanks() {
  return Array.from({ length: SHOWN }, () => el("li", { class: "row blank", "aria-hidden": "true" }, el("span", { class: "rank" }), el("span", { class: "bone" })));
}

function mark(cell, move) {
  cell.className = "move";
  cell.replaceChildren();
  if (move === undefined || move === 0) return;
  const kind = move === "new" ? "new" : move > 0 ? "up" : "down";
  const spoken = { new: "new in the list", up: `up ${move}`, down: `down ${-move}` }[kind];
  cell.classList.add(kind);
  cell.append(
    el("span", { "aria-hidden": "true" }, { new: "new", up: `▲ ${move}`, down: `▼ ${-move}` }[kind]),
    el("span", { class: "unseen" }, spoken),
  );
}

function reason(because) {
  const given = because.filter(({ contribution }) => contribution > 0).slice(0, 2);
  if (!given.length) return ["No single choice of yours puts it here."];
  const parts = given.flatMap((one, i) => [i ? " and " : "", el("b", {}, readable(one).title)]);
  return ["Because you chose ", ...parts];
}

function signed(value) {
  const size = Math.abs(value).toFixed(2);
  return Number(size) === 0 ? size : `${value < 0 ? "−" : "+"}${size}`;
}

/** Bars of what each choice adds, and the titles most like this one. */
function explanation({ explained, similar }, add) {
  const { contributions } = explained;
  const most = Math.max(1e-9, ...contributions.map(({ contribution }) => Math.abs(contribution)));
  const only = contributions.length === 1;
  return [
    el("h3", {}, "What each choice adds to its score"),
    only
      ? el("p", { class: "quiet" }, "It follows from your one choice alone; add a second to compare them.")
      : el(
          "ol",
          { class: "bars" },
          ...contributions.map((one) => {
            const { contribution } = one;
            const bar = el("span", { class: `bar ${contribution < 0 ? "minus" : "plus"}` });
            bar.style.setProperty("--share", Math.abs(contribution) / most);
            return el(
              "li",
              {},
              el("span", { class: "name" }, readable(one).title),
              el("span", { class: "track", "aria-hidden": "true" }, bar),
              el("span", { class: "number" }, signed(contribution)),
            );
          }),
        ),
    !only &&
      el(
        "p",
        { class: "quiet" },
        `Each: the score with your whole history, ${explained.score.toFixed(2)}, minus the score without that choice. They need not add up.`,
      ),
    similar.length > 0 && el("h3", {}, "Most like it"),
    similar.length > 0 &&
      el(
        "ul",
        { class: "chips" },
        ...similar.map((item) =>
          el("li", {}, el("button", { type: "button", "aria-label": `Add ${inWords(item)} to your history`, onclick: () => add(item) }, icon("add"), inWords(item))),
        ),
      ),
  ].filter(Boolean);
}
