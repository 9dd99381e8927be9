// Scores, weights and slots: the parts of the routing rule that several widgets need. moe_lessons/routing_rule.py is
// the twin in Python; tests run both on the same cases. Nothing here touches the page.

/** Each score function by its name: one token's logits, from `start` to before `end`, become its scores in place. */
export const SCORES = {
  softmax(scores, start, end) {
    let [highest, total] = [-Infinity, 0];
    for (let i = start; i < end; i++) if (scores[i] > highest) highest = scores[i];
    for (let i = start; i < end; i++) total += scores[i] = Math.exp(scores[i] - highest);
    for (let i = start; i < end; i++) scores[i] /= total;
  },
  sigmoid(scores, start, end) {
    for (let i = start; i < end; i++) {
      const small = Math.exp(-Math.abs(scores[i])); // never overflows
      scores[i] = scores[i] >= 0 ? 1 / (1 + small) : small / (1 + small);
    }
  },
  sqrt_softplus(scores, start, end) {
    for (let i = start; i < end; i++) {
      const softplus = Math.max(scores[i], 0) + Math.log1p(Math.exp(-Math.abs(scores[i])));
      scores[i] = Math.sqrt(Math.max(softplus, 1e-37)); // as in Python, where a root of 0 has no slope
    }
  },
};

export const SCORE_FUNCTIONS = Object.keys(SCORES);

/** One token's chosen scores, from `start` to before `end`, become in place what its experts count. */
export function weigh(weights, start, end, { normalize, routeScale = 1 }) {
  let total = 0;
  for (let i = start; i < end; i++) total += weights[i];
  total = normalize ? total + 1e-20 : 1; // all may have underflowed to 0
  for (let i = start; i < end; i++) weights[i] = (weights[i] / total) * routeScale;
}

/** Slots of each expert under a capacity: `factor` times an even share of all choices, rounded up. */
export function slotsPerExpert(factor, tokens, topK, n) {
  return Math.ceil((factor * tokens * topK) / n);
}

/** A rule as RoutingRule.as_dict says it, in the browser's spelling: top_k is topK. */
export function ruleOf(settings) {
  const spelled = (name) => name.replace(/_(.)/g, (_, letter) => letter.toUpperCase());
  return Object.fromEntries(Object.entries(settings).map(([name, value]) => [spelled(name), value]));
}
