// What a conversation costs in memory, as moe_lessons.widgets.context_view counts it; a test runs both.

/** The largest number of key-value heads that divides the model's heads and is not above the one asked for. */
export function groups(nHeads, asked) {
  for (let n = Math.min(Math.max(1, Math.floor(asked)), nHeads); n > 1; n--) if (nHeads % n === 0) return n;
  return 1;
}

/**
 * What a text of `length` tokens leaves: so much of each token, so much of each within a window, and of any text.
 * @param {number[]} kept @param {number} length
 */
export function at([growing, windowed, window, fixed], length) {
  return growing * length + windowed * Math.min(length, window) + fixed;
}

/** Numbers that a text leaves behind, as `at` takes them: as published, and as it would be. */
export function mightKeep({ n_layers, n_heads, head_dim, kept }, asked, latentHeads) {
  const n = groups(n_heads, asked);
  const all = (numbers) => [n_layers * numbers, 0, 1, 0];
  return [
    ["as published", kept],
    ["multi-head", all(2 * n_heads * head_dim)],
    [`grouped, ${n}`, all(2 * n * head_dim)],
    ["multi-query", all(2 * head_dim)],
    // A part turned by position beside the latent, half a head wide, as in DeepSeek's models.
    [`latent, ${latentHeads * head_dim}`, all(latentHeads * head_dim + Math.floor(head_dim / 2))],
  ];
}

/** What is shown: {name, kept (bytes), weights (bytes), longest (tokens), whatIf}. */
export function curves({ models, shown, rebuilt, kv_heads, latent_heads, bits, weight_bits }) {
  const one = models.find(({ name }) => name === rebuilt);
  const curve = (name, { parameters, max_length }, [growing, windowed, window, fixed], whatIf) => ({
    name,
    kept: [(growing * bits) / 8, (windowed * bits) / 8, window, (fixed * bits) / 8],
    weights: (parameters * weight_bits) / 8,
    longest: max_length,
    whatIf,
  });
  if (one) return mightKeep(one, kv_heads, latent_heads).map(([name, kept], i) => curve(name, one, kept, i > 0));
  return models.filter(({ name }) => shown.includes(name)).map((model) => curve(model.name, model, model.kept, false));
}

/** How many conversations of `context` tokens fit into memory beside the weights; -1 where the weights do not fit. */
export function fits({ kept, weights }, context, memory) {
  return memory < weights ? -1 : Math.floor((memory - weights) / at(kept, context));
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
