// Writing text: temperature, top-p, and a reading that keeps what it has read.

import { sampleDistribution, uniforms } from "../../widgets/sampling_view/rule.js";

/**
 * Append sampled tokens, each handed out as it comes; the same seed gives the same text. Temperature 0 is always the
 * likeliest token. An Error of one sentence for an empty prompt, or where there is no room for so many.
 * @param {import("./reading.js").Reading} reading
 * @param {number[]} prompt
 * @param {{newTokens?: number, temperature?: number, topK?: number, topP?: number, seed?: number}} [options]
 * @returns {Generator<number, void>}
 */
export function* generate(reading, prompt, options = {}) {
  const { vocab_size, max_length } = reading.transformer.config;
  const { newTokens = max_length - prompt.length, temperature = 1, topK = 0, topP = 1, seed = 0 } = options;
  checkOptions(prompt.length, newTokens, max_length, temperature, topP);
  const drawn = uniforms(newTokens, seed);
  const ids = [...prompt];
  for (let n = 0; n < newTokens; n++) {
    const { logits, time } = reading.read(ids);
    const last = logits.subarray((time - 1) * vocab_size);
    const id =
      temperature === 0 ? likeliest(last) : draw(sampleDistribution(last, { temperature, topK, topP }), drawn[n]);
    ids.push(id);
    yield id;
  }
}

function checkOptions(length, newTokens, longest, temperature, topP) {
  if (length + newTokens > longest) {
    throw new Error(
      `Prompt and new tokens make ${length + newTokens}, but the model reads at most max_length = ${longest}; ` +
        "shorten the prompt or ask for fewer tokens.",
    );
  }
  if (!(temperature >= 0)) {
    throw new Error(`temperature is ${temperature}, but must be 0 (always the likeliest token) or more`);
  }
  if (!(topP > 0 && topP <= 1)) throw new Error(`top_p is ${topP}, but must be above 0 and at most 1`);
}

/** The id with the largest logit; a tie goes to the lower one. */
export function likeliest(logits) {
  let best = 0;
  for (let id = 1; id < logits.length; id++) if (logits[id] > logits[best]) best = id;
  return best;
}

/** The id at which the probabilities, added up, pass a number from 0 to 1. */
function draw(probabilities, number) {
  let [left, last] = [number, 0];
  for (let id = 0; id < probabilities.length; id++) {
    if (!probabilities[id]) continue;
    last = id;
    if ((left -= probabilities[id]) < 0) return id;
  }
  return last; // rounding left a little over
}
