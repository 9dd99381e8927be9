// LoadBoard's text: the tokens of one run at the cursor, each in its expert's color, new choices underlined.

import { element, visible } from "../shared/common.js";
import { expertColors, inkOn } from "../shared/expert_colors.js";
import { drift, NOBODY, newChoices, reached, routes } from "./rule.js";

export function makeText(view) {
  const { model, store, palette } = view;
  const head = element("div", { class: "moe-load-caption", role: "status" });
  const strip = element("div", { class: "moe-load-text" });
  let written = "";

  const draw = (step) => {
    const run = view.shownText();
    head.hidden = strip.hidden = !run;
    if (!run) return (written = "");
    const [row, snapshot] = [Math.min(view.layerOf(run), run.text_shape[0] - 1), reached(run.text_steps, step)];
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
  };
  return { nodes: [head, strip], draw, clear: () => (written = "") };
}
