// What RouterView says: pure functions from numbers to words.

import { inQuotes, t } from "../shared/language.js";

/** A piece as it is quoted in a sentence. */
export function quoted(piece) {
  return inQuotes(piece.replace(/\n/g, "↵").replace(/\t/g, "→"));
}

/** A share as a percentage that never rounds a difference away. */
export function percent(share) {
  if (share === 0) return "0%";
  if (share < 0.01) return t("under 1%");
  return `${share > 0.99 && share < 1 ? 99 : Math.round(100 * share)}%`;
}

/** Where one token goes: "experts 3 (0.61) and 5 (0.39)"; a choice without a slot is "dropped". */
export function destination({ experts, weights, dropped, topK }, token) {
  const parts = [];
  for (let i = token * topK; i < (token + 1) * topK; i++) {
    parts.push(`${experts[i]} (${dropped?.[i] ? t("dropped") : weights[i].toFixed(2)})`);
  }
  const last = parts.pop();
  return parts.length ? t("experts {some} and {last}", { some: parts.join(", "), last }) : t("expert {last}", { last });
}

/** What moved knobs change; `lost` of `all` choices are dropped. */
export function verdict(moved, share, lost = 0, all = 0) {
  if (!moved) return t("This is what the model did.");
  const drops = lost ? ` ${t("{lost} of {all} choices found no slot.", { lost, all })}` : "";
  if (share === 0) {
    return drops
      ? t("Every choice is still the model’s own.") + drops
      : t("Every choice is still the model’s own; only the weights changed.");
  }
  return t("{share} of all choices differ from the model’s own.", { share: percent(share) }) + drops;
}

/** A bias with its sign, without needless zeros: "+0.1", "−0.005", "0". */
export function signed(value) {
  const digits = String(Math.abs(Math.round(value * 1000) / 1000));
  return digits === "0" ? "0" : `${value < 0 ? "−" : "+"}${digits}`;
}

/** The next round number: where an axis ends. */
export function niceEnd(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const ends = [1, 1.2, 1.5, 2, 3, 4, 5, 6, 8, 10].map((step) => Number((step * power).toPrecision(2)));
  return ends.find((end) => end >= value * (1 - 1e-9));
}
