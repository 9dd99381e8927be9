// RouterView's play: tokens fall into their bins, layer after layer. With reduced motion the layers take turns, and
// nothing moves.

import { player } from "../shared/habits.js";
import { pointAt } from "./raster.js";

const SPREAD = 1300; // ms from the first token's start to the last one's
const WAY = 900; // ms that one token falls
const PAUSE = 900; // ms in which a layer rests before the next one
const STILL = 1600; // ms that a layer is seen where nothing may move
const [DOT, MOST_NAMED] = [4, 160]; // a token's size when it arrives; with more tokens in sight, none bears its text

/** `moves`: whether anything may; `frame` asks for a picture in which only the falling tokens are others. */
export function makeFall(view, moves, frame) {
  let now; // the layer that falls, and the milliseconds since it began; none while all rest
  let paused = -1; // the row where the hand stopped the film

  const begin = () => {
    const last = view.trace.layers - 1;
    let [row, since] = [paused === view.row && paused < last ? paused : 0, 0];
    view.putLayer(row);
    if (moves()) now = { row, ms: 0 }; // the next frame shows no ribbon that it would take away again
    return (ms) => {
      const still = !moves();
      const whole = still ? STILL : SPREAD + WAY + PAUSE;
      if (ms - since >= whole) {
        if (row >= view.trace.layers - 1) return end();
        since = ms;
        view.putLayer(++row);
      }
      const begins = now?.row !== row || !now.ms;
      now = still ? undefined : { row, ms: ms - since };
      paused = row;
      if (still || begins) view.draw();
      else frame();
      return still ? 100 : 0;
    };
  };
  const end = () => {
    now = undefined;
    paused = -1;
    view.draw();
    return undefined;
  };
  const { button, stop, stands } = player(begin);
  // `player` knows only its own button: a film that is stopped leaves no token in the air.
  button.addEventListener("click", () => {
    if (stands()) now = undefined;
    view.draw();
  });
  const halt = () => {
    if (!stands()) stop();
    now = undefined;
  };

  /** How far a token has fallen, from 0 to 1: it gathers speed. */
  const shareOf = (token) => {
    const start = (SPREAD * token) / Math.max(1, view.trace.tokens);
    const time = (now.ms - start) / WAY;
    return time <= 0 ? 0 : time >= 1 ? 1 : time * time * (1.6 - 0.6 * time);
  };
  const landed = (row) => {
    const { trace } = view;
    const { topK, experts, dropped } = trace.now[row];
    const counts = new Uint32Array(trace.experts);
    for (let token = 0; token < trace.tokens && shareOf(token) >= 1; token++) {
      for (let k = token * topK; k < (token + 1) * topK; k++) if (!dropped?.[k]) counts[experts[k]]++;
    }
    return counts;
  };
  const paint = (pen, ribbons, { tints, muted, ink, chip }) => {
    const named = ribbons.size / ribbons.ranks <= MOST_NAMED;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    let font = 0; // pixels: to set one takes as long as to write with it, so they are few, and neighbors share them
    for (let i = 0; i < ribbons.size; i++) {
      const share = shareOf(ribbons.token[i]);
      if (share <= 0 || share >= 1) continue;
      const [x, y] = pointAt(ribbons, i, share);
      const { text, width, height } = chip(ribbons.token[i]);
      const small = 1 - share * 0.55;
      const [wide, tall] = named ? [width * small, height * small] : [DOT, DOT];
      pen.globalAlpha = ribbons.lost[i] ? 0.4 : 1 - 0.5 * share ** 6;
      pen.fillStyle = ribbons.lost[i] ? muted : tints[ribbons.expert[i]];
      pen.beginPath();
      pen.roundRect(x - wide / 2, y - tall / 2, wide, tall, Math.min(5, tall / 2));
      pen.fill();
      if (!named || share > 0.8) continue;
      pen.fillStyle = ribbons.lost[i] ? ink : view.trace.inks[ribbons.expert[i]];
      const wanted = Math.round(12 * small);
      if (font !== wanted) pen.font = `${(font = wanted)}px ${chip.font}`;
      pen.fillText(text, x, y + 0.5);
    }
    pen.globalAlpha = 1;
  };
  return { button, stop: halt, falling: (row) => (now?.row === row ? { landed, paint, shareOf } : undefined) };
}
