// A question and its measurement in the reader's language, also where what was recorded speaks English.

import { t } from "../shared/language.js";
import { shown, singular } from "./rule.js";

/** @param {import("./rule.js").Question} question @returns {import("./rule.js").Question} */
export function localized(question) {
  const { ask, choices, unit, measure } = question;
  const said = { ask: t(ask), choices: choices.map((choice) => t(choice)), measure: t(measure) };
  return { ...question, ...said, unit: unit && t(unit), one: question.one ?? (unit && t(singular(unit))) };
}

/**
 * What was measured: a number is said anew, a choice keeps the number that it rests on.
 * @param {import("./rule.js").Question} question as it came
 * @param {import("./rule.js").Measured} measured
 * @returns {import("./rule.js").Measured}
 */
export function localizedMeasured(question, measured) {
  const here = localized(question);
  if (question.kind !== "choice") return { ...measured, shown: shown(here, measured.place) };
  const said = measured.shown.replace(question.choices[measured.place], here.choices[measured.place]);
  return { ...measured, shown: question.unit ? said.replace(`${question.unit})`, `${here.unit})`) : said };
}
