// How fast the page's model is on this machine: `node tests/js/site_speed.js [checkpoint]`. Figures, and no test.

import { readFileSync } from "node:fs";
import { answersOf, show } from "../../moe_lessons/site/answers/index.js";
import { readModel } from "../../moe_lessons/site/model/index.js";

const data = new URL("../../data/", import.meta.url);
const path = process.argv[2] ?? new URL("checkpoints/course-moe.safetensors", data);
const words = readFileSync(new URL("tokenizer.json", data), "utf-8");

/** Milliseconds of work: by the clock, and of this program's own time on a core. */
const timed = (work) => {
  const [clock, own] = [performance.now(), process.cpuUsage().user];
  work();
  return { clock: performance.now() - clock, own: (process.cpuUsage().user - own) / 1000 };
};
const median = (times, part, share = 0.5) =>
  times.map((time) => time[part]).sort((a, b) => a - b)[Math.floor(times.length * share)];
const report = (name, times) => {
  const [own, high, clock] = [median(times, "own"), median(times, "own", 0.95), median(times, "clock")];
  console.log(`${name}: ${own.toFixed(1)} ms median, ${high.toFixed(1)} at 95% (by the clock ${clock.toFixed(1)} ms)`);
};
const repeat = (count, work) => Array.from({ length: count }, (_, i) => timed(() => work(i)));

const bytes = readFileSync(path);
let model;
report(
  "ready",
  repeat(3, () => (model = readModel(bytes, words, "course-moe"))),
);
const story =
  "Es war einmal ein Fuchs, der lief in den Wald. There was a fox. 47 + 386 = 433. for i in range(9): print(i) ";
const start = story.repeat(4);
const typed = "The quick brown fox jumps over the lazy dog and runs home. ".repeat(2);

const traits = /** @type {any} */ (show(model, "x"));
const router = answersOf("RouterView", model);
const ask = (text) =>
  Object.assign(
    traits,
    router.message((name) => traits[name], { ask: text }),
  );
let head = start;
while (model.encode(head).length > 95) head = head.slice(0, -1);
ask(head);
report(
  "a keystroke at the end of 95 to 130 tokens",
  repeat(100, (i) => ask(head + typed.slice(0, i % 60))),
);
const tokens = traits.facts.tokens;
const middle = Math.floor(head.length / 2);
report(
  `a keystroke in the middle of ${tokens} tokens`,
  repeat(40, (i) => ask(head.slice(0, middle) + typed.slice(0, i % 20) + head.slice(middle))),
);
report(
  `a text of ${tokens} tokens, anew`,
  repeat(10, (i) => ask(`${i}${head}`)),
);
report(
  "an expert off, applied to it",
  repeat(10, (i) => router.message((name) => traits[name], { apply: { ...traits, off: [i], bias: [] } })),
);
const prompt = [0, ...model.encode("Es war einmal")];
const written = repeat(3, (seed) => [...model.generate(prompt, { newTokens: 200, seed })].length);
for (const part of ["own", "clock"]) {
  console.log(`written in a second of ${part} time: ${Math.round(200 / (median(written, part) / 1000))} tokens`);
}
