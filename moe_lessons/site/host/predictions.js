// Predictions on a page without a kernel: kept in this browser alone, and nowhere else.

import { allows } from "../../widgets/prediction_view/rule.js";
import { later } from "../../widgets/shared/language.js";

const PLACE = "moe-lessons.predictions";
const STANDS = later("You predicted this before, and the measurement is on this page: your prediction stands.");
const FORGOTTEN = later("This browser keeps nothing for this page: your prediction is forgotten when you leave it.");

/** What is kept, by question; nothing where nothing is, or where it makes no sense. */
function kept(storage) {
  try {
    const answers = JSON.parse(storage.getItem(PLACE) ?? "{}");
    return typeof answers === "object" && answers !== null && !Array.isArray(answers) ? answers : {};
  } catch {
    return {};
  }
}

/** An answer as a picture takes it, of a record of any origin; undefined where it is none. */
function sound(question, answer) {
  if (typeof answer !== "object" || !allows(question, answer?.answer)) return undefined;
  return { answer: answer.answer, sure: answer.sure === true, late: true }; // the measurement was there already
}

/**
 * The stand-in for a kernel of one picture; the answers that this browser keeps are in it at once.
 * @param {any} model the picture's, of makeModel
 * @param {() => Storage} open the browser's own; it throws where a page may keep nothing
 * @returns {import("./model.js").Kernel}
 */
export function keeping(model, open = () => localStorage) {
  const questions = Object.fromEntries(model.get("questions").map((question) => [question.key, question]));
  const read = () => {
    let all = {};
    try {
      all = kept(open());
    } catch {
      // a page that may keep nothing: as if nothing were kept
    }
    const known = Object.entries(questions).map(([key, question]) => [key, sound(question, all[key])]);
    return Object.fromEntries(known.filter(([, answer]) => answer));
  };
  model.receive({ answers: read() });
  return {
    saved(names) {
      if (!names.includes("given")) return;
      const [key, value, sure] = model.get("given");
      const question = questions[key];
      if (!question || !allows(question, value)) return;
      const before = { ...model.get("answers"), ...read() };
      if (before[key]) {
        model.receive({ message: "" });
        model.receive({ answers: before, message: STANDS });
        return;
      }
      const answer = { answer: value, sure: sure === true, late: true };
      let message = "";
      try {
        const storage = open();
        const record = { answer: value, sure: sure === true, time: Date.now() / 1000 };
        storage.setItem(PLACE, JSON.stringify({ ...kept(storage), [key]: record }));
      } catch {
        message = FORGOTTEN;
      }
      model.receive({ answers: { ...before, [key]: answer }, message });
    },
  };
}
