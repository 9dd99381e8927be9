// A prediction that is typed, with an English or a German comma.

import assert from "node:assert/strict";
import { test } from "node:test";
import { typedNumber } from "../../moe_lessons/widgets/prediction_view/rule.js";

test("a number is read as it is meant, whichever comma stands in it", () => {
  const meant = {
    5: 5,
    0.5: 0.5,
    "0,5": 0.5,
    ",5": 0.5,
    "1,5": 1.5,
    "12,75": 12.75,
    "0,125": 0.125,
    "1,500": 1500,
    "1,500.25": 1500.25,
    "12,345,678": 12345678,
    "1 500": 1500,
    "1\u00a0500,5": 1500.5,
    "1_000": 1000,
    "31%": 31,
    "31,5 %": 31.5,
    "-2,5": -2.5,
    "1e3": 1000,
  };
  for (const [text, number] of Object.entries(meant)) assert.equal(typedNumber(text), number, text);
});

test("what is no number is none", () => {
  for (const text of ["", " ", "%", ",", "abc", "1,2,3", "1,23.4", "1.5,5", "1,,500"])
    assert.ok(Number.isNaN(typedNumber(text)), text);
});
