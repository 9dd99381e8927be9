// Where to look first in a trace: a layer in which something happens, and a word that carries meaning. The twin of
// tracing/opening.py, for one text.

import { isVisible } from "./words.js";

/** @typedef {import("./tracer.js").Trace} Trace */

/** The layer whose choices tell most of their tokens, by its number; the first of several such. @param {Trace} trace */
export function tellingLayer(trace, experts) {
  const rows = trace.layers.map((_, row) => row).filter((row) => row || trace.layers.length === 1);
  const told = rows.map((row) => rounded(mean(divergence(trace, row, experts))));
  return trace.layers[rows[told.indexOf(Math.max(...told))]].number;
}

/**
 * The first token of the longest word; among equals first those whose token has more than one letter, then the one that
 * goes its own way in the layer of this row, then the earlier one.
 */
export function tellingToken(trace, row, experts) {
  const told = divergence(trace, row, experts).map(rounded);
  const words = [...wordsIn(trace.pieces)].map(([first, length]) => ({
    first,
    rank: [length, Number(lettersIn(trace.pieces[first]) > 1), told[first]],
  }));
  if (words.length) return words.reduce((best, word) => (isAbove(word.rank, best.rank) ? word : best)).first;
  const seen = trace.pieces.map(isVisible).lastIndexOf(true);
  return seen >= 0 ? seen : trace.ids.length - 1;
}

const isAbove = (rank, other) => {
  const i = rank.findIndex((part, at) => part !== other[at]);
  return i >= 0 && rank[i] > other[i];
};
const isLetter = (sign) => /\p{L}/u.test(sign);
const lettersIn = (piece) => [...piece].filter(isLetter).length;

/** Of each word the token that holds its first letter, and its length in letters. */
function wordsIn(pieces) {
  const words = new Map();
  let first = -1; // of the word that is being read; none
  pieces.forEach((piece, token) => {
    for (const sign of piece) {
      if (!isLetter(sign)) first = -1;
      else {
        if (first < 0) first = token;
        words.set(first, (words.get(first) ?? 0) + 1);
      }
    }
  });
  return words;
}

/** In nats, how far each token's weights, as shares of all experts, are from the mean of all tokens. */
function divergence(trace, row, experts) {
  const { experts: chosen, weights } = trace.layers[row];
  const tokens = trace.ids.length;
  const topK = chosen.length / tokens;
  const shares = Array.from({ length: tokens }, (_, token) => {
    const own = Array.from({ length: topK }, (__, slot) => Math.max(0, Math.fround(weights[token * topK + slot])));
    const total = own.reduce((sum, weight) => sum + weight, 0);
    return own.map((weight) => (total > 0 ? weight / total : 1 / topK));
  });
  const of = new Float64Array(experts);
  shares.forEach((own, token) => {
    own.forEach((share, slot) => {
      of[chosen[token * topK + slot]] += share / tokens;
    });
  });
  return shares.map((own, token) =>
    own.reduce((sum, share, slot) => {
      return share > 0 ? sum + share * Math.log(share / of[chosen[token * topK + slot]]) : sum;
    }, 0),
  );
}

const mean = (numbers) => numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
const rounded = (number) => Math.round(1e9 * number) / 1e9;
