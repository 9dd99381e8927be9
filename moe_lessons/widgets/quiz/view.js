// A quiz: one question at a time; choosing an option shows at once why it is right or wrong.

import { element } from "../shared/common.js";
import { arrow, putter } from "../shared/habits.js";
import { later, speak, t } from "../shared/language.js";

/** Split a text at backticks: [{text, code}], where code marks what stood between two of them. */
export function spans(text) {
  return text
    .split("`")
    .map((part, i) => ({ text: part, code: i % 2 === 1 }))
    .filter((span) => span.text !== "");
}

/** How the quiz stands: {answered, right, rightAtFirst, total}, from the latest and the first choices (-1: none). */
export function score(questions, chosen, first) {
  const isRight = (question, option) => option >= 0 && question.options[option]?.right === true;
  return {
    total: questions.length,
    answered: chosen.filter((option) => option >= 0).length,
    right: questions.filter((question, i) => isRight(question, chosen[i])).length,
    rightAtFirst: questions.filter((question, i) => isRight(question, first[i])).length,
  };
}

/** The lists after a choice: the latest always moves, the first only once. */
export function choose(chosen, first, question, option) {
  const replace = (list) => list.map((old, i) => (i === question ? option : old));
  return { chosen: replace(chosen), first: first[question] < 0 ? replace(first) : first };
}

/** One sentence on how the quiz stands. */
export function scoreLine({ total, answered, right, rightAtFirst }) {
  if (answered === 0) return t("{total} questions; nothing is counted against you.", { total });
  const line = t("{right} of {total} right, {first} at the first try.", { right, total, first: rightAtFirst });
  return answered < total ? `${line} ${t("{count} to go.", { count: total - answered })}` : line;
}

function marked(text) {
  return spans(text).map((span) => (span.code ? element("code", {}, span.text) : span.text));
}

/** A question in the reader's language, also where what was recorded speaks English. */
function localized({ ask, options }) {
  return {
    ask: t(ask),
    options: options.map(({ text, why, ...rest }) => ({ ...rest, text: t(text), why: t(why) })),
  };
}

/** @param {import("../shared/common.js").Context} context */
function render({ model, el }) {
  speak(model);
  const title = t(model.get("title"));
  const questions = model.get("questions").map(localized);
  // Radio buttons need a group name of their own in every view of the quiz on the page.
  const group = `moe-quiz-${model.get("lesson")}-${document.querySelectorAll(".moe-quiz").length}`;
  el.classList.add("moe-quiz");
  el.setAttribute("role", "group");
  el.setAttribute("aria-label", title);
  el.addEventListener("keydown", (event) => event.stopPropagation());

  const pips = element("div", { class: "moe-quiz-pips" });
  pips.setAttribute("role", "group");
  pips.setAttribute("aria-label", t("Questions"));
  const head = element(
    "div",
    { class: "moe-quiz-head" },
    element("span", { class: "moe-quiz-title" }, ...marked(title)),
    pips,
  );
  const card = element("div", { class: "moe-quiz-card" });
  const back = element("button", { class: "moe-quiz-step" }, t("Back"));
  const next = element("button", { class: "moe-quiz-step" }, t("Next"));
  const line = element("span", { class: "moe-quiz-score" });
  line.setAttribute("aria-live", "polite");
  el.append(head, card, element("div", { class: "moe-quiz-foot" }, back, next, line));
  back.type = next.type = "button";

  const put = putter(model);
  const go = (position) => {
    put("position", Math.max(0, Math.min(questions.length - 1, position)));
  };
  back.addEventListener("click", () => go(model.get("position") - 1));
  next.addEventListener("click", () => go(model.get("position") + 1));

  const isRight = (i, option) => option >= 0 && questions[i].options[option].right;

  function drawPips() {
    const position = model.get("position");
    pips.replaceChildren(
      ...questions.map((_, i) => {
        const option = model.get("chosen")[i];
        const state = option < 0 ? "open" : isRight(i, option) ? "right" : "wrong";
        const sign = { open: String(i + 1), right: "✓", wrong: "✗" }[state];
        const pip = element("button", { class: `moe-quiz-pip ${state}` }, sign);
        pip.type = "button";
        if (i === position) pip.setAttribute("aria-current", "step");
        pip.setAttribute(
          "aria-label",
          t("Question {number}: {state}", {
            number: i + 1,
            state: { open: t("not answered"), right: t("right"), wrong: t("not right") }[state],
          }),
        );
        pip.addEventListener("click", () => go(i));
        return pip;
      }),
    );
    back.disabled = position === 0;
    next.disabled = position === questions.length - 1;
    line.textContent = scoreLine(score(questions, model.get("chosen"), model.get("first")));
  }

  function drawCard() {
    const i = model.get("position");
    const question = questions[i];
    const ask = element("div", { class: "moe-quiz-ask" }, ...marked(question.ask));
    ask.id = `${group}-${i}`;
    const options = element("div", { class: "moe-quiz-options" });
    options.setAttribute("role", "radiogroup");
    options.setAttribute("aria-labelledby", ask.id);
    const why = element("div", { class: "moe-quiz-why" });
    why.setAttribute("aria-live", "polite");

    const radios = question.options.map((option, o) => {
      const radio = element("input");
      radio.type = "radio";
      radio.name = `${group}-${i}`;
      radio.addEventListener("change", () => answer(o));
      options.append(
        element(
          "label",
          { class: "moe-quiz-option" },
          radio,
          element("span", {}, ...marked(option.text)),
          element("b", { class: "moe-quiz-sign" }),
        ),
      );
      return radio;
    });

    function answer(option) {
      const after = choose(model.get("chosen"), model.get("first"), i, option);
      model.set("chosen", after.chosen);
      put("first", after.first);
    }

    // Arrows only move: an option is chosen by Space, Enter or its number, so that reading on gives nothing away.
    options.addEventListener("keydown", (event) => {
      const at = radios.indexOf(event.target);
      const step = arrow(event);
      if (step) {
        radios[(at + step + radios.length) % radios.length].focus();
      } else if (event.key === "Enter") {
        event.preventDefault();
        if (at >= 0) radios[at].click();
      } else if (Number(event.key) >= 1 && Number(event.key) <= radios.length) {
        radios[Number(event.key) - 1].focus();
        radios[Number(event.key) - 1].click();
      }
    });

    function drawAnswer() {
      const option = model.get("chosen")[i];
      const right = isRight(i, option);
      [...options.children].forEach((label, o) => {
        radios[o].checked = o === option;
        label.classList.toggle("right", o === option && right);
        label.classList.toggle("wrong", o === option && !right);
        label.querySelector(".moe-quiz-sign").textContent = o === option ? (right ? "✓" : "✗") : "";
      });
      why.hidden = option < 0;
      why.className = `moe-quiz-why ${right ? "right" : "wrong"}`;
      why.replaceChildren();
      if (option >= 0) {
        why.append(
          element("b", {}, `${t(right ? later("Right.") : later("Not quite."))} `),
          ...marked(question.options[option].why),
        );
      }
    }

    const count = element(
      "div",
      { class: "moe-quiz-count" },
      t("Question {number} of {total}", { number: i + 1, total: questions.length }),
    );
    card.replaceChildren(count, ask, options, why);
    drawAnswer();
    return drawAnswer;
  }

  let drawAnswer = () => {};
  const onPosition = () => {
    const inside = head.contains(document.activeElement);
    drawAnswer = drawCard();
    drawPips();
    if (inside) /** @type {HTMLElement} */ (pips.children[model.get("position")]).focus();
  };
  const onChosen = () => {
    drawAnswer();
    drawPips();
  };
  if (questions.length) onPosition();
  model.on("change:position", onPosition);
  model.on("change:chosen", onChosen);
  model.on("change:first", drawPips);
  return () => {
    model.off("change:position", onPosition);
    model.off("change:chosen", onChosen);
    model.off("change:first", drawPips);
  };
}

export default { render };
