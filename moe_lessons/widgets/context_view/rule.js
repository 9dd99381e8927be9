// What a conversation costs in memory, as moe_lessons.widgets.context_view counts it; a test runs both.

/** The largest number of key-value heads that divides the model's heads and is not above the one asked for. */
export function groups(nHeads, asked) {
  for (let n = Math.min(Math.max(1, Math.floor(asked)), nHeads); n > 1; n--) if (nHeads % n === 0) return n;
  return 1;
}

/** Numbers that one token leaves in one layer, as published and as it would be. */
export function kept({ n_heads, head_dim, numbers }, asked, latentHeads) {
  const n = groups(n_heads, asked);
  return [
    ["as published", numbers],
    ["multi-head", 2 * n_heads * head_dim],
    [`grouped, ${n}`, 2 * n * head_dim],
    ["multi-query", 2 * head_dim],
    // A part turned by position beside the latent, half a head wide, as in DeepSeek's models.
    [`latent, ${latentHeads * head_dim}`, latentHeads * head_dim + Math.floor(head_dim / 2)],
  ];
}

/** What is shown: {name, perToken (bytes, all layers), weights (bytes), longest (tokens), whatIf}. */
export function curves({ models, shown, rebuilt, kv_heads, latent_heads, bits, weight_bits }) {
  const one = models.find(({ name }) => name === rebuilt);
  const curve = (name, { n_layers, parameters, max_length }, numbers, whatIf) => ({
    name,
    perToken: (n_layers * numbers * bits) / 8,
    weights: (parameters * weight_bits) / 8,
    longest: max_length,
    whatIf,
  });
  if (one) return kept(one, kv_heads, latent_heads).map(([name, numbers], i) => curve(name, one, numbers, i > 0));
  return models
    .filter(({ name }) => shown.includes(name))
    .map((model) => curve(model.name, model, model.numbers, false));
}

/** How many conversations of `context` tokens fit into memory beside the weights; -1 where the weights do not fit. */
export function fits({ perToken, weights }, context, memory) {
  return memory < weights ? -1 : Math.floor((memory - weights) / (perToken * context));
}

/** Lengths between 1,024 and 1,048,576, four to each doubling. */
export function lengths() {
  const all = [];
  for (let power = 1024; power < 2 ** 20; power *= 2) for (const step of [1, 1.25, 1.5, 1.75]) all.push(power * step);
  return [...all, 2 ** 20];
}

/** A length in powers of two: 131072 is "128k". */
export function inK(tokens) {
  return tokens >= 2 ** 20 ? `${+(tokens / 2 ** 20).toFixed(2)}M` : `${+(tokens / 1024).toFixed(2)}k`;
}

/** One sentence about a state that cannot be drawn; empty when it can. */
export function problem({ models, shown, rebuilt, context }) {
  if (rebuilt && !models.some(({ name }) => name === rebuilt))
    return `There is no model ${rebuilt} here; choose another one.`;
  if (!rebuilt && !shown.length) return "No model is chosen; press the name of one.";
  return context >= 1 ? "" : `The context is ${context} tokens, but must be at least 1.`;
}
