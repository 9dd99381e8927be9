// The widgets' words in the reader's language. The English text is the key; without a catalog it is what is said.

/** @type {Record<string, string>} */
let words = {};

/**
 * Take over the words that a widget's Python half, or the page, brings along; to be called before anything is said.
 * @param {{ get: (name: string) => any }} model
 */
export function speak(model) {
  words = model.get("words") ?? {};
}

/**
 * A text in the reader's language, or itself where no catalog has it; `{name}` stands for a value.
 * @param {string} text
 * @param {Record<string, any>} [values]
 */
export function t(text, values) {
  const said = words[text] ?? text;
  return values ? said.replace(/\{(\w+)\}/g, (place, name) => String(values[name] ?? place)) : said;
}

/** The text itself: marks what `t` is given later, for whoever collects all texts. @param {string} text */
export const later = (text) => text;

/** A piece of text in the quotation marks of the reader's language. @param {string} piece */
export const inQuotes = (piece) => t("“{piece}”", { piece });
