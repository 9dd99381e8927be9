// What one layer's attention holds and multiplies, of every kind that a configuration names.

export const isLatent = (config) => "kv_lora_rank" in config.attention;
/** One vector a token is every head's key and value. */
export const isShared = (config) => "output_groups" in config.attention;
export const headDim = (config) => config.attention.head_dim ?? config.dim / config.attention.n_heads;

/**
 * Numbers in matrices, in gains of norms inside, and such as are only added; products for each pair of tokens; and an
 * indexer's share of the matrices, of which `keys` work where there is nothing to choose.
 */
export function attentionSizes(config, layer) {
  if (isShared(config)) return sharedSizes(config, layer);
  const { dim, attention: heads } = config;
  if (isLatent(config)) {
    const { n_heads, q_lora_rank: rank, kv_lora_rank, qk_nope_head_dim, qk_rope_head_dim, v_head_dim } = heads;
    const [queries, values] = [n_heads * (qk_nope_head_dim + qk_rope_head_dim), n_heads * v_head_dim];
    const query = rank == null ? dim * queries : rank * (dim + queries);
    const latent = dim * (kv_lora_rank + qk_rope_head_dim) + kv_lora_rank * (n_heads * qk_nope_head_dim + values);
    const indexer = heads.indexer && indexerSizes(config, heads.indexer, dim * heads.indexer.head_dim);
    const gains = (rank ?? 0) + kv_lora_rank + (indexer ? 2 * heads.indexer.head_dim : 0);
    const matrices = query + latent + values * dim + (indexer?.matrices ?? 0);
    return { matrices, gains, pairs: queries + values, added: 0, indexer };
  }
  const size = headDim(config);
  const [queries, keys] = [heads.n_heads * size, (heads.n_kv_heads ?? heads.n_heads) * size];
  const gains = heads.qk_norm ? 2 * size : heads.joint_qk_norm ? queries + keys : 0;
  const added = (heads.bias ? queries + 2 * keys + dim : 0) + (heads.sinks ? heads.n_heads : 0);
  return { matrices: dim * (2 * queries + 2 * keys), gains, pairs: 2 * queries, added, indexer: null };
}

function sharedSizes(config, layer) {
  const { dim, attention: heads } = config;
  const { head_dim, q_lora_rank: rank, output_rank } = heads;
  const all = heads.n_heads * head_dim;
  const [rate, overlap] = [rateOf(config, layer), heads.compression?.layers[layer] === "sparse"];
  const picks = overlap ? heads.compression.indexer : null;
  const width = (size) => (overlap ? 2 : 1) * size; // numbers that a token gives to be pooled
  const indexer = picks && indexerSizes(config, picks, 2 * dim * width(picks.head_dim));
  const pooled = rate ? width(head_dim) : 0;
  let matrices = rank * (dim + all) + dim * head_dim + output_rank * (all + heads.output_groups * dim);
  matrices += 2 * dim * pooled + (indexer?.matrices ?? 0); // content and gate
  const gains = rank + head_dim + (rate ? head_dim : 0) + (picks?.head_dim ?? 0);
  const added = (heads.sinks ? heads.n_heads : 0) + rate * (pooled + (picks ? width(picks.head_dim) : 0));
  return { matrices, gains, pairs: 2 * all, added, indexer };
}

/** Tokens from one entry of a layer to the next; 0 where it has none. */
function rateOf(config, layer) {
  const { compression } = config.attention;
  if (!compression) return 0;
  return { window: 0, sparse: compression.sparse_rate, heavy: compression.heavy_rate }[compression.layers[layer]];
}

function indexerSizes(config, { n_heads, head_dim }, keys) {
  return { matrices: config.attention.q_lora_rank * n_heads * head_dim + config.dim * n_heads + keys, keys };
}

/** What a layer's indexer multiplies for one of `context` tokens, less its matrices. */
export function indexerProducts(config, layer, context) {
  const { indexer } = attentionSizes(config, layer);
  if (!indexer) return 0;
  const { n_heads, head_dim, top_k } = config.attention.indexer ?? config.attention.compression.indexer;
  const time = Math.floor(context / (isShared(config) ? rateOf(config, layer) : 1));
  return time <= top_k ? indexer.keys - indexer.matrices : n_heads * (head_dim + 1) * time;
}

/** How many of `context` positions a layer's tokens see; an entry that stands for several tokens is one of them. */
export function seen(config, layer, context) {
  const { window, compression } = config.attention;
  if (isShared(config)) {
    const rate = rateOf(config, layer);
    const entries = rate ? Math.floor(context / rate) : 0;
    const picked = compression?.layers[layer] === "sparse" ? compression.indexer.top_k : entries;
    return Math.min(window, context) + Math.min(entries, picked);
  }
  const windowed = window && window.pattern[layer % window.pattern.length] === "windowed";
  return windowed ? Math.min(window.size, context) : context;
}
