// The mixture on the plane and the words about it: node --test tests/js/

import assert from "node:assert/strict";
import test from "node:test";
import { marks } from "../../moe_lessons/widgets/expert_plane/charts.js";
import { sentence } from "../../moe_lessons/widgets/expert_plane/point.js";
import {
  expertPixels,
  heightPixels,
  mixture,
  normal,
  rightAnswer,
  seams,
  survey,
  unpackRuns,
} from "../../moe_lessons/widgets/expert_plane/rule.js";

const meta = {
  name: "a",
  steps: [0, 10],
  loss: [1, 0.5],
  experts: 3,
  top_k: 2,
  score_function: "softmax",
  normalize: true,
  noisy: false,
};
// Expert 0 leads on the right, 1 on the left, 2 nowhere; they say 1, 2 and 3.
const rows = [4, 0, 0, -4, 0, 0, 0, 0, -9];
const says = [0, 0, 1, 0, 0, 2, 0, 0, 3];
const [run] = unpackRuns([meta], Float32Array.from([...rows, ...rows, ...says, ...says]));

test("a run's numbers are cut out of the common array, moment by moment", () => {
  const two = unpackRuns(
    [meta, { ...meta, noisy: true }],
    Float32Array.from({ length: 90 }, (_, i) => i),
  );
  assert.deepEqual([two[0].router[0], two[0].planes[0], two[0].noise], [0, 18, null]);
  assert.deepEqual([two[1].router[0], two[1].planes[0], two[1].noise[17]], [36, 54, 89]);
});

test("far from the border one expert counts alone, on it two count the same", () => {
  const at = mixture(run, 1);
  assert.deepEqual([...at(3, 0).order].slice(0, 1), [0]);
  assert.ok(Math.abs(at(3, 0).value - 1) < 1e-6);
  const middle = at(0, 1);
  assert.deepEqual([...middle.order], [0, 1]); // a tie goes to the lower index
  assert.deepEqual([...middle.weights], [0.5, 0.5]);
  assert.equal(middle.value, 1.5);
});

test("the survey counts who works where, and the shares add up", () => {
  const seen = survey(run, 0, 40, 2);
  assert.ok(Math.abs(seen.load.reduce((a, b) => a + b) - 2) < 1e-9);
  assert.ok(Math.abs(seen.leads[0] - 0.5) < 1e-9 && Math.abs(seen.leads[1] - 0.5) < 1e-9 && seen.leads[2] === 0);
  assert.deepEqual(seen.middles[2], null);
  assert.ok(Math.abs(seen.middles[0][0] - 1) < 1e-6 && Math.abs(seen.middles[0][1]) < 1e-6);
  assert.equal(seen.first[39], 0); // the upper right
  assert.equal(seen.first[0], 1);
});

test("noise is drawn only when asked for, the same for the same roll", () => {
  const noisy = { ...run, noise: new Float32Array(18) };
  const scores = (roll, place) => [...mixture(noisy, 0, roll)(0.1, 0.2, place).scores];
  assert.deepEqual(scores(0, 5), [...mixture(run, 0)(0.1, 0.2).scores]);
  assert.deepEqual(scores(1, 5), scores(1, 5));
  assert.notDeepEqual(scores(1, 5), scores(2, 5));
  assert.notDeepEqual(scores(1, 5), scores(1, 6));
  const draws = Array.from({ length: 40000 }, (_, i) => normal(3, i >> 2, i & 3));
  const mean = draws.reduce((a, b) => a + b) / draws.length;
  const variance = draws.reduce((a, b) => a + (b - mean) ** 2, 0) / draws.length;
  assert.ok(Math.abs(mean) < 0.02 && Math.abs(variance - 1) < 0.03, `${mean} ${variance}`);
});

test("borders are found where two pieces meet and no third one lies higher", () => {
  const two = Float32Array.from([1, 0, 0, -1, 0, 0, 0, 0, 1, 0, 0, 2]);
  assert.deepEqual(
    seams(two, 2).map((line) => line.map(Math.abs)),
    [[0, 2, 0, 2]],
  );
  assert.deepEqual([rightAnswer(two, 1, 0), rightAnswer(two, -1, 0)], [1, 2]);
  const third = Float32Array.from([1, 0, 0, -1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 2, 0, 0, 3]);
  assert.equal(seams(third, 2).length, 3);
});

test("colors are stronger where an expert counts more, and higher answers are darker", () => {
  const data = expertPixels(
    { first: [0, 1], weight: [1, 0.2] },
    [
      [1, 2, 3],
      [4, 5, 6],
    ],
    new Uint8ClampedArray(8),
  );
  assert.deepEqual([...data.slice(4, 7)], [4, 5, 6]);
  assert.ok(data[3] === 255 && data[7] < 100);
  const heights = heightPixels([0, 1, 0, 1], 2, [0, 1], [1, 2, 3], 0, new Uint8ClampedArray(16));
  assert.ok(heights[7] > heights[3]);
});

test("round steps are marked, not closer than asked", () => {
  const steps = Array.from({ length: 101 }, (_, i) => Math.round((i / 100) ** 2 * 1000));
  const found = marks(steps, 9);
  assert.deepEqual(found[0], [0, "0"]);
  assert.deepEqual(found.at(-1)[0], 100);
  found.slice(1).forEach(([moment], i) => assert.ok(moment - found[i][0] >= 9));
  assert.deepEqual(marks([5], 1), [[0, "5"]]);
});

test("a point is described in a sentence", () => {
  const words = (x, right) => sentence(mixture(run, 0)(x, 0), right, x, 0).join("");
  assert.equal(
    words(0, 1.25),
    "At (0.00, 0.00) expert 0 counts 0.50, then 1 with 0.50. The mixture says 1.50, and should say 1.25.",
  );
  assert.equal(words(-3, null), "At (−3.00, 0.00) expert 1 counts 1.00. The mixture says 2.00.");
});
