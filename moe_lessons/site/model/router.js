// The router: which experts a token goes to, and how much each of them counts. The rule itself is that of the widgets,
// written once; with knobs turned it is what tracing/ask.py's `turned` does.

import { ruleOf } from "../../widgets/shared/routing_rule.js";
import { routeLayer } from "../../widgets/shared/rule.js";
import { AT_REST } from "./knobs.js";
import { multiply } from "./linear.js";

/** The settings of the rule under their names in Python, as a model has them that does not say otherwise. */
const USUAL = {
  top_k: 2,
  score_function: "softmax",
  normalize: true,
  route_scale: 1,
  n_groups: 1,
  top_groups: 1,
  group_score: "top2",
};

/** RoutingRule.as_dict of a model's configuration. */
export function ruleIn(moe) {
  return Object.fromEntries(Object.entries(USUAL).map(([name, usual]) => [name, moe[name] ?? usual]));
}

/** One score per expert from a linear map, then the top k. */
export class Router {
  /** `number` is the layer's in the model. */
  constructor({ config, weights }, prefix, number) {
    const { dim, moe, max_length } = config;
    const n = moe.n_routed_experts;
    this.number = number;
    this.dim = dim;
    this.n = n;
    this.longest = max_length;
    this.weight = weights(`${prefix}.weight`, [n, dim]);
    this.bias = moe.expert_bias ? weights(`${prefix}.expert_bias`, [n]) : new Float32Array(n);
    this.rule = ruleOf(ruleIn(moe));
  }

  /**
   * An empty log of what this router does in one reading, with these knobs turned.
   * @param {import("./index.js").Knobs} [knobs]
   */
  start(knobs) {
    return new RouterLog(this, knobs);
  }
}

/** One router's choices for a text that grows: arrays by position, for as many as the model reads. */
class RouterLog {
  constructor(router, knobs) {
    const { n, longest, rule } = router;
    this.router = router;
    this.knobs = { ...AT_REST, ...rule, ...knobs };
    this.steered = Boolean(knobs);
    this.topK = this.knobs.topK;
    this.logits = new Float32Array(longest * n);
    this.scores = new Float64Array(longest * n);
    this.experts = new Uint16Array(longest * this.topK);
    this.weights = new Float64Array(longest * this.topK);
    this.rooms = [{}, {}]; // of the token that begins the document, and of the others
  }

  /** Route the `count` positions from `start` on, whose vectors `hidden` [count, dim] are. */
  route(hidden, start, count) {
    const { router, knobs, rooms } = this;
    const { n, dim } = router;
    const end = start + count;
    multiply(this.logits.subarray(start * n, end * n), hidden, count, router.weight, n, dim);
    if (!this.steered) return this.follow(start, end, start, knobs, rooms[1]);
    // The token that begins the document follows the knobs, but takes no slot and gets no noise.
    if (start === 0) this.follow(0, 1, 0, { ...knobs, noise: 0, capacity: 0 }, rooms[0]);
    // Noise and slots count the text's tokens from its first one, so all of them are routed again.
    const from = knobs.noise || knobs.capacity ? 1 : Math.max(1, start);
    if (end > 1) this.follow(from, end, Math.max(1, start), knobs, rooms[1]);
  }

  /** Apply the rule to the positions `from` to before `end`, and note what it says from `start` on. */
  follow(from, end, start, knobs, room) {
    const { router, topK } = this;
    const { n, bias, number } = router;
    const trace = {
      tokens: end - from,
      experts: n,
      numbers: [number],
      logits: this.logits.subarray(from * n, end * n),
      bias,
    };
    const routed = routeLayer(trace, 0, knobs, room);
    const skipped = start - from;
    this.scores.set(routed.scores.subarray(skipped * n), start * n);
    this.experts.set(routed.experts.subarray(skipped * topK), start * topK);
    this.weights.set(routed.weights.subarray(skipped * topK), start * topK);
  }

  /** The choices from `start` to before `end`. @returns {import("./index.js").LayerRouting} */
  between(start, end) {
    const { topK, router } = this;
    return {
      number: router.number,
      topK,
      logits: this.logits.subarray(start * router.n, end * router.n),
      scores: this.scores.subarray(start * router.n, end * router.n),
      experts: this.experts.subarray(start * topK, end * topK),
      weights: this.weights.subarray(start * topK, end * topK),
    };
  }
}
