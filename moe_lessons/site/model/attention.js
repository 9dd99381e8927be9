// Causal grouped-query attention (Ainslie et al., arXiv:2305.13245) with rotary positions.

import { multiply } from "./linear.js";
import { rmsNorm } from "./norm.js";
import { rotate } from "./rope.js";

/** Each token gathers the values of the tokens up to itself, weighted by how well query and key agree. */
export class Attention {
  constructor({ config, weights }, prefix, layer) {
    const { dim, norm_eps, attention, max_length } = config;
    const { n_heads, n_kv_heads, head_dim, qk_norm } = attention;
    this.layer = layer;
    this.dim = dim;
    this.eps = norm_eps;
    this.heads = n_heads;
    this.kvHeads = n_kv_heads;
    this.headDim = head_dim;
    this.query = weights(`${prefix}.query.weight`, [n_heads * head_dim, dim]);
    this.key = weights(`${prefix}.key.weight`, [n_kv_heads * head_dim, dim]);
    this.value = weights(`${prefix}.value.weight`, [n_kv_heads * head_dim, dim]);
    this.output = weights(`${prefix}.output.weight`, [dim, n_heads * head_dim]);
    this.queryNorm = qk_norm ? weights(`${prefix}.query_norm.weight`, [head_dim]) : null;
    this.keyNorm = qk_norm ? weights(`${prefix}.key_norm.weight`, [head_dim]) : null;
    this.scores = new Float64Array(max_length);
    this.sum = new Float64Array(head_dim);
  }

  /**
   * [count, dim] of [count, dim], behind what the cache holds. `queries` and `mixed` have place for count * heads *
   * headDim numbers; `record`, where there is one, gets this layer's weights [heads, time, time].
   * @param {Float32Array} [record]
   */
  forward(out, hidden, count, by, cache, { queries, mixed }, record) {
    const { heads, kvHeads, headDim, dim, eps } = this;
    const past = cache.length;
    const { keys, values } = cache.next(this.layer, count);
    multiply(queries, hidden, count, this.query, heads * headDim, dim);
    multiply(keys, hidden, count, this.key, kvHeads * headDim, dim);
    multiply(values, hidden, count, this.value, kvHeads * headDim, dim);
    if (this.queryNorm) rmsNorm(queries, queries, count * heads, this.queryNorm, eps);
    if (this.keyNorm) rmsNorm(keys, keys, count * kvHeads, this.keyNorm, eps);
    rotate(queries, count, heads, headDim, by, past);
    rotate(keys, count, kvHeads, headDim, by, past);
    for (let i = 0; i < count; i++) {
      for (let head = 0; head < heads; head++) this.attend(mixed, queries, i, head, past + i, cache);
    }
    multiply(out, mixed, count, this.output, dim, heads * headDim);
    if (record) this.record(record, queries, count, cache);
  }

  /** softmax(q . k / sqrt(headDim)) v for one head of the query in row `i`, which stands at `position`. */
  attend(mixed, queries, i, head, position, cache) {
    const { heads, kvHeads, headDim, scores, sum } = this;
    const values = cache.values[this.layer];
    const own = Math.floor(head / (heads / kvHeads)) * headDim; // several query heads share one key-value head
    this.weigh(queries, i, head, position, cache);
    sum.fill(0);
    for (let time = 0, at = own; time <= position; time++, at += kvHeads * headDim) {
      const weight = scores[time];
      for (let j = 0; j < headDim; j++) sum[j] += weight * values[at + j];
    }
    mixed.set(sum, (i * heads + head) * headDim);
  }

  /** What `attend` multiplies the values with, into `this.scores`: the positions up to the query's own sum to 1. */
  weigh(queries, i, head, position, cache) {
    const { heads, kvHeads, headDim, scores } = this;
    const keys = cache.keys[this.layer];
    const own = Math.floor(head / (heads / kvHeads)) * headDim;
    const query = (i * heads + head) * headDim;
    const root = Math.sqrt(headDim);
    let [highest, total] = [-Infinity, 0];
    for (let time = 0, at = own; time <= position; time++, at += kvHeads * headDim) {
      let [even, odd] = [0, 0]; // two sums, neither of which waits for the other
      for (let j = 0; j < headDim; j += 2) {
        even += queries[query + j] * keys[at + j];
        odd += queries[query + j + 1] * keys[at + j + 1];
      }
      scores[time] = (even + odd) / root;
      if (scores[time] > highest) highest = scores[time];
    }
    for (let time = 0; time <= position; time++) total += scores[time] = Math.exp(scores[time] - highest);
    for (let time = 0; time <= position; time++) scores[time] /= total;
  }

  /** All weights of a text that is read from its start: rows are queries and sum to 1, the future is 0. */
  record(weights, queries, count, cache) {
    for (let head = 0; head < this.heads; head++) {
      for (let i = 0; i < count; i++) {
        this.weigh(queries, i, head, i, cache);
        weights.set(this.scores.subarray(0, i + 1), (head * count + i) * count);
      }
    }
  }
}
