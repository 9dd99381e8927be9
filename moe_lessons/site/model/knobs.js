// Which knobs a router can follow: RoutingRule.check and Knobs in Python, with their sentences.

import { SCORE_FUNCTIONS } from "../../widgets/shared/routing_rule.js";

const DROPPING = ["first come", "priority"];
const GROUP_SCORES = ["top2", "max"];

/** Nothing turned beside the rule's own settings. */
export const AT_REST = { temperature: 1, noise: 0, seed: 0, capacity: 0, dropping: DROPPING[0], bias: [], off: [] };

/**
 * Throw an Error, in one sentence, where no router of `n` experts can follow.
 * @param {import("./index.js").Knobs} asked all settings of the rule, and the knobs that are turned
 * @param {number} n
 */
export function checkKnobs(asked, n) {
  /** @type {any} */
  const knobs = { ...AT_REST, ...asked };
  checkRule(knobs);
  checkTurned(knobs);
  checkExperts(knobs, n);
  checkGroups(knobs, n);
  if (knobs.bias.length && knobs.bias.length !== n && knobs.bias.some((value) => value !== 0)) {
    refuse(`bias has ${knobs.bias.length} values, but there are ${n} experts; give one to each`);
  }
}

function refuse(sentence) {
  throw new Error(sentence);
}

function checkRule(knobs) {
  for (const [name, value] of [
    ["top_k", knobs.topK],
    ["n_groups", knobs.nGroups],
    ["top_groups", knobs.topGroups],
  ]) {
    if (!Number.isInteger(value) || value < 1) {
      refuse(`${name} is ${said(value)}, but must be a whole number of at least 1`);
    }
  }
  oneOf("score_function", knobs.scoreFunction, SCORE_FUNCTIONS);
  if (!(knobs.routeScale > 0 && knobs.routeScale < Infinity)) {
    refuse(`route_scale is ${said(knobs.routeScale)}, but must be above 0 and finite; 1 is usual`);
  }
  oneOf("group_score", knobs.groupScore, GROUP_SCORES);
  if (typeof knobs.normalize !== "boolean") refuse(`normalize is ${said(knobs.normalize)}, but must be true or false`);
}

function checkTurned(knobs) {
  if (!(isNumber(knobs.temperature) && knobs.temperature > 0 && knobs.temperature < Infinity)) {
    refuse(`temperature is ${said(knobs.temperature)}, but must be above 0 and finite`);
  }
  for (const name of ["noise", "capacity"]) {
    if (!(isNumber(knobs[name]) && knobs[name] >= 0 && knobs[name] < Infinity)) {
      refuse(`${name} is ${said(knobs[name])}, but must be 0 (none) or more, and finite`);
    }
  }
  if (!(Number.isInteger(knobs.seed) && knobs.seed >= 0 && knobs.seed < 2 ** 32)) {
    refuse(`seed is ${said(knobs.seed)}, but must be from 0 to ${2 ** 32 - 1}`);
  }
  oneOf("dropping", knobs.dropping, DROPPING);
  if (!Array.isArray(knobs.bias) || !knobs.bias.every(Number.isFinite)) {
    refuse("bias has values that are not finite; give each expert a number, 0 for none");
  }
  if (!Array.isArray(knobs.off)) refuse(`off is ${said(knobs.off)}, but must be a list of experts`);
}

function checkExperts({ topK, topGroups, nGroups, groupScore, off }, n) {
  if (topK > n) refuse(`top_k is ${topK}, but must be from 1 to the ${n} experts there are`);
  if (topGroups > nGroups) refuse(`top_groups is ${topGroups}, but must be from 1 to n_groups = ${nGroups}`);
  if (n % nGroups) refuse(`n_groups is ${nGroups}, but must divide the ${n} experts into equal parts`);
  if (nGroups > 1 && n / nGroups < 2 && groupScore === "top2") {
    refuse(
      `n_groups is ${nGroups}, which leaves one expert to a group, but group_score 'top2' adds up two; ` +
        "make fewer groups or choose 'max'",
    );
  }
  for (const expert of off) {
    if (!(Number.isInteger(expert) && expert >= 0 && expert < n)) {
      refuse(`expert ${expert} cannot be switched off: the experts are 0 to ${n - 1}`);
    }
  }
  const gone = new Set(off).size;
  if (gone > n - topK) {
    refuse(`${gone} of ${n} experts are off, which leaves too few for top_k ${topK}; switch some on`);
  }
}

function checkGroups({ topK, topGroups, nGroups, off }, n) {
  const on = new Array(nGroups).fill(n / nGroups);
  for (const expert of new Set(off)) on[Math.floor(expert / (n / nGroups))]--;
  const fewest = on.sort((a, b) => a - b).slice(0, topGroups);
  const left = fewest.reduce((sum, size) => sum + size, 0);
  if (left < topK) {
    refuse(
      `top_k is ${topK}, but ${topGroups} of ${nGroups} groups may have only ${left} experts to choose from; ` +
        "raise top_groups or lower top_k",
    );
  }
}

function oneOf(name, value, names) {
  if (names.includes(value)) return;
  const quoted = names.map(said);
  refuse(`${name} is ${said(value)}, but must be ${quoted.slice(0, -1).join(", ")} or ${quoted.at(-1)}`);
}

const isNumber = (value) => typeof value === "number";

/** A value as Python would say it. */
function said(value) {
  return typeof value === "string" ? `'${value}'` : String(value);
}
