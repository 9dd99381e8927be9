// What a lesson's predictions add up to: sentences, the largest surprise, and a line for each question.

import { element, listen } from "../shared/common.js";
import { t } from "../shared/language.js";
import { localized, localizedMeasured } from "./localized.js";
import { calibration, isRight, quoted, sentences, shown } from "./rule.js";
import { hearing } from "./told.js";

/** @param {import("../shared/common.js").Context} context */
export function sum({ model, el }) {
  /** @type {import("./rule.js").Question[]} */
  const asked = model.get("questions");
  const questions = asked.map(localized);
  /** @type {Record<string, import("./rule.js").Measured>} */
  const measured = Object.fromEntries(
    asked
      .filter(({ key }) => model.get("measured")[key])
      .map((one) => [one.key, localizedMeasured(one, model.get("measured")[one.key])]),
  );
  const words = element("p", { role: "status" });
  const body = element("tbody");
  const heads = [t("Question"), t("You"), t("Measured"), ""].map((text) => element("th", { scope: "col" }, text));
  const table = element("table", {}, element("thead", {}, element("tr", {}, ...heads)), body);
  const open = element("details", {}, element("summary", {}, t("All of them")), table);
  el.append(words, open);
  const told = hearing(model, () => draw());

  function row(question, answer) {
    const fact = measured[question.key];
    const right = answer && fact ? isRight(question, answer.answer, fact.place) : undefined;
    const sign = right === undefined ? "" : right ? t("✓ right") : t("✗ off");
    const cells = [
      answer ? shown(question, answer.answer) + (answer.sure ? t(", sure") : "") : "–",
      fact ? fact.shown : t("not measured yet"),
      sign,
    ];
    return element("tr", {}, element("th", { scope: "row" }, question.ask), ...cells.map((c) => element("td", {}, c)));
  }
  function draw() {
    const answers = told.answers();
    const found = calibration(questions, answers, measured);
    const said = sentences(found);
    const far = questions.find(({ key }) => key === found.surprise);
    if (far)
      said.push(
        t("Your largest surprise: “{ask}” You said {answer}, and it was {measured}.", {
          ask: far.ask,
          answer: quoted(far, answers[far.key].answer),
          measured: measured[far.key].shown,
        }),
      );
    words.textContent = said.join(" ");
    body.replaceChildren(...questions.map((question) => row(question, answers[question.key])));
  }
  draw();
  const silence = listen(model, { "change:answers": draw, "change:measured": draw });
  return () => (silence(), told.end());
}
