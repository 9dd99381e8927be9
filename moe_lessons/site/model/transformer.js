// A LLaMA-style language model (Touvron et al., arXiv:2302.13971), dense or with mixtures of experts.

import { Block } from "./block.js";
import { multiply } from "./linear.js";
import { rmsNorm } from "./norm.js";
import { rotation } from "./rope.js";

/** Token ids in, logits for each next token out. */
export class Transformer {
  /** @param {ReturnType<typeof import("./checkpoint.js").readCheckpoint>} checkpoint */
  constructor(checkpoint) {
    const { config, weights } = checkpoint;
    const { vocab_size, dim, n_layers, max_length, attention, tie_embeddings } = config;
    this.config = config;
    this.embedding = weights("embedding.weight", [vocab_size, dim]);
    this.blocks = Array.from({ length: n_layers }, (_, layer) => new Block(checkpoint, layer));
    this.norm = weights("norm.weight", [dim]);
    this.head = tie_embeddings ? this.embedding : weights("head.weight", [vocab_size, dim]);
    this.by = rotation(max_length, attention.head_dim, attention.rope_theta);
    const widest = 2 * Math.max(config.hidden_dim, config.moe?.hidden_dim ?? 0);
    const numbers = (size) => new Float32Array(max_length * size);
    // What a pass writes its intermediate results into; two passes never run at once.
    this.room = {
      hidden: numbers(dim),
      normed: numbers(dim),
      added: numbers(dim),
      queries: numbers(attention.n_heads * attention.head_dim),
      mixed: numbers(attention.n_heads * attention.head_dim),
      inner: numbers(widest),
    };
  }

  /**
   * Logits [ids.length, vocab_size] of the token after each position, into `logits`; the ids continue what the cache
   * holds. `logs` are the routers' by layer, `records` the places for attention weights by layer, or undefined.
   * @param {number[]} ids
   */
  forward(logits, ids, cache, logs, records) {
    const { config, room, embedding } = this;
    const { dim, norm_eps, vocab_size } = config;
    const { hidden, normed } = room;
    const count = ids.length;
    ids.forEach((id, i) => hidden.set(embedding.subarray(id * dim, (id + 1) * dim), i * dim));
    this.blocks.forEach((block, layer) => {
      block.forward(hidden, count, this.by, cache, room, logs[layer], records?.[layer]);
    });
    cache.advance(count);
    rmsNorm(normed, hidden, count, this.norm, norm_eps);
    multiply(logits, normed, count, this.head, vocab_size, dim);
  }
}
