// What the site answers to widgets, where no Python answers alike: other models, and messages that make no sense.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { answersOf, sentence, show } from "../../moe_lessons/site/answers/index.js";
import { readModel } from "../../moe_lessons/site/model/index.js";

const data = new URL("../../data/", import.meta.url);
const words = readFileSync(new URL("tokenizer.json", data), "utf-8");
const read = (name) => readModel(readFileSync(new URL(`checkpoints/${name}.safetensors`, data)), words, name);
const model = read("course-moe");
const KNOBS = ["top_k", "temperature", "score_function", "normalize", "noise", "seed", "capacity", "dropping"];

/** A host in small, with the traits of a RouterView. */
function hosted(text) {
  const traits = /** @type {any} */ (show(model, text));
  const answers = answersOf("RouterView", model);
  return {
    traits,
    tell: (content) =>
      Object.assign(
        traits,
        answers.message((name) => traits[name], content),
      ),
  };
}

test("a widget that never asks, and a model without a router, have no answers", () => {
  assert.equal(answersOf("BudgetView", model), null);
  assert.equal(answersOf("RouterView", read("course-dense")), null);
  assert.throws(() => show(read("course-dense"), "a"), /no router to record; use a mixture of experts/);
});

test("knobs of the wrong kind are refused in one sentence, and nothing is turned", () => {
  const { traits, tell } = hosted("47 + 386");
  const before = JSON.stringify(traits);
  for (const name of [...KNOBS, "bias", "off", "top_groups", "acts_on"]) {
    for (const value of [null, "3 or so", Number.NaN, { a: 1 }, -7, [99], ["x"]]) {
      const answered = traits.answered;
      tell({ apply: { [name]: value } });
      assert.match(traits.message, /^[A-Z].*[^.]\.$/s, `${name} ${value}`);
      assert.ok(!traits.message.slice(0, -1).includes(". "), traits.message);
      assert.equal(traits.answered, answered + 1);
      assert.equal(JSON.stringify({ ...traits, message: "", answered: 0 }), before, `${name} ${value}`);
    }
  }
});

test("messages that are none of RouterView's are left alone", () => {
  const { tell, traits } = hosted("a");
  for (const content of [null, 3, "ask", [], {}, { ask: 3 }, { apply: 1 }, { keep: "yes" }, { other: true }])
    tell(content);
  assert.equal(traits.answered, 0);
});

test("the same knobs on a text that goes on read only what is new, and say what a first reading says", () => {
  const { traits, tell } = hosted("Es war einmal");
  const knobs = { off: [1, 2], temperature: 2 };
  tell({ apply: knobs });
  tell({ ask: "Es war einmal ein Fuchs" });
  tell({ apply: knobs });
  const again = hosted("Es war einmal ein Fuchs");
  again.tell({ apply: knobs });
  assert.deepEqual(traits.applied, again.traits.applied);
  assert.deepEqual(traits.applied_logits, again.traits.applied_logits);
});

test("an error of ours is said as it is, any other with its name", () => {
  assert.equal(sentence(new Error("the text is  empty; type\none")), "The text is empty; type one.");
  assert.equal(sentence(new RangeError("out of memory")), "RangeError: out of memory.");
  assert.equal(sentence(new Error("")), "Error.");
});
