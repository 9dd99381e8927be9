// The routing rule in JavaScript, compared with itself written out slowly, and the words said about it.

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  destination, difference, expertColors, inkOn, isChanged, isMoved, loadOf, niceEnd, percent, route, verdict,
} from "../../moe_lessons/widgets/routing_rule.js";

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
  return { layers, tokens, experts, logits: fill(layers * tokens * experts), bias: fill(layers * experts).map((b) => b / 8) };
}

const knobs = { topK: 2, temperature: 1, scoreFunction: "softmax", normalize: true, routeScale: 1, off: [] };

/** One token, by sorting. */
function slowly(logits, bias, { topK, temperature, scoreFunction, normalize, routeScale, off }) {
  const scaled = [...logits].map((value) => value / temperature);
  const parts = scaled.map((value) => Math.exp(value - Math.max(...scaled)));
  const sum = parts.reduce((a, b) => a + b, 0);
  const scores = scaled.map((value, e) => (scoreFunction === "softmax" ? parts[e] / sum : 1 / (1 + Math.exp(-value))));
  const chosen = scores
    .map((score, e) => ({ e, wanted: score + bias[e] }))
    .filter(({ e }) => !off.includes(e))
    .sort((a, b) => b.wanted - a.wanted || a.e - b.e)
    .slice(0, topK)
    .map(({ e }) => e);
  const total = normalize ? chosen.reduce((all, e) => all + scores[e], 0) : 1;
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
      scoreFunction: next() < 0.5 ? "softmax" : "sigmoid",
      normalize: next() < 0.5,
      routeScale: next() < 0.5 ? 1 : 2.5,
      off,
    };
    const got = route(trace, setting);
    for (let row = 0; row < 6; row++) {
      const bias = trace.bias.subarray(Math.floor(row / 3) * experts).subarray(0, experts);
      const want = slowly(trace.logits.subarray(row * experts, (row + 1) * experts), bias, setting);
      assert.deepEqual([...got.experts.subarray(row * setting.topK, (row + 1) * setting.topK)], want.chosen);
      want.weights.forEach((weight, k) => assert.ok(Math.abs(got.weights[row * setting.topK + k] - weight) < 1e-12));
      want.scores.forEach((score, e) => assert.ok(Math.abs(got.scores[row * experts + e] - score) < 1e-12));
    }
  }
});

test("ties go to the lower index", () => {
  const trace = { layers: 1, tokens: 2, experts: 64, logits: new Float32Array(128), bias: new Float32Array(64) };
  assert.deepEqual([...route(trace, { ...knobs, topK: 3 }).experts], [0, 1, 2, 0, 1, 2]);
});

test("extreme logits stay finite", () => {
  const trace = { layers: 1, tokens: 1, experts: 3, logits: Float32Array.of(3e38, -3e38, 0), bias: Float32Array.of(0, 5, 0) };
  for (const scoreFunction of ["softmax", "sigmoid"]) {
    const { weights } = route(trace, { ...knobs, scoreFunction, temperature: 0.1 });
    assert.ok(weights.every(Number.isFinite));
  }
});

test("used arrays give the same result as fresh ones", () => {
  const room = route(makeTrace(2, 5, 8, 1), knobs);
  const again = route(makeTrace(2, 5, 8, 2), knobs, room);
  assert.equal(again.experts, room.experts);
  assert.deepEqual(again.weights, route(makeTrace(2, 5, 8, 2), knobs).weights);
  assert.equal(route(makeTrace(2, 5, 8, 2), { ...knobs, topK: 3 }, room).experts.length, 30);
});

test("load counts every choice of one layer", () => {
  const routed = route(makeTrace(3, 50, 5, 3), knobs);
  const load = loadOf(routed, 1, 50, 5);
  assert.equal(load.reduce((a, b) => a + b), 100);
  assert.equal(load[2], routed.experts.subarray(100, 200).filter((e) => e === 2).length);
});

test("the difference is the share of choices that only one routing made", () => {
  const own = { topK: 2, experts: Uint16Array.of(0, 1, 2, 3) };
  assert.equal(difference({ topK: 2, experts: Uint16Array.of(1, 0, 3, 2) }, own, 2), 0);
  assert.equal(difference({ topK: 2, experts: Uint16Array.of(0, 4, 2, 3) }, own, 2), 0.25);
  assert.equal(difference({ topK: 1, experts: Uint16Array.of(0, 2) }, own, 2), 0.5);
  assert.equal(isChanged({ topK: 1, experts: Uint16Array.of(0, 4) }, own, 0), false);
  assert.equal(isChanged({ topK: 1, experts: Uint16Array.of(0, 4) }, own, 1), true);
});

test("a temperature without a bias changes weights and no choice", () => {
  const trace = makeTrace(2, 40, 8, 5);
  trace.bias.fill(0);
  const own = route(trace, knobs);
  const cold = route(trace, { ...knobs, temperature: 0.2 });
  assert.equal(difference(cold, own, 80), 0);
  assert.notDeepEqual(cold.weights, own.weights);
});

test("what is seen is said in words", () => {
  const routed = { topK: 2, experts: Uint16Array.of(3, 5), weights: Float32Array.of(0.61, 0.39) };
  assert.equal(destination(routed, 0), "experts 3 (0.61) and 5 (0.39)");
  assert.equal(destination({ topK: 1, experts: Uint16Array.of(3), weights: Float32Array.of(1) }, 0), "expert 3 (1.00)");
  assert.equal(verdict(false, 0), "This is what the model did.");
  assert.equal(verdict(true, 0), "Every choice is still the model’s own; only the weights changed.");
  assert.equal(verdict(true, 0.14), "14% of all choices differ from the model’s own.");
  assert.deepEqual([0, 0.001, 0.5, 0.999, 1].map(percent), ["0%", "under 1%", "50%", "99%", "100%"]);
});

test("knobs count as moved only where they ask for something else", () => {
  const own = { topK: 2, temperature: 1, scoreFunction: "softmax", normalize: true };
  assert.equal(isMoved(knobs, own), false);
  for (const change of [{ topK: 1 }, { temperature: 2 }, { scoreFunction: "sigmoid" }, { normalize: false }, { off: [0] }]) {
    assert.equal(isMoved({ ...knobs, ...change }, own), true);
  }
});

test("sixty-four experts have sixty-four colors, and text reads on each", () => {
  const palette = ["#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#8C7A00", "#6B6B6B"];
  const colors = expertColors([...palette, ...palette.map((c) => c.replace(/0/g, "8"))], 64);
  assert.equal(colors.length, 64);
  assert.ok(colors.every((color) => /^#[0-9a-f]{6}$/.test(color)));
  assert.equal(inkOn("#ffffff"), "#1b1b1b");
  assert.equal(inkOn("#0072b2"), "#ffffff");
});

test("an axis ends at a round number that holds every value", () => {
  for (const value of [0.003, 0.09, 0.5, 1, 1.01, 7, 99]) assert.ok(niceEnd(value) >= value && niceEnd(value) <= 2 * value);
  assert.equal(niceEnd(0), 1);
  for (const value of [0.0059, 0.059, 0.59, 0.29, 0.11]) assert.ok(String(niceEnd(value)).length <= 6, "written shortly");
  assert.equal(niceEnd(0.59), 0.6);
});
