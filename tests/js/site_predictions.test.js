// Predictions on a page without a kernel: kept in the browser, the first one stands, and nothing hostile gets in.

import assert from "node:assert/strict";
import { test } from "node:test";
import { makeModel } from "../../moe_lessons/site/host/model.js";
import { keeping } from "../../moe_lessons/site/host/predictions.js";

const QUESTION = { key: "05.a", kind: "slider", low: 0, high: 1, step: 0.1, choices: [], cuts: [] };
const PLACE = "moe-lessons.predictions";

/** What a browser keeps, as far as it is used. */
function storage(start = {}) {
  const values = new Map(Object.entries(start));
  return { getItem: (name) => values.get(name) ?? null, setItem: (name, text) => values.set(name, text), values };
}

/** A picture's model on a page whose browser keeps this. */
function opened(open, questions = [QUESTION]) {
  const kernel = {};
  const model = makeModel({ questions, answers: {}, given: [], message: "" }, kernel);
  Object.assign(kernel, keeping(model, open));
  const give = (...given) => (model.set("given", given), model.save_changes());
  return { model, give };
}

test("an answer is kept and is there again on the next page", () => {
  const browser = storage();
  const { model, give } = opened(() => browser);
  assert.deepEqual(model.get("answers"), {});
  give("05.a", 0.3, true, 1);
  assert.deepEqual(model.get("answers"), { "05.a": { answer: 0.3, sure: true, late: true } });
  assert.equal(model.get("message"), "");
  assert.deepEqual(opened(() => browser).model.get("answers"), model.get("answers"));
  assert.deepEqual(Object.keys(JSON.parse(browser.values.get(PLACE))["05.a"]), ["answer", "sure", "time"]);
});

test("the first answer stands, and a sentence says so each time", () => {
  const browser = storage();
  const { model, give } = opened(() => browser);
  const said = [];
  model.on("change:message", () => model.get("message") && said.push(model.get("message")));
  give("05.a", 0.3, true, 1);
  give("05.a", 0.9, true, 2);
  give("05.a", 0.8, true, 3);
  assert.equal(model.get("answers")["05.a"].answer, 0.3);
  assert.equal(said.length, 2);
  assert.match(said[1], /your prediction stands\.$/);
});

test("answers to other questions stay as they are", () => {
  const other = { "08.x": { answer: 2, sure: false, time: 5 } };
  const browser = storage({ [PLACE]: JSON.stringify(other) });
  const { model, give } = opened(() => browser);
  give("05.a", 0.3, false, 1);
  assert.deepEqual(JSON.parse(browser.values.get(PLACE))["08.x"], other["08.x"]);
  assert.deepEqual(Object.keys(model.get("answers")), ["05.a"]);
});

test("what makes no sense is as if nothing were kept", () => {
  const spoiled = ["{", "5", "null", "[]", '{"05.a": null}', '{"05.a": {"answer": 7}}', '{"05.a": {"answer": "<b>"}}'];
  for (const text of spoiled) {
    const browser = storage({ [PLACE]: text });
    const { model, give } = opened(() => browser);
    assert.deepEqual(model.get("answers"), {}, text);
    give("05.a", 0.3, false, 1);
    assert.equal(opened(() => browser).model.get("answers")["05.a"].answer, 0.3, text);
  }
});

test("an answer that the question does not allow is not kept", () => {
  const browser = storage();
  const { model, give } = opened(() => browser);
  for (const [i, value] of [NaN, 2, "0.3", null].entries()) give("05.a", value, false, i);
  give("05.b", 0.3, false, 9);
  assert.deepEqual([model.get("answers"), browser.values.size], [{}, 0]);
});

test("a browser that keeps nothing shows the prediction and says that it will be forgotten", () => {
  const { model, give } = opened(() => {
    throw new Error("denied");
  });
  give("05.a", 0.3, false, 1);
  assert.equal(model.get("answers")["05.a"].answer, 0.3);
  assert.match(model.get("message"), /keeps nothing for this page/);
});
