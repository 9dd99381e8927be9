// RouterView's last part: what the model makes of the routes. Its guesses after the pinned token, what the text costs
// it, and in each layer the choices that differ: before and after the knobs are applied to it, or for two traces.

import { element } from "../shared/common.js";
import { heading, write } from "./heading.js";
import { percent, quoted } from "./words.js";

const MOST = 5; // next tokens shown

/** Rows for the likeliest next tokens of two guesses: [piece, share before, share after]; undefined where unknown. */
export function guessRows(before, after, most = MOST) {
  const rows = new Map();
  for (const [piece, share] of before ?? []) rows.set(piece, [piece, share, after ? undefined : share]);
  for (const [piece, share] of after ?? []) {
    const row = rows.get(piece) ?? [piece, undefined, undefined];
    row[2] = share;
    rows.set(piece, row);
  }
  const high = ([, a = 0, b = 0]) => (after ? Math.max(b, a / 2) : a); // what is likely now comes first
  return [...rows.values()].sort((a, b) => high(b) - high(a)).slice(0, most);
}

/** The mean of costs in nats; undefined where there are none. */
export function mean(nats) {
  return nats?.length ? nats.reduce((sum, x) => sum + x, 0) / nats.length : undefined;
}

export function makeAnswer(_view) {
  const { title, say } = heading();
  const guesses = element("div", { class: "moe-router-guesses", role: "table", "aria-label": "Likeliest next tokens" });
  const cost = element("div", { class: "moe-router-cost" });
  const changed = element("div", { class: "moe-router-changed" });
  const note = element("div", { class: "moe-router-state" });
  const root = element(
    "div",
    { class: "moe-router-answer" },
    title,
    element("div", { class: "moe-router-columns" }, guesses, element("div", {}, cost, changed)),
    note,
  );
  let shown = "";

  const bar = (share, name, words = share === undefined ? "–" : `${(100 * share).toFixed(1)}%`) =>
    element(
      "span",
      { class: `moe-router-share ${name}`, role: "cell" },
      element("i", { style: `width: ${(100 * (share ?? 0)).toFixed(1)}%` }),
      element("b", {}, words),
    );

  /**
   * `pair`: the guesses after the focused token, what the tokens cost, and the names of two sides, the second one
   * missing where nothing is compared; `layers` from `changedLayers`; `key` says when anything of it is another.
   */
  const draw = (pair) => {
    if (root.hidden === Boolean(pair)) root.hidden = !pair;
    if (!pair || pair.key === shown) return;
    shown = pair.key;
    const {
      piece,
      names,
      guesses: [first, second],
      nats,
      layers = [],
      words = "",
    } = pair;
    const two = names.length > 1;
    say(`Next token after ${quoted(piece)}`, two ? `${names[0]} → ${names[1]}` : "what the model expects");
    guesses.classList.toggle("two", two);
    guesses.replaceChildren(
      ...guessRows(first, two ? (second ?? []) : undefined).map(([next, a, b]) =>
        element(
          "div",
          { role: "row" },
          element("code", { role: "rowheader" }, quoted(next)),
          bar(a, "before"),
          ...(two ? [bar(b, "after")] : []),
        ),
      ),
    );
    const [was, is] = nats.map(mean);
    cost.replaceChildren(
      ...(was === undefined
        ? []
        : [
            element("b", {}, is === undefined ? was.toFixed(3) : `${was.toFixed(3)} → ${is.toFixed(3)}`),
            ` nats per token${words}`,
          ]),
    );
    changed.replaceChildren(
      ...(layers.length ? ["Choices that differ, by layer"] : []),
      ...layers.map(([name, share, beside]) =>
        element(
          "div",
          {},
          element("span", {}, name),
          bar(share, "after", percent(share)),
          element("small", {}, beside),
        ),
      ),
    );
    write(note, pair.note ?? "");
  };
  return { root, draw, clear: () => (shown = "") };
}
