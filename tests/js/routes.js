// Reads routing cases as JSON from standard input, writes what the JavaScript rule makes of each.

import { routeLayer } from "../../moe_lessons/widgets/shared/rule.js";

let text = "";
for await (const chunk of process.stdin) text += chunk;
const results = JSON.parse(text).map(({ logits, bias, knobs, ...sizes }) => {
  const trace = { ...sizes, logits: Float32Array.from(logits), bias: Float32Array.from(bias) };
  const routed = Array.from({ length: sizes.layers }, (_, row) => routeLayer(trace, row, knobs));
  const all = (part) => routed.flatMap((layer) => [...layer[part]]);
  return {
    experts: all("experts"),
    weights: all("weights"),
    scores: all("scores"),
    dropped: knobs.capacity ? all("dropped") : [],
  };
});
process.stdout.write(JSON.stringify(results));
