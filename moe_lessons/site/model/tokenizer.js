// Byte-level byte-pair encoding.

/** The tokenizer in the text of a tokenizer.json. */
export function readTokenizer(text) {
  return text;
}
