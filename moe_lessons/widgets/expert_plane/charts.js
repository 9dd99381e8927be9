// ExpertPlane's charts over the moments of a run: their axes, and curves that end at the present moment.

import { path, rules, short, ticks } from "../shared/chart.js";
import { shape } from "../shared/common.js";

/** Where on a time axis round steps stand: [moment, words], at least `gap` moments apart. */
export function marks(steps, gap) {
  const found = [];
  for (const wanted of [0, 1, 3].concat([1, 2, 3, 4, 5].flatMap((p) => [10 ** p, 3 * 10 ** p]))) {
    const moment = steps.findIndex((step) => step >= wanted);
    if (moment >= 0 && (!found.length || moment - found.at(-1)[0] >= gap)) found.push([moment, short(steps[moment])]);
  }
  return found;
}

/** Empty a chart and draw its axes and the mark of the present moment; gives functions from values to pixels. */
export function drawAxes(svg, { steps, last, moment }, words, top) {
  const [left, right, high, low] = [30, svg.clientWidth - 4, 16, 94];
  const toX = (i) => left + ((right - left) * i) / Math.max(1, last);
  const toY = (value) => low - ((low - high) * Math.min(value, top)) / top;
  svg.replaceChildren(
    shape("text", { x: 0, y: 9, class: "quiet" }, words),
    ...rules(ticks(top, 2), { left, right, toY }),
  );
  for (const [i, text] of marks(steps, (42 * last) / Math.max(1, right - left))) {
    svg.append(
      shape("text", { x: toX(i), y: low + 14, "text-anchor": i === last ? "end" : "middle", class: "quiet" }, text),
    );
  }
  svg.append(shape("line", { x1: toX(moment()), x2: toX(moment()), y1: high - 2, y2: low, class: "now" }));
  return { toX, toY };
}

/** A line up to the present moment, faint from there to the latest that was seen: what comes, readers predict. */
export function drawCurve(svg, { moment, reached }, { toX, toY }, values, attributes) {
  const part = (from, to, more) =>
    svg.append(
      shape("path", {
        d: path(
          values.slice(from, to + 1).map((_, i) => toX(from + i)),
          values.slice(from, to + 1).map(toY),
        ),
        ...attributes,
        ...more,
      }),
    );
  if (reached > moment()) part(moment(), reached, { opacity: 0.3 });
  part(0, moment());
}
