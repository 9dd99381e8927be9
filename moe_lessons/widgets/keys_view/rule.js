// Which keys a token reads, as moe_lessons.widgets.keys_view.rule says it; a test runs both.

export const KINDS = ["full", "window", "indexed", "sparse", "heavy"];

const count = (to) => Array.from({ length: to }, (_, i) => i);

/** What the token behind `ranks` reads: {tokens, entries, rate}; entry e stands for the tokens from e * rate on. */
export function readBy(kind, ranks, { window, top_k, sparse_rate, heavy_rate }) {
  const time = ranks.length;
  if (kind === "full") return { tokens: count(time), entries: [], rate: 0 };
  if (kind === "indexed") return { tokens: count(time).filter((key) => ranks[key] < top_k), entries: [], rate: 0 };
  const tokens = count(time).slice(Math.max(0, time - window));
  if (kind === "window") return { tokens, entries: [], rate: 0 };
  const rate = kind === "sparse" ? sparse_rate : heavy_rate;
  let entries = count(Math.floor(time / rate));
  if (kind === "sparse") {
    const best = entries.map((entry) => Math.min(...ranks.slice(entry * rate, (entry + 1) * rate)));
    entries = entries.sort((a, b) => best[a] - best[b]).slice(0, top_k);
    entries.sort((a, b) => a - b);
  }
  return { tokens, entries, rate };
}

/** What the last of `length` tokens reads in a published layer, what is scored for it, and the numbers kept. */
export function atLength({ window, numbers, rate, top_k, index_numbers }, length) {
  const near = window ? Math.min(length, window) : length;
  const many = rate ? Math.floor(length / rate) : near;
  const picked = top_k ? Math.min(many, top_k) : many;
  const scored = picked < many ? many : 0;
  if (!rate) return [picked, scored, near * (numbers + index_numbers)];
  return [near + picked, scored, near * numbers + many * (numbers + index_numbers)];
}

/** Neighboring places as stretches [first, behind the last]. */
export function stretches(places) {
  const found = [];
  for (const place of places) {
    if (found.length && found[found.length - 1][1] === place) found[found.length - 1][1]++;
    else found.push([place, place + 1]);
  }
  return found;
}

/** What a token is to the query: "query", "later", "read", "entry" (read within one), or "unread". */
export function standing(token, query, { tokens, entries, rate }) {
  if (token > query) return "later";
  if (token === query) return "query";
  if (tokens.includes(token)) return "read";
  return rate && entries.includes(Math.floor(token / rate)) ? "entry" : "unread";
}
