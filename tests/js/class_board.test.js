// The words of the class's board, without a browser.

import assert from "node:assert/strict";
import { test } from "node:test";
import { current, sentence } from "../../moe_lessons/classroom/page/predictions.js";

const question = {
  answered: 12,
  late: 0,
  room: 30,
  shown: false,
  right: null,
  measured: null,
  kind: "slider",
  unit: "%",
};

test("the newest question is looked at that a quarter of the room has answered, else the newest", () => {
  const asked = (...counts) => counts.map((answered) => ({ ...question, answered }));
  assert.equal(current(asked(20, 9, 1)), 1);
  assert.equal(current(asked(1, 2, 0)), 2);
  assert.equal(current(asked(30)), 0);
  assert.equal(current([]), -1);
});

test("no measurement is said before it is shown", () => {
  assert.equal(sentence(question), "12 of 30 predicted. The measurement comes when half of the room has predicted.");
});

test("what the room's machines measured is said as a range, or as one number, or as missing", () => {
  const shown = {
    ...question,
    shown: true,
    right: 3,
    measured: { machines: 8, low: 20, high: 31.5, places: [20, 31.5] },
  };
  assert.match(sentence(shown), /On 8 machines: 20 to 31.5%. 3 came close enough/);
  const same = { machines: 1, low: 5, high: 5, places: [5] };
  assert.match(sentence({ ...shown, measured: same, right: 0 }), /On one machine: 5%. None came close enough/);
  assert.match(sentence({ ...shown, late: 2 }), /2 more did when it stood on their page already/);
  assert.match(sentence({ ...shown, kind: "choice" }), /3 chose it/);
  assert.match(sentence({ ...shown, measured: null, right: null }), /No machine of the room has measured it yet/);
});
