// LoadBoard's panels, one a run: its name, a heat map of its load over the steps, and bars of the load at the cursor.

import { element } from "../shared/common.js";
import { expertColors } from "../shared/expert_colors.js";
import { measures, reached, shade } from "./rule.js";

/** `mark` is called with the number of the run under the pointer, or -1. */
export function makePanels(view, mark) {
  const { store, palette } = view;
  const root = element("div", { class: "moe-load-runs" });
  let built = "";

  const build = () => {
    root.replaceChildren(
      ...store.runs.map((run, i) => {
        const canvas = element("canvas", { role: "img" });
        const heat = view.seekable(
          element("div", { class: "moe-heat" }, canvas, element("i", { class: "moe-cursor" })),
        );
        const colors = expertColors(palette, run.experts);
        const bars = element(
          "div",
          { class: "moe-load-bars" },
          element("i", { class: "moe-mean" }),
          ...colors.map((color, e) => element("b", { style: `background: ${color}`, title: `expert ${e}` })),
        );
        const name = element(
          "button",
          { type: "button", onclick: () => view.put("chosen", run.name) },
          run.name || "●",
        );
        const body = element("div", { class: "moe-load-body" }, heat, bars);
        body.style.height = `${Math.min(176, Math.max(84, 8 * run.experts))}px`;
        return element(
          "figure",
          { style: `--run: ${view.colorOf(i)}`, onpointerenter: () => mark(i), onpointerleave: () => mark(-1) },
          element("figcaption", {}, name),
          body,
          element("small"),
        );
      }),
    );
    built = shapes();
  };
  const shapes = () => store.runs.map((run) => `${run.name} ${run.layers} ${run.experts}`).join("|");

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
      const until = ((x + 1) / width) * view.end();
      if ((x / width) * view.end() > steps.at(-1)) break;
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

  const draw = () => {
    if (built !== shapes()) build();
    store.runs.forEach((run, i) => paint(root.children[i].querySelector("canvas"), run, view.layerOf(run)));
  };

  const drawCursor = (step) => {
    store.runs.forEach((run, i) => {
      const panel = root.children[i];
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
      button.setAttribute("aria-pressed", String(run === view.shownText()));
      button.disabled = !run.text_steps.length;
      panel
        .querySelector("canvas")
        .setAttribute(
          "aria-label",
          `${run.name}, layer ${view.layerOf(run)}, step ${run.steps[point]}: ${words.textContent}`,
        );
    });
  };
  return { root, draw, drawCursor };
}
