// A question with its way to answer it: choices, a slider or a typed number, and a button that keeps the answer.

import { element, listen, messageLine, slider } from "../shared/common.js";
import { later, t } from "../shared/language.js";
import { localized } from "./localized.js";
import { allows, positionOf, quoted, shown, stepsOf, typedNumber, valueAt } from "./rule.js";
import { tell } from "./told.js";

/** Radio buttons; `get` gives the picked index, or NaN. @param {import("./rule.js").Question} question */
function choices(question) {
  const group = `moe-prediction-${question.key}-${document.querySelectorAll(".moe-prediction").length}`;
  const radios = question.choices.map((_, i) => element("input", { type: "radio", name: group, value: i }));
  const root = element("div", { class: "moe-prediction-choices", role: "radiogroup", "aria-label": question.ask });
  root.append(...question.choices.map((text, i) => element("label", {}, radios[i], element("span", {}, text))));
  root.addEventListener("keydown", (event) => {
    const radio = radios[Number(event.key) - 1];
    if (radio && !radio.disabled) radio.focus(), (radio.checked = true);
  });
  return {
    root,
    get: () => radios.findIndex((radio) => radio.checked) + (radios.some((radio) => radio.checked) ? 0 : NaN),
    set: (value) => radios.forEach((radio, i) => (radio.checked = i === value)),
  };
}

/**
 * A slider on the question's scale; its place at first is no answer, nor a hint.
 * @param {import("./rule.js").Question} question
 */
function scale(question) {
  const steps = stepsOf(question);
  const middle = Math.round(steps / 2);
  let value = NaN;
  const knob = slider({
    label: t("Your prediction"),
    min: 0,
    max: steps,
    value: middle,
    show: (position) => shown(question, valueAt(question, position)),
    change: (position) => (value = valueAt(question, position)),
  });
  const output = knob.root.querySelector("output");
  if (output) output.textContent = "?";
  knob.input.setAttribute("aria-valuetext", t("not set yet"));
  knob.input.addEventListener("pointerup", () => {
    // also where the hand leaves it in the middle, which no "input" tells
    knob.set(Number(knob.input.value));
    value = valueAt(question, Number(knob.input.value));
  });
  return {
    root: knob.root,
    get: () => value,
    set: (given) => ((value = given), knob.set(positionOf(question, given))),
  };
}

/** A typed number. @param {import("./rule.js").Question} question */
function typed(question) {
  const { low, high, unit } = question;
  const input = element("input", {
    type: "text",
    inputmode: "decimal",
    autocomplete: "off",
    size: 9,
    "aria-label": unit ? t("Your prediction, in {unit}", { unit }) : t("Your prediction"),
    placeholder: t("{low} to {high}", { low: low.toLocaleString("en-US"), high: high.toLocaleString("en-US") }),
  });
  const root = element("label", { class: "moe-knob" }, element("span", {}, t("Your prediction")), input, unit);
  return {
    root,
    get: () => typedNumber(input.value),
    set: (given) => (input.value = String(given)),
  };
}

/** @param {import("../shared/common.js").Context} context */
export function ask({ model, el }) {
  /** @type {import("./rule.js").Question} */
  const question = localized(model.get("questions")[0]);
  const hand = { choice: choices, slider: scale, number: typed }[question.kind](question);
  const sure = element("input", { type: "checkbox" });
  const keep = element("button", { type: "button", onclick: () => give() }, t("Predict"));
  const note = element("span", { class: "moe-prediction-note", "aria-live": "polite" });
  const { line, say } = messageLine();
  const own = question.kind === "choice" ? [] : [hand.root]; // in the same row as the button
  el.append(
    element("div", { class: "moe-prediction-ask" }, element("b", {}, `${t("Predict:")} `), question.ask),
    ...(own.length ? [] : [hand.root]),
    element(
      "div",
      { class: "moe-row" },
      ...own,
      element("label", { class: "moe-knob" }, sure, t("I am sure")),
      keep,
      note,
    ),
    line,
  );
  /** What was given and has not been answered by the kernel, which may be busy. @type {any} */
  let waiting;
  let times = model.get("given").at(-1) ?? 0;

  function give() {
    const value = hand.get();
    if (!allows(question, value)) {
      const [low, high] = [question.low, question.high].map((end) => end.toLocaleString("en-US"));
      const range = t("Type a number from {low} to {high}.", { low, high });
      say({ choice: t("Choose one first."), slider: t("Move the slider first."), number: range }[question.kind]);
      return;
    }
    say("");
    waiting = { answer: value, sure: sure.checked };
    model.set("given", [question.key, value, sure.checked, ++times]);
    model.save_changes();
    draw();
  }
  el.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.target === keep) return;
    event.preventDefault();
    give();
  });

  function draw() {
    const now = waiting ?? model.get("answers")[question.key];
    keep.textContent = t(now ? later("Change") : later("Predict"));
    note.textContent = now
      ? t(now.sure ? later("You predict {answer}, and are sure.") : later("You predict {answer}."), {
          answer: quoted(question, now.answer),
        })
      : "";
    if (now) tell(question.key, now);
  }
  function stands() {
    waiting = undefined;
    const now = model.get("answers")[question.key];
    if (now) hand.set(now.answer), (sure.checked = now.sure);
    draw();
  }
  stands();
  return listen(model, {
    "change:answers": stands,
    "change:message": () => (say(t(model.get("message"))), model.get("message") && stands()),
  });
}
