// The board's other views: who has passed what, mistakes, routers, and the ledger over all machines.

import { rounded, withUnit } from "../../widgets/prediction_view/rule.js";
import { brief, element } from "../../widgets/shared/common.js";

/** @param {number} value */
const number = (value) => (Math.abs(value) >= 1e6 ? brief(value) : rounded(value));

/** A table with a head; a cell is a text or an element. */
function table(heads, rows, kind = "") {
  const head = element("tr", {}, ...heads.map((text) => element("th", { scope: "col" }, text)));
  const cell = (content, i) => element(i ? "td" : "th", i ? {} : { scope: "row" }, ...[content].flat());
  const body = rows.map((row) => element("tr", {}, ...row.map(cell)));
  return element("table", { class: kind }, element("thead", {}, head), element("tbody", {}, ...body));
}

const STATES = ["not tried", "tried", "passed"];

/** Who has passed which exercise: a card for each name. @param {import("./live.js").Lesson} lesson */
export function exercises({ lesson, exercises, rows }) {
  const legend = exercises.map((name, i) => {
    const passed = rows.filter(({ marks }) => marks[i] === 2).length;
    return element("li", {}, element("b", {}, `${i + 1} `), element("code", {}, name), ` ${passed} of ${rows.length}`);
  });
  const cards = rows.map(({ name, marks }) => {
    const squares = marks.map((mark, i) =>
      element(
        "span",
        { class: `mark m${mark}`, role: "img", "aria-label": `${exercises[i]} ${STATES[mark]}` },
        mark === 2 ? "✓" : String(i + 1),
      ),
    );
    return element("li", {}, element("bdi", {}, name), element("span", { class: "marks" }, ...squares));
  });
  return [
    element("p", { class: "lesson" }, `Lesson ${lesson}`),
    element("ol", { class: "legend" }, ...legend),
    element("ul", { class: "cards" }, ...cards),
  ];
}

/** @param {import("./live.js").Mistake[]} mistakes */
export function mistakes(mistakes) {
  const rows = mistakes.map(({ exercise, count, hint }) =>
    element(
      "article",
      { class: "mistake" },
      element("b", { class: "big" }, String(count)),
      element("div", {}, element("code", {}, exercise), element("p", {}, hint)),
    ),
  );
  return [element("p", { class: "lesson" }, "How many make it now"), ...rows];
}

/** @param {import("./live.js").Board["routers"]} routers */
export function routers({ rows, left_out, elsewhere }) {
  const best = rows.filter(({ state }) => state === 0);
  const cells = rows.map((row) => {
    const place = row.state ? "–" : `${best.indexOf(row) + 1}.`;
    const name = [row.router, element("small", {}, " ", element("bdi", {}, row.whose || "the course’s"))];
    if (row.state === 2) return [place, name, "refused", "", "", ""];
    const loss = row.state ? `${row.loss.toFixed(3)}, over the budget` : row.loss.toFixed(3);
    return [place, name, loss, row.peak.toFixed(2), `${row.pace.toFixed(2)} ×`, row.live.toFixed(2)];
  });
  const heads = ["Place", "Router", "Held-out loss", "Max/mean", "Time of a step", "Experts a token"];
  const notes = [
    left_out && `${left_out} more`,
    elsewhere && `${elsewhere} runs under other conditions not shown`,
    "time with the course’s softmax router on the same machine as 1",
  ].filter(Boolean);
  return [table(heads, cells, "routers"), element("p", { class: "sum" }, notes.join(" · "))];
}

/** A number over all machines. @param {import("./live.js").Spread} spread */
function spread({ lesson, unit, machines, low, high, middle }) {
  const [from, to] = [low, high].map(number);
  const words =
    from === to
      ? `${from} on ${machines === 1 ? "one" : `all ${machines}`}`
      : `${number(middle)} (${from} to ${to} on ${machines})`;
  return element("div", {}, element("b", {}, words), element("small", {}, ` ${withUnit("", unit)}, lesson ${lesson}`));
}

/** @param {import("./live.js").ClaimLine[]} claims */
export function ledger(claims) {
  const rows = claims.map(({ claim, numbers, verdicts }) => {
    const words = Object.entries(verdicts).map(([word, count]) => element("div", {}, `${word}: ${count}`));
    return [claim, numbers.map(spread), words.length ? words : "not closed yet"];
  });
  return [table(["The claim", "Measured, over the room’s machines", "Verdicts"], rows, "ledger")];
}
