// RouterView's last part: what the model makes of the routes. Its guesses after the pinned token, what the text costs
// it, and in each layer the choices that differ: before and after the knobs are applied to it, or for two traces.

import { element } from "../shared/common.js";
import { t } from "../shared/language.js";
import { difference } from "../shared/rule.js";
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

/**
 * What is compared: two traces, the model before and after its knobs were turned, or nothing. `names` of the sides, and
 * of each its `guesses` after the focused token and what the tokens cost it; with applied knobs `layers`, too, as
 * [name, share of choices that differ, words]. `key` is another when anything of it is.
 * @returns {any}
 */
function pairOf(view, focus, shares) {
  const get = (name) => view.model.get(name);
  const [base, other] = view.sides;
  const state = [focus, view.asked, get("side"), get("drawn"), get("answered"), view.isApplied, view.busy];
  const common = { key: JSON.stringify(state), piece: view.trace.pieces[focus], words: t(": the loss on this text") };
  if (other) {
    if (!base.guesses && !other.guesses) return undefined;
    const which = get("side");
    const at = [focus, view.partners[which][focus]];
    const [a, b] = which ? at.reverse() : at;
    return {
      ...common,
      names: ["A", "B"],
      guesses: [base.guesses?.[a], other.guesses?.[b]],
      nats: [base.nats, other.nats],
      words: ", A → B",
    };
  }
  if (view.isApplied) {
    const { before, after } = get("applied");
    return {
      ...common,
      names: [t("as it was"), t("applied")],
      guesses: [before.guesses?.[focus], after.guesses?.[focus]],
      nats: [before.nats, after.nats],
      layers: shares.map((share, row) => [
        t("layer {layer}", { layer: base.numbers[row] }),
        share,
        t("what if: {share}", { share: percent(difference(base.now[row], base.own[row], base.tokens)) }),
      ]),
    };
  }
  if (!base.guesses) return undefined;
  const pretends = view.moved && get("can_apply");
  const note = pretends ? t("The knobs above only pretend: apply them to see what the model makes of them.") : "";
  return { ...common, names: [""], guesses: [base.guesses[focus]], nats: [base.nats], note };
}

export function makeAnswer(view) {
  const { title, say } = heading();
  const guesses = element("div", {
    class: "moe-router-guesses",
    role: "table",
    "aria-label": t("Likeliest next tokens"),
  });
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

  /** `shares`: of each layer's choices, those that differ; undefined while they are not all known. */
  const draw = (focus, shares) => {
    const pair = shares && pairOf(view, focus, shares);
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
    say(
      t("Next token after {piece}", { piece: quoted(piece) }),
      two ? `${names[0]} → ${names[1]}` : t("what the model expects"),
    );
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
            ` ${t("nats per token")}${words}`,
          ]),
    );
    changed.replaceChildren(
      ...(layers.length ? [t("Choices that differ, by layer")] : []),
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
  const has = () => view.isApplied || view.sides.some((side) => side.guesses);
  return { root, draw, has };
}
