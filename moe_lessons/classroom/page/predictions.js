// One question with the room's answers, and the measurement once it may be seen.

import { at, rounded, withUnit } from "../../widgets/prediction_view/rule.js";
import { element, shape } from "../../widgets/shared/common.js";

/** Which question to look at: the newest that a quarter of the room has answered. @param {import("./live.js").Question[]} questions */
export function current(questions) {
  const many = questions.findLastIndex(({ answered, room }) => answered > 0 && answered >= room / 4);
  return many >= 0 ? many : questions.length - 1;
}

/** What the room's answers come to, in one sentence. @param {import("./live.js").Question} question */
export function sentence({ answered, late, room, shown, right, measured, kind, unit }) {
  const said = [`${answered} of ${room} predicted.`];
  if (late) said.push(`${late} more did when it stood on their page already.`);
  if (!shown) said.push("The measurement comes when half of the room has predicted.");
  else if (!measured) said.push("No machine of the room has measured it yet.");
  else {
    const [low, high] = [measured.low, measured.high].map(rounded);
    const where = measured.machines === 1 ? "one machine" : `${measured.machines} machines`;
    if (kind !== "choice") said.push(`On ${where}: ${withUnit(low === high ? low : `${low} to ${high}`, unit)}.`);
    said.push(kind === "choice" ? `${right || "None"} chose it.` : `${right || "None"} came close enough to be right.`);
  }
  return said.join(" ");
}

/** @param {import("./live.js").Question} question */
function choices({ choices, bins, measured }) {
  const most = Math.max(1, ...bins);
  return element(
    "ul",
    { class: "choices" },
    ...choices.map((text, i) => {
      const is = measured?.places.includes(i);
      return element(
        "li",
        { class: is ? "is" : "" },
        element("span", { class: "words" }, text, is ? element("b", {}, " ◆ measured") : ""),
        element(
          "span",
          { class: "track" },
          element("span", { class: "bar", style: `width:${(100 * bins[i]) / most}%` }),
        ),
        element("span", { class: "count" }, String(bins[i])),
      );
    }),
  );
}

/** What stands below the axis: each place of a short slider, else both ends and the middle. */
function ticks({ bins, low, high, log, places }) {
  if (places && bins.length <= 11) return bins.map((_, i) => low + (i * (high - low)) / (bins.length - 1));
  return [low, log ? Math.sqrt(low * high) : (low + high) / 2, high];
}

/** @param {import("./live.js").Question} question @param {number} width @param {number} height @param {number} em */
function scale(question, width, height, em) {
  const { bins, measured, high, unit, places } = question;
  const [left, right, top, bottom] = [em, width - em, 2.4 * em, height - 2.2 * em];
  const wide = (right - left) / bins.length;
  const inset = places ? wide / 2 : 0; // a place of a short slider is the middle of its bin
  const x = (/** @type {number} */ value) =>
    left + inset + at(/** @type {any} */ (question), value) * (right - left - 2 * inset);
  /** @type {SVGElement[]} */
  const parts = [];
  if (measured) {
    const [from, to] = [measured.low, measured.high].map(x);
    const half = Math.max(inset, 0.35 * em);
    const middle = Math.min(right - 3 * em, Math.max(left + 3 * em, (from + to) / 2));
    parts.push(
      shape("rect", { class: "band", x: from - half, y: top, width: to - from + 2 * half, height: bottom - top }),
      shape("text", { class: "measured", x: middle, y: top - 0.6 * em, "text-anchor": "middle" }, "◆ measured"),
    );
  }
  const most = Math.max(1, ...bins);
  bins.forEach((count, i) => {
    if (!count) return;
    const tall = ((bottom - top - 1.6 * em) * count) / most;
    const middle = left + (i + 0.5) * wide;
    parts.push(
      shape("rect", { class: "bar", x: left + i * wide + 2, y: bottom - tall, width: wide - 4, height: tall, rx: 3 }),
      shape("text", { x: middle, y: bottom - tall - 0.35 * em, "text-anchor": "middle" }, String(count)),
    );
  });
  parts.push(shape("line", { class: "axis", x1: left, x2: right, y1: bottom, y2: bottom }));
  for (const value of ticks(question)) {
    const words = value === high ? withUnit(rounded(value), unit) : rounded(value);
    const anchor = inset ? "middle" : value === high ? "end" : x(value) === left ? "start" : "middle";
    parts.push(shape("text", { class: "quiet", x: x(value), y: bottom + 1.5 * em, "text-anchor": anchor }, words));
  }
  const label = `Histogram of the room's predictions. ${sentence(question)}`;
  return shape("svg", { role: "img", "aria-label": label, viewBox: `0 0 ${width} ${height}`, height }, ...parts);
}

/**
 * @param {import("./live.js").Question} question
 * @param {{ width: number, height: number, em: number }} room
 * @param {() => void} show
 */
export function draw(question, { width, height, em }, show) {
  const picture = question.kind === "choice" ? choices(question) : scale(question, width, height, em);
  const button = element("button", { type: "button", onclick: show }, "Show the measurement (r)");
  return [
    element("p", { class: "lesson" }, `Lesson ${question.key.slice(0, 2)}`),
    element("h2", {}, question.ask),
    picture,
    element("p", { class: "sum", role: "status" }, sentence(question)),
    ...(question.shown ? [] : [button]),
  ];
}
