// The accounting of moe_lessons.accounting in JavaScript; a test runs both.

/** One sentence about sizes that make no model; empty when they do. */
export function problem(config) {
  const { n_heads, n_kv_heads } = config.attention;
  const dim = isLatent(config) ? 2 : headDim(config); // a latent's heads have sizes of their own
  if (!Number.isInteger(dim)) {
    return `dim is ${config.dim}, which n_heads = ${n_heads} does not divide; choose a multiple of ${n_heads}.`;
  }
  if (dim % 2) {
    const remedy = "change dim or n_heads so that it is even";
    return `Each head has ${dim} dimensions, but rotary positions turn pairs; ${remedy}.`;
  }
  if (n_kv_heads && n_heads % n_kv_heads) {
    return `n_heads is ${n_heads} and n_kv_heads is ${n_kv_heads}; n_heads must be a multiple of n_kv_heads.`;
  }
  const { moe } = config;
  if (moe && moe.top_k > moe.n_routed_experts) {
    return `top_k is ${moe.top_k}, but there are only ${moe.n_routed_experts} experts to choose from; lower top_k.`;
  }
  const groups = moe?.n_groups ?? 1;
  const members = moe ? moe.n_routed_experts / groups : 0;
  if (!Number.isInteger(members) || (groups > 1 && moe.group_score === "top2" && members < 2)) {
    const least = `a multiple of n_groups = ${groups}, at least twice as many`;
    return `n_routed_experts is ${moe.n_routed_experts}, but must be ${least}.`;
  }
  if (moe && moe.top_k > (moe.top_groups ?? 1) * members) {
    const most = (moe.top_groups ?? 1) * members;
    return `top_k is ${moe.top_k}, but the best groups hold only ${most} experts; lower top_k.`;
  }
  return "";
}

export const isLatent = (config) => "kv_lora_rank" in config.attention;
export const headDim = (config) => config.attention.head_dim ?? config.dim / config.attention.n_heads;

/** One layer's matrices and the gains of the norms inside its attention, and its products for each pair of tokens. */
function attentionSizes(config) {
  const { dim, attention: heads } = config;
  if (isLatent(config)) {
    const { n_heads, q_lora_rank: rank, kv_lora_rank, qk_nope_head_dim, qk_rope_head_dim, v_head_dim } = heads;
    const [queries, values] = [n_heads * (qk_nope_head_dim + qk_rope_head_dim), n_heads * v_head_dim];
    const query = rank == null ? dim * queries : rank * (dim + queries);
    const latent = dim * (kv_lora_rank + qk_rope_head_dim) + kv_lora_rank * (n_heads * qk_nope_head_dim + values);
    const matrices = query + latent + values * dim;
    return { matrices, gains: (rank ?? 0) + kv_lora_rank, pairs: queries + values, added: 0 };
  }
  const size = headDim(config);
  const [queries, keys] = [heads.n_heads * size, (heads.n_kv_heads ?? heads.n_heads) * size];
  const gains = heads.qk_norm ? 2 * size : heads.joint_qk_norm ? queries + keys : 0;
  const added = (heads.bias ? queries + 2 * keys + dim : 0) + (heads.sinks ? heads.n_heads : 0);
  return { matrices: dim * (2 * queries + 2 * keys), gains, pairs: 2 * queries, added };
}

/** How many of `context` positions a layer's tokens see. */
function seen(config, layer, context) {
  const { window } = config.attention;
  const windowed = window && window.pattern[layer % window.pattern.length] === "windowed";
  return windowed ? Math.min(window.size, context) : context;
}

/** Every part in reading order: {layer, name, parameters, active}; layer is null before and after the layers. */
export function parts(config) {
  const { dim, vocab_size, n_layers, tie_embeddings, mtp_depth } = config;
  const table = [part(null, "embedding", vocab_size * dim)];
  for (let layer = 0; layer < n_layers; layer++) table.push(...layerParts(config, layer));
  table.push(part(null, "norms", dim), part(null, "head", tie_embeddings ? 0 : vocab_size * dim));
  if (mtp_depth) {
    const block = layerParts(config, n_layers).reduce((sum, { parameters }) => sum + parameters, 0);
    table.push(part(null, "multi_token", mtp_depth * (3 * dim + 2 * dim * dim + block), 0));
  }
  return table;
}

const part = (layer, name, parameters, active = parameters) => ({ layer, name, parameters, active });

function layerParts(config, layer) {
  const { dim, hidden_dim, moe } = config;
  const { matrices, gains, added } = attentionSizes(config);
  const norms = (config.output_norms ? 4 : 2) * dim + gains;
  const table = [part(layer, "attention", matrices + added), part(layer, "norms", norms)];
  if (!moe || layer < (moe.n_dense_layers ?? 0)) return [...table, part(layer, "feed_forward", 3 * dim * hidden_dim)];
  const swiglu = 3 * dim * moe.hidden_dim;
  const expert = swiglu + (moe.bias ? 2 * moe.hidden_dim + dim : 0);
  table.push(part(layer, "router", moe.n_routed_experts * ((moe.noise ? 2 : 1) * dim + routerBiases(moe))));
  table.push(part(layer, "experts", moe.n_routed_experts * expert, moe.top_k * expert));
  if (moe.n_shared_experts) table.push(part(layer, "shared_experts", moe.n_shared_experts * swiglu));
  return table;
}

/** Numbers that are added for each expert: the correction bias, which only chooses, and a learned one. */
const routerBiases = (moe) => (moe.expert_bias ? 1 : 0) + (moe.bias ? 1 : 0);

/** Parameters in all, at work on one token, and by part. */
export function countParameters(config) {
  const counted = { total: 0, active: 0, byPart: {} };
  for (const { name, parameters, active } of parts(config)) {
    counted.total += parameters;
    counted.active += active;
    counted.byPart[name] = (counted.byPart[name] ?? 0) + parameters;
  }
  return counted;
}

/** Forward FLOPs for one token of a sequence of `context` tokens, two per multiply-add: {total, byPart}. */
export function flopsPerToken(config, context) {
  const { dim, vocab_size, moe } = config;
  const byPart = {};
  const add = (name, products) => (byPart[name] = (byPart[name] ?? 0) + 2 * products);
  const { pairs, added } = attentionSizes(config);
  for (const { layer, name, active } of parts(config)) {
    if (name === "embedding" || name === "norms") continue; // a table look-up; no matrix product
    // Biases and sinks are added.
    if (name === "router") add(name, active - moe.n_routed_experts * routerBiases(moe));
    else if (name === "experts") add(name, active - (moe.bias ? moe.top_k * (2 * moe.hidden_dim + dim) : 0));
    else if (name === "attention") add(name, active - added);
    else add(name, name === "head" ? vocab_size * dim : active);
    // Scores for all pairs, masked ones included, then their weighted sum of values; within a window, for its own.
    if (name === "attention") add("scores", pairs * seen(config, layer, context));
  }
  return { total: Object.values(byPart).reduce((a, b) => a + b, 0), byPart };
}
