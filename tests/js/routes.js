// Reads routing cases as JSON from standard input, writes what the JavaScript rule makes of each.

import { route } from "../../moe_lessons/widgets/routing_rule.js";

let text = "";
for await (const chunk of process.stdin) text += chunk;
const results = JSON.parse(text).map(({ layers, tokens, experts, logits, bias, knobs }) => {
  const trace = { layers, tokens, experts, logits: Float32Array.from(logits), bias: Float32Array.from(bias) };
  const routed = route(trace, knobs);
  return { experts: [...routed.experts], weights: [...routed.weights], scores: [...routed.scores] };
});
process.stdout.write(JSON.stringify(results));
