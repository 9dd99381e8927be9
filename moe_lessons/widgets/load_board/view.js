import { board } from "../shared/board.js";
import { path, short, ticks } from "../shared/chart.js";
import { element, messageLine, numbers, onFrame, openView, shape, slider, visible } from "../shared/common.js";
import { expertColors, inkOn } from "../shared/expert_colors.js";
import { follow, player, putter } from "../shared/habits.js";
import { drift, measures, NOBODY, newChoices, reached, routes, shade, windowed } from "./rule.js";

const FILM = 6000; // ms that a whole run takes to play

/** A run as the widget keeps it: its arrays as numbers, `loads` with one row of layers x experts a point. */
export function unpack(state) {
  return {
    ...state,
    points: [...state.points],
    loads: numbers(state.loads, Float32Array),
    text: numbers(state.text, Int16Array),
  };
}

/** Add what one run gained to the runs; false where something before it is missing, and nothing is added. */
export function merge(runs, { run: name, first, points, loads }) {
  const run = runs.find((one) => one.name === name);
  if (!run?.points.length || first > run.points.length) return false;
  run.points.splice(first, Infinity, ...points);
  const kept = run.loads.subarray(0, first * run.layers * run.experts);
  const gained = numbers(loads, Float32Array);
  run.loads = new Float32Array(kept.length + gained.length);
  run.loads.set(kept);
  run.loads.set(gained, kept.length);
  return true;
}

/** @param {import("../shared/common.js").Context} context */
function render({ model, el }, store) {
  openView(el, "moe-loads", "Experts' load in several runs, step by step");
  const palette = model.get("palette");
  const { line, say } = messageLine();
  const title = element("b", { class: "moe-title" }, model.get("title"));
  const put = putter(model, 150);
  const end = () =>
    Math.max(
      1,
      ...store.runs.map((run) => Math.max(run.points.at(-1)?.[0] ?? 0, run.unit === "steps" ? (run.total ?? 0) : 0)),
    );
  const latest = () => Math.max(0, ...store.runs.map((run) => run.points.at(-1)?.[0] ?? 0));
  const at = () => (model.get("at") < 0 ? latest() : Math.min(model.get("at"), end()));
  const layerOf = (run) => Math.min(model.get("layer"), run.layers - 1);

  // ---- knobs
  const time = slider({
    label: "Step",
    min: 0,
    max: 1,
    value: 0,
    show: (step) => step.toLocaleString("en-US"),
    change: (step) => (film.stop(), put("at", step)),
  });
  const layer = slider({ label: "Layer", min: 0, max: 0, value: 0, change: (row) => put("layer", row) });
  const window_ = slider({
    label: "Mean over",
    min: 1,
    max: 100,
    value: 10,
    show: (n) => (n === 1 ? "1 step" : `${n} steps`),
    change: (n) => put("window", n),
  });
  time.root.classList.add("moe-time");
  const film = player(() => {
    const from = at() > 0.95 * latest() ? 0 : at();
    return (ms) => {
      const step = Math.round(from + (ms / FILM) * end());
      const over = step >= latest();
      put("at", over ? -1 : step);
      return over ? undefined : 0;
    };
  });
  const seek =
    (box, left = 0, right = 0) =>
    (event) => {
      if (event.type === "pointermove" && !event.buttons) return;
      const { x, width } = box.getBoundingClientRect();
      const share = (event.clientX - x - left) / (width - left - right);
      film.stop();
      put("at", Math.round(Math.min(1, Math.max(0, share)) * end()));
    };

  const panels = element("div", { class: "moe-load-runs" });
  const charts = element("div", { class: "moe-load-charts" });
  const legend = element(
    "div",
    { class: "moe-load-legend" },
    "One row per expert, one column per step: ",
    element("i", { class: "busy" }),
    " busier than the mean, ",
    element("i", { class: "idle" }),
    " less busy, blank: balanced. Bars: the load at the cursor, the mean dashed; idle: under a tenth of it.",
  );
  const head = element("div", { class: "moe-load-caption", role: "status" });
  const strip = element("div", { class: "moe-load-text" });
  el.append(
    element("div", { class: "moe-row" }, title, layer.root, window_.root),
    line,
    legend,
    panels,
    element("div", { class: "moe-row moe-load-time" }, film.button, time.root),
    charts,
    head,
    strip,
  );

  // ---- one panel a run: name, heat map, bars
  const colorOf = (i) => palette[i % palette.length];
  const shownText = () =>
    store.runs.find((run) => run.name === model.get("chosen") && run.text_steps.length) ??
    store.runs.find((run) => run.text_steps.length);
  const build = () => {
    panels.replaceChildren(
      ...store.runs.map((run, i) => {
        const canvas = element("canvas", { role: "img" });
        const heat = element("div", { class: "moe-heat" }, canvas, element("i", { class: "moe-cursor" }));
        heat.addEventListener("pointerdown", seek(heat));
        heat.addEventListener("pointermove", seek(heat));
        const colors = expertColors(palette, run.experts);
        const bars = element(
          "div",
          { class: "moe-load-bars" },
          element("i", { class: "moe-mean" }),
          ...colors.map((color, e) => element("b", { style: `background: ${color}`, title: `expert ${e}` })),
        );
        const name = element("button", { type: "button", onclick: () => put("chosen", run.name) }, run.name || "●");
        const body = element("div", { class: "moe-load-body" }, heat, bars);
        body.style.height = `${Math.min(176, Math.max(84, 8 * run.experts))}px`;
        return element(
          "figure",
          { style: `--run: ${colorOf(i)}`, onpointerenter: () => mark(i), onpointerleave: () => mark(-1) },
          element("figcaption", {}, name),
          body,
          element("small"),
        );
      }),
    );
    built = store.runs.map((run) => `${run.name} ${run.layers} ${run.experts}`).join("|");
  };
  let built = "";
  const mark = (i) =>
    charts
      .querySelectorAll("path")
      .forEach((one) => one.classList.toggle("faded", i >= 0 && one.dataset.run !== String(i)));

  /** A heat map one pixel per column of the screen, each the mean of the points it covers, and one pixel per expert. */
  function paint(canvas, run, row) {
    const width = Math.max(1, Math.round(canvas.clientWidth * (globalThis.devicePixelRatio || 1)));
    const { experts, layers, points, loads } = run;
    canvas.width = width;
    canvas.height = experts;
    const context = canvas.getContext("2d");
    const image = context.createImageData(width, experts);
    const steps = points.map((point) => point[0]);
    let point = 0;
    for (let x = 0; x < width && points.length; x++) {
      const until = ((x + 1) / width) * end();
      if ((x / width) * end() > steps.at(-1)) break;
      const first = point;
      while (point < points.length - 1 && steps[point] < until) point++;
      const last = Math.max(first, point - (steps[point] >= until && point > first ? 1 : 0));
      const sum = new Float64Array(experts);
      for (let p = first; p <= last; p++)
        for (let e = 0; e < experts; e++) sum[e] += loads[(p * layers + row) * experts + e];
      const mean = sum.reduce((all, one) => all + one, 0) / experts;
      for (let e = 0; e < experts; e++) image.data.set(shade(sum[e] / mean), 4 * (e * width + x));
    }
    context.putImageData(image, 0, 0);
  }

  // ---- curves of all runs together
  const NAMES = ["max / mean", "entropy of the load", "loss, nats per token", "choices changed"];
  function drawCharts() {
    const lines = store.runs.map((run) => {
      const steps = run.points.map((point) => point[0]);
      const means = run.means;
      const each = steps.map((_, i) => measures(means.subarray(i * run.experts, (i + 1) * run.experts)));
      let total = 0,
        known = 0;
      const losses = run.points.map((point, i) => {
        const gone = run.points[i - model.get("window")];
        if (point[1] !== null) (total += point[1]), known++;
        if (gone && gone[1] !== null) (total -= gone[1]), known--;
        return known ? total / known : NaN;
      });
      return [
        [steps, each.map((one) => one.peak)],
        [steps, each.map((one) => one.evenness)],
        [steps, losses],
        [run.text_steps.slice(1), drift(run, layerOf(run))],
      ];
    });
    const most = Math.max(2, ...store.runs.map((run) => run.experts));
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
    const axes = [
      { to: (v) => Math.log2(v / 0.95) / Math.log2((1.05 * most) / 0.95), marks: powers, show: String },
      { to: (v) => v / 1.03, marks: [0, 0.5, 1], show: String },
      { to: (v) => (v - low + 0.05 * span) / (1.07 * span), marks, show: short },
      { to: (v) => v / (1.05 * changed), marks: ticks(changed, 3), show: (v) => `${Math.round(100 * v)}%` },
    ];
    const count = lines.some((line) => line[3][0].length) ? 4 : 3;
    charts.style.setProperty("--count", String(count));
    while (charts.children.length > count) charts.lastChild.remove();
    while (charts.children.length < count) {
      const svg = shape("svg", { role: "img", height: 128 });
      const figure = element(
        "figure",
        {},
        element("figcaption", {}, NAMES[charts.children.length]),
        element("div", {}, svg, element("i", { class: "moe-cursor" })),
      );
      figure.lastChild.addEventListener("pointerdown", seek(figure.lastChild, 30, 6));
      figure.lastChild.addEventListener("pointermove", seek(figure.lastChild, 30, 6));
      charts.append(figure);
    }
    [...charts.children].forEach((figure, kind) => {
      const svg = figure.querySelector("svg");
      const [left, right, top, bottom] = [30, figure.clientWidth - 6, 6, 108];
      const { to, marks: shown, show } = axes[kind];
      const toX = (step) => left + ((right - left) * step) / end();
      const toY = (value) => bottom - (bottom - top) * Math.min(1.02, to(value));
      svg.replaceChildren();
      for (const value of shown) {
        svg.append(
          shape("line", { x1: left, x2: right, y1: toY(value), y2: toY(value), class: "rule" }),
          shape("text", { x: left - 4, y: toY(value) + 4, "text-anchor": "end", class: "quiet" }, show(value)),
        );
      }
      for (const step of ticks(end(), 3)) {
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
            stroke: colorOf(i),
            "data-run": i,
          }),
        );
        said.push(`${store.runs[i].name} ${values[good.at(-1)].toFixed(2)}`);
      });
      svg.setAttribute("aria-label", `${NAMES[kind]} over steps, at the end: ${said.join(", ") || "no steps yet"}`);
    });
  }

  // ---- all that follows the cursor
  const drawCursor = onFrame(() => {
    const step = at();
    time.set(step);
    el.style.setProperty("--at", String(step / end()));
    store.runs.forEach((run, i) => {
      const panel = panels.children[i];
      if (!panel || !run.means || !run.points.length) return; // not drawn yet
      const [button, words] = [panel.querySelector("button"), panel.lastChild];
      const point = reached(run.steps, step);
      const load = run.means.subarray(point * run.experts, (point + 1) * run.experts);
      const { peak, evenness, idle } = measures(load);
      const mean = load.reduce((sum, one) => sum + one, 0) / load.length;
      const widest = Math.max(4 * mean, ...load) || 1;
      /** @type {NodeListOf<HTMLElement>} */
      const inside = panel.querySelectorAll(".moe-load-bars > *");
      const [line_, ...bars] = inside;
      line_.style.left = `${(100 * mean) / widest}%`;
      bars.forEach((bar, e) => (bar.style.width = `${(100 * load[e]) / widest}%`));
      words.textContent = !(mean > 0)
        ? "nobody worked"
        : `max/mean ${peak.toFixed(2)}, entropy ${evenness.toFixed(2)}, ${idle || "none"} idle`;
      button.setAttribute("aria-pressed", String(run === shownText()));
      button.disabled = !run.text_steps.length;
      panel
        .querySelector("canvas")
        .setAttribute(
          "aria-label",
          `${run.name}, layer ${layerOf(run)}, step ${run.steps[point]}: ${words.textContent}`,
        );
    });
    drawText(step);
  });

  let written = "";
  function drawText(step) {
    const run = shownText();
    head.hidden = strip.hidden = !run;
    if (!run) return (written = "");
    const [row, snapshot] = [Math.min(layerOf(run), run.text_shape[0] - 1), reached(run.text_steps, step)];
    const key = `${store.version} ${run.name} ${row} ${snapshot}`;
    if (key === written) return;
    written = key;
    const pieces = model.get("pieces");
    const [now, before] = [routes(run, snapshot, row), routes(run, Math.max(0, snapshot - 1), row)];
    const colors = expertColors(palette, run.experts);
    const share = snapshot
      ? drift(
          {
            ...run,
            text_steps: run.text_steps.slice(0, 2),
            text: run.text.subarray((snapshot - 1) * run.text_shape.reduce((a, b) => a * b)),
          },
          row,
        )[0]
      : 0;
    head.replaceChildren(
      element("b", {}, `The text in “${run.name}”, layer ${row}, step ${run.text_steps[snapshot]}. `),
      snapshot
        ? `${Math.round(100 * share)}% of its choices are new since step ${run.text_steps[snapshot - 1]}: underlined.`
        : "Colored by each token’s expert, numbered.",
    );
    if (strip.children.length !== pieces.length)
      strip.replaceChildren(...pieces.map((piece) => element("span", {}, visible(piece), element("sub"))));
    now.forEach((experts, token) => {
      const span = /** @type {HTMLElement} */ (strip.children[token]);
      const best = experts[0];
      const known = [...experts].filter((expert) => expert !== NOBODY);
      span.style.background = best === NOBODY ? "var(--wash)" : colors[best];
      span.style.color = best === NOBODY ? "var(--muted)" : inkOn(colors[best]);
      span.lastChild.textContent = best === NOBODY ? "–" : best;
      span.classList.toggle("new", snapshot > 0 && newChoices(experts, before[token]) > 0);
      const then = [...before[token]].filter((expert) => expert !== NOBODY);
      span.title = `${known.length ? `expert ${known.join(", ")}` : "no expert"}; before: ${then.join(", ") || "none"}`;
    });
  }

  const draw = onFrame(() => {
    say(model.get("message"));
    title.textContent = model.get("title");
    window_.set(model.get("window"));
    const deepest = Math.max(0, ...store.runs.map((run) => run.layers - 1));
    layer.input.max = String(deepest);
    layer.root.hidden = !deepest;
    layer.set(Math.min(model.get("layer"), deepest));
    time.input.max = String(end());
    if (built !== store.runs.map((run) => `${run.name} ${run.layers} ${run.experts}`).join("|")) build();
    store.runs.forEach((run, i) => {
      run.steps = run.points.map((point) => point[0]);
      run.means = windowed(run, layerOf(run), model.get("window"));
      paint(panels.children[i].querySelector("canvas"), run, layerOf(run));
    });
    drawCharts();
    drawCursor();
  });

  store.views.add(draw);
  const rest = follow(model, el, ["layer", "window", "message", "title"], draw, {
    "change:pieces": () => ((written = ""), draw()),
    "change:at": drawCursor,
    "change:chosen": drawCursor,
  });
  return () => (film.stop(), store.views.delete(draw), rest());
}

export default board((history) => history.map(unpack), merge, render);
