// Text as Python cuts it.

// What Python calls white space: Unicode's, and four separators of ASCII.
const BLANKS = new RegExp(`[\\p{White_Space}${String.fromCharCode(28, 29, 30, 31)}]+`, "u");

/** The words of a text: str.split in Python. @param {string} text */
export function wordsOf(text) {
  return text.split(BLANKS).filter(Boolean);
}

/** Whether a piece holds more than blanks. @param {string} piece */
export function isVisible(piece) {
  return wordsOf(piece).length > 0;
}
