// The history as a timeline: dragged by its grip, or moved by buttons and arrow keys.

import { announce, byId, el, gliding, icon, titled } from "./dom.js";
import { inWords } from "./titles.js";

/** @param {import("./state.js").Choices} choices */
export function timeline(choices) {
  const list = byId("timeline");
  const cards = new Map();

  const card = ({ key, item }) => {
    const words = inWords(item);
    const button = (does, label, act) =>
      el("button", { type: "button", class: "small", "data-does": does, "aria-label": label, title: label, onclick: act }, icon(does));
    const made = el(
      "li",
      { class: "event", "data-id": key },
      el("span", { class: "grip", title: "Drag to reorder", "aria-hidden": "true" }, icon("grip")),
      el("span", { class: "dot", "aria-hidden": "true" }),
      titled(item),
      el(
        "span",
        { class: "acts" },
        button("earlier", `Move ${words} earlier`, () => step(key, -1)),
        button("later", `Move ${words} later`, () => step(key, 1)),
        button("remove", `Remove ${words}`, () => remove(key)),
      ),
    );
    made.addEventListener("keydown", (event) => {
      const by = { ArrowUp: -1, ArrowLeft: -1, ArrowDown: 1, ArrowRight: 1 }[event.key];
      if (by) {
        event.preventDefault();
        step(key, by);
      } else if (event.key === "Delete") remove(key);
    });
    made.querySelector(".grip").addEventListener("pointerdown", (event) => drag(event, made, key));
    return made;
  };

  const place = (key) => choices.history.findIndex((event) => event.key === key);

  const step = (key, by) => {
    const focused = document.activeElement;
    const to = place(key) + by;
    if (to < 0 || to >= choices.history.length) return;
    choices.move(key, to);
    // Moving its card took the focus away; a button that the move has disabled hands it to its neighbour.
    const target = focused.disabled ? cards.get(key).querySelector("button:not(:disabled)") : focused;
    target.focus();
    cards.get(key).scrollIntoView({ block: "nearest", inline: "nearest" });
    announce("change", `${inWords(choices.history[to].item)} is now ${to + 1} of ${choices.history.length}.`);
  };

  const remove = (key) => {
    const at = place(key);
    choices.remove(key);
    const next = choices.history[Math.min(at, choices.history.length - 1)];
    (next ? cards.get(next.key).querySelector("[data-does=remove]") : byId("search")).focus();
  };

  const drag = (start, moved, key) => {
    if (start.button !== 0) return;
    start.preventDefault();
    const order = [...list.children];
    list.setPointerCapture(start.pointerId); // not the card: a card that is put elsewhere loses the pointer
    moved.classList.add("dragged");

    const follow = ({ clientX, clientY }) => {
      const { left, top } = list.getBoundingClientRect();
      const [x, y] = [clientX - left + list.scrollLeft, clientY - top + list.scrollTop];
      // Places in the layout, not on the screen, where the cards that make room are still gliding.
      const over = [...list.children].find(
        ({ offsetLeft, offsetTop, offsetWidth, offsetHeight }) =>
          x >= offsetLeft && x <= offsetLeft + offsetWidth && y >= offsetTop && y <= offsetTop + offsetHeight,
      );
      if (!over || over === moved) return;
      const later = moved.compareDocumentPosition(over) & Node.DOCUMENT_POSITION_FOLLOWING;
      // A higher card is passed once the moved one will lie under the pointer; sooner, the two would take turns.
      const deep = later ? over.offsetTop + over.offsetHeight - y : y - over.offsetTop;
      if (deep <= moved.offsetHeight) gliding(list, () => over[later ? "after" : "before"](moved));
    };
    const end = (keep) => {
      list.removeEventListener("pointermove", follow);
      list.removeEventListener("pointerup", drop);
      list.removeEventListener("pointercancel", cancel);
      removeEventListener("keydown", escape);
      moved.classList.remove("dragged");
      if (keep) choices.move(key, [...list.children].indexOf(moved));
      else list.replaceChildren(...order);
    };
    const drop = () => end(true);
    const cancel = () => end(false);
    const escape = (event) => event.key === "Escape" && cancel();
    list.addEventListener("pointermove", follow);
    list.addEventListener("pointerup", drop);
    list.addEventListener("pointercancel", cancel);
    addEventListener("keydown", escape);
  };

  const draw = () => {
    const { history } = choices;
    const added = history.some((event) => !cards.has(event.key));
    for (const event of history) if (!cards.has(event.key)) cards.set(event.key, card(event));
    gliding(list, () => list.replaceChildren(...history.map((event) => cards.get(event.key))));
    history.forEach((event, i) => {
      const made = cards.get(event.key);
      made.querySelector("[data-does=earlier]").disabled = i === 0;
      made.querySelector("[data-does=later]").disabled = i === history.length - 1;
    });
    if (added && list.lastElementChild) list.lastElementChild.scrollIntoView({ block: "nearest", inline: "end" });
    byId("past-empty").hidden = history.length > 0;
  };

  choices.addEventListener("change", draw);
  draw();
}
