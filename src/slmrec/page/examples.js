// Histories to start from: well-known ones where the catalogue has them, otherwise an item and those most like it.

import { inWords } from "./titles.js";

const KNOWN = [
  {
    name: "Space, lasers, sequels",
    titles: ["Star Wars (1977)", "Alien (1979)", "The Empire Strikes Back (1980)", "Blade Runner (1982)", "Star Trek: The Wrath of Khan (1982)"],
  },
  {
    name: "An evening with the children",
    titles: ["Toy Story (1995)", "Aladdin (1992)", "The Lion King (1994)", "Babe (1995)"],
  },
  {
    name: "Crime pays, on screen",
    titles: ["The Godfather (1972)", "GoodFellas (1990)", "Pulp Fiction (1994)", "Fargo (1996)"],
  },
  {
    name: "Weddings and manners",
    titles: ["Sense and Sensibility (1995)", "Emma (1996)", "Four Weddings and a Funeral (1994)", "Sabrina (1995)"],
  },
];

/** [{name, items}], two to four of them where the catalogue gives as many. */
export async function examples(backend, model) {
  const known = (await Promise.all(KNOWN.map((one) => resolved(backend, one)))).filter(Boolean);
  return known.length >= 2 ? known : alike(backend, model);
}

/** The example with its items, or null when fewer than three of its titles are in the catalogue. */
async function resolved(backend, { name, titles }) {
  const found = await Promise.all(
    titles.map(async (title) => {
      const asked = title.replace(/^The /, "").replace(/ \(\d{4}\)$/, "");
      return (await backend.search(asked, 10)).find((item) => inWords(item) === title) ?? null;
    }),
  );
  const items = found.filter(Boolean);
  return items.length >= 3 ? { name, items } : null;
}

async function alike(backend, model) {
  const some = await backend.search("", 40);
  const seeds = [0, 9, 18, 27].map((place) => some[place]).filter(Boolean);
  const made = await Promise.all(
    seeds.map(async (seed) => ({
      name: `Around ${inWords(seed)}`,
      items: [...(await backend.similar(seed.item_id, 3, model)).reverse(), seed],
    })),
  );
  return made.filter(({ items }) => items.length >= 2);
}
