// What LoadBoard computes from loads and snapshots; the still picture computes the same in Python.

export const NOBODY = -1; // in place of an expert's number: nobody worked on the token
const BUSY = [0xd5, 0x5e, 0x00];
const IDLE = [0x00, 0x72, 0xb2];

/** One layer's load, each point the mean of the last `window` points: a Float64Array of points x experts. */
export function windowed({ points, loads, layers, experts }, layer, window) {
  const means = new Float64Array(points.length * experts);
  const total = new Float64Array(experts);
  for (let point = 0; point < points.length; point++) {
    const over = Math.min(window, point + 1);
    for (let e = 0; e < experts; e++) {
      total[e] += loads[(point * layers + layer) * experts + e];
      if (point >= window) total[e] -= loads[((point - window) * layers + layer) * experts + e];
      means[point * experts + e] = total[e] / over;
    }
  }
  return means;
}

/** The busiest expert over the mean, the entropy over the largest, and how many have under a tenth of the mean. */
export function measures(load) {
  const total = load.reduce((sum, one) => sum + one, 0);
  let nats = 0;
  for (const one of load) if (one > 0) nats -= (one / total) * Math.log(one / total);
  return {
    peak: (Math.max(...load) * load.length) / total,
    evenness: load.length > 1 ? nats / Math.log(load.length) : 1,
    idle: load.filter((one) => one * load.length < total / 10).length,
  };
}

/** Color and opacity (0 to 255) of a load over the mean load: nothing at 1, full at none and at 8 times. */
export function shade(ratio) {
  const strength = Math.min(1, Math.abs(Math.log2(Math.max(Number.isNaN(ratio) ? 1 : ratio, 1 / 8))) / 3);
  return [...(ratio > 1 ? BUSY : IDLE), Math.round(255 * strength)];
}

/** The index of the last entry that is not above `at`; 0 where all are. */
export function reached(steps, at) {
  let index = 0;
  while (index + 1 < steps.length && steps[index + 1] <= at) index++;
  return index;
}

/** One layer of a snapshot: for each token its experts, best first. */
export function routes({ text, text_shape: [layers, tokens, k] }, snapshot, layer) {
  const first = (snapshot * layers + layer) * tokens * k;
  return Array.from({ length: tokens }, (_, token) => text.subarray(first + token * k, first + (token + 1) * k));
}

/** How many of a token's experts were not among its experts before. */
export function newChoices(now, before) {
  return now.filter((expert) => expert !== NOBODY && !before.includes(expert)).length;
}

/** The share of choices that are new, for each snapshot after the first. */
export function drift(run, layer) {
  return run.text_steps.slice(1).map((_, i) => {
    const [before, now] = [routes(run, i, layer), routes(run, i + 1, layer)];
    const made = now.reduce((sum, token) => sum + token.filter((expert) => expert !== NOBODY).length, 0);
    return now.reduce((sum, token, t) => sum + newChoices(token, before[t]), 0) / Math.max(1, made);
  });
}
