// A reading that keeps what did not change, compared with one that reads everything; and what the model refuses.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { readModel } from "../../moe_lessons/site/model/index.js";

const data = new URL("../../data/", import.meta.url);
const bytes = readFileSync(new URL("checkpoints/course-moe.safetensors", data));
const words = readFileSync(new URL("tokenizer.json", data), "utf-8");
const model = readModel(bytes, words, "course-moe");

/** Whole numbers below `n`, always the same ones. */
let state = 1;
const below = (n) => (state = (Math.imul(state, 48271) % 0x7fffffff) >>> 0) % n;
const edited = (ids) => {
  const at = 1 + below(ids.length);
  const some = Array.from({ length: below(4) }, () => below(1024));
  return [...ids.slice(0, at), ...some, ...ids.slice(at + below(4))].slice(0, 40);
};
const whole = ({ time, logits, layers }) => ({ time, logits: [...logits], layers: structuredClone(layers) });

for (const [name, knobs] of Object.entries({
  "no knobs": undefined,
  "an expert off": { off: [0, 5] },
  noise: { noise: 1, seed: 7 },
  "a capacity": { capacity: 1, dropping: "priority" },
  "three experts": { topK: 3, temperature: 2 },
})) {
  test(`a text edited at random reads as a new one does, to the last bit: ${name}`, () => {
    const steering = { knobs, layers: name === "noise" ? [1, 3] : null };
    const reading = model.start(steering);
    let ids = [0, ...Array.from({ length: 20 }, () => below(1024))];
    for (let i = 0; i < 12; i++, ids = edited(ids)) {
      assert.deepEqual(whole(reading.read(ids)), whole(model.forward(ids, steering)));
    }
  });
}

test("what two texts begin with is read once, also when the text was shorter for a while", () => {
  const reading = model.start();
  assert.equal(reading.read([0, 1, 2, 3]).kept, 0);
  assert.equal(reading.read([0, 1, 2]).kept, 3);
  assert.equal(reading.read([0, 1, 2, 3, 9]).kept, 4);
  assert.equal(reading.read([0, 1, 7, 3, 9]).kept, 2);
});

test("attention is causal and sums to 1, and what was kept of a reading does not change it", () => {
  const reading = model.start();
  reading.read([0, 5, 6]);
  const { attention, time } = reading.read([0, 5, 6, 7], { attention: true });
  assert.equal(attention.length, 4 * 4 * time * time);
  for (let row = 0; row < 4 * 4 * time; row++) {
    const weights = [...attention.subarray(row * time, (row + 1) * time)];
    assert.ok(Math.abs(weights.reduce((a, b) => a + b) - 1) < 1e-6);
    assert.ok(weights.slice((row % time) + 1).every((weight) => weight === 0));
  }
});

test("a seed writes the same text with a reading that has seen others, and a nucleus of nothing is greedy", () => {
  const prompt = [0, ...model.encode("Es war")];
  const options = { newTokens: 12, seed: 3 };
  const first = [...model.generate(prompt, options)];
  const reading = model.start();
  reading.read([0, 9, 9, 9]);
  assert.deepEqual([...model.generate(prompt, { ...options, state: reading })], first);
  assert.notDeepEqual([...model.generate(prompt, { ...options, seed: 4 })], first);
  assert.deepEqual(
    [...model.generate(prompt, { ...options, topP: 1e-9 })],
    [...model.generate(prompt, { ...options, temperature: 0 })],
  );
});

test("what cannot be read or written is refused in one sentence, and the reading stays", () => {
  const reading = model.start();
  const before = whole(reading.read([0, 1, 2]));
  assert.throws(() => reading.read([]), /^Error: The prompt is empty, .* start with <\|doc\|>\.$/);
  assert.throws(() => reading.read(Array(257).fill(0)), /has 257 tokens, but the model reads at most max_length = 256/);
  assert.throws(() => reading.read([0, 1024]), /Token id 1024 is not in the vocabulary; use ids from 0 to 1023\./);
  assert.throws(() => reading.read([0, 1.5]), /Token id 1\.5 is not/);
  assert.deepEqual(whole(reading.read([0, 1, 2])), before);
  assert.throws(() => model.generate([0], { newTokens: 300 }).next(), /make 301, but the model reads at most/);
  assert.throws(() => model.generate([0], { temperature: -1 }).next(), /temperature is -1, but must be 0/);
  assert.throws(() => model.generate([0], { topP: 0 }).next(), /top_p is 0, but must be above 0 and at most 1/);
  assert.throws(() => model.start({ knobs: { topK: 17 } }), /top_k is 17, but must be from 1 to the 16 experts/);
  assert.throws(() => model.start({ knobs: {}, layers: [4] }), /layer 4 has no router; the layers 0, 1, 2, 3 have one/);
});
