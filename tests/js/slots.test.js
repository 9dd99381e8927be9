// Slots and lines as DropView tells them: node --test tests/js/

import assert from "node:assert/strict";
import test from "node:test";
import {
  changedFates,
  countsOf,
  fatesOf,
  linesOf,
  ordinal,
  slotsFor,
  story,
} from "../../moe_lessons/widgets/drop_view/rule.js";

// Two tokens; both want both experts, in opposite order.
const layer = { experts: [0, 1, 1, 0], weights: [0.6, 0.4, 0.9, 0.1], topK: 2, n: 2 };

test("all first choices stand before all second ones", () => {
  assert.deepEqual(linesOf(layer, [0, 1], "first come"), [
    [0, 3],
    [2, 1],
  ]);
  const fates = fatesOf(linesOf(layer, [0, 1], "first come"), 4, 1);
  assert.deepEqual([...fates], [0, -2, 0, -2]);
});

test("by priority the higher weight goes first, and a tie keeps the order of the batch", () => {
  const same = { experts: [0, 0, 0], weights: [0.5, 0.7, 0.5], topK: 1, n: 1 };
  assert.deepEqual(linesOf(same, [0, 1, 2], "priority"), [[1, 0, 2]]);
  assert.deepEqual(linesOf(same, [2, 1, 0], "priority"), [[1, 2, 0]]);
  assert.deepEqual(linesOf(same, [2, 1, 0], "first come"), [[2, 1, 0]]);
});

test("what is dropped and what is empty is counted, and a token that keeps nothing is lost", () => {
  const all = { experts: [0, 0, 0], weights: [1, 1, 1], topK: 1, n: 2 };
  const lines = linesOf(all, [0, 1, 2], "first come");
  const counts = countsOf(lines, fatesOf(lines, 3, 2), [0, 1, 2], 1, 2);
  assert.deepEqual(counts, { choices: 3, dropped: 1, lost: 1, slots: 4, padded: 2 });
  const free = countsOf(lines, fatesOf(lines, 3, Infinity), [0, 1, 2], 1, Infinity);
  assert.deepEqual([free.dropped, free.lost], [0, 0]);
});

test("only choices that are in both batches can change their fate", () => {
  const [before, after] = [
    [0, -2, 1, NaN, -3],
    [-2, 0, NaN, 0, -4],
  ];
  assert.deepEqual(changedFates(before, after), [1, 1]);
});

test("capacity is a share rounded up", () => {
  assert.equal(slotsFor("priority", 1.25, 10, 2, 4), 7);
  assert.equal(slotsFor("first come", 1, 10, 2, 4), 5);
  assert.equal(slotsFor("none", 1, 10, 2, 4), Infinity);
});

test("a token's way is told in words", () => {
  const fates = fatesOf(linesOf(layer, [0, 1], "first come"), 4, 1);
  assert.equal(
    story(layer, fates, 0, 1),
    "expert 0 (weight 0.60): slot 1 of 1; expert 1 (weight 0.40): dropped, 2nd in line for 1 slot",
  );
  assert.match(story(layer, fatesOf([], 4, 1), 0, 1), /not in the batch/);
  assert.match(story(layer, fates, 0, Infinity), /a place of its own/);
  assert.deepEqual([1, 2, 3, 4, 11, 12, 13, 21, 102, 111].map(ordinal), [
    "1st",
    "2nd",
    "3rd",
    "4th",
    "11th",
    "12th",
    "13th",
    "21st",
    "102nd",
    "111th",
  ]);
});
