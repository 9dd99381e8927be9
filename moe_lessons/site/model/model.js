// A checkpoint with its tokenizer: all that a page asks of the model.

import { readCheckpoint } from "./checkpoint.js";
import { generate } from "./generate.js";
import { Reading } from "./reading.js";
import { ruleIn } from "./router.js";
import { readTokenizer } from "./tokenizer.js";
import { Transformer } from "./transformer.js";

/** @typedef {import("./index.js").Pass} Pass */
/** @typedef {import("./index.js").Steering} Steering */

/**
 * The model in the bytes of a .safetensors file, with the tokenizer in the text of a tokenizer.json. An Error of one
 * sentence where either is cut off, foreign, or does not fit the other.
 * @param {Uint8Array} bytes @param {string} tokenizerText
 */
export function readModel(bytes, tokenizerText, name = "model") {
  return new Model(readCheckpoint(bytes), readTokenizer(tokenizerText), name);
}

/**
 * The same, made in small steps: after each of them `pause` is awaited.
 * @param {Uint8Array} bytes @param {string} tokenizerText @param {() => Promise<void>} pause
 */
export async function readModelInSteps(bytes, tokenizerText, name, pause) {
  const checkpoint = readCheckpoint(bytes);
  await checkpoint.unpack(pause);
  const tokenizer = readTokenizer(tokenizerText);
  await pause();
  return new Model(checkpoint, tokenizer, name);
}

export class Model {
  /**
   * @param {ReturnType<typeof readCheckpoint>} checkpoint
   * @param {import("./tokenizer.js").Tokenizer} tokenizer
   */
  constructor(checkpoint, tokenizer, name) {
    this.name = name;
    this.config = checkpoint.config;
    this.tokenizer = tokenizer;
    if (tokenizer.vocabSize !== this.config.vocab_size) {
      throw new Error(
        `The tokenizer has ${tokenizer.vocabSize} tokens, but the model knows ${this.config.vocab_size}; ` +
          "load the model's own.",
      );
    }
    this.transformer = new Transformer(checkpoint);
    this.documentId = tokenizer.documentId; // of the token that begins each document; read before any text
    this.routers = this.transformer.blocks.flatMap((block) => (block.moe ? [block.moe.router] : []));
    this.layers = this.routers.map((router) => router.number); // with a router
    /** The routing rule as RoutingRule.as_dict says it; null in a dense model. */
    this.rule = this.config.moe ? ruleIn(this.config.moe) : null;
  }

  /** The ids of a text, without the one that begins a document; an Error for a lone surrogate. @param {string} text */
  encode(text) {
    return this.tokenizer.encode(text);
  }

  /** The text of the ids; bytes that do not make a character become U+FFFD. @param {Iterable<number>} ids */
  decode(ids) {
    return this.tokenizer.decode(ids);
  }

  /** Each id alone, to show; bytes that do not make a character are written \xNN. @param {Iterable<number>} ids */
  pieces(ids) {
    return this.tokenizer.pieces(ids);
  }

  /**
   * A reading that starts: `read(ids)` gives a Pass and computes only what differs from the ids that it read before.
   * @param {Steering} [steering]
   */
  start(steering) {
    return new Reading(this.transformer, steering);
  }

  /**
   * One pass over the ids from the start. @param {number[]} ids
   * @param {Steering & {attention?: boolean}} [options]
   * @returns {Pass}
   */
  forward(ids, options = {}) {
    return this.start(options).read(ids, options);
  }

  /**
   * Write on, one id after the other as they come: `for (const id of model.generate(ids, {...})) ...`. Stop when you
   * like. The same seed writes the same text. `state` is a reading to go on with; without one, a new one starts.
   * @param {number[]} ids a prompt that begins with documentId
   * @param {Steering & {newTokens?: number, temperature?: number, topK?: number, topP?: number, seed?: number,
   *   state?: Reading}} [options] `newTokens`: as many as the model has room for
   */
  generate(ids, options = {}) {
    return generate(options.state ?? this.start(options), ids, options);
  }
}
