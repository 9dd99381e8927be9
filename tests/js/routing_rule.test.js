// The routing rule in JavaScript, compared with itself written out slowly, and the words said about it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { guessRows, mean } from "../../moe_lessons/widgets/router_view/answer.js";
import { tidyBias } from "../../moe_lessons/widgets/router_view/hands.js";
import { routeRow } from "../../moe_lessons/widgets/router_view/trace.js";
import { destination, niceEnd, percent, signed, verdict } from "../../moe_lessons/widgets/router_view/words.js";
import { expertColors, inkOn } from "../../moe_lessons/widgets/shared/expert_colors.js";
import { SCORE_FUNCTIONS, slotsPerExpert } from "../../moe_lessons/widgets/shared/routing_rule.js";
import {
  difference,
  isChanged,
  isMoved,
  loadOf,
  routeLayer,
  unitNoise,
} from "../../moe_lessons/widgets/shared/rule.js";

/** The same numbers every run, without a library. */
function random(seed) {
  return () => {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    return seed / 2147483648;
  };
}

function makeTrace(layers, tokens, experts, seed, spread = 4) {
  const next = random(seed);
  const fill = (n) => Float32Array.from({ length: n }, () => spread * (next() - 0.5));
  return {
    layers,
    tokens,
    experts,
    logits: fill(layers * tokens * experts),
    bias: fill(layers * experts).map((b) => b / 8),
  };
}

const knobs = {
  topK: 2,
  temperature: 1,
  scoreFunction: "softmax",
  normalize: true,
  noise: 0,
  capacity: 0,
  bias: [],
  off: [],
};

/** One token, by sorting. */
function slowly(logits, bias, { topK, temperature, scoreFunction, normalize, routeScale, off }) {
  const scaled = [...logits].map((value) => value / temperature);
  const parts = scaled.map((value) => Math.exp(value - Math.max(...scaled)));
  const sum = parts.reduce((a, b) => a + b, 0);
  const scoreOf = {
    softmax: (_, e) => parts[e] / sum,
    sigmoid: (value) => 1 / (1 + Math.exp(-value)),
    sqrt_softplus: (value) => Math.sqrt(Math.log(1 + Math.exp(value))),
  };
  const scores = scaled.map(scoreOf[scoreFunction]);
  const chosen = scores
    .map((score, e) => ({ e, wanted: score + bias[e] }))
    .filter(({ e }) => !off.includes(e))
    .sort((a, b) => b.wanted - a.wanted || a.e - b.e)
    .slice(0, topK)
    .map(({ e }) => e);
  const total = normalize ? chosen.reduce((all, e) => all + scores[e], 1e-20) : 1;
  return { chosen, weights: chosen.map((e) => (routeScale * scores[e]) / total), scores };
}

test("the rule equals itself written out for one token", () => {
  const next = random(7);
  for (let round = 0; round < 200; round++) {
    const experts = 1 + Math.floor(next() * 12);
    const trace = makeTrace(2, 3, experts, round);
    const off = experts > 2 && next() < 0.3 ? [Math.floor(next() * experts)] : [];
    const setting = {
      topK: 1 + Math.floor(next() * (experts - off.length)),
      temperature: [0.3, 1, 2.5][Math.floor(next() * 3)],
      scoreFunction: SCORE_FUNCTIONS[Math.floor(next() * SCORE_FUNCTIONS.length)],
      normalize: next() < 0.5,
      off,
      routeScale: next() < 0.5 ? 1 : 2.5,
    };
    const got = routeLayer(trace, 1, setting);
    for (let row = 0; row < 3; row++) {
      const bias = trace.bias.subarray(experts);
      const want = slowly(trace.logits.subarray((3 + row) * experts, (4 + row) * experts), bias, setting);
      assert.deepEqual([...got.experts.subarray(row * setting.topK, (row + 1) * setting.topK)], want.chosen);
      want.weights.forEach((weight, k) => assert.ok(Math.abs(got.weights[row * setting.topK + k] - weight) < 1e-12));
      want.scores.forEach((score, e) => assert.ok(Math.abs(got.scores[row * experts + e] - score) < 1e-12));
    }
  }
});

test("ties go to the lower index", () => {
  const trace = { layers: 1, tokens: 2, experts: 64, logits: new Float32Array(128), bias: new Float32Array(64) };
  assert.deepEqual([...routeLayer(trace, 0, { ...knobs, topK: 3 }).experts], [0, 1, 2, 0, 1, 2]);
});

test("extreme logits stay finite", () => {
  const trace = {
    layers: 1,
    tokens: 1,
    experts: 3,
    logits: Float32Array.of(3e38, -3e38, 0),
    bias: Float32Array.of(0, 5, 0),
  };
  for (const scoreFunction of SCORE_FUNCTIONS) {
    const { weights } = routeLayer(trace, 0, { ...knobs, scoreFunction, temperature: 0.1 });
    assert.ok(weights.every(Number.isFinite));
  }
});

test("used arrays give the same result as fresh ones, whatever was asked for before", () => {
  const trace = makeTrace(2, 9, 8, 1);
  const settings = [
    {},
    { topK: 3 },
    { temperature: 0.5 },
    { noise: 1, seed: 3 },
    { noise: 1, seed: 4 },
    { capacity: 0.5 },
    { bias: [0, 0, 1, 0, 0, 0, 0, 0] },
    { off: [2] },
    {},
  ];
  let room;
  for (const setting of settings.map((some) => ({ ...knobs, ...some }))) {
    room = routeLayer(trace, 1, setting, room);
    const fresh = routeLayer({ ...trace, drawn: undefined }, 1, setting);
    for (const part of ["experts", "weights", "scores", "dropped"]) assert.deepEqual(room[part], fresh[part]);
  }
  assert.deepEqual(
    routeLayer(makeTrace(2, 9, 8, 2), 1, knobs, room).scores,
    routeLayer(makeTrace(2, 9, 8, 2), 1, knobs).scores,
  );
});

test("unmoved knobs show what was recorded, and a layer is routed once for the same knobs", () => {
  const trace = { ...makeTrace(1, 5, 4, 3), ownKnobs: knobs, now: [], rooms: [], done: [] };
  trace.own = [
    {
      topK: 2,
      dropped: null,
      experts: Uint16Array.from({ length: 10 }, (_, i) => i % 2),
      weights: new Float32Array(10).fill(0.5),
    },
  ];
  assert.equal(routeRow(trace, 0, knobs, "own", false).experts, trace.own[0].experts);
  const moved = routeRow(trace, 0, { ...knobs, topK: 1 }, "one", true);
  assert.equal(moved.experts.length, 5);
  assert.equal(routeRow(trace, 0, { ...knobs, topK: 3 }, "one", true), moved);
});

test("noise has mean 0 and standard deviation 1, and another seed draws another", () => {
  const noise = unitNoise(5, 2, 200, 64);
  const middle = noise.reduce((sum, x) => sum + x, 0) / noise.length;
  const spread = Math.sqrt(noise.reduce((sum, x) => sum + x * x, 0) / noise.length);
  assert.ok(Math.abs(middle) < 0.03 && Math.abs(spread - 1) < 0.03);
  assert.notDeepEqual(unitNoise(6, 2, 4, 4), unitNoise(5, 2, 4, 4));
});

test("first choices are served before second ones, in the order of the text or by weight", () => {
  // All four want expert 0 first and expert 1 second; the third token most of all.
  const logits = Float32Array.of(2, 1, 0, 0, 2, 1, 0, 0, 5, 1, 0, 0, 2, 1, 0, 0);
  const trace = { layers: 1, tokens: 4, experts: 4, logits, bias: new Float32Array(4) };
  const first = routeLayer(trace, 0, { ...knobs, capacity: 1, dropping: "first come" });
  assert.equal(first.slots, 2);
  assert.deepEqual([...first.dropped], [0, 0, 0, 0, 1, 1, 1, 1]);
  assert.deepEqual([...first.weights.subarray(4)], [0, 0, 0, 0]);
  const ranked = routeLayer(trace, 0, { ...knobs, capacity: 1, dropping: "priority" });
  assert.deepEqual([...ranked.dropped], [0, 0, 1, 0, 0, 1, 1, 1]);
  assert.deepEqual(loadOf(ranked, 4), { asked: Int32Array.of(4, 4, 0, 0), kept: Int32Array.of(2, 2, 0, 0) });
  assert.equal(slotsPerExpert(1.25, 10, 2, 8), 4);
});

test("load counts every choice of one layer", () => {
  const routed = routeLayer(makeTrace(3, 50, 5, 3), 1, knobs);
  const { asked, kept } = loadOf(routed, 5);
  assert.equal(
    asked.reduce((a, b) => a + b),
    100,
  );
  assert.equal(asked[2], routed.experts.filter((e) => e === 2).length);
  assert.deepEqual(kept, asked);
});

test("the difference is the share of choices that only one routing made", () => {
  const own = { topK: 2, experts: Uint16Array.of(0, 1, 2, 3) };
  assert.equal(difference({ topK: 2, experts: Uint16Array.of(1, 0, 3, 2) }, own, 2), 0);
  assert.equal(difference({ topK: 2, experts: Uint16Array.of(0, 4, 2, 3) }, own, 2), 0.25);
  assert.equal(difference({ topK: 1, experts: Uint16Array.of(0, 2) }, own, 2), 0.5);
  assert.equal(isChanged({ topK: 1, experts: Uint16Array.of(0, 4) }, own, 0), false);
  assert.equal(isChanged({ topK: 1, experts: Uint16Array.of(0, 4) }, own, 1), true);
});

test("tokens of two texts are compared with their partners, and those without one are left out", () => {
  const own = { topK: 1, experts: Uint16Array.of(7, 0, 1) };
  const now = { topK: 1, experts: Uint16Array.of(0, 5, 2) };
  assert.equal(difference(now, own, 3, [1, -1, 2]), 0.5);
  assert.equal(difference(now, own, 3, [-1, -1, -1]), 0);
  assert.equal(isChanged(now, own, 0, 1), false);
});

test("a temperature without a bias changes weights and no choice", () => {
  const trace = makeTrace(2, 40, 8, 5);
  trace.bias.fill(0);
  const own = routeLayer(trace, 0, knobs);
  const cold = routeLayer(trace, 0, { ...knobs, temperature: 0.2 });
  assert.equal(difference(cold, own, 40), 0);
  assert.notDeepEqual(cold.weights, own.weights);
});

test("what is seen is said in words", () => {
  const routed = { topK: 2, experts: Uint16Array.of(3, 5), weights: Float32Array.of(0.61, 0.39) };
  assert.equal(destination(routed, 0), "experts 3 (0.61) and 5 (0.39)");
  assert.equal(destination({ ...routed, dropped: [0, 1] }, 0), "experts 3 (0.61) and 5 (dropped)");
  assert.equal(destination({ topK: 1, experts: Uint16Array.of(3), weights: Float32Array.of(1) }, 0), "expert 3 (1.00)");
  assert.equal(verdict(false, 0), "This is what the model did.");
  assert.equal(verdict(true, 0), "Every choice is still the model’s own; only the weights changed.");
  assert.equal(verdict(true, 0.14), "14% of all choices differ from the model’s own.");
  assert.equal(verdict(true, 0, 3, 92), "Every choice is still the model’s own. 3 of 92 choices found no slot.");
  assert.deepEqual([0, 0.001, 0.5, 0.999, 1].map(percent), ["0%", "under 1%", "50%", "99%", "100%"]);
  assert.deepEqual([0, 0.1, -0.005, 1].map(signed), ["0", "+0.1", "−0.005", "+1"]);
});

test("knobs count as moved only where they ask for something else", () => {
  const own = { topK: 2, temperature: 1, scoreFunction: "softmax", normalize: true };
  for (const idle of [{}, { seed: 5 }, { dropping: "priority" }, { bias: [0, 0] }])
    assert.equal(isMoved({ ...knobs, ...idle }, own), false);
  const changes = [
    { topK: 1 },
    { temperature: 2 },
    { scoreFunction: "sigmoid" },
    { normalize: false },
    { off: [0] },
    { noise: 0.1 },
    { capacity: 2 },
    { bias: [0, 0.1] },
  ];
  for (const change of changes) assert.equal(isMoved({ ...knobs, ...change }, own), true);
});

test("a dragged bias moves in small steps and stays within its limits", () => {
  assert.deepEqual([0.1234, -7, 3, 0.001].map(tidyBias), [0.125, -1, 1, 0]);
});

test("guesses of two sides are one list, and what one side lacks is left open", () => {
  assert.deepEqual(
    guessRows([
      ["a", 0.6],
      ["b", 0.3],
    ]),
    [
      ["a", 0.6, 0.6],
      ["b", 0.3, 0.3],
    ],
  );
  assert.deepEqual(
    guessRows(
      [["a", 0.6]],
      [
        ["b", 0.9],
        ["a", 0.05],
      ],
    ),
    [
      ["b", undefined, 0.9],
      ["a", 0.6, 0.05],
    ],
  );
  assert.equal(mean([1, 3]), 2);
  assert.equal(mean(null), undefined);
});

test("sixty-four experts have sixty-four colors, and text reads on each", () => {
  const palette = ["#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#99430D", "#6B6B6B"];
  const colors = expertColors([...palette, ...palette.map((c) => c.replace(/0/g, "8"))], 64);
  assert.equal(colors.length, 64);
  assert.ok(colors.every((color) => /^#[0-9a-f]{6}$/.test(color)));
  assert.equal(inkOn("#ffffff"), "#1b1b1b");
  assert.equal(inkOn("#0072b2"), "#ffffff");
});

test("an axis ends at a round number that holds every value", () => {
  for (const value of [0.003, 0.09, 0.5, 1, 1.01, 7, 99])
    assert.ok(niceEnd(value) >= value && niceEnd(value) <= 2 * value);
  assert.equal(niceEnd(0), 1);
  for (const value of [0.0059, 0.059, 0.59, 0.29, 0.11])
    assert.ok(String(niceEnd(value)).length <= 6, "written shortly");
  assert.equal(niceEnd(0.59), 0.6);
});
