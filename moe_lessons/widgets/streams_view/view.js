import { path, powers, rules, spread, ticks } from "../shared/chart.js";
import { element, messageLine, nearest, numbers, onFrame, openView, shape, slider } from "../shared/common.js";
import { follow, putter } from "../shared/habits.js";
import { problem, sums, through } from "./rule.js";

const SIZES = [0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 8];
const STEPS = [0, 1, 2, 3, 4, 5, 7, 10, 15, 20, 30, 50];
const NAMES = ["streams", "size", "iterations", "depth", "own"];

/** A cell of the table: two digits behind the point, fewer where there are many before it. */
export function short(value) {
  const size = Math.abs(value);
  const words = size < 9.995 ? value.toFixed(2) : size < 999.5 ? value.toFixed(0) : value.toExponential(0);
  return words
    .replace(/^-0\.00$/, "0.00")
    .replace("-", "−")
    .replace("e+", "e");
}

/** A factor in two digits, or in a power of ten. */
export function times(factor) {
  return factor >= 1e4 || (factor > 0 && factor < 1e-3)
    ? factor.toExponential(0).replace("e+", "e").replace("-", "−")
    : String(Number(factor.toPrecision(2)));
}

/** @param {import("../shared/common.js").Context} context */
function render({ model, el }) {
  openView(el, "moe-streams", "Residual streams that mix");
  const palette = model.get("palette");
  const [noise, first] = [numbers(model.get("noise"), Float32Array), numbers(model.get("first"), Float32Array)];
  const put = putter(model);
  const { line, say } = messageLine();
  const stepped = (label, list, name, show) =>
    slider({
      label,
      min: 0,
      max: list.length - 1,
      value: nearest(list, model.get(name)),
      show: (i) => show(list[i]),
      change: (i) => put(name, list[i]),
    });
  const size = stepped("Size of the logits", SIZES, "size", String);
  const iterations = stepped("Sinkhorn's iterations", STEPS, "iterations", (n) =>
    n ? String(n) : "0: left as they are",
  );
  const depth = slider({
    label: "Mixings",
    min: 1,
    max: noise.length / model.get("streams") ** 2,
    value: model.get("depth"),
    change: (n) => put("depth", n),
  });
  const own = slider({
    label: "Own logit",
    min: 0,
    max: 8,
    step: 0.5,
    value: model.get("own"),
    change: (n) => put("own", n),
  });
  const note = element("div", { class: "moe-note", "aria-live": "polite" });
  const table = shape("svg", { role: "img", viewBox: "0 0 250 262", height: 262 });
  const chart = shape("svg", { role: "img" });
  const box = element("div", { class: "moe-depth" }, chart);
  el.append(
    element("div", { class: "moe-row" }, size.root, iterations.root),
    element("div", { class: "moe-row" }, depth.root, own.root),
    line,
    note,
    element("div", { class: "moe-pair" }, element("div", { class: "moe-matrix" }, table), box),
  );

  const draw = onFrame(() => {
    const state = {
      noise,
      first,
      streams: model.get("streams"),
      size: model.get("size"),
      iterations: model.get("iterations"),
      depth: model.get("depth"),
      own: model.get("own"),
    };
    const wrong = problem(state);
    say(wrong || model.get("message"));
    [table, chart].forEach((node) => node.classList.toggle("moe-stale", Boolean(wrong)));
    if (wrong) return;
    size.set(nearest(SIZES, state.size));
    iterations.set(nearest(STEPS, state.iterations));
    depth.set(state.depth);
    own.set(state.own);
    own.input.disabled = !state.iterations;
    const done = through(state);
    const grown = Math.max(...done.sizes[state.depth]) / Math.max(...done.sizes[0]);
    const tell = (words) => element("b", {}, words);
    note.replaceChildren(
      `After ${state.depth} mixings the largest stream is `,
      tell(`${times(grown)} times`),
      " as large as at first; ",
      tell(`${(100 * done.apart).toFixed(0)}%`),
      " of what the streams hold sets them apart.",
    );
    drawTable(done.matrix, state.streams, state.depth);
    drawChart(done.sizes, state);
  });

  function drawTable(matrix, n, at) {
    const [left, top, cell] = [22, 36, 168 / n];
    const most = Math.max(1, ...matrix.map(Math.abs));
    const { rows, columns } = sums(matrix, n);
    const middle = (place) => (place + 0.5) * cell;
    const text = (x, y, words, look) => shape("text", { x, y: y + 4, class: look }, words);
    table.replaceChildren(
      shape("text", { x: left, y: 12, class: "quiet" }, `Mixing ${at}: from row to column`),
      ...rows.map((_, i) => text(left + middle(i), top - 12, String(i), "sum")),
      ...rows.map((_, i) => text(left - 12, top + middle(i), String(i), "sum")),
      ...matrix.flatMap((value, i) => {
        const [x, y] = [left + (i % n) * cell, top + Math.floor(i / n) * cell];
        const deep = Math.round((55 * Math.abs(value)) / most);
        const fill = `fill: color-mix(in srgb, ${palette[value < 0 ? 3 : 0]} ${deep}%, transparent)`;
        return [
          shape("rect", { x: x + 1, y: y + 1, width: cell - 2, height: cell - 2, rx: 3, style: fill }),
          text(x + cell / 2, y + cell / 2, short(value), "cell"),
        ];
      }),
      ...rows.map((sum, i) => text(left + n * cell + 28, top + middle(i), short(sum), "sum")),
      ...columns.map((sum, i) => text(left + middle(i), top + n * cell + 14, short(sum), "sum")),
      shape("text", { x: left, y: top + n * cell + 38, class: "quiet" }, "right and below: what they add up to"),
    );
    const span = (list) => `${short(Math.min(...list))} to ${short(Math.max(...list))}`;
    table.setAttribute("aria-label", `Mixing ${at}: rows add up to ${span(rows)}, columns to ${span(columns)}`);
  }

  function drawChart(sizes, { depth: last, streams }) {
    const [left, top, bottom] = [46, 12, 208];
    const right = Math.max(160, box.clientWidth - 66);
    const all = sizes.flat();
    const low = Math.floor(Math.min(-1, Math.log10(Math.max(1e-300, Math.min(...all)))));
    const high = Math.ceil(Math.max(1, Math.log10(Math.max(...all))));
    const toX = (point) => left + ((right - left) * point) / last;
    const toY = (value) => bottom - ((bottom - top) * (Math.log10(Math.max(1e-300, value)) - low)) / (high - low);
    const every = Math.ceil((high - low) / 6);
    const marks = powers(low, high).filter((_, i) => i % every === 0);
    chart.setAttribute("height", String(bottom + 36));
    chart.replaceChildren(
      ...rules(marks, {
        left,
        right,
        toY,
        show: (value) => (value >= 0.01 && value <= 1000 ? String(+value.toPrecision(1)) : times(value)),
      }),
      ...ticks(last, 5).map((point) =>
        shape("text", { x: toX(point), y: bottom + 15, "text-anchor": "middle", class: "quiet" }, String(point)),
      ),
      shape(
        "text",
        { x: (left + right) / 2, y: bottom + 31, "text-anchor": "middle", class: "quiet" },
        "mixings (upward: root mean square of each stream)",
      ),
    );
    const names = Array.from({ length: streams }, (_, stream) => stream);
    const ends = spread(
      names.map((stream) => toY(sizes[last][stream])),
      13,
      top,
      bottom,
    );
    for (const stream of names) {
      const color = palette[stream % palette.length];
      const ys = sizes.map((row) => toY(row[stream]));
      chart.append(
        shape("path", {
          d: path(
            sizes.map((_, point) => toX(point)),
            ys,
          ),
          class: "curve",
          stroke: color,
          "data-stream": stream,
        }),
        shape(
          "text",
          {
            x: right + 7,
            y: ends[stream] + 4,
            class: "named",
            style: `fill: color-mix(in srgb, ${color} 78%, var(--ink))`,
          },
          `stream ${stream}`,
        ),
      );
    }
    const said = names.map((stream) => `stream ${stream} ${times(sizes[last][stream])}`).join(", ");
    chart.setAttribute("aria-label", `Root mean square after ${last} mixings: ${said}`);
  }

  return follow(model, el, [...NAMES, "message"], draw);
}

export default { render };
