// The routing rule on typed arrays. tracing/rule.py and tracing/noise.py are its twins in numpy; a test runs both on
// the same cases. Nothing here touches the page.

import { SCORES, slotsPerExpert, weigh } from "./routing_rule.js";

/**
 * Route the tokens of one layer: choose by score plus bias, weigh by score alone; a tie goes to the lower index.
 *
 * `trace` has the sizes tokens and experts, the layers' `numbers`, and the arrays logits [layers, tokens, experts] and
 * bias [layers, experts]; `knobs` holds the settings of the rule, too. Gives topK, experts, weights, dropped (null
 * without a capacity) [tokens, topK] and scores [tokens, experts]. `room` is an earlier result for this layer, whose
 * arrays are used again where they fit and whose scores are kept where only the choice changes, so that a dragged knob
 * allocates and computes little.
 * @param {any} room
 */
export function routeLayer(trace, row, knobs, room = {}) {
  const { tokens, experts: n, bias } = trace;
  const { topK, off = [], capacity = 0, nGroups = 1 } = knobs;
  const asked = `${knobs.scoreFunction} ${knobs.temperature} ${knobs.noise ? `${knobs.noise} ${knobs.seed}` : ""}`;
  if (room.asked !== asked || room.trace !== trace) {
    room.scores = scoresOf(
      trace,
      row,
      knobs,
      room.scores?.length === tokens * n ? room.scores : new Float64Array(tokens * n),
    );
    Object.assign(room, { asked, trace });
  }
  if (room.topK !== topK || room.experts?.length !== tokens * topK) {
    room.topK = topK;
    room.experts = new Uint16Array(tokens * topK);
    room.weights = new Float64Array(tokens * topK);
  }
  const { experts, weights, scores } = room;
  const open = new Uint8Array(n).fill(1);
  for (const expert of off) open[expert] = 0;
  const own = bias.subarray(row * n, (row + 1) * n);
  const added = knobs.bias?.length ? knobs.bias : new Float64Array(n);
  const grouped = nGroups > 1;
  const size = n / nGroups;
  const chosen = new Uint8Array(nGroups); // the groups that a token may choose from
  const [wanted, allowed] = [new Float64Array(n), open.slice()];
  const best = new Float64Array(topK);

  for (let token = 0; token < tokens; token++) {
    const at = token * n;
    for (let e = 0; e < n; e++) wanted[e] = scores[at + e] + own[e] + added[e];
    if (grouped) {
      for (const expert of off) wanted[expert] = -Infinity;
      chooseGroups(wanted, size, knobs, chosen);
      for (let e = 0; e < n; e++) allowed[e] = open[e] && chosen[Math.floor(e / size)];
    }

    const first = token * topK;
    let [found, least] = [0, -Infinity]; // of those found once there are enough of them
    for (let e = 0; e < n; e++) {
      const value = wanted[e];
      if ((found === topK && !(value > least)) || !allowed[e]) continue;
      let place = found < topK ? found++ : topK - 1;
      for (; place > 0 && value > best[place - 1]; place--) {
        best[place] = best[place - 1];
        experts[first + place] = experts[first + place - 1];
      }
      best[place] = value;
      experts[first + place] = e;
      least = best[topK - 1];
    }

    for (let k = first; k < first + topK; k++) weights[k] = scores[at + experts[k]];
    weigh(weights, first, first + topK, knobs);
  }
  room.slots = capacity ? slotsPerExpert(capacity, tokens, topK, n) : Infinity;
  room.dropped = capacity ? dropLate(room, tokens, n, knobs.dropping) : null;
  return room;
}

/** The scores of one layer, written into `scores`. */
function scoresOf(trace, row, { temperature, scoreFunction, noise = 0, seed = 0 }, scores) {
  const { tokens, experts: n, logits } = trace;
  const start = row * tokens * n;
  const drawn = noise ? noiseOf(trace, row, seed) : undefined;
  for (let i = 0; i < tokens * n; i++) scores[i] = logits[start + i] / temperature;
  if (drawn) for (let i = 0; i < tokens * n; i++) scores[i] += noise * drawn[i];
  for (let at = 0; at < tokens * n; at += n) SCORES[scoreFunction](scores, at, at + n);
  return scores;
}

/** The groups of experts that one token may not choose from, given its layer's `scores` [tokens, experts]. */
export function shutGroups(trace, row, knobs, scores, token) {
  const { experts: n, bias } = trace;
  const { nGroups = 1, topGroups = nGroups, off = [] } = knobs;
  if (nGroups < 2 || topGroups >= nGroups) return new Set();
  const wanted = Float64Array.from(
    { length: n },
    (_, e) => scores[token * n + e] + bias[row * n + e] + (knobs.bias?.[e] ?? 0),
  );
  for (const expert of off) wanted[expert] = -Infinity;
  const chosen = new Uint8Array(nGroups);
  chooseGroups(wanted, n / nGroups, knobs, chosen);
  return new Set([...chosen.keys()].filter((group) => !chosen[group]));
}

/** Mark the best groups: by the sum of their two best ("top2") or by their best ("max"); a tie goes to the lower. */
function chooseGroups(wanted, size, { nGroups, topGroups, groupScore }, chosen) {
  const scored = Array.from({ length: nGroups }, (_, group) => {
    let [best, second] = [-Infinity, -Infinity];
    for (let e = group * size; e < (group + 1) * size; e++) {
      if (wanted[e] > best) [best, second] = [wanted[e], best];
      else if (wanted[e] > second) second = wanted[e];
    }
    return [groupScore === "max" ? best : best + second, group];
  });
  scored.sort(([a, i], [b, j]) => (a === b ? i - j : b - a));
  chosen.fill(0);
  for (const [, group] of scored.slice(0, topGroups)) chosen[group] = 1;
}

const bits = new Uint32Array(1);
const single = new Float32Array(bits.buffer);

/**
 * Which choices find no slot: all first choices are served, then all second ones; within a rank, tokens come in order
 * ("first come") or by weight, highest first ("priority"; a tie to the earlier). A dropped choice weighs nothing.
 */
function dropLate({ topK, experts, weights, slots }, tokens, n, dropping) {
  const dropped = new Uint8Array(tokens * topK);
  const taken = new Uint32Array(n);
  const turn = Float64Array.from({ length: tokens }, (_, token) => token);
  for (let rank = 0; rank < topK; rank++) {
    if (dropping === "priority") {
      // Weights as float32, so that the last bit of a sum decides nothing; their bits order as they do.
      for (let token = 0; token < tokens; token++) {
        single[0] = weights[token * topK + rank];
        turn[token] = (0xffffffff - bits[0]) * 2 ** 20 + token;
      }
      turn.sort();
    }
    for (let i = 0; i < tokens; i++) {
      const choice = (turn[i] % 2 ** 20) * topK + rank;
      if (taken[experts[choice]]++ >= slots) (dropped[choice] = 1), (weights[choice] = 0);
    }
  }
  return dropped;
}

// ---- noise

/** One layer's noise, kept with its trace until another seed is asked for. */
function noiseOf(trace, row, seed) {
  if (trace.drawn?.seed !== seed) trace.drawn = { seed, rows: [] };
  return (trace.drawn.rows[row] ??= unitNoise(seed, trace.numbers?.[row] ?? row, trace.tokens, trace.experts));
}

/** Noise of mean 0 and standard deviation 1: the sum of twelve uniform numbers, less its mean. [tokens, experts] */
export function unitNoise(seed, layer, tokens, experts) {
  const noise = new Float64Array(tokens * experts);
  const draws = Uint32Array.from({ length: 6 * experts }, (_, i) => mixed(i + 1));
  const start = mixed(mixed(seed) + layer);
  for (let token = 0; token < tokens; token++) {
    const own = mixed(start + token);
    for (let e = 0; e < experts; e++) {
      let sum = -6 * 65535;
      for (let i = 6 * e; i < 6 * e + 6; i++) {
        const drawn = mixed(own ^ draws[i]);
        sum += (drawn >>> 16) + (drawn & 0xffff);
      }
      noise[token * experts + e] = sum / 65536;
    }
  }
  return noise;
}

/** A number in 32 bits for each number in 32 bits, without a pattern. */
function mixed(x) {
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d);
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
  return (x ^ (x >>> 16)) >>> 0;
}

// ---- what the result amounts to

/** How many choices of a layer fell on each expert, and how many of them found a slot. */
export function loadOf({ experts, dropped }, n) {
  const [asked, kept] = [new Int32Array(n), new Int32Array(n)];
  for (let i = 0; i < experts.length; i++) asked[experts[i]]++, (kept[experts[i]] += dropped?.[i] ? 0 : 1);
  return { asked, kept };
}

/** How many of one result's choices for a token are also another's for `partner`, here the same token. */
export function shared(now, other, token, partner = token) {
  let count = 0;
  for (let i = token * now.topK; i < (token + 1) * now.topK; i++) {
    for (let j = partner * other.topK; j < (partner + 1) * other.topK; j++)
      count += Number(now.experts[i] === other.experts[j]);
  }
  return count;
}

/** Whether a token goes somewhere else, not only to more or fewer experts. */
export function isChanged(now, other, token, partner = token) {
  return shared(now, other, token, partner) < Math.min(now.topK, other.topK);
}

/** The share of a layer's choices that only one of two results made; `partners[token]` is -1 where there is none. */
export function difference(now, other, tokens, partners) {
  let [same, all] = [0, 0];
  for (let token = 0; token < tokens; token++) {
    const partner = partners ? partners[token] : token;
    if (partner < 0) continue;
    same += shared(now, other, token, partner);
    all += Math.max(now.topK, other.topK);
  }
  return all ? 1 - same / all : 0;
}

/** Whether knobs ask for anything but what the model did; a seed without noise asks for nothing. */
export function isMoved(knobs, own) {
  return (
    knobs.off.length > 0 ||
    knobs.bias.some((b) => b !== 0) ||
    knobs.noise > 0 ||
    knobs.capacity > 0 ||
    ["topK", "temperature", "scoreFunction", "normalize", "topGroups"].some((name) => knobs[name] !== own[name])
  );
}
