// A text that changes, read again and again: only what differs from the last time is computed.

import { KVCache } from "./cache.js";
import { checkKnobs } from "./knobs.js";

/** Keys, values, routes and logits of what was read, and the steering that they were made with. */
export class Reading {
  /** @param {import("./transformer.js").Transformer} transformer @param {import("./index.js").Steering} [steering] */
  constructor(transformer, { knobs, layers } = {}) {
    const { config, blocks } = transformer;
    const routers = blocks.map((block) => block.moe?.router);
    const numbers = routers.filter(Boolean).map((router) => router.number);
    for (const layer of layers ?? []) {
      if (!numbers.includes(layer)) {
        throw new Error(`layer ${layer} has no router; the layers ${numbers.join(", ")} have one`);
      }
    }
    if (knobs && numbers.length) checkKnobs({ ...routers[numbers[0]].rule, ...knobs }, config.moe.n_routed_experts);
    this.transformer = transformer;
    this.cache = new KVCache(config);
    this.logs = routers.map((router) => router?.start(!layers || layers.includes(router.number) ? knobs : undefined));
    this.whole = Boolean(knobs?.capacity); // slots are dealt out anew to all tokens, whenever one more comes
    this.logits = new Float32Array(config.max_length * config.vocab_size);
    /** @type {number[]} */
    this.ids = [];
  }

  /**
   * Read these ids. An Error of one sentence for none, too many, or one outside the vocabulary; what was read before
   * then stays.
   * @param {number[]} ids @param {{attention?: boolean}} [options]
   * @returns {import("./index.js").Pass}
   */
  read(ids, { attention = false } = {}) {
    const { config } = this.transformer;
    const { vocab_size, n_layers, attention: heads } = config;
    checkIds(ids, config);
    const time = ids.length;
    const kept = attention || this.whole ? 0 : sharedStart(this.ids, ids);
    const size = heads.n_heads * time * time;
    const weights = attention ? new Float32Array(n_layers * size) : undefined;
    const records = weights && this.logs.map((_, layer) => weights.subarray(layer * size, (layer + 1) * size));
    if (kept < time) {
      this.cache.truncate(kept);
      this.ids = [...ids];
      const logits = this.logits.subarray(kept * vocab_size, time * vocab_size);
      this.transformer.forward(logits, ids.slice(kept), this.cache, this.logs, records);
    }
    // A shorter text leaves what it lost in the cache: whoever takes a letter back often writes it again.
    return {
      time,
      kept,
      logits: this.logits.subarray(0, time * vocab_size),
      layers: this.logs.filter(Boolean).map((log) => log.between(0, time)),
      ...(weights ? { attention: weights } : {}),
    };
  }
}

/** How many ids two texts begin with alike. */
function sharedStart(a, b) {
  let same = 0;
  while (same < a.length && same < b.length && a[same] === b[same]) same++;
  return same;
}

function checkIds(ids, { max_length, vocab_size }) {
  if (!ids.length) throw new Error("The prompt is empty, but the model needs at least one token; start with <|doc|>.");
  if (ids.length > max_length) {
    throw new Error(
      `The text has ${ids.length} tokens, but the model reads at most max_length = ${max_length}; shorten the text.`,
    );
  }
  const wrong = ids.find((id) => !(Number.isInteger(id) && id >= 0 && id < vocab_size));
  if (wrong !== undefined) {
    throw new Error(`Token id ${wrong} is not in the vocabulary; use ids from 0 to ${vocab_size - 1}.`);
  }
}
