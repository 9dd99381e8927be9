// Asks the site's model and answers: reads {task, value, checkpoint, tokenizer} as JSON from standard input, writes
// what comes of it. Bytes travel as base64, large arrays through the file `value.out`; an Error's words as {error}.

import { readFileSync, writeFileSync } from "node:fs";
import * as answers from "../../moe_lessons/site/answers/index.js";
import { readModel } from "../../moe_lessons/site/model/index.js";

const { task, value, checkpoint, tokenizer } = JSON.parse(readFileSync(0, "utf-8"));
const read = () => readModel(readFileSync(checkpoint), readFileSync(tokenizer, "utf-8"), "course-moe");

const attempt = (work) => {
  try {
    return work();
  } catch (error) {
    return { error: error.message };
  }
};
const coded = (_, each) => {
  if (each instanceof DataView) return Buffer.from(each.buffer, each.byteOffset, each.byteLength).toString("base64");
  return ArrayBuffer.isView(each) ? Array.from(/** @type {any} */ (each)) : each;
};

const TASKS = {
  texts(model) {
    return value.map((text) =>
      attempt(() => {
        const ids = model.encode(text);
        return { ids, pieces: model.pieces(ids), decoded: model.decode(ids) };
      }),
    );
  },
  decode: (model) => value.map((ids) => ({ pieces: model.pieces(ids), decoded: model.decode(ids) })),
  passes(model) {
    const all = value.ids.map((ids) => {
      const { logits, layers } = model.forward(ids);
      return { logits: logits.slice(), experts: layers.map((layer) => layer.experts.slice()) };
    });
    writeFileSync(value.out, Buffer.concat(all.map(({ logits }) => Buffer.from(logits.buffer))));
    return all.map(({ experts }) => experts);
  },
  write: (model) => value.prompts.map((ids) => [...model.generate(ids, value.options)]),
  /** A host in small: a RouterView of the first text, then what each message changes. */
  messages(model) {
    const traits = { side: 0, ...answers.show(model, value.text) };
    const first = { ...traits };
    const { facts, arrays } = value.traits ?? {}; // a recorded trace in the place of the model's own
    if (facts)
      Object.assign(traits, { facts, arrays: new DataView(Uint8Array.from(Buffer.from(arrays, "base64")).buffer) });
    const router = answers.answersOf("RouterView", model);
    const changes = value.messages.map((content) => {
      const changed = router.message((name) => traits[name], content);
      Object.assign(traits, changed);
      return changed;
    });
    return [first, ...changes];
  },
  tokenize(model) {
    const view = answers.answersOf("TokenView", model);
    return value.map((text) => view.changed(() => text, "text"));
  },
  attend: (model) => attempt(() => answers.attend(model, value)),
  sample: (model) => attempt(() => answers.sample(model, value)),
  /** What reading says of the file's first `value` bytes, or of these bytes. */
  files() {
    const whole = readFileSync(checkpoint);
    const words = readFileSync(tokenizer, "utf-8");
    return value.map((bytes) =>
      attempt(() => {
        const part = typeof bytes === "string" ? Buffer.from(bytes, "base64") : whole.subarray(0, bytes);
        return readModel(part, words).name;
      }),
    );
  },
};

const result = TASKS[task](task === "files" ? undefined : read());
process.stdout.write(JSON.stringify(result, coded));
