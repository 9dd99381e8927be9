// RouterView's ribbons: from each token to its experts, as thick as its weights. Where they run is computed here, and
// how they are drawn; nothing here knows the page.

const THICK = 9; // pixels of a token's whole weight, where its chip has room
const THIN = 0.7; // pixels of the thinnest ribbon
export const MOST = 1200; // ribbons that are drawn; each token keeps its first ones

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

/** Draw one ribbon as far as `share` of its way; its end is returned, so that something may stand there. */
export function trace(pen, ribbons, i, share = 1) {
  const { foot, x0, y0, x1, y1 } = ribbons;
  const [xa, ya, xb, yb] = [x0[i], y0[i], x1[i], y1[i]];
  const turn = Math.max(ya, foot);
  const drop = turn - ya;
  const stem = drop / (drop + yb - turn || 1); // of the way straight down, behind the lines of text below
  pen.moveTo(xa, ya);
  if (share < stem) {
    const y = ya + (drop * share) / stem;
    pen.lineTo(xa, y);
    return [xa, y];
  }
  if (drop > 0) pen.lineTo(xa, turn);
  const bend = (yb - turn) * 0.56;
  const [y2, y3] = [turn + bend, yb - bend];
  if (share >= 1) {
    pen.bezierCurveTo(xa, y2, xb, y3, xb, yb);
    return [xb, yb];
  }
  // The first part of the curve, by de Casteljau's division.
  const t = (share - stem) / (1 - stem);
  const mix = (a, b) => a + (b - a) * t;
  const [ax, ay] = [xa, mix(turn, y2)];
  const [bx, by] = [mix(xa, xb), mix(y2, y3)];
  const [cx, cy] = [xb, mix(y3, yb)];
  const [dx, dy] = [mix(ax, bx), mix(ay, by)];
  const [ex, ey] = [mix(bx, cx), mix(by, cy)];
  const [fx, fy] = [mix(dx, ex), mix(dy, ey)];
  pen.bezierCurveTo(ax, ay, dx, dy, fx, fy);
  return [fx, fy];
}

/** Draw those ribbons that `chosen` asks for, thin ones over thick ones of the same token. */
export function paint(pen, ribbons, { tints, muted, alpha, chosen = undefined }) {
  pen.lineCap = "butt";
  for (let i = 0; i < ribbons.size; i++) {
    if (chosen && !chosen(i)) continue;
    const lost = ribbons.lost[i];
    pen.globalAlpha = alpha;
    pen.strokeStyle = lost ? muted : tints[ribbons.expert[i]];
    pen.lineWidth = lost ? 1 : ribbons.wide[i];
    if (lost) pen.setLineDash([3, 4]);
    pen.beginPath();
    trace(pen, ribbons, i);
    pen.stroke();
    if (lost) pen.setLineDash([]);
  }
  pen.globalAlpha = 1;
}
