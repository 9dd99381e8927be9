// Curves: what the widgets that draw them share.

import { shape } from "./common.js";

/** A running mean over about a thirtieth of the run, and less at its start, where the loss falls fast. */
export function smooth(losses) {
  let mean = 0;
  return losses.map((loss, i) => (mean += (loss - mean) / Math.max(1, Math.min(i / 6, losses.length / 30))));
}

/** Round numbers between 0 and `most`, about `count` of them. */
export function ticks(most, count) {
  const rough = most / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough * 0.8);
  return Array.from({ length: Math.floor(most / step + 1e-9) + 1 }, (_, i) => i * step);
}

/** The powers of ten between two exponents: what a logarithmic axis marks. */
export function powers(from, to) {
  return Array.from({ length: Math.floor(to - from) + 1 }, (_, i) => 10 ** (from + i));
}

/** A number on an axis. */
export const short = (value) =>
  value >= 1e6
    ? `${+(value / 1e6).toFixed(2)}M`
    : value >= 1e4
      ? `${+(value / 1e3).toFixed(1)}k`
      : String(+value.toFixed(3));

/** Rules across a chart, `toY(value)` high, each with its number to the left of it. */
export function rules(values, { left, right, toY, gap = 5, show = short }) {
  return values.flatMap((value) => {
    const y = toY(value);
    return [
      shape("line", { x1: left, x2: right, y1: y, y2: y, class: "rule" }),
      shape("text", { x: left - gap, y: y + 4, "text-anchor": "end", class: "quiet" }, show(value)),
    ];
  });
}

/** A line through points, for the attribute `d`. */
export const path = (xs, ys) => xs.map((x, i) => `${i ? "L" : "M"}${x.toFixed(1)} ${ys[i].toFixed(1)}`).join("");

/** Positions at least `gap` apart, in the order given, as near as possible to those asked for. */
export function spread(places, gap, low, high) {
  const order = places.map((_, i) => i).sort((a, b) => places[a] - places[b]);
  const spread = [...places];
  let taken = low - gap;
  for (const i of order) taken = spread[i] = Math.max(places[i], taken + gap);
  taken = high + gap;
  for (const i of order.reverse()) taken = spread[i] = Math.min(spread[i], taken - gap);
  return spread;
}
