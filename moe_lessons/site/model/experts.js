// Many small SwiGLU networks, each working on the tokens sent to it.

import { SwiGLU } from "./feed_forward.js";

export class Experts {
  constructor({ config, weights }, prefix) {
    const { dim, moe, max_length } = config;
    const { n_routed_experts: n, hidden_dim: hiddenDim } = moe;
    const gateUp = weights(`${prefix}.gate_up`, [n, 2 * hiddenDim, dim]);
    const down = weights(`${prefix}.down`, [n, dim, hiddenDim]);
    const part = (numbers, expert) =>
      numbers.subarray((numbers.length / n) * expert, (numbers.length / n) * (expert + 1));
    this.networks = Array.from({ length: n }, (_, expert) => new SwiGLU(part(gateUp, expert), part(down, expert), dim));
    this.dim = dim;
    this.tokens = new Uint16Array(max_length); // of the expert that is at work
    this.shares = new Float64Array(max_length);
    this.inputs = new Float32Array(max_length * dim);
    this.outputs = new Float32Array(max_length * dim);
  }

  /**
   * Sum over a token's chosen experts of weight * expert(token): [count, dim] of [count, dim]. A choice that weighs
   * nothing, because it found no slot, costs nothing.
   */
  forward(out, hidden, count, { topK, experts, weights }, room) {
    const { dim, tokens, shares, inputs, outputs } = this;
    out.fill(0, 0, count * dim);
    this.networks.forEach((network, expert) => {
      let sent = 0;
      for (let choice = 0; choice < count * topK; choice++) {
        if (experts[choice] !== expert || weights[choice] === 0) continue;
        tokens[sent] = Math.floor(choice / topK);
        shares[sent] = weights[choice];
        for (let j = 0; j < dim; j++) inputs[sent * dim + j] = hidden[tokens[sent] * dim + j];
        sent++;
      }
      if (!sent) return;
      network.forward(outputs, inputs, sent, room);
      for (let i = 0; i < sent; i++) {
        for (let j = 0; j < dim; j++) out[tokens[i] * dim + j] += shares[i] * outputs[i * dim + j];
      }
    });
  }
}
