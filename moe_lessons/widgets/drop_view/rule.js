// Who stands where in each expert's line, and who finds a slot: what `model/capacity.py` decides, for the browser.
// Tests hold both to each other. Nothing here touches the page.

import { slotsPerExpert } from "../shared/routing_rule.js";

export const RULES = ["first come", "priority", "none"];

/** Slots of each expert; without a limit where the rule sets none. */
export function slotsFor(rule, factor, tokens, topK, n) {
  return rule === "none" ? Infinity : slotsPerExpert(factor, tokens, topK, n);
}

/**
 * Each expert's line, in the order of service, as choices `token * topK + rank`: all first choices, then all second
 * ones. Within a rank, tokens come in the order of the batch, or by weight, highest first; a tie keeps that order.
 */
export function linesOf({ experts, weights, topK, n }, batch, rule) {
  const lines = Array.from({ length: n }, () => []);
  for (let rank = 0; rank < topK; rank++) {
    const weight = (token) => weights[token * topK + rank];
    const turn = rule === "priority" ? [...batch].sort((a, b) => weight(b) - weight(a)) : batch;
    for (const token of turn) lines[experts[token * topK + rank]].push(token * topK + rank);
  }
  return lines;
}

/** The fate of every choice: its place in its expert's line if it is served, -1 - place if dropped, NaN if absent. */
export function fatesOf(lines, count, slots) {
  const fates = new Float64Array(count).fill(NaN);
  for (const line of lines) line.forEach((at, place) => (fates[at] = place < slots ? place : -1 - place));
  return fates;
}

/** What a capacity costs: {choices, dropped, lost, slots, padded}; `lost` tokens kept no choice at all. */
export function countsOf(lines, fates, batch, topK, slots) {
  const dropped = lines.reduce((sum, line) => sum + Math.max(0, line.length - slots), 0);
  const padded = lines.reduce((sum, line) => sum + Math.max(0, slots - line.length), 0);
  const gone = (token) => Array.from({ length: topK }, (_, rank) => fates[token * topK + rank] < 0).every(Boolean);
  return {
    choices: batch.length * topK,
    dropped,
    lost: batch.filter(gone).length,
    slots: slots * lines.length,
    padded,
  };
}

/**
 * Choices that are in both batches and served in only one of them: [lost a slot, found one].
 * @returns {[number, number]}
 */
export function changedFates(before, after) {
  let [lost, found] = [0, 0];
  before.forEach((old, at) => {
    if (Number.isNaN(old + after[at])) return;
    lost += Number(old >= 0 && after[at] < 0);
    found += Number(old < 0 && after[at] >= 0);
  });
  return [lost, found];
}

/** The place after `place` other choices, as people say it: 1st, 2nd, 3rd, 4th, 11th. */
export function ordinal(number) {
  const teen = number % 100 > 10 && number % 100 < 14;
  return number + ((!teen && ["th", "st", "nd", "rd"][number % 10]) || "th");
}

/** Where a token goes, in words. */
export function story({ experts, weights, topK }, fates, token, slots) {
  const parts = Array.from({ length: topK }, (_, rank) => {
    const at = token * topK + rank;
    const [expert, fate] = [`expert ${experts[at]} (weight ${weights[at].toFixed(2)})`, fates[at]];
    if (Number.isNaN(fate)) return `${expert}: not in the batch`;
    if (slots === Infinity) return `${expert}: a place of its own`;
    return fate >= 0
      ? `${expert}: slot ${fate + 1} of ${slots}`
      : `${expert}: dropped, ${ordinal(-fate)} in line for ${many(slots, "slot")}`;
  });
  return parts.join("; ");
}

/** A share as a whole percentage. */
export const wholePercent = (part, whole) => (whole ? `${Math.round((100 * part) / whole)}%` : "0%");

/** A count with its noun. */
export const many = (count, one, more = `${one}s`) => `${count} ${count === 1 ? one : more}`;
