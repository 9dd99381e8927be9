// One layer of the model: attention, then a feed-forward, dense or sparse.

import { Attention } from "./attention.js";
import { readFeedForward } from "./feed_forward.js";
import { MoE } from "./moe.js";
import { rmsNorm } from "./norm.js";

/** Tokens talk to each other, then each thinks for itself; both only add to the stream that passes through. */
export class Block {
  constructor(checkpoint, layer) {
    const { config, weights } = checkpoint;
    const prefix = `blocks.${layer}`;
    this.eps = config.norm_eps;
    this.attentionNorm = weights(`${prefix}.attention_norm.weight`, [config.dim]);
    this.attention = new Attention(checkpoint, `${prefix}.attention`, layer);
    this.feedForwardNorm = weights(`${prefix}.feed_forward_norm.weight`, [config.dim]);
    const sparse = config.moe && layer >= (config.moe.n_dense_layers ?? 0);
    this.moe = sparse ? new MoE(checkpoint, `${prefix}.feed_forward`, layer) : null;
    this.feedForward = sparse ? null : readFeedForward(checkpoint, `${prefix}.feed_forward`);
  }

  /** Add to `hidden` [count, dim], in place. `log` is this layer's router's, `record` for its attention weights. */
  forward(hidden, count, by, cache, room, log, record) {
    const { normed, added } = room;
    rmsNorm(normed, hidden, count, this.attentionNorm, this.eps);
    this.attention.forward(added, normed, count, by, cache, room, record);
    add(hidden, added, count * this.attentionNorm.length);
    rmsNorm(normed, hidden, count, this.feedForwardNorm, this.eps);
    if (this.moe) this.moe.forward(added, normed, count, cache.length, log, room.inner);
    else this.feedForward?.forward(added, normed, count, room.inner);
    add(hidden, added, count * this.feedForwardNorm.length);
  }
}

function add(to, what, size) {
  for (let i = 0; i < size; i++) to[i] += what[i];
}
