// What predictions come to: words, distances and sums, as moe_lessons/predictions computes them in Python.

import { inQuotes, later, t } from "../shared/language.js";

/**
 * @typedef {object} Question
 * @property {string} key
 * @property {string} ask
 * @property {"choice" | "slider" | "number"} kind
 * @property {string[]} choices
 * @property {number[]} cuts
 * @property {number} low
 * @property {number} high
 * @property {number} step
 * @property {boolean} log
 * @property {string} unit
 * @property {string} [one] the singular of the unit, in another language
 * @property {number} within
 * @property {number} factor
 * @property {string} measure
 * @typedef {{ answer: number, sure: boolean, late?: boolean }} Answer
 * @typedef {{ place: number, shown: string }} Measured
 */

const ROUNDING = 1e-9;
const STEPS = 100; // of a slider of ratios
const FEW = 3; // below that, shares say nothing

/** Three digits that count, whole numbers from a thousand on. @param {number} number */
export function rounded(number) {
  if (number === 0) return "0";
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(number))));
  const [whole, part = ""] = number.toFixed(Math.min(digits, 100)).split(".");
  const some = part.replace(/0+$/, "");
  return whole.replace(/\B(?=(\d{3})+$)/g, ",") + (some && `.${some}`);
}

/** The singular of an English unit. @param {string} unit */
export const singular = (unit) => unit.replace(/^(?!times)([a-z]{3,})s$/, "$1");

/**
 * "4 experts", "1 expert", "8%".
 * @param {string} text
 * @param {string} unit a plural, where there is one
 * @param {string} [one] its singular
 */
export function withUnit(text, unit, one = singular(unit)) {
  if (unit === "%" || !unit) return text + unit;
  return `${text} ${text === "1" ? one : unit}`;
}

/** An answer or a measurement in words. @param {Question} question @param {number} place */
export function shown(question, place) {
  return question.kind === "choice" ? question.choices[place] : withUnit(rounded(place), question.unit, question.one);
}

/** The same within a sentence: a choice's words stand in quotes. @param {Question} question @param {number} place */
export function quoted(question, place) {
  return question.kind === "choice" ? inQuotes(shown(question, place)) : shown(question, place);
}

/**
 * A number as somebody types it; NaN for what is none. Commas part thousands where each has three digits behind it, as
 * in "1,500"; a single other one is a decimal comma: "0,5", and "0,125", too.
 * @param {string} text
 */
export function typedNumber(text) {
  const written = text.replace(/[\s_]/g, "").replace(/%$/, "");
  if (!written) return NaN;
  if (/^[-+]?[1-9]\d{0,2}(,\d{3})+(\.\d*)?$/.test(written)) return Number(written.replace(/,/g, ""));
  return Number(/^[-+]?\d*,\d*$/.test(written) ? written.replace(",", ".") : written);
}

/** Whether a question allows an answer. @param {Question} question @param {any} value */
export function allows(question, value) {
  if (typeof value !== "number" || !Number.isFinite(value)) return false;
  if (question.kind === "choice") return Number.isInteger(value) && value >= 0 && value < question.choices.length;
  return value >= question.low && value <= question.high;
}

/**
 * How far an answer is from the measurement, in units of what is still right.
 * @param {Question} question @param {number} answer @param {number} measured
 */
export function distance(question, answer, measured) {
  if (question.kind === "choice")
    return 2 * (question.cuts.length ? Math.abs(answer - measured) : Number(answer !== measured));
  if (question.factor)
    return measured > 0 ? Math.abs(Math.log(answer / measured)) / Math.log(question.factor) : Infinity;
  return Math.abs(answer - measured) / question.within;
}

/** @param {Question} question @param {number} answer @param {number} measured */
export const isRight = (question, answer, measured) => distance(question, answer, measured) <= 1 + ROUNDING;

/**
 * What the answers whose measurement is known add up to.
 * @param {Question[]} questions
 * @param {Record<string, Answer>} answers
 * @param {Record<string, Measured>} measured
 */
export function calibration(questions, answers, measured) {
  const counted = questions.filter(({ key }) => answers[key] && measured[key]);
  const [off, right] = [{}, new Set()];
  for (const question of counted) {
    const { key } = question;
    off[key] = distance(question, answers[key].answer, measured[key].place);
    if (off[key] <= 1 + ROUNDING) right.add(key);
  }
  const wrong = counted.filter(({ key }) => !right.has(key));
  const scaled = wrong.filter(({ kind }) => kind !== "choice");
  const sure = counted.filter(({ key }) => answers[key].sure);
  const more = (one, other) =>
    off[one.key] > off[other.key] ||
    (off[one.key] === off[other.key] && answers[one.key].sure && !answers[other.key].sure);
  const furthest = wrong.reduce((best, one) => (best && !more(one, best) ? best : one), undefined);
  return {
    asked: questions.length,
    answered: counted.length,
    right: right.size,
    sure: sure.length,
    sure_right: sure.filter(({ key }) => right.has(key)).length,
    late: counted.filter(({ key }) => answers[key].late).length,
    too_high: scaled.filter(({ key }) => answers[key].answer > measured[key].place).length,
    too_low: scaled.filter(({ key }) => answers[key].answer < measured[key].place).length,
    surprise: furthest?.key ?? "",
  };
}

/** What a calibration says, in sentences. @param {ReturnType<typeof calibration>} sum @returns {string[]} */
export function sentences(sum) {
  if (!sum.answered) return [t("You predicted none of {asked}. The questions stand where the lesson asks them.", sum)];
  const others = sum.answered - sum.sure;
  const said = [t("You predicted {answered} of {asked}, and {right} came out right.", sum)];
  if (sum.sure && others) {
    const others_right = sum.right - sum.sure_right;
    said.push(
      t("You were sure of {sure}, and {sure_right} of them did; of the other {others}, {others_right} did.", {
        ...sum,
        others,
        others_right,
      }),
    );
    // where all came out right, or none, there is nothing to compare
    if (Math.min(sum.sure, others) >= FEW && sum.right > 0 && sum.right < sum.answered) {
      const more = sum.sure_right / sum.sure > others_right / others;
      said.push(
        t(
          more
            ? later("You were right more often where you were sure.")
            : later("You were not right more often where you were sure."),
        ),
      );
    }
  } else if (sum.sure) said.push(t("You were sure of each."));
  if (sum.too_high + sum.too_low > 1)
    said.push(t("Numbers that were off: {too_high} too high, {too_low} too low.", sum));
  if (sum.late) said.push(t("{late} were given when the measurement stood on the page already.", sum));
  return said;
}

/** Where a value lies on the question's scale, from 0 to 1. @param {Question} question @param {number} value */
export function at(question, value) {
  const { low, high } = question;
  const share = question.log ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
  return Math.min(1, Math.max(0, share));
}

/** How many steps a question's slider has. @param {Question} question */
export const stepsOf = ({ low, high, step, log }) => (log ? STEPS : Math.round((high - low) / step));

/** The value at a step of the slider, two digits of it where steps are ratios. @param {Question} question */
export function valueAt(question, position) {
  const { low, high, step } = question;
  if (!question.log) return Number(Math.min(high, low + position * step).toPrecision(12));
  if (position === 0 || position === STEPS) return position ? high : low;
  return Math.min(high, Math.max(low, Number((low * (high / low) ** (position / STEPS)).toPrecision(2))));
}

/** The step of the slider that is nearest to a value. @param {Question} question @param {number} value */
export const positionOf = (question, value) => Math.round(at(question, value) * stepsOf(question));
