// LoadBoard on the page: its knobs, its parts, and what follows the cursor through the steps of all runs.

import { board } from "../shared/board.js";
import { element, messageLine, onFrame, openView, slider, whole } from "../shared/common.js";
import { follow, player, putter } from "../shared/habits.js";
import { makeCurves } from "./curves.js";
import { makePanels } from "./panels.js";
import { windowed } from "./rule.js";
import { merge, unpack } from "./runs.js";
import { makeText } from "./text.js";

const FILM = 6000; // ms that a whole run takes to play

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
    show: whole,
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
  /** A box of steps: a pointer pressed on it moves the cursor; `left` and `right` are its margins. */
  const seekable = (box, left = 0, right = 0) => {
    const seek = (event) => {
      if (event.type === "pointermove" && !event.buttons) return;
      const { x, width } = box.getBoundingClientRect();
      const share = (event.clientX - x - left) / (width - left - right);
      film.stop();
      put("at", Math.round(Math.min(1, Math.max(0, share)) * end()));
    };
    box.addEventListener("pointerdown", seek);
    box.addEventListener("pointermove", seek);
    return box;
  };

  // ---- what is seen
  const shownText = () =>
    store.runs.find((run) => run.name === model.get("chosen") && run.text_steps.length) ??
    store.runs.find((run) => run.text_steps.length);
  const colorOf = (i) => palette[i % palette.length];
  const view = { model, store, palette, put, end, layerOf, colorOf, shownText, seekable };
  const [curves, text] = [makeCurves(view), makeText(view)];
  const panels = makePanels(view, curves.mark);
  const legend = element(
    "div",
    { class: "moe-load-legend" },
    "One row per expert, one column per step: ",
    element("i", { class: "busy" }),
    " busier than the mean, ",
    element("i", { class: "idle" }),
    " less busy, blank: balanced. Bars: the load at the cursor, the mean dashed; idle: under a tenth of it.",
  );
  el.append(
    element("div", { class: "moe-row" }, title, layer.root, window_.root),
    line,
    legend,
    panels.root,
    element("div", { class: "moe-row moe-load-time" }, film.button, time.root),
    curves.root,
    ...text.nodes,
  );

  // ---- all that follows the cursor
  const drawCursor = onFrame(() => {
    const step = at();
    time.set(step);
    el.style.setProperty("--at", String(step / end()));
    panels.drawCursor(step);
    text.draw(step);
  });

  const draw = onFrame(() => {
    say(model.get("message"));
    title.textContent = model.get("title");
    window_.set(model.get("window"));
    const deepest = Math.max(0, ...store.runs.map((run) => run.layers - 1));
    layer.input.max = String(deepest);
    layer.root.hidden = !deepest;
    layer.set(Math.min(model.get("layer"), deepest));
    time.input.max = String(end());
    for (const run of store.runs) {
      run.steps = run.points.map((point) => point[0]);
      run.means = windowed(run, layerOf(run), model.get("window"));
    }
    panels.draw();
    curves.draw();
    drawCursor();
  });

  store.views.add(draw);
  const rest = follow(model, el, ["layer", "window", "message", "title"], draw, {
    "change:pieces": () => (text.clear(), draw()),
    "change:at": drawCursor,
    "change:chosen": drawCursor,
  });
  return () => (film.stop(), store.views.delete(draw), rest());
}

export default board((history) => history.map(unpack), merge, render);
