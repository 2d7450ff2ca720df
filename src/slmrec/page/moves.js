// How one list differs from another: what rose, fell, or is new.

import { plural } from "./dom.js";

/**
 * @param {{item_id: string|number}[]} now
 * @param {{item_id: string|number}[] | null} before
 * @returns {(number|"new")[] | null}  per item of `now`: places it rose (negative: fell), or "new"
 */
export function moves(now, before) {
  if (!before) return null;
  const places = new Map(before.map((item, i) => [String(item.item_id), i]));
  return now.map((item, i) => (places.has(String(item.item_id)) ? places.get(String(item.item_id)) - i : "new"));
}

/** "3 new, 5 moved", or that all stayed. */
export function summary(found) {
  const fresh = found.filter((move) => move === "new").length;
  const moved = found.filter((move) => move !== "new" && move !== 0).length;
  if (!fresh && !moved) return "the list stays as it was";
  return `${moved} of ${plural(found.length, "title")} moved, ${fresh} ${fresh === 1 ? "is" : "are"} new`;
}
