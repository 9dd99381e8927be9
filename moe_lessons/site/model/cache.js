// What is kept of the tokens already read, so that each is computed once.

/** Keys and values: 2 * n_layers * n_kv_heads * head_dim numbers for each token. */
export class KVCache {
  /**
   * Room for `max_length` positions in every layer, filled from the left.
   * @param {import("./index.js").ModelConfig} config
   */
  constructor({ n_layers, max_length, attention: { n_kv_heads, head_dim } }) {
    this.size = n_kv_heads * head_dim;
    const room = () => Array.from({ length: n_layers }, () => new Float32Array(max_length * this.size));
    this.keys = room(); // each layer's [max_length, n_kv_heads, head_dim]
    this.values = room();
    this.length = 0;
  }

  /** Where the `count` positions after those already read go: a layer's keys and values. */
  next(layer, count) {
    const [from, to] = [this.length * this.size, (this.length + count) * this.size];
    return { keys: this.keys[layer].subarray(from, to), values: this.values[layer].subarray(from, to) };
  }

  /** Count `count` positions as read, once every layer has stored its share. */
  advance(count) {
    this.length += count;
  }

  /** Forget all positions from `length` on, so that others can be read in their place. */
  truncate(length) {
    this.length = Math.min(this.length, length);
  }
}
