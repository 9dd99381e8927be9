// What happens to drafts, as DraftView tells it: node --test tests/js/

import assert from "node:assert/strict";
import test from "node:test";
import { chipsOf, endOf, eventsOf, nearest, story, totalsOf } from "../../moe_lessons/widgets/draft_view/rule.js";

// Two drafts of which the second is refused, then one that is accepted, then a last pass without any.
const steps = [
  { drafts: ["a", "b", "c"], accepted: 1, token: "x", wanted: [0.5, 0.1], drafted: [0.25, 0.4] },
  { drafts: ["d"], accepted: 1, token: "y", wanted: [1], drafted: [0.5] },
  { drafts: [], accepted: 0, token: "z", wanted: [], drafted: [] },
];
const record = { prompt: ["p"], first: "f", steps };
const kinds = (at) =>
  chipsOf(record, at)
    .slice(2)
    .map(({ kind, piece }) => `${piece} ${kind}`);

test("a pass is its drafts, a verdict on each that is looked at, and its own token", () => {
  assert.deepEqual(
    eventsOf(steps)
      .map(({ kind }) => kind[0])
      .join(""),
    "dvvtdvtdt",
  );
  assert.deepEqual(
    [0, 1, 2, 3].map((passes) => endOf(steps, passes)),
    [0, 4, 7, 9],
  );
});

test("a draft is open until its verdict, and those behind a refused one fall with it", () => {
  assert.deepEqual(kinds(0), []);
  assert.deepEqual(kinds(1), ["a open", "b open", "c open"]);
  assert.deepEqual(kinds(2), ["a kept", "b open", "c open"]);
  assert.deepEqual(kinds(3), ["a kept", "b refused", "c unread"]);
  assert.deepEqual(kinds(4), ["a kept", "b refused", "c unread", "x main"]);
  assert.deepEqual(kinds(7).slice(4), ["d kept", "y bonus"]);
  assert.deepEqual(kinds(9).slice(6), ["z main"]);
});

test("a chip leads to the event that made it", () => {
  for (const chip of chipsOf(record, 9).slice(2)) {
    const made = chipsOf(record, chip.at).filter(({ piece, kind }) => piece === chip.piece && kind === chip.kind);
    assert.equal(made.length, 1, chip.piece);
  }
});

test("totals count a pass when its own token is there", () => {
  assert.deepEqual(totalsOf(steps, 0), { tokens: 1, passes: 0, judged: 0, accepted: 0 });
  assert.deepEqual(totalsOf(steps, 3), { tokens: 2, passes: 0, judged: 2, accepted: 1 });
  assert.deepEqual(totalsOf(steps, 4), { tokens: 3, passes: 1, judged: 3, accepted: 1 });
  assert.deepEqual(totalsOf(steps, 9), { tokens: 6, passes: 3, judged: 4, accepted: 2 });
});

test("every event is told in words", () => {
  assert.match(story(record, 0), /has read the prompt/);
  assert.match(story(record, 1), /Pass 1: the modules guess “a” “b” “c”/);
  assert.match(story(record, 2), /gives it 50%, it was drawn with 25%, so it is kept with 100%. Kept/);
  assert.match(story(record, 3), /gives it 10%, it was drawn with 40%, so it is kept with 25%. Refused/);
  assert.match(story(record, 4), /“x” takes its place/);
  assert.match(story(record, 7), /“y” comes for free/);
  assert.match(story(record, 8), /nothing is guessed/);
  assert.match(story(record, 9), /main model alone/);
});

test("turning one knob leaves the others where they are, if there is such a recording", () => {
  const records = [
    ["a", 0, 1],
    ["a", 1, 1],
    ["b", 0, 2],
    ["b", 1, 1],
  ].map((knobs) => ({ knobs }));
  assert.equal(nearest(records, 1, 0, "b"), 3);
  assert.equal(nearest(records, 1, 1, 0), 0);
  assert.equal(nearest(records, 1, 2, 2), 2);
});
