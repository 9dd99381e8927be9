// What is typed on the front page: routed with every key as soon as the model is there, kept until then.

import { later, t } from "../../widgets/shared/language.js";

const READY = later("Type: each key is routed at once.");
const MOST_NEW = 40; // tokens that the model writes at once
const LATER = later("Your text is routed as soon as the model is here.");

/**
 * @param {object} parts
 * @param {any} parts.model the RouterView's
 * @param {HTMLTextAreaElement} parts.field
 * @param {(sentence: string) => void} parts.say
 * @param {HTMLButtonElement[]} parts.buttons each with a text to try
 */
export function makeTyping({ model, field, say, buttons }) {
  /** @type {import("../answers/index.js").Answers | undefined} */
  let answers;
  /** @type {import("../model/index.js").Model | undefined} */
  let course;
  let writing = 0; // counts what was begun: another text or press ends what is being written
  let routed = model.get("facts").pieces.join("");
  let excuse = LATER;
  let asked = false; // a text waits to be routed: a fast hand or a slow machine routes the last of several keys

  const tell = (content) => {
    const changes = answers.message(model.get, content);
    if (changes) model.receive(changes);
  };
  const route = () => {
    asked = false;
    if (field.value === routed) return;
    routed = field.value;
    try {
      tell({ ask: routed });
      say(model.get("message") ? "" : t(READY));
    } catch (error) {
      say(`${t("This text could not be routed.")} ${error.message}`);
    }
  };
  const soon = () => {
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.text === field.value));
    if (!answers) return say(field.value === routed ? "" : t(excuse));
    // Not in a frame: the view is built anew at once but drawn in the next one, and would be seen empty in this one.
    if (!asked) setTimeout(route);
    asked = true;
  };
  const choose = (text) => {
    writing++;
    field.value = text;
    soon();
  };
  /** One token after the other, each drawn as it comes; `wait` ms between two of them. */
  const write = async (count, wait = 0) => {
    const mine = ++writing;
    const ids = [course.documentId, ...course.encode(field.value)];
    try {
      for (const id of course.generate([...ids], {
        newTokens: Math.min(count, course.config.max_length - ids.length),
      })) {
        if (mine !== writing || id === course.documentId) break;
        ids.push(id);
        field.value = course.decode(ids.slice(1));
        soon();
        await new Promise((resolve) => (wait ? setTimeout(resolve, wait) : requestAnimationFrame(resolve)));
        if (mine !== writing) break;
      }
    } catch (error) {
      say(error.message);
    }
  };

  field.addEventListener("input", () => (writing++, soon()));
  for (const button of buttons) button.addEventListener("click", () => choose(button.dataset.text));

  return {
    choose,
    isAwake: () => Boolean(answers),
    write,
    stop: () => writing++,
    /** @param {HTMLButtonElement} button that says what a press does */
    async writeOn(button) {
      const words = button.textContent;
      if (button.dataset.writes) return writing++;
      button.dataset.writes = "yes";
      button.textContent = t("Stop");
      await write(MOST_NEW);
      delete button.dataset.writes;
      button.textContent = words;
    },
    message(content) {
      if (answers) tell(content);
      else
        model.receive({
          message: t(excuse === LATER ? later("The model is still on its way; ask again when it is here.") : excuse),
          answered: model.get("answered") + 1,
        });
    },
    /** The model will not come: what is typed from now on is answered with this sentence. */
    giveUp: (sentence) => say((excuse = sentence)),
    /**
     * The model is here.
     * @param {import("../model/index.js").Model} model_
     * @param {typeof import("../answers/index.js")} answering
     */
    wake(model_, { answersOf }) {
      course = model_;
      answers = answersOf("RouterView", course);
      model.receive({ can_apply: true });
      say(t(READY));
      soon();
    },
  };
}
