// What a kernel answers to TokenView: the tokens of the text in its box. widgets/token_view/__init__.py is the twin.

import { wordsOf } from "./words.js";

export const MOST_CHARACTERS = 20_000; // more would make the page slow, and nobody reads it

/** @param {import("../model/index.js").Model} model @returns {import("./index.js").Answers} */
export function tokenView(model) {
  return {
    changed(get, name) {
      if (name !== "text") return null;
      const text = get("text");
      try {
        return { answer: tokenize(model, text), message: "" };
      } catch (error) {
        return { answer: { text }, message: error.message };
      }
    },
  };
}

/** What TokenView shows of a text. */
export function tokenize(model, text) {
  if (!text) throw new Error("the text is empty; type something to see its tokens");
  const characters = lengthOf(text);
  if (characters > MOST_CHARACTERS) {
    throw new Error(
      `the text has ${characters.toLocaleString("en")} characters, but at most ` +
        `${MOST_CHARACTERS.toLocaleString("en")} are shown; shorten it`,
    );
  }
  if (/\p{Surrogate}/u.test(text)) {
    throw new Error("the text holds half of a character (a lone surrogate), which is no UTF-8; delete it");
  }
  const ids = model.encode(text);
  return {
    text,
    ids,
    pieces: model.pieces(ids),
    bytes: ids.map((id) => Array.from(model.tokenizer.bytesOf(id), hexadecimal).join(" ")),
    n_bytes: new TextEncoder().encode(text).length,
    n_words: wordsOf(text).length,
  };
}

const hexadecimal = (byte) => byte.toString(16).padStart(2, "0");

/** Characters as Python counts them: a pair of surrogates is one. */
function lengthOf(text) {
  let count = 0;
  for (const _ of text) count++;
  return count;
}
