// Temperature and top-p.

/** Probabilities [vocab] after temperature and nucleus sampling; temperature 0 is the likeliest token alone. */
export function nextTokenDistribution(logits, temperature = 1, topP = 1) {
  throw new Error(`soon ${logits} ${temperature} ${topP}`);
}
