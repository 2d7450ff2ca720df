// What the reader chose: the history, what is denied, the filters; with undo, and kept in the address.

export class Choices extends EventTarget {
  /** [{key, item}] oldest first; an item may stand there twice, `key` tells them apart. */
  history = [];
  /** [item], never shown. */
  denied = [];
  /** {attribute: value} */
  filters = {};
  /** The history as it was before the reader had it shuffled or reversed; null when it is his own. */
  own = null;
  #past = [];
  #keys = 0;

  /** Change something: `change` is given this object. Kept for undo; listeners are told. */
  change(change) {
    const before = this.#snapshot();
    change(this);
    this.#past.push(before);
    if (this.#past.length > 100) this.#past.shift();
    this.#tell();
  }

  add(item) {
    this.change(() => {
      this.own = null;
      this.history = [...this.history, this.#event(item)];
    });
  }

  start(items) {
    this.change(() => {
      this.own = null;
      this.history = items.map((item) => this.#event(item));
    });
  }

  remove(key) {
    this.change(() => {
      this.own = null;
      this.history = this.history.filter((event) => event.key !== key);
    });
  }

  /** Put an event at another place; places beyond the ends are the ends. */
  move(key, place) {
    const from = this.history.findIndex((event) => event.key === key);
    const to = Math.max(0, Math.min(this.history.length - 1, place));
    if (from < 0 || from === to) return;
    this.change(() => {
      this.own = null;
      const moved = [...this.history];
      moved.splice(to, 0, ...moved.splice(from, 1));
      this.history = moved;
    });
  }

  /** Have the same events in another order; `restore` gives the reader's own back. */
  rearrange(order) {
    this.change(() => {
      this.own ??= this.history;
      this.history = order(this.history);
    });
  }

  restore() {
    this.change(() => {
      this.history = this.own;
      this.own = null;
    });
  }

  deny(item) {
    this.change(() => (this.denied = [...this.denied, item]));
  }

  allow(items) {
    const ids = new Set(items.map((item) => String(item.item_id)));
    this.change(() => (this.denied = this.denied.filter((item) => !ids.has(String(item.item_id)))));
  }

  filter(name, value) {
    this.change(() => {
      const { [name]: _, ...others } = this.filters;
      this.filters = value ? { ...others, [name]: value } : others;
    });
  }

  get undoable() {
    return this.#past.length > 0;
  }

  undo() {
    const before = this.#past.pop();
    if (!before) return;
    Object.assign(this, before);
    this.#tell();
  }

  get ids() {
    return this.history.map((event) => event.item.item_id);
  }

  #event(item) {
    return { key: `e${(this.#keys += 1)}`, item };
  }

  #snapshot() {
    const { history, denied, filters, own } = this;
    return { history, denied, filters, own };
  }

  #tell() {
    this.dispatchEvent(new Event("change"));
  }
}

/** The history's ids as the address keeps them: behind the #, which is sent to no server. */
export function toAddress(ids, model) {
  return ids.length ? `#${new URLSearchParams([...ids.map((id) => ["h", id]), ["m", model]])}` : "";
}

/** What `toAddress` wrote: ids as strings, and the model's name or null. */
export function fromAddress(hash) {
  const found = new URLSearchParams(hash.replace(/^#/, ""));
  return { ids: found.getAll("h").slice(0, 200), model: found.get("m") };
}

/** A new order, unlike the old one where there are two things to tell apart (Fisher and Yates). */
export function shuffled(things) {
  if (new Set(things).size < 2) return things;
  for (;;) {
    const mixed = [...things];
    for (let i = mixed.length - 1; i > 0; i -= 1) {
      const j = Math.floor(Math.random() * (i + 1));
      [mixed[i], mixed[j]] = [mixed[j], mixed[i]];
    }
    if (mixed.some((thing, i) => thing !== things[i])) return mixed;
  }
}
