// The search box: a combobox (WAI-ARIA pattern) over a list of titles; typing is answered once it pauses.

import { byId, el, plural, titled } from "./dom.js";
import { superseded } from "./errors.js";
import { inWords } from "./titles.js";

const PAUSE = 120;
const SHOWN = 8;

/**
 * @param {(query: string, limit: number, signal: AbortSignal) => Promise<object[]>} search
 * @param {(item: object) => void} pick
 * @param {(error: Error) => void} failed
 */
export function searchBox(search, pick, failed) {
  const [input, list, said] = [byId("search"), byId("found"), byId("found-count")];
  let items = [];
  let active = -1;
  let timer = 0;
  let running = new AbortController();

  const close = () => {
    clearTimeout(timer);
    running.abort();
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
    activate(-1);
  };

  const activate = (place) => {
    active = place;
    [...list.children].forEach((option, i) => option.setAttribute("aria-selected", String(i === place)));
    if (place < 0) input.removeAttribute("aria-activedescendant");
    else {
      input.setAttribute("aria-activedescendant", list.children[place].id);
      list.children[place].scrollIntoView({ block: "nearest" });
    }
  };

  const choose = (place) => {
    const item = items[place];
    input.value = "";
    said.textContent = "";
    close();
    pick(item);
  };

  const ask = async () => {
    running.abort();
    running = new AbortController();
    const { signal } = running;
    const query = input.value.trim();
    if (!query) {
      close();
      said.textContent = "";
      return;
    }
    try {
      const found = await search(query, SHOWN, signal);
      if (signal.aborted) return;
      items = found;
    } catch (error) {
      if (signal.aborted || superseded(error)) return;
      close();
      failed(error);
      return;
    }
    list.replaceChildren(
      ...items.map((item, i) =>
        el("li", { id: `found-${i}`, role: "option", "aria-selected": "false", "aria-label": inWords(item) }, titled(item)),
      ),
    );
    if (!items.length) {
      list.append(el("li", { class: "none", role: "option", "aria-disabled": "true", "aria-selected": "false" }, `No title has “${query}” in it.`));
    }
    said.textContent = items.length ? `${plural(items.length, "title")} found. Arrow keys choose, Enter adds.` : "No title found.";
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
    activate(items.length ? 0 : -1);
  };

  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(ask, PAUSE);
  });
  input.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      if (list.hidden) ask();
      else if (items.length) activate((active + step + items.length) % items.length);
    } else if (event.key === "Enter" && !list.hidden && active >= 0) {
      event.preventDefault();
      choose(active);
    } else if (event.key === "Escape" && !list.hidden) {
      event.preventDefault();
      close();
    }
  });
  input.addEventListener("blur", close);
  input.addEventListener("focus", () => input.value.trim() && ask());
  list.addEventListener("pointerdown", (event) => event.preventDefault()); // the focus stays in the box
  list.addEventListener("click", (event) => {
    const option = event.target.closest("[role=option]");
    const place = [...list.children].indexOf(option);
    if (place >= 0 && place < items.length) choose(place);
  });
}
