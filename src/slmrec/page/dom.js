// Small things for building and changing the page; text is never read as markup.

import { readable } from "./titles.js";

export const byId = (id) => document.getElementById(id);
export const calm = matchMedia("(prefers-reduced-motion: reduce)");

/**
 * An element. Keys of `properties` are attributes; "on…" are event listeners; false, null and undefined leave one out.
 */
export function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value != null) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child != null && child !== false));
  return made;
}

const SHAPES = {
  earlier: "M10 16V4M5 9l5-5 5 5",
  later: "M10 4v12M5 11l5 5 5-5",
  remove: "m5 5 10 10M15 5 5 15",
  add: "M10 4v12M4 10h12",
  grip: "M7 5h.01M7 10h.01M7 15h.01M13 5h.01M13 10h.01M13 15h.01",
  back: "M8 5 4 9l4 4M4 9h8a4 4 0 0 1 0 8H9",
};

/** A line icon; it says nothing to a screen reader, the button's label does. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 20 20");
  svg.setAttribute("aria-hidden", "true");
  svg.classList.add("icon", name);
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", SHAPES[name]);
  svg.append(path);
  return svg;
}

/** Title, year and the rest of an item's text. */
export function titled(item) {
  const { title, year, detail } = readable(item);
  return el(
    "span",
    { class: "titled" },
    el("span", { class: "title" }, title, year && el("span", { class: "year" }, ` ${year}`)),
    detail && el("span", { class: "detail" }, detail),
  );
}

const unspoken = new Map(); // what a text is about -> the text
let speaking = 0;

/** Say something to screen readers, once things have settled; of what is said about one thing until then, the last. */
export function announce(about, text) {
  unspoken.delete(about);
  unspoken.set(about, text);
  clearTimeout(speaking);
  speaking = setTimeout(() => {
    byId("announce").textContent = [...unspoken.values()].join(" ");
    unspoken.clear();
  }, 250);
}

/** Run `change`, then let the children that moved glide from where they were. Children are known by data-id. */
export function gliding(parent, change) {
  const before = new Map([...parent.children].map((child) => [child.dataset.id, child.getBoundingClientRect()]));
  change();
  if (calm.matches) return;
  for (const child of parent.children) {
    const old = before.get(child.dataset.id);
    const now = child.getBoundingClientRect();
    const [x, y] = old ? [old.left - now.left, old.top - now.top] : [0, 0];
    if (x || y) {
      child.animate([{ transform: `translate(${x}px, ${y}px)` }, { transform: "none" }], { duration: 220, easing: "ease-out" });
    } else if (!old && before.size) {
      child.animate([{ opacity: 0 }, { opacity: 1 }], { duration: 220 });
    }
  }
}

/** A number with its thousands told apart, shortened from a million. */
export function count(number) {
  if (number >= 1e6) return `${(number / 1e6).toLocaleString("en", { maximumFractionDigits: 1 })} M`;
  return number.toLocaleString("en");
}

/** Milliseconds, as precise as one cares. */
export function time(milliseconds) {
  return `${milliseconds < 10 ? milliseconds.toFixed(1) : Math.round(milliseconds).toLocaleString("en")} ms`;
}

export const plural = (number, one, many = `${one}s`) => `${number} ${number === 1 ? one : many}`;
