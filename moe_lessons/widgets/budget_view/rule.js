// The accounting of moe_lessons.accounting in JavaScript; a test runs both.
import { later, t } from "../shared/language.js";
import { attentionSizes, headDim, indexerProducts, isLatent, isShared, seen } from "./attention.js";

export { headDim, isLatent, isShared };

/** One sentence about sizes that make no model; empty when they do. */
export function problem(config) {
  const { n_heads, n_kv_heads, output_groups, compression } = config.attention;
  const dim = isLatent(config) || isShared(config) ? 2 : headDim(config); // their heads have sizes of their own
  if (!Number.isInteger(dim)) {
    return t("dim is {dim}, which n_heads = {n_heads} does not divide; choose a multiple of {n_heads}.", {
      dim: config.dim,
      n_heads,
    });
  }
  if (dim % 2) {
    const said = later(
      "Each head has {dim} dimensions, but rotary positions turn pairs; change dim or n_heads so that it is even.",
    );
    return t(said, { dim });
  }
  if (n_kv_heads && n_heads % n_kv_heads) {
    return t("n_heads is {n_heads} and n_kv_heads is {n_kv_heads}; n_heads must be a multiple of n_kv_heads.", {
      n_heads,
      n_kv_heads,
    });
  }
  if (output_groups && n_heads % output_groups) {
    return t("n_heads is {n_heads}, but must be a multiple of output_groups = {output_groups}.", {
      n_heads,
      output_groups,
    });
  }
  if (compression && compression.layers.length !== config.n_layers) {
    return t("n_layers is {n_layers}, but the attention names the kinds of {named} layers.", {
      n_layers: config.n_layers,
      named: compression.layers.length,
    });
  }
  const { moe } = config;
  const [unmixed, hashed] = [moe?.n_dense_layers ?? 0, moe?.n_hash_layers ?? 0];
  if (moe && (unmixed >= config.n_layers || unmixed + hashed > config.n_layers)) {
    const said = hashed
      ? later("n_layers is {n_layers}, but the model begins with {first} layers without a learned choice; add layers.")
      : later("n_layers is {n_layers}, but the model begins with {first} dense layers; add layers.");
    return t(said, { n_layers: config.n_layers, first: unmixed + hashed });
  }
  if (moe && moe.top_k > moe.n_routed_experts) {
    return t("top_k is {top_k}, but there are only {experts} experts to choose from; lower top_k.", {
      top_k: moe.top_k,
      experts: moe.n_routed_experts,
    });
  }
  const groups = moe?.n_groups ?? 1;
  const members = moe ? moe.n_routed_experts / groups : 0;
  if (!Number.isInteger(members) || (groups > 1 && moe.group_score === "top2" && members < 2)) {
    const said = later(
      "n_routed_experts is {experts}, but must be a multiple of n_groups = {groups}, at least twice as many.",
    );
    return t(said, { experts: moe.n_routed_experts, groups });
  }
  if (moe && moe.top_k > (moe.top_groups ?? 1) * members) {
    const most = (moe.top_groups ?? 1) * members;
    return t("top_k is {top_k}, but the best groups hold only {most} experts; lower top_k.", {
      top_k: moe.top_k,
      most,
    });
  }
  return "";
}

/** Every part in reading order: {layer, name, parameters, active}; layer is null before and after the layers. */
export function parts(config) {
  const { dim, vocab_size, n_layers, tie_embeddings, mtp_depth } = config;
  const table = [part(null, "embedding", vocab_size * dim)];
  for (let layer = 0; layer < n_layers; layer++) table.push(...layerParts(config, layer));
  table.push(part(null, "norms", dim));
  const { last, lastAdded } = connections(config);
  if (last) table.push(part(null, "hyper_connections", last + lastAdded));
  table.push(part(null, "head", tie_embeddings ? 0 : vocab_size * dim));
  if (mtp_depth) {
    const block = layerParts(config, n_layers).reduce((sum, { parameters }) => sum + parameters, 0);
    table.push(part(null, "multi_token", mtp_depth * (3 * dim + 2 * dim * dim + block), 0));
  }
  return table;
}

const part = (layer, name, parameters, active = parameters) => ({ layer, name, parameters, active });

function layerParts(config, layer) {
  const { dim, hidden_dim, moe } = config;
  const { matrices, gains, added } = attentionSizes(config, layer);
  const norms = (config.output_norms ? 4 : 2) * dim + gains;
  const table = [part(layer, "attention", matrices + added), part(layer, "norms", norms)];
  const { around, aroundAdded } = connections(config);
  if (around) table.push(part(layer, "hyper_connections", around + aroundAdded));
  if (!moe || layer < (moe.n_dense_layers ?? 0)) return [...table, part(layer, "feed_forward", 3 * dim * hidden_dim)];
  const swiglu = 3 * dim * moe.hidden_dim;
  const expert = swiglu + (moe.bias ? 2 * moe.hidden_dim + dim : 0);
  const row = looksUp(moe, layer) ? dim : (moe.noise ? 2 : 1) * dim + routerBiases(moe);
  table.push(part(layer, "router", moe.n_routed_experts * row));
  table.push(part(layer, "experts", moe.n_routed_experts * expert, moe.top_k * expert));
  if (moe.n_shared_experts) table.push(part(layer, "shared_experts", moe.n_shared_experts * swiglu));
  return table;
}

/**
 * Around one layer's two halves, and where streams are read for the head: numbers in matrices, those that are added or
 * scale, and products of the streams themselves.
 */
function connections({ dim, hyper_connections: given }) {
  if (!given) return { around: 0, aroundAdded: 0, mixing: 0, last: 0, lastAdded: 0, reading: 0 };
  const n = given.n_streams;
  const rows = (2 + n) * n;
  const layer = { around: 2 * rows * n * dim, aroundAdded: 2 * (rows + 3), mixing: 2 * (n + n * n) * dim };
  return { ...layer, last: n * n * dim, lastAdded: n + 1, reading: n * dim };
}

/** Whether a layer's routes are looked up by token; its router then only weighs. */
const looksUp = (moe, layer) => layer < (moe.n_dense_layers ?? 0) + (moe.n_hash_layers ?? 0);

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
  const { around, mixing, last, reading } = connections(config);
  for (const { layer, name, active } of parts(config)) {
    if (name === "embedding" || name === "norms") continue; // a table look-up; no matrix product
    // Biases and sinks are added.
    if (name === "router") add(name, active - (looksUp(moe, layer) ? 0 : moe.n_routed_experts * routerBiases(moe)));
    else if (name === "experts") add(name, active - (moe.bias ? moe.top_k * (2 * moe.hidden_dim + dim) : 0));
    else if (name === "hyper_connections") add(name, layer === null ? last + reading : around + mixing);
    else if (name !== "attention") add(name, name === "head" ? vocab_size * dim : active);
    else {
      const { matrices, pairs } = attentionSizes(config, layer);
      add(name, matrices + indexerProducts(config, layer, context));
      // Scores for all pairs, masked ones included, then their weighted sum of values; within a window, for its own.
      add("scores", pairs * seen(config, layer, context));
    }
  }
  return { total: Object.values(byPart).reduce((a, b) => a + b, 0), byPart };
}
