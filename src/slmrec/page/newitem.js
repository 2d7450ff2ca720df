// A new item by its description: added without training, and whom it suits.

import { announce, byId, count, el, icon, plural } from "./dom.js";
import { inFull } from "./errors.js";
import { inWords } from "./titles.js";

const USERS = 10;
const ALIKE = 5;

/**
 * @param {object} backend
 * @param {{add: (item) => void, changed: () => void, model: () => string}} page
 */
export function newItem(backend, page) {
  const view = byId("view-new");
  if (backend.adding) {
    view.replaceChildren(el("div", { class: "empty" }, el("h3", {}, "Not in this page alone"), el("p", {}, backend.adding)));
    return;
  }
  const text = el("textarea", { id: "new-text", rows: 3, required: true, maxlength: 2000, placeholder: "A heist on a space station goes wrong (2024) | Sci-Fi, Thriller" });
  const id = el("input", { id: "new-id", autocomplete: "off", required: true, value: unused() });
  const send = el("button", { type: "submit", class: "main" }, "Add it");
  const result = el("div", { class: "result", "aria-live": "polite" });
  const form = el(
    "form",
    { class: "newitem" },
    el("p", {}, "Describe an item nobody has chosen yet. The model reads its text as it read the others', and ranks it from then on; nothing is trained."),
    el("label", { for: "new-text" }, "Description"),
    text,
    el("label", { for: "new-id" }, "Id"),
    id,
    send,
  );
  view.replaceChildren(form, result);

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    send.disabled = true;
    result.replaceChildren(el("p", { class: "quiet" }, "Reading it…"));
    try {
      const [sample] = await backend.search("", 1);
      const numeric = typeof sample?.item_id === "number";
      const item = { item_id: numeric ? Number(id.value) : id.value.trim(), text: text.value.trim() };
      if (numeric && !Number.isSafeInteger(item.item_id)) throw new Error("The ids of this catalogue are whole numbers; give one.");
      await backend.addItem(item);
      page.changed();
      const [users, alike] = await Promise.all([
        backend.audience(item.item_id, USERS),
        backend.similar(item.item_id, ALIKE, page.model()),
      ]);
      result.replaceChildren(...audience(item, users, alike));
      announce("change", `${inWords(item)} is added. ${users.length ? `It suits user ${users[0].user} best.` : ""}`);
      form.reset();
      id.value = unused();
    } catch (error) {
      result.replaceChildren(el("p", { class: "wrong", role: "alert" }, inFull(error)));
    } finally {
      send.disabled = false;
    }
  });

  const audience = (item, users, alike) => {
    const gone = el("p", { class: "wrong", hidden: true });
    const withdraw = async () => {
      try {
        await backend.withdraw(item.item_id);
        result.replaceChildren(el("p", {}, `${inWords(item)} is withdrawn: no list has it any more.`));
        page.changed();
      } catch (error) {
        gone.hidden = false;
        gone.textContent = error.message;
      }
    };
    return [
      el("h3", {}, `${inWords(item)} is in the catalogue`),
      el(
        "div",
        { class: "tools" },
        el("button", { type: "button", onclick: () => page.add(item) }, icon("add"), "Add to your history"),
        el("button", { type: "button", onclick: withdraw }, "Withdraw it"),
      ),
      gone,
      el("h4", {}, "Whom it suits"),
      users.length
        ? el(
            "table",
            {},
            el("thead", {}, el("tr", {}, ...["User", "Its place in their list", "Score"].map((head) => el("th", { scope: "col" }, head)))),
            el(
              "tbody",
              {},
              ...users.map(({ user, rank, score }) =>
                el("tr", {}, el("th", { scope: "row" }, String(user)), el("td", {}, count(rank)), el("td", {}, score.toFixed(2))),
              ),
            ),
          )
        : el("p", { class: "quiet" }, "The server keeps no users yet. Their events come in by POST /users/{user}/events."),
      alike.length > 0 && el("h4", {}, `The ${plural(alike.length, "title")} most like it`),
      alike.length > 0 && el("ul", { class: "plain" }, ...alike.map((one) => el("li", {}, inWords(one)))),
    ].filter(Boolean);
  };
}

/** An id that no catalogue has: the seconds of today, a number or text as the catalogue wants. */
function unused() {
  return String(Math.floor(Date.now() / 1000));
}
