// Sampling on numbers alone: nothing here touches the page. picture.py draws the same; the site's model writes with it.

/** Token ids by falling logit; ties go to the lower id. */
export function ranking(logits) {
  return Array.from(logits.keys()).sort((a, b) => logits[b] - logits[a] || a - b);
}

/** Probabilities after temperature, the topK likeliest (0: all), then the nucleus of topP; temperature 0 is greedy. */
export function sampleDistribution(logits, { temperature = 1, topK = 0, topP = 1 } = {}, order = ranking(logits)) {
  const kept = new Float64Array(logits.length);
  if (temperature === 0) {
    kept[order[0]] = 1;
    return kept;
  }
  let mass = 0;
  const keep = topK ? Math.min(topK, order.length) : order.length;
  for (const id of order.slice(0, keep)) mass += kept[id] = Math.exp((logits[id] - logits[order[0]]) / temperature);
  for (const id of order.slice(0, keep)) kept[id] /= mass;
  if (topP < 1) {
    let [before, nucleus] = [0, 0];
    for (const id of order) {
      const share = kept[id];
      if (before >= topP) kept[id] = 0;
      else nucleus += share;
      before += share;
    }
    for (const id of order) kept[id] /= nucleus;
  }
  return kept;
}

/** Entropy in nats. */
export function entropy(probabilities) {
  return probabilities.reduce((sum, p) => (p > 0 ? sum - p * Math.log(p) : sum), 0);
}

/** Numbers in [0, 1) from mulberry32; picture.py draws the same. */
export function uniforms(n, seed) {
  let state = seed >>> 0;
  return Array.from({ length: n }, () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  });
}

/** How often each token came in n seeded draws. */
export function drawCounts(probabilities, n, seed) {
  let total = 0;
  const edges = probabilities.map((p) => (total += p));
  const counts = new Array(probabilities.length).fill(0);
  for (const u of uniforms(n, seed)) {
    let [low, high] = [0, edges.length - 1]; // the first edge above u
    while (low < high) {
      const middle = (low + high) >> 1;
      if (edges[middle] > u * total) high = middle;
      else low = middle + 1;
    }
    counts[low] += 1;
  }
  return counts;
}
