// RouterView's ribbons: from each token to its experts, as thick as its weights. Where they run is computed here, and
// those that a hand touches are drawn; raster.js paints all of them. Nothing here knows the page.

import { stroke } from "./raster.js";

const THICK = 9; // pixels of a token's whole weight, where its chip has room
const THIN = 0.7; // pixels of the thinnest ribbon
const MOST = 500; // ribbons that are drawn; each token keeps its first ones

/**
 * The ribbons of a layer's routing. `spots` are the tokens that are seen, from left to right: token, x, y of the chip's
 * lower edge, and width; `mouths` the bins' openings: x, y and width; `foot` where the text ends and ribbons may turn.
 */
export function ribbonsOf({ topK, experts, weights, dropped }, spots, mouths, foot) {
  const ranks = Math.max(1, Math.min(topK, Math.floor(MOST / Math.max(1, spots.length))));
  const size = spots.length * ranks;
  const ribbons = {
    size,
    ranks,
    foot,
    token: new Int32Array(size),
    expert: new Uint16Array(size),
    lost: new Uint8Array(size),
    x0: new Float32Array(size),
    y0: new Float32Array(size),
    x1: new Float32Array(size),
    y1: new Float32Array(size),
    wide: new Float32Array(size),
  };
  let whole = 1e-9; // the largest weight that a token gives away in all
  for (const { token } of spots) {
    let total = 0;
    for (let k = token * topK; k < (token + 1) * topK; k++) total += weights[k];
    whole = Math.max(whole, total);
  }
  const arriving = new Float32Array(mouths.length);
  let at = 0;
  for (const { token, x, y, width } of spots) {
    const unit = Math.min(THICK, Math.max(3, width - 3)) / whole;
    let total = 0;
    for (let k = 0; k < ranks; k++) total += weights[token * topK + k];
    let left = x + width / 2 - (total * unit) / 2;
    for (let k = 0; k < ranks; k++, at++) {
      const choice = token * topK + k;
      const wide = weights[choice] * unit;
      ribbons.token[at] = token;
      ribbons.expert[at] = experts[choice];
      ribbons.lost[at] = dropped ? dropped[choice] : 0;
      ribbons.x0[at] = left + wide / 2;
      ribbons.y0[at] = y;
      ribbons.wide[at] = Math.max(THIN, wide);
      left += wide;
      arriving[experts[choice]] += ribbons.wide[at];
    }
  }
  // In a mouth they lie side by side as their tokens stand; where it is too narrow, they overlap evenly.
  const taken = new Float32Array(mouths.length);
  for (let i = 0; i < size; i++) {
    const expert = ribbons.expert[i];
    const { x, y, width } = mouths[expert];
    const room = Math.max(1, width - 4);
    const squeeze = Math.min(1, room / arriving[expert]);
    const start = x + width / 2 - (arriving[expert] * squeeze) / 2;
    ribbons.x1[i] = start + (taken[expert] + ribbons.wide[i] / 2) * squeeze;
    ribbons.y1[i] = y + 1;
    taken[expert] += ribbons.wide[i];
  }
  return ribbons;
}

/** Stroke the ribbons that `chosen` asks for: a few, which a hand touches. */
export function paint(pen, ribbons, { tints, muted, alpha, chosen }) {
  pen.globalAlpha = alpha;
  for (let i = 0; i < ribbons.size; i++) {
    if (!chosen(i)) continue;
    const lost = ribbons.lost[i];
    pen.strokeStyle = lost ? muted : tints[ribbons.expert[i]];
    pen.lineWidth = lost ? 1 : ribbons.wide[i];
    pen.setLineDash(lost ? [4, 3] : []);
    stroke(pen, ribbons, i);
  }
  pen.globalAlpha = 1;
}
