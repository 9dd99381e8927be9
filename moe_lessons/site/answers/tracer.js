// A text in, its routing out: what tracing/ask.py answers, with or without knobs turned.

const N_GUESSES = 5; // next tokens noted after each token

/**
 * What a router did to a text, without the token that begins the document.
 * @typedef {object} Trace
 * @property {number[]} ids
 * @property {string[]} pieces
 * @property {import("../model/index.js").LayerRouting[]} layers
 * @property {number[]} nats what each token cost after those before it
 * @property {[string, number][][]} guesses after each token, the likeliest next ones and how likely
 */

/** Answers texts with their traces in `model`; what was read before is not read again. */
export class Tracer {
  /** @param {import("../model/index.js").Model} model */
  constructor(model) {
    if (!model.rule)
      throw new Error("The model has no router to record; use a mixture of experts, such as course-moe.");
    this.model = model;
    this.plain = new ReadText(model);
    this.turned = { asked: "", read: this.plain }; // the last knobs, with what was read under them
  }

  /** @param {string} text @returns {Trace} */
  ask(text) {
    if (!text) throw new Error("the prompt is empty; type at least one character");
    const ids = this.model.encode(text);
    const longest = this.model.config.max_length - 1;
    const over = ids.length - longest;
    if (over > 0) {
      throw new Error(
        `the prompt has ${ids.length.toLocaleString("en")} tokens, but the model reads at most ${longest} of a ` +
          `prompt; shorten it by ${over.toLocaleString("en")} ${over === 1 ? "token" : "tokens"}`,
      );
    }
    return this.plain.trace(ids);
  }

  /**
   * The same ids read with the routers turned, in these layers (all by default), and as the model is.
   * @param {number[]} ids
   * @param {import("../model/index.js").Knobs} knobs
   * @param {number[] | null} [layers]
   * @returns {{before: Trace, after: Trace}}
   */
  apply(ids, knobs, layers = null) {
    const asked = JSON.stringify([knobs, layers]);
    if (this.turned.asked !== asked) this.turned = { asked, read: new ReadText(this.model, { knobs, layers }) };
    return { before: this.plain.trace(ids), after: this.turned.read.trace(ids) };
  }
}

/** One reading, and what is told of each of its positions. */
class ReadText {
  /** @param {import("../model/index.js").Steering} [steering] */
  constructor(model, steering) {
    this.model = model;
    this.reading = model.start(steering);
    this.next = []; // of each position: the logarithm of what its logits' exponentials sum to, and its guesses
  }

  /** @param {number[]} ids without the one that begins a document @returns {Trace} */
  trace(ids) {
    const { model, reading, next } = this;
    const { vocab_size: vocab, moe } = model.config;
    const n = moe.n_routed_experts;
    const { time, kept, logits, layers } = reading.read([model.documentId, ...ids]);
    next.length = Math.min(next.length, kept);
    for (let at = next.length; at < time; at++) next.push(this.readNext(logits.subarray(at * vocab, (at + 1) * vocab)));
    return {
      ids,
      pieces: model.pieces(ids),
      layers: layers.map(({ number, topK, scores, logits, experts, weights }) => ({
        number,
        topK,
        scores: scores.slice(n),
        logits: logits.slice(n),
        experts: experts.slice(topK),
        weights: weights.slice(topK),
      })),
      nats: ids.map((id, i) => next[i].total - logits[i * vocab + id]),
      guesses: ids.map((_, i) => next[i + 1].guesses),
    };
  }

  readNext(logits) {
    const best = likeliest(logits, N_GUESSES);
    const highest = logits[best[0]];
    let sum = 0;
    for (let id = 0; id < logits.length; id++) sum += Math.exp(logits[id] - highest);
    const pieces = this.model.pieces(best);
    const shares = best.map((id) => Math.exp(logits[id] - highest) / sum);
    return { total: highest + Math.log(sum), guesses: best.map((_, i) => [pieces[i], shares[i]]) };
  }
}

/** The ids of the `count` largest logits, largest first; a tie goes to the lower id. */
function likeliest(logits, count) {
  const best = [];
  for (let id = 0; id < logits.length; id++) {
    if (best.length === count && logits[id] <= logits[best[count - 1]]) continue;
    let place = Math.min(best.length, count - 1);
    for (; place > 0 && logits[id] > logits[best[place - 1]]; place--) best[place] = best[place - 1];
    best[place] = id;
  }
  return best;
}
