// Catalogue texts made readable: "Godfather, The (1972) | Action, Crime" → The Godfather, 1972; Action, Crime.

const ARTICLE = /^([^(]+), (The|A|An|Le|La|Les|L'|Il|Lo|El|Los|Las|Das|Der|Die|De|Un|Una|Une)((?: \([^)]*\))*)$/;
const YEAR = /^(.+) \((\d{4})\)$/;
const DETAIL_AFTER_YEAR = /^(.* \(\d{4}\)), (.+)$/;

/**
 * @param {{item_id: string|number, text: string|null}} item
 * @returns {{title: string, year: string, detail: string}}  `year` and `detail` may be empty.
 */
export function readable({ item_id, text }) {
  if (!text || text === String(item_id)) return { title: `Item ${item_id}`, year: "", detail: "" };
  const bar = text.indexOf(" | ");
  let [head, detail] = bar > 0 ? [text.slice(0, bar), text.slice(bar + 3)] : [text, ""];
  if (!detail) {
    const parts = DETAIL_AFTER_YEAR.exec(head);
    if (parts) [, head, detail] = parts;
  }
  const dated = YEAR.exec(head);
  let title = dated ? dated[1] : head;
  const turned = ARTICLE.exec(title);
  if (turned) title = `${turned[2]}${turned[2].endsWith("'") ? "" : " "}${turned[1]}${turned[3]}`;
  return { title: title.charAt(0).toUpperCase() + title.slice(1), year: dated ? dated[2] : "", detail };
}

/** A title in one line, for labels and announcements. */
export function inWords(item) {
  const { title, year } = readable(item);
  return year ? `${title} (${year})` : title;
}
