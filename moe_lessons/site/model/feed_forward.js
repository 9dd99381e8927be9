// The gated feed-forward layer (Shazeer, arXiv:2002.05202).

import { multiply } from "./linear.js";

/** down(silu(gate(x)) * up(x)): one product decides how much of the other passes. */
export class SwiGLU {
  /**
   * @param {Float32Array} gateUp [2 * hiddenDim, dim]: the gate's rows, then those of what it lets pass
   * @param {Float32Array} down [dim, hiddenDim]
   */
  constructor(gateUp, down, dim) {
    this.gateUp = gateUp;
    this.down = down;
    this.dim = dim;
    this.hiddenDim = down.length / dim;
  }

  /** [count, dim] of [count, dim]; `room` has place for 2 * count * hiddenDim numbers. */
  forward(out, vectors, count, room) {
    const { gateUp, down, dim, hiddenDim } = this;
    multiply(room, vectors, count, gateUp, 2 * hiddenDim, dim);
    for (let i = 0, at = 0; i < count; i++) {
      const row = 2 * i * hiddenDim;
      // The products move to the front, [count, hiddenDim]: never past what is still to be read.
      for (let j = row; j < row + hiddenDim; j++)
        room[at++] = (room[j] / (1 + Math.exp(-room[j]))) * room[j + hiddenDim];
    }
    multiply(out, room, count, down, dim, hiddenDim);
  }
}

/** The dense layer in a checkpoint, whose gate and up are two tensors there. */
export function readFeedForward({ config, weights }, prefix) {
  const { dim, hidden_dim: hiddenDim } = config;
  const gateUp = new Float32Array(2 * hiddenDim * dim);
  gateUp.set(weights(`${prefix}.gate.weight`, [hiddenDim, dim]));
  gateUp.set(weights(`${prefix}.up.weight`, [hiddenDim, dim]), hiddenDim * dim);
  return new SwiGLU(gateUp, weights(`${prefix}.down.weight`, [dim, hiddenDim]), dim);
}
