// The served models side by side: the same history, each one's list and cost.

import { byId, count, el, plural, time, titled } from "./dom.js";
import { inFull, superseded } from "./errors.js";

/**
 * @param {object} backend
 * @param {() => object} request  What to ask each model, but for its name.
 */
export function comparison(backend, request) {
  const view = byId("view-compare");
  let running = new AbortController();

  const column = (model) =>
    el(
      "section",
      { class: "column", "aria-label": model.name },
      el("h3", {}, model.name),
      el(
        "dl",
        { class: "cost" },
        ...fact("Kind", model.kind),
        ...fact("Layers", model.layers ?? "–"),
        ...fact("Parameters", count(model.parameters)),
        ...fact("Precision", model.precision),
        ...fact("This list took", "…", "took"),
      ),
      el("p", { class: "agrees" }, " "),
      el("ol", { class: "brief" }),
    );

  /** Ask one model and draw its list beside the first one's, null for the first itself. Gives its items, or null. */
  const fill = async (model, made, signal, first) => {
    const list = made.querySelector(".brief");
    const agrees = made.querySelector(".agrees");
    try {
      const { items, milliseconds } = await backend.recommend({ ...request(), model: model.name }, signal);
      made.querySelector(".took").textContent = time(milliseconds);
      const places = new Map(first?.map((item) => [String(item.item_id), item.rank]));
      const shared = items.filter((item) => places.has(String(item.item_id))).length;
      agrees.textContent = first
        ? `${shared} of ${plural(items.length, "title")} ${shared === 1 ? "stands" : "stand"} in ${backend.models[0].name}'s list too.`
        : "The others are compared with this one.";
      list.replaceChildren(
        ...items.map((item) => {
          const there = places.get(String(item.item_id));
          const words = there === item.rank ? "in the same place" : there ? `#${there} there` : "only here";
          return el("li", { class: first && !there ? "alone" : "" }, titled(item), first && el("span", { class: "there" }, words));
        }),
      );
      return items;
    } catch (error) {
      if (signal.aborted || superseded(error)) return null;
      made.querySelector(".took").textContent = "–";
      agrees.textContent = " ";
      list.replaceChildren(el("li", { class: "wrong" }, inFull(error)));
      return null;
    }
  };

  return {
    /** Ask all models anew, one after the other, so that none waits for another while it is timed. */
    async draw() {
      running.abort();
      running = new AbortController();
      const { history } = request();
      if (!history.length) {
        view.replaceChildren(el("p", { class: "empty" }, "Choose a title or two, and see what each model makes of them."));
        return;
      }
      const columns = backend.models.map((model, i) => view.querySelectorAll(".column")[i] ?? column(model));
      if (!columns[0].isConnected) view.replaceChildren(el("div", { class: "columns" }, ...columns));
      const { signal } = running;
      let first = null;
      for (const [i, model] of backend.models.entries()) {
        const items = await fill(model, columns[i], signal, first);
        if (signal.aborted) return;
        if (i === 0) first = items;
      }
    },
    stop: () => running.abort(),
  };
}

function fact(name, value, className) {
  return [el("dt", {}, name), el("dd", className ? { class: className } : {}, String(value))];
}
