// The host's model protocol: what a front end sees of it is what anywidget's model does in JupyterLab.

import assert from "node:assert/strict";
import { test } from "node:test";
import { makeModel } from "../../moe_lessons/site/host/model.js";
import { bytesOf, traitsOf } from "../../moe_lessons/site/host/state.js";

function heard(model, ...events) {
  const seen = [];
  for (const event of events) model.on(event, () => seen.push(event));
  return seen;
}

test("a set trait is there at once and its listeners hear of it once", () => {
  const model = makeModel({ top_k: 2 });
  const seen = heard(model, "change:top_k", "change:layer", "change");
  model.set("top_k", 3);
  assert.equal(model.get("top_k"), 3);
  assert.deepEqual(seen, ["change:top_k", "change"]);
});

test("an equal value changes nothing, also where it is another list", () => {
  const model = makeModel({ off: [1, 2], facts: { a: [1] } });
  const seen = heard(model, "change:off", "change:facts");
  model.set("off", [1, 2]);
  model.set("facts", { a: [1] });
  assert.deepEqual(seen, []);
  model.set("off", []);
  assert.deepEqual(seen, ["change:off"]);
});

test("saved traits are named once, and a save without a change says nothing", () => {
  const saved = [];
  const model = makeModel({ a: 0, b: 0 }, { saved: (names) => saved.push(names) });
  model.set("a", 1);
  model.set("a", 2);
  model.set("b", 1);
  model.save_changes();
  model.save_changes();
  assert.deepEqual(saved, [["a", "b"]]);
});

test("a listener that was taken off hears nothing, and the others go on", () => {
  const model = makeModel({ a: 0 });
  const seen = [];
  const first = () => seen.push("first");
  model.on("change:a", first);
  model.on("change:a", () => seen.push("second"));
  model.off("change:a", first);
  model.set("a", 1);
  model.off("change:a");
  model.set("a", 2);
  assert.deepEqual(seen, ["second"]);
});

test("what the kernel changes is there as a whole before the first listener hears", () => {
  const model = makeModel({ facts: {}, drawn: 0 });
  const seen = [];
  model.on("change:facts", () => seen.push([model.get("drawn"), model.get("facts").tokens]));
  model.receive({ facts: { tokens: 3 }, drawn: 1 });
  assert.deepEqual(seen, [[1, 3]]);
});

test("what the kernel changed is not saved back", () => {
  const saved = [];
  const model = makeModel({ a: 0 }, { saved: (names) => saved.push(names) });
  model.receive({ a: 1 });
  model.save_changes();
  assert.deepEqual(saved, []);
});

test("a message reaches who answers once its sender has gone on, and no one where there is no kernel", async () => {
  const messages = [];
  makeModel({}, { message: (content) => messages.push(content) }).send({ ask: "text" });
  messages.push("sent");
  await Promise.resolve();
  assert.deepEqual(messages, ["sent", { ask: "text" }]);
  makeModel({}).send({ ask: "text" });
});

test("a listener that fails keeps no other from hearing", (t) => {
  const complaints = t.mock.method(console, "error", () => {});
  const model = makeModel({ a: 0 });
  model.on("change:a", () => {
    throw new Error("mine");
  });
  const seen = heard(model, "change:a");
  model.set("a", 1);
  assert.deepEqual(seen, ["change:a"]);
  assert.equal(complaints.mock.callCount(), 1);
});

test("bytes come out of base64 as they went in", () => {
  const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
  const view = bytesOf(Buffer.from(bytes).toString("base64"));
  assert.deepEqual(new Uint8Array(view.buffer, view.byteOffset, view.byteLength), bytes);
});

test("bytes are found at any depth, and nothing else is changed", () => {
  const traits = traitsOf({
    widget: "load_board",
    name: "LoadBoard",
    traits: { history: [{ loads: { $bytes: "AQI=" }, total: null }], at: -1 },
  });
  assert.deepEqual(new Uint8Array(traits.history[0].loads.buffer), Uint8Array.of(1, 2));
  assert.deepEqual([traits.history[0].total, traits.at], [null, -1]);
});

test("a file that holds no state is refused in one sentence", () => {
  for (const wrong of [null, {}, [], { widget: "router_view" }, { widget: 1, traits: {} }])
    assert.throws(() => traitsOf(/** @type {any} */ (wrong)), /holds no widget state; build the site again/);
});
