// A mixture of experts in the place of a feed-forward layer (DeepSeekMoE, arXiv:2401.06066, equation 3).

import { Experts } from "./experts.js";
import { Router } from "./router.js";

export class MoE {
  constructor(checkpoint, prefix, layer) {
    const { n_shared_experts, noise } = checkpoint.config.moe;
    if (n_shared_experts || noise) {
      throw new Error("The checkpoint has shared experts or a noisy router, which the browser's model does not know.");
    }
    this.router = new Router(checkpoint, `${prefix}.router`, layer);
    this.experts = new Experts(checkpoint, `${prefix}.experts`);
  }

  /** [count, dim] of [count, dim], routed into `log` behind its first `start` positions. */
  forward(out, hidden, count, start, log, room) {
    log.route(hidden, start, count);
    this.experts.forward(out, hidden, count, log.between(start, start + count), room);
  }
}
