// The pure functions of the lessons' widgets that have no twin in Python: node --test tests/js/

import assert from "node:assert/strict";
import test from "node:test";
import { habit, headOf, pixels, topKeys } from "../../moe_lessons/widgets/attention_view/view.js";
import { entropy, ranking } from "../../moe_lessons/widgets/sampling_view/rule.js";
import { spread, ticks } from "../../moe_lessons/widgets/shared/chart.js";
import { choices, numbers, onFrame, visible } from "../../moe_lessons/widgets/shared/common.js";
import { channels } from "../../moe_lessons/widgets/shared/expert_colors.js";
import { debounce } from "../../moe_lessons/widgets/shared/habits.js";
import { chipText, counts, describeToken } from "../../moe_lessons/widgets/token_view/view.js";
import { clock, merge, speed } from "../../moe_lessons/widgets/training_board/view.js";

const always = (key) => ({ time: 6, at: (query, k) => (k === key(query) ? 1 : 0) });

test("one head is cut out of all weights", () => {
  const weights = Uint16Array.from({ length: 2 * 3 * 4 * 4 }, (_, i) => i);
  const head = headOf(weights, [2, 3, 4], 1, 2);
  assert.equal(head.at(3, 1), ((1 * 3 + 2) * 16 + 3 * 4 + 1) / 65535);
});

test("a head's habit is named by what it looks at most", () => {
  assert.equal(habit(always((q) => q)), "itself 100%");
  assert.equal(habit(always((q) => Math.max(0, q - 1))), "previous 100%");
  assert.match(habit(always(() => 0)), /^first 80%$/); // query 1 looks at the first, which is also the previous
  assert.equal(habit(always((q) => Math.max(0, q - 2))), "mean 1.8 back");
  assert.equal(habit({ time: 1, at: () => 1 }), "");
});

test("the largest weights come first, and ties go to the earlier key", () => {
  const head = { time: 4, at: (_, key) => [0.1, 0.4, 0.4, 0.1][key] };
  assert.deepEqual(topKeys(head, 3, 3), [
    [1, 0.4],
    [2, 0.4],
    [0, 0.1],
  ]);
  assert.deepEqual(
    topKeys(head, 1, 3).map(([key]) => key),
    [1, 0],
  );
});

test("keys after the query are left without color, keys before it are not", () => {
  const data = pixels({ time: 3, at: () => 0 }, [1, 2, 3]);
  const alpha = (query, key) => data[4 * (query * 3 + key) + 3];
  assert.equal(alpha(0, 1), 0);
  assert.ok(alpha(1, 0) > 0);
  assert.deepEqual(channels("#0072B2"), [0, 114, 178]);
});

test("a preset's size is among the choices of its slider", () => {
  assert.deepEqual(choices([1, 4, 8], 5), [1, 4, 5, 8]);
  assert.deepEqual(choices([1, 4, 8], 4), [1, 4, 8]);
});

test("bytes that are not aligned become numbers", () => {
  const bytes = new Uint8Array([9, 1, 0, 2, 0]);
  assert.deepEqual([...numbers(new DataView(bytes.buffer, 1, 4), Uint16Array)], [1, 2]);
});

test("many requests draw once a frame", () => {
  const frames = [];
  globalThis.requestAnimationFrame = (frame) => frames.push(frame);
  let drawn = 0;
  const request = onFrame(() => (drawn += 1));
  request(), request(), request();
  frames.shift()();
  assert.deepEqual([drawn, frames.length], [1, 0]);
  request();
  frames.shift()();
  assert.equal(drawn, 2);
});

test("entropy is in nats, and zero for a sure thing", () => {
  assert.ok(Math.abs(entropy([0.5, 0.5, 0]) - Math.log(2)) < 1e-12);
  assert.equal(entropy([1, 0]), 0);
  assert.deepEqual(ranking([1, 3, 3, 2]), [1, 2, 3, 0]);
});

test("blanks are visible", () => {
  assert.equal(visible(" a\n"), "·a↵");
  assert.equal(chipText(" a\n"), " a↵\n");
});

test("an empty text has counts but no ratios", () => {
  assert.deepEqual(
    counts({}).map(([n]) => n),
    ["0", "0", "0", "–", "–"],
  );
  const answer = { n_bytes: 9, n_words: 2, ids: [7, 8, 9], bytes: ["61", "62 63", ""] };
  assert.deepEqual(
    counts(answer).map(([n]) => n),
    ["9", "2", "3", "3.00", "1.50"],
  );
  assert.equal(describeToken(answer, 1), "token 2 of 3: id 8, 2 bytes: 62 63");
});

test("typing is answered once, with the latest text", async () => {
  const seen = [];
  const later = debounce((text) => seen.push(text), 5);
  later("a"), later("ab"), later("abc");
  await new Promise((done) => setTimeout(done, 30));
  assert.deepEqual(seen, ["abc"]);
});

test("news with a gap before them are left out", () => {
  const runs = [{ name: "dense", points: [1, 2], evaluations: [] }];
  const news = { run: "dense", first: 3, points: [4], first_evaluation: 0, evaluations: [] };
  assert.equal(merge(runs, news), false);
  assert.equal(merge(runs, { ...news, run: "unknown" }), false);
  assert.equal(merge(runs, { ...news, first: 1, points: [2, 3] }), true);
  assert.deepEqual(runs[0].points, [1, 2, 3]);
});

test("speed looks back five seconds", () => {
  const points = Array.from({ length: 20 }, (_, i) => [i, i, 1, i < 10 ? 0 : (i - 9) * 100, 1]);
  assert.equal(speed(points), 100);
  assert.equal(speed([]), 0);
  assert.equal(speed(points.slice(0, 1)), 0);
});

test("ticks are round and end within the axis", () => {
  assert.deepEqual(ticks(7, 4), [0, 2, 4, 6]);
  assert.deepEqual(ticks(1000, 5), [0, 200, 400, 600, 800, 1000]);
  assert.equal(ticks(0.35, 3).length, 4);
});

test("labels are moved apart and stay inside", () => {
  const places = spread([100, 100, 10, 99], 12, 0, 104);
  const sorted = [...places].sort((a, b) => a - b);
  sorted.slice(1).forEach((place, i) => assert.ok(place - sorted[i] >= 12 - 1e-9));
  assert.ok(sorted[0] >= 0 && sorted.at(-1) <= 104);
  assert.equal(places[2], 10);
  assert.equal(clock(75.4), "1:15");
});
