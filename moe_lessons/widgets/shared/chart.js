// Curves: what the widgets that draw them share.

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

/** A number on an axis. */
export const short = (value) =>
  value >= 1e6
    ? `${+(value / 1e6).toFixed(2)}M`
    : value >= 1e4
      ? `${+(value / 1e3).toFixed(1)}k`
      : String(+value.toFixed(3));

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
