// One trace as RouterView works with it: its arrays, its colors, and each layer's routing as the knobs ask for it.

import { channels, expertColors, inkOn } from "../shared/expert_colors.js";
import { ruleOf } from "../shared/routing_rule.js";
import { routeLayer } from "../shared/rule.js";

/** What knobs beside the rule's own are set to while they change nothing. */
export const atRest = () => ({
  temperature: 1,
  noise: 0,
  seed: 0,
  capacity: 0,
  dropping: "first come",
  bias: [],
  off: [],
});

/** A trace from its facts and its bytes: float32 logits, bias and weights, then uint16 experts. */
export function readTrace(facts, view, palette) {
  const { tokens, experts: n } = facts;
  const rule = ruleOf(facts.rule);
  const { topK } = rule;
  const layers = facts.layers.length;
  const bytes = view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength);
  let at = 0;
  const next = (Type, length) => {
    const part = new Type(bytes, at, length);
    at += length * Type.BYTES_PER_ELEMENT;
    return part;
  };
  const size = tokens * topK;
  const [logits, bias] = [next(Float32Array, layers * tokens * n), next(Float32Array, layers * n)];
  const [weights, experts] = [next(Float32Array, layers * size), next(Uint16Array, layers * size)];
  const own = Array.from({ length: layers }, (_, row) => ({
    topK,
    dropped: null,
    slots: Infinity,
    experts: experts.subarray(row * size, (row + 1) * size),
    weights: weights.subarray(row * size, (row + 1) * size),
  }));
  const ownKnobs = {
    ...rule,
    ...atRest(),
  };
  return { ...traceOf(facts, logits, bias, own, ownKnobs), ...look(expertColors(palette, n)) };
}

/** The same tokens with other logits: what a model made of them with its knobs turned. */
export function withLogits(trace, view) {
  const logits = new Float32Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
  const other = { ...trace, logits, now: [], rooms: [], done: [], drawn: trace.drawn };
  other.own = trace.own.map((_, row) => routeLayer(other, row, trace.ownKnobs));
  return other;
}

function traceOf(facts, logits, bias, own, ownKnobs) {
  return {
    layers: facts.layers.length,
    tokens: facts.tokens,
    experts: facts.experts,
    numbers: facts.layers,
    pieces: facts.pieces,
    starts: new Set(facts.starts),
    nats: facts.nats,
    guesses: facts.guesses,
    logits,
    bias,
    own,
    ownKnobs,
    now: [],
    rooms: [],
    done: [], // each layer's present routing, its arrays, and the knobs that it is for
  };
}

/** Colors, the ink that reads on each, and each as three numbers. */
function look(colors) {
  return { colors, inks: colors.map(inkOn), parts: colors.map(channels) };
}

/**
 * See that one layer's routing is what the knobs ask for; `asked` names them. Unmoved knobs show what was recorded, not
 * what the rule makes of it: float32 and float64 may part at a tie.
 */
export function routeRow(trace, row, knobs, asked, moved) {
  if (trace.done[row] === asked) return trace.now[row];
  const turned = moved ? { ...knobs, ...fixedOf(trace.ownKnobs) } : trace.ownKnobs;
  const room = (trace.rooms[row] = routeLayer(trace, row, turned, trace.rooms[row]));
  trace.done[row] = asked;
  return (trace.now[row] = moved ? room : { ...trace.own[row], scores: room.scores });
}

/** The settings of the rule that no knob turns: of two compared traces, each keeps its own. */
const fixedOf = ({ routeScale, nGroups, groupScore }) => ({ routeScale, nGroups, groupScore });
