// LoadBoard's curves: what all runs' loads amount to, step by step, in small charts side by side.

import { path, rules, short, ticks } from "../shared/chart.js";
import { element, shape } from "../shared/common.js";
import { drift, measures } from "./rule.js";

const NAMES = ["max / mean", "entropy of the load", "loss, nats per token", "choices changed"];
const [LEFT, RIGHT] = [30, 6]; // of the curves

/** A run's four curves, each as [steps, values]. */
function linesOf(run, layer, window) {
  const steps = run.points.map((point) => point[0]);
  const means = run.means;
  const each = steps.map((_, i) => measures(means.subarray(i * run.experts, (i + 1) * run.experts)));
  let total = 0,
    known = 0;
  const losses = run.points.map((point, i) => {
    const gone = run.points[i - window];
    if (point[1] !== null) (total += point[1]), known++;
    if (gone && gone[1] !== null) (total -= gone[1]), known--;
    return known ? total / known : NaN;
  });
  return [
    [steps, each.map((one) => one.peak)],
    [steps, each.map((one) => one.evenness)],
    [steps, losses],
    [run.text_steps.slice(1), drift(run, layer)],
  ];
}

/** Each chart's vertical axis: from a value to its share of the height, what is marked on it, and in which words. */
function axesOf(lines, most) {
  const losses = lines.map((line) => line[2][1]);
  const low = Math.min(...losses.flat().filter(Number.isFinite));
  const high = Math.max(
    ...losses.flatMap((values) => values.slice(Math.floor(values.length / 8))).filter(Number.isFinite),
  );
  const changed = Math.max(0.02, ...lines.flatMap((line) => line[3][1]));
  const powers = Array.from({ length: Math.floor(Math.log2(most)) + 1 }, (_, i) => 2 ** i);
  const span = Math.max(1e-6, high - low);
  const round = ticks(span, 4)[1] ?? span;
  const marks = Array.from({ length: 8 }, (_, i) => (Math.ceil(low / round) + i) * round).filter(
    (value) => value <= high,
  );
  return [
    { to: (v) => Math.log2(v / 0.95) / Math.log2((1.05 * most) / 0.95), marks: powers, show: String },
    { to: (v) => v / 1.03, marks: [0, 0.5, 1], show: String },
    { to: (v) => (v - low + 0.05 * span) / (1.07 * span), marks, show: short },
    { to: (v) => v / (1.05 * changed), marks: ticks(changed, 3), show: (v) => `${Math.round(100 * v)}%` },
  ];
}

export function makeCurves(view) {
  const { model, store } = view;
  const root = element("div", { class: "moe-load-charts" });

  const draw = () => {
    const lines = store.runs.map((run) => linesOf(run, view.layerOf(run), model.get("window")));
    const axes = axesOf(lines, Math.max(2, ...store.runs.map((run) => run.experts)));
    const count = lines.some((line) => line[3][0].length) ? 4 : 3;
    root.style.setProperty("--count", String(count));
    while (root.children.length > count) root.lastChild.remove();
    while (root.children.length < count) {
      const svg = shape("svg", { role: "img", height: 128 });
      const plot = view.seekable(element("div", {}, svg, element("i", { class: "moe-cursor" })), LEFT, RIGHT);
      root.append(element("figure", {}, element("figcaption", {}, NAMES[root.children.length]), plot));
    }
    [...root.children].forEach((figure, kind) => {
      const svg = figure.querySelector("svg");
      const [left, right, top, bottom] = [LEFT, figure.clientWidth - RIGHT, 6, 108];
      const { to, marks: shown, show } = axes[kind];
      const toX = (step) => left + ((right - left) * step) / view.end();
      const toY = (value) => bottom - (bottom - top) * Math.min(1.02, to(value));
      svg.replaceChildren(...rules(shown, { left, right, toY, gap: 4, show }));
      for (const step of ticks(view.end(), 3)) {
        svg.append(
          shape(
            "text",
            {
              x: toX(step),
              y: bottom + 14,
              "text-anchor": step ? (toX(step) > right - 12 ? "end" : "middle") : "start",
              class: "quiet",
            },
            short(step),
          ),
        );
      }
      const said = [];
      lines.forEach((line, i) => {
        const [steps, values] = line[kind];
        const good = steps.map((_, n) => n).filter((n) => Number.isFinite(values[n]));
        if (!good.length) return;
        svg.append(
          shape("path", {
            d: path(
              good.map((n) => toX(steps[n])),
              good.map((n) => toY(values[n])),
            ),
            stroke: view.colorOf(i),
            "data-run": i,
          }),
        );
        said.push(`${store.runs[i].name} ${values[good.at(-1)].toFixed(2)}`);
      });
      svg.setAttribute("aria-label", `${NAMES[kind]} over steps, at the end: ${said.join(", ") || "no steps yet"}`);
    });
  };

  /** Let one run's curves stand out; -1 for none. */
  const mark = (i) =>
    root
      .querySelectorAll("path")
      .forEach((one) => one.classList.toggle("faded", i >= 0 && one.dataset.run !== String(i)));
  return { root, draw, mark };
}
