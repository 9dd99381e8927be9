// RouterView's ribbons: as thick as their weights, and the pixels of the same curve that a path would be.

import assert from "node:assert/strict";
import test from "node:test";
import { makeRaster, pointAt, wordOf } from "../../moe_lessons/widgets/router_view/raster.js";
import { ribbonsOf } from "../../moe_lessons/widgets/router_view/ribbons.js";
import { routeLayer, shutGroups } from "../../moe_lessons/widgets/shared/rule.js";

const near = (a, b, within) => assert.ok(Math.abs(a - b) <= within, `${a} is not ${b}`);
const spots = [
  { token: 0, x: 10, y: 20, width: 40 },
  { token: 1, x: 60, y: 50, width: 40 },
];
const mouths = [0, 1, 2].map((e) => ({ x: 100 * e, y: 250, width: 80 }));
const layer = { topK: 2, experts: [0, 2, 2, 1], weights: [0.75, 0.25, 0.5, 0.5], dropped: null };

/** A canvas that keeps what is put on it. */
function paper() {
  const canvas = { width: 0, height: 0, image: undefined };
  const createImageData = (w, h) => ({ data: new Uint8ClampedArray(4 * w * h) });
  return Object.assign(canvas, {
    getContext: () => ({ createImageData, putImageData: (image) => (canvas.image = image) }),
  });
}

test("ribbons are as thick as their weights, and stand side by side below their chip", () => {
  const { wide, x0, expert } = ribbonsOf(layer, spots, mouths, 50);
  near(wide[0] / wide[1], 3, 1e-5);
  near(wide[2], wide[3], 1e-6);
  near(wide[0] + wide[1], wide[2] + wide[3], 1e-5);
  near(x0[1] - x0[0], (wide[0] + wide[1]) / 2, 1e-4);
  assert.deepEqual([...expert], layer.experts);
});

test("a mouth takes all its ribbons, however many", () => {
  const many = Array.from({ length: 90 }, (_, token) => ({ token, x: 5 * token, y: 20, width: 30 }));
  const all = { topK: 1, experts: new Array(90).fill(1), weights: new Array(90).fill(1), dropped: null };
  const { x1 } = ribbonsOf(all, many, mouths, 20);
  assert.ok(Math.min(...x1) > 100 && Math.max(...x1) < 180);
  assert.deepEqual(
    [...x1],
    [...x1].sort((a, b) => a - b),
  );
});

test("where there are too many ribbons, each token keeps its first ones", () => {
  const many = Array.from({ length: 200 }, (_, token) => ({ token, x: token, y: 20, width: 30 }));
  const choices = Array.from({ length: 200 * 8 }, (_, i) => i % 3);
  const { size, ranks } = ribbonsOf({ topK: 8, experts: choices, weights: choices, dropped: null }, many, mouths, 20);
  assert.ok(size <= 500 && ranks === size / 200 && ranks >= 1);
});

test("a token falls along the curve that a path with the same handles is", () => {
  const ribbons = ribbonsOf(layer, spots, mouths, 50);
  for (const share of [0, 0.05, 0.3, 0.5, 0.8, 1]) {
    const [x, y] = pointAt(ribbons, 1, share);
    const [xa, xb, top, foot] = [ribbons.x0[1], ribbons.x1[1], 50, ribbons.y1[1]];
    near(y, 20 + (foot - 20) * share, 1e-3);
    if (y <= top) {
      near(x, xa, 1e-4);
      continue;
    }
    let [low, high] = [0, 1]; // the curve's own parameter, found by halving
    const cubic = (t, [a, b, c, d]) =>
      (1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t * t * c + t ** 3 * d;
    const bend = 0.56 * (foot - top);
    for (let i = 0; i < 50; i++) {
      const t = (low + high) / 2;
      if (cubic(t, [top, top + bend, foot - bend, foot]) < y) low = t;
      else high = t;
    }
    near(x, cubic(low, [xa, xa, xb, xb]), 0.5);
  }
});

for (const [grain, lines] of [
  ["fine", 1],
  ["falling", 3],
]) {
  test(`the pixels of a ${grain} ribbon are its color, as wide as it is and as strong as asked for`, () => {
    const canvas = paper();
    const raster = makeRaster(canvas);
    raster.measure(300, 252);
    const straight = [{ token: 0, x: 120, y: 20, width: 60 }]; // right above the middle of its bin
    const one = { topK: 1, experts: [1], weights: [1], dropped: null };
    const ribbons = ribbonsOf(one, straight, [mouths[0], { x: 110, y: 250, width: 80 }], 20);
    raster.paint(ribbons, [0, wordOf("#204060")], { muted: 0, alpha: 0.5, grain });
    const { data } = canvas.image;
    for (const y of [40, 120, 200]) {
      const line = Math.floor(y / lines);
      let cover = 0;
      for (let x = 0; x < 300; x++) cover += data[4 * (line * 300 + x) + 3] / 255;
      near(cover, ribbons.wide[0] * 0.5, 0.12);
    }
    const middle = 4 * (Math.floor(120 / lines) * 300 + 150);
    near(data[middle], 0x20, 3);
    near(data[middle + 1], 0x40, 3);
    near(data[middle + 2], 0x60, 3);
    near(data[middle + 3], 127, 2);
  });
}

test("a ribbon that has come a part of its way is painted so far and no farther", () => {
  const canvas = paper();
  const raster = makeRaster(canvas);
  raster.measure(300, 260);
  const ribbons = ribbonsOf(layer, spots, mouths, 50);
  const shareOf = (i) => (i === 0 ? 0.5 : 0);
  raster.paint(ribbons, [255, 255, 255], { muted: 0, alpha: 1, grain: "fine", shareOf });
  const lines = new Set();
  canvas.image.data.forEach((value, at) => value && at % 4 === 3 && lines.add(Math.floor(at / 4 / 300)));
  near(Math.min(...lines), 20, 1);
  near(Math.max(...lines), (20 + 251) / 2, 2);
});

test("ribbons that grow step by step end as those that are painted at once, and begin again when they shrink", () => {
  const apart = [
    { token: 0, x: 10, y: 20, width: 40 },
    { token: 1, x: 210, y: 30, width: 40 },
  ];
  const ribbons = ribbonsOf({ topK: 1, experts: [0, 2], weights: [1, 1], dropped: null }, apart, mouths, 50);
  const [words, look] = [[wordOf("#204060"), 0, wordOf("#a05010")], { muted: 0, alpha: 0.5, grain: "falling" }];
  const papers = [paper(), paper()];
  const [grown, whole] = papers.map(makeRaster);
  for (const raster of [grown, whole]) raster.measure(300, 260);
  for (const share of [0.1, 0.3, 0.35, 0.8, 1]) grown.paint(ribbons, words, { ...look, shareOf: () => share });
  whole.paint(ribbons, words, look);
  assert.deepEqual(papers[0].image.data, papers[1].image.data);
  for (const raster of [grown, whole]) raster.paint(ribbons, words, { ...look, shareOf: () => 0.4 });
  assert.deepEqual(papers[0].image.data, papers[1].image.data);
});

test("a token's experts are never of a group that is said to be shut out", () => {
  const [tokens, n] = [40, 12];
  const logits = Float32Array.from({ length: tokens * n }, (_, i) => Math.sin(i * i));
  const trace = { tokens, experts: n, logits, bias: new Float32Array(n), numbers: [0] };
  const knobs = { topK: 2, temperature: 1, scoreFunction: "softmax", normalize: true, nGroups: 4, topGroups: 2 };
  const { experts, scores } = routeLayer(trace, 0, { ...knobs, groupScore: "top2" });
  for (let token = 0; token < tokens; token++) {
    const shut = shutGroups(trace, 0, { ...knobs, groupScore: "top2" }, scores, token);
    assert.equal(shut.size, 2);
    for (const expert of experts.slice(2 * token, 2 * token + 2)) assert.ok(!shut.has(Math.floor(expert / 3)));
  }
  assert.equal(shutGroups(trace, 0, { ...knobs, topGroups: 4 }, scores, 0).size, 0);
});
