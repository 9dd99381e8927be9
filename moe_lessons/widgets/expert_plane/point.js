// What happens at one point of ExpertPlane: a sentence, a row for each expert, and the scores there step by step.

import { element, shape } from "../shared/common.js";
import { inkOn } from "../shared/expert_colors.js";
import { t } from "../shared/language.js";
import { drawAxes, drawCurve } from "./charts.js";
import { mixture, rightAnswer } from "./rule.js";

/** What is seen at a point, in words. */
export function sentence({ order, weights, value }, right, x, y) {
  const sign = (number) => number.toFixed(2).replace("-", "−");
  const at = `(${sign(x)}, ${sign(y)})`;
  const helped = order.length > 1 && weights[0] < 0.995;
  const facts = { first: order[0], counts: weights[0].toFixed(2), second: order[1], with: weights[1]?.toFixed(2) };
  const who = helped
    ? t("expert {first} counts {counts}, then {second} with {with}.", facts)
    : t("expert {first} counts {counts}.", facts);
  const what =
    right === null
      ? t("The mixture says {value}.", { value: sign(value) })
      : t("The mixture says {value}, and should say {right}.", { value: sign(value), right: sign(right) });
  return [t("At {place}", { place: at }), ` ${who} ${what}`];
}

export function makePoint(view) {
  const { colors, truth } = view;
  const note = element("div", { class: "moe-note", "aria-live": "polite" });
  const head = [t("expert"), t("score here"), t("weight"), t("says"), t("works on")].map((name) =>
    element("span", { role: "columnheader" }, name),
  );
  const table = element(
    "div",
    { class: "moe-experts", role: "table", "aria-label": t("The experts at this point") },
    element("div", { role: "row", class: "head" }, ...head),
  );
  const rows = colors.map((color, e) => {
    const fill = element("i", { style: `background: ${color}` });
    const chip = element("b", { role: "cell", style: `background: ${color}; color: ${inkOn(color)}` }, String(e));
    const [weight, says, works] = [0, 1, 2].map(() => element("span", { role: "cell" }));
    const bar = element("span", { role: "cell", class: "bar" }, fill);
    const root = element("div", { role: "row" }, chip, bar, weight, says, works);
    return { root, bar, fill, weight, says, works };
  });
  table.append(...rows.map((row) => row.root));
  const scores = shape("svg", { role: "img", height: 112 });

  /** How much of the plane each expert works on. */
  const drawWork = (run, load) =>
    rows.forEach((row, e) => {
      row.root.hidden = e >= run.experts;
      const share = load[e] ?? 0;
      row.works.textContent = share ? (share < 0.005 ? "<1%" : `${Math.round(100 * share)}%`) : t("nothing");
      row.root.classList.toggle("idle", !share);
    });

  const draw = (run, moment, rolled) => {
    const [x, y] = view.hover ?? view.pin();
    const here = mixture(run, moment, rolled)(x, y, 977);
    const [bold, rest] = sentence(here, truth && rightAnswer(truth, x, y), x, y);
    note.replaceChildren(element("b", {}, bold), rest);
    rows.slice(0, run.experts).forEach((row, e) => {
      const rank = here.order.indexOf(e);
      row.fill.style.width = `${100 * here.scores[e]}%`;
      row.bar.setAttribute("aria-label", here.scores[e].toFixed(2));
      row.root.classList.toggle("chosen", rank >= 0);
      row.weight.textContent = rank < 0 ? "–" : here.weights[rank].toFixed(2);
      row.says.textContent = rank < 0 ? t("not asked") : here.answers[e].toFixed(2).replace("-", "−");
    });
    const where = view.hover ? t("scores here, step by step") : t("scores at the pinned point, step by step");
    const axes = drawAxes(scores, view, where, 1);
    const through = Array.from({ length: view.reached + 1 }, (_, i) => Array.from(mixture(run, i)(x, y).scores));
    for (let e = 0; e < run.experts; e++)
      drawCurve(
        scores,
        view,
        axes,
        through.map((row) => row[e]),
        { class: "line", style: `stroke: color-mix(in srgb, ${colors[e]} 82%, var(--ink))` },
      );
    const highest = Math.max(...here.scores);
    const strongest = here.scores.indexOf(highest);
    scores.setAttribute(
      "aria-label",
      t("Scores at the point over the steps; now expert {expert} has the highest, {score}", {
        expert: strongest,
        score: highest.toFixed(2),
      }),
    );
  };
  return { nodes: [note, table, scores], drawWork, draw };
}
