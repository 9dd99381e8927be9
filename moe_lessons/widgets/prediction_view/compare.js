// A prediction beside its measurement: both on one scale, or both in the list of choices.

import { element, shape } from "../shared/common.js";
import { follow } from "../shared/habits.js";
import { later, t } from "../shared/language.js";
import { localized, localizedMeasured } from "./localized.js";
import { at, isRight, quoted, rounded, shown } from "./rule.js";
import { hearing } from "./told.js";

const [HEIGHT, LEVEL, MARGIN] = [44, 22, 12];

/**
 * In one sentence, what was predicted and what was measured.
 * @param {import("./rule.js").Question} question
 * @param {import("./rule.js").Measured} measured
 * @param {import("./rule.js").Answer | undefined} answer
 */
export function verdict(question, measured, answer) {
  const { measure } = question;
  const facts = `${measure[0].toUpperCase()}${measure.slice(1)}: ${measured.shown}.`;
  if (!answer) return { sign: "–", words: `${facts} ${t("You did not predict it.")}`, right: undefined };
  const right = isRight(question, answer.answer, measured.place);
  const saying = right
    ? answer.sure
      ? later("You predicted {answer}, and were sure.")
      : later("You predicted {answer}.")
    : answer.sure
      ? later("You predicted {answer}, and were sure: a surprise.")
      : later("You predicted {answer}: a surprise.");
  const said = t(saying, { answer: quoted(question, answer.answer) });
  return { sign: right ? "✓" : "✗", words: `${facts} ${said}`, right };
}

/** The part of the scale in which an answer is right, as two values. */
function band(question, place) {
  if (question.factor) return [place / question.factor, place * question.factor];
  return [place - question.within, place + question.within];
}

/** Both on the question's scale: a diamond for the measurement in the band that is right, a ring for the answer. */
function scale(question, measured, answer, width, label) {
  const x = (value) => MARGIN + at(question, value) * (width - 2 * MARGIN);
  const [from, to] = band(question, measured.place).map(x);
  const here = x(measured.place);
  /** @type {SVGElement[]} */
  const parts = [
    shape("line", { class: "rule", x1: MARGIN, x2: width - MARGIN, y1: LEVEL, y2: LEVEL }),
    shape("rect", { class: "band", x: from, y: LEVEL - 7, width: Math.max(1, to - from), height: 14, rx: 3 }),
    shape("path", { class: "measured", d: `M${here} ${LEVEL - 8}l7 8l-7 8l-7 -8z` }),
  ];
  if (answer) parts.push(shape("circle", { class: "answer", cx: x(answer.answer), cy: LEVEL, r: 7 }));
  for (const [value, anchor] of /** @type {[number, string][]} */ ([
    [question.low, "start"],
    [question.high, "end"],
  ])) {
    const words = value === question.low ? rounded(value) : shown(question, value);
    parts.push(shape("text", { class: "quiet", x: x(value), y: HEIGHT, "text-anchor": anchor }, words));
  }
  return shape(
    "svg",
    { role: "img", "aria-label": label, viewBox: `0 0 ${width} ${HEIGHT}`, height: HEIGHT },
    ...parts,
  );
}

/** The choices, with who stands behind each. */
function list(question, measured, answer) {
  const rows = question.choices.map((text, i) => {
    const who = [
      i === measured.place && element("b", { class: "measured" }, t("◆ measured")),
      i === answer?.answer && element("b", { class: "answer" }, t("○ you")),
    ].filter(Boolean);
    return element("li", { class: i === measured.place ? "is" : "" }, element("span", {}, text), ...who);
  });
  return element("ul", { class: "moe-prediction-list" }, ...rows);
}

/** @param {import("../shared/common.js").Context} context */
export function compare({ model, el }) {
  /** @type {import("./rule.js").Question} */
  const asked = model.get("questions")[0];
  const question = localized(asked);
  const measured = localizedMeasured(asked, model.get("measured")[question.key]);
  const sign = element("b", { class: "moe-prediction-sign" });
  const words = element("span", { role: "status" });
  const place = element("div");
  el.append(element("div", { class: "moe-prediction-verdict" }, sign, words), place);
  const told = hearing(model, () => draw());
  function draw() {
    const answer = told.answers()[question.key];
    const said = verdict(question, measured, answer);
    sign.textContent = said.sign;
    sign.className = `moe-prediction-sign ${said.right === undefined ? "" : said.right ? "right" : "wrong"}`;
    if (words.textContent !== said.words) words.textContent = said.words;
    const width = Math.min(el.clientWidth || 560, 560);
    place.replaceChildren(
      question.kind === "choice"
        ? list(question, measured, answer)
        : scale(question, measured, answer, width, said.words),
    );
  }
  draw();
  const silence = follow(model, el, ["answers"], draw);
  return () => (silence(), told.end());
}
