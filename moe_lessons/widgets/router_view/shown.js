// What RouterView shows: one trace or two, the knobs as they stand, and each layer's routing as they ask for it. Its
// parts draw from this alone; what a hand changes of it is in hands.js.

import { numbers } from "../shared/common.js";
import { difference, isMoved, shutGroups } from "../shared/rule.js";
import { readTrace, routeRow, withLogits } from "./trace.js";

/** The traits that knobs turn, ASKED in knobs.py. */
export const KNOBS = [
  "top_k",
  "temperature",
  "score_function",
  "normalize",
  "noise",
  "seed",
  "capacity",
  "dropping",
  "bias",
  "off",
  "top_groups",
  "acts_on",
];

/** @param {import("../shared/common.js").Model} model */
export function makeShown(model) {
  const get = (name) => model.get(name);
  let knobs = {};
  let turned; // the first trace as the model read it with the applied knobs

  const shown = {
    model,
    sides: [], // one trace, or two that are compared
    partners: [], // of each side's tokens in the other: -1 for none
    trace: undefined, // the one that is seen, and the row of its selected layer
    row: 0,
    asked: "", // the knobs as they stand; where they act: a layer's number, or -1 for every layer
    scope: -1,
    moved: false,
    isApplied: false,
    busy: false, // the model reads the text
    again: false, // and has to read it again
    off: new Set(),
    hovered: -1, // the token, and the bin, that the hand is over
    hoveredBin: -1,
    glide: false, // a bin was pressed: ribbons move to where they go now
    notice: "", // why a bin stays as it is
    follow: false, // a key moved the pinned token: keep it in sight

    /** Take up what the kernel sent: another trace, or another one to compare it with. */
    take() {
      const read = (facts, arrays) => readTrace(get(facts), get(arrays), get("palette"));
      shown.sides = [
        read("facts", "arrays"),
        ...(get("other_facts").tokens ? [read("other_facts", "other_arrays")] : []),
      ];
      shown.partners = [];
      if (shown.two()) {
        const [there, back] = [numbers(get("partners"), Int32Array), new Int32Array(shown.sides[1].tokens).fill(-1)];
        there.forEach((partner, token) => partner >= 0 && (back[partner] = token));
        shown.partners = [there, back];
      }
      turned = undefined;
      shown.hovered = shown.hoveredBin = -1;
      shown.notice = "";
      shown.read();
    },
    /** Read the knobs, and choose what is seen. */
    read() {
      const { sides } = shown;
      shown.asked = JSON.stringify(KNOBS.map(get));
      shown.scope = get("acts_on");
      knobs = {
        ...sides[0].ownKnobs,
        topK: get("top_k"),
        temperature: get("temperature"),
        scoreFunction: get("score_function"),
        normalize: get("normalize"),
        noise: get("noise"),
        seed: get("seed"),
        capacity: get("capacity"),
        dropping: get("dropping"),
        bias: get("bias"),
        off: get("off"),
        topGroups: get("top_groups"),
      };
      shown.moved = isMoved(knobs, sides[0].ownKnobs);
      const { knobs: applied } = get("applied");
      shown.isApplied =
        !shown.two() &&
        shown.moved &&
        Boolean(applied) &&
        shown.asked === JSON.stringify(KNOBS.map((name) => applied[name]));
      if (shown.isApplied) turned ??= withLogits(sides[0], get("applied_logits"));
      shown.trace = shown.isApplied ? turned : sides[shown.which()];
      shown.row = Math.max(0, shown.trace.numbers.indexOf(get("layer")));
      shown.off = new Set(shown.inScope(shown.row) ? get("off") : []);
    },
    /** Route one layer of all that is compared. */
    settle(row) {
      for (const trace of shown.isApplied ? [shown.sides[0], turned] : shown.sides) {
        routeRow(
          trace,
          row,
          knobs,
          shown.asked,
          shown.moved && (shown.scope < 0 || trace.numbers[row] === shown.scope),
        );
      }
    },
    /** The kernel answered: what was applied to the model may be another. */
    settled() {
      shown.busy = false;
      turned = undefined;
    },

    two: () => shown.sides.length > 1,
    which: () => (shown.two() ? get("side") : 0),
    inScope: (row) => shown.scope < 0 || shown.trace.numbers[row] === shown.scope,
    /** The expert that others fade beside; one that is switched off would leave nothing in color. */
    lit: () => (shown.hoveredBin >= 0 ? open(shown.hoveredBin) : open(get("highlight"))),
    biasOf: (expert) => get("bias")[expert] ?? 0,
    biasIn: (row) => (shown.inScope(row) ? get("bias") : []),
    // `pinned` counts the first trace's tokens; the second one shows its partner, or the place that is as far along.
    pinned() {
      const first = Math.min(get("pinned"), shown.sides[0].tokens - 1);
      return shown.which() ? across(first, 0) : first;
    },
    toFirst: (token) => (shown.which() ? across(token, 1) : token),
    /** How many of the shown tokens have a counterpart in the other trace. */
    matched: () => shown.partners[get("side")].reduce((sum, one) => sum + Number(one >= 0), 0),
    /** What a layer's routing is compared with: the other trace's, or the model's own where knobs are turned. */
    reference(row) {
      const { sides, partners } = shown;
      if (shown.two()) {
        const which = get("side");
        const other = sides[1 - which];
        return { layer: other.now[row], partners: partners[which], tokens: other.tokens, name: "AB"[1 - which] };
      }
      return shown.moved && (shown.isApplied || shown.inScope(row)) ? { layer: sides[0].own[row] } : null;
    },
    /** The groups of experts that one token may not choose from in a layer. */
    shut(row, token) {
      const turned = shown.moved && shown.inScope(row);
      return shutGroups(shown.trace, row, turned ? knobs : shown.trace.ownKnobs, shown.trace.now[row].scores, token);
    },
    /** The share of a layer's choices that differ from those that it is compared with. */
    changed(row) {
      const other = shown.reference(row);
      return other ? difference(shown.trace.now[row], other.layer, shown.trace.tokens, other.partners) : 0;
    },
  };
  const open = (expert) => (shown.off.has(expert) ? -1 : expert);
  const across = (token, from) => {
    const partner = shown.partners[from]?.[token] ?? -1;
    return partner >= 0 ? partner : Math.min(shown.sides[1 - from].tokens - 1, token);
  };
  return shown;
}
