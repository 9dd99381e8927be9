// A checkpoint with its tokenizer: all that a page asks of the model.

/** @typedef {import("./index.js").Pass} Pass */
/** @typedef {import("./index.js").Steering} Steering */

/** The model in the bytes of a .safetensors file, with the tokenizer in the text of a tokenizer.json. */
export function readModel(bytes, tokenizerText, name = "model") {
  return new Model(bytes, tokenizerText, name);
}

export class Model {
  constructor(checkpoint, tokenizer, name) {
    this.name = name;
    /** @type {import("./index.js").ModelConfig} */
    this.config = checkpoint.config;
    this.tokenizer = tokenizer;
    this.documentId = 0; // of the token that begins each document; the model reads it before any text
    /** @type {number[]} numbers of the layers with a router */
    this.layers = [];
  }

  /** The ids of a text, without the one that begins a document; an Error for a lone surrogate. @returns {number[]} */
  encode(text) {
    return text;
  }

  /** The text of the ids; bytes that do not make a character become U+FFFD. @returns {string} */
  decode(ids) {
    return ids;
  }

  /** Each id alone, to show; bytes that do not make a character are written \xNN. @returns {string[]} */
  pieces(ids) {
    return ids;
  }

  /**
   * A reading that starts: `read(ids)` gives a Pass and computes only what differs from the ids that it read before.
   * @param {Steering} [steering]
   * @returns {{read(ids: number[]): Pass}}
   */
  start(steering) {
    throw new Error(`soon ${steering}`);
  }

  /**
   * One pass over the ids from the start. @param {number[]} ids
   * @param {Steering & {attention?: boolean}} [options] @returns {Pass}
   */
  forward(ids, options) {
    throw new Error(`soon ${ids} ${options}`);
  }

  /**
   * Write on, one id after the other as they come: `for (const id of model.generate(ids, {...})) ...`. Stop when you
   * like. The same seed writes the same text. `state` is a reading to go on with.
   * @param {number[]} ids a prompt that begins with documentId
   * @param {Steering & {newTokens?: number, temperature?: number, topP?: number, seed?: number, state?: any}} [options]
   * @returns {Generator<number>}
   */
  *generate(ids, options) {
    yield* this.start(options).read(ids).logits;
  }
}
