// Who answers a widget on a page without a kernel: the course's model, fetched when something is first asked.

import { later, t } from "../../widgets/shared/language.js";
import { answersOf, show } from "../answers/index.js";

/** What is elsewhere, and where. @param {string} what */
const elsewhere = (what) =>
  t("{what} is not on this page. Run this cell in JupyterLab (make lab), where the lesson made it.", { what: t(what) });

// A share of the recorded choices, in their order. Rounding moves a near tie here and there, in a short text one of
// some dozens; another model of sixteen experts agrees in hardly more than one of sixteen.
const ALIKE = 0.9;

/** The text of a recorded view, put together from its tokens; where one is no text of its own, it will not match. */
const textOf = (get) => get("facts").pieces.join("");

/** How many of the recorded choices the model makes too, as a share; 0 where it does not even cut the text alike. */
function agreement(model, get) {
  const { tokens, layers, experts, rule } = get("facts");
  const ours = show(model, textOf(get));
  if (ours.facts.tokens !== tokens || ours.facts.layers.length !== layers.length || ours.facts.experts !== experts)
    return 0;
  const count = layers.length * tokens * rule.top_k;
  const chosen = [get("arrays"), ours.arrays].map((view) => {
    const start = view.byteOffset + view.byteLength - 2 * count;
    return new Uint16Array(view.buffer.slice(start, start + 2 * count));
  });
  return chosen[0].reduce((sum, expert, i) => sum + (expert === chosen[1][i] ? 1 : 0), 0) / count;
}

/**
 * What a view writes on with each text, in tokens: a view whose text begins with one of its prompts and goes on was
 * made by a function that writes; 0 for one that only reads.
 */
function writesOn(model, get) {
  const text = textOf(get);
  const prompt = Object.values(get("prompts") ?? {}).find((each) => text.startsWith(each) && text !== each);
  return prompt === undefined ? 0 : model.encode(text).length - model.encode(prompt).length;
}

/** Why this model may not speak for the recorded widget, in one sentence; "" where it may. */
export function refusal(name, model, get) {
  if (name === "RouterView") {
    if (get("other_facts")?.tokens) return elsewhere(later("One of the two models that are compared"));
    return agreement(model, get) < ALIKE ? elsewhere(later("The model behind this picture")) : "";
  }
  if (name === "TokenView") {
    const { text = "", ids = [] } = get("answer") ?? {};
    return model.encode(text).join() === ids.join() ? "" : elsewhere(later("The tokenizer behind this picture"));
  }
  return "";
}

/**
 * The stand-in for a kernel of one widget.
 * @param {string} name the Python class
 * @param {any} model the widget's, of makeModel
 * @param {() => Promise<import("../model/index.js").Model>} load gives the course's model
 * @returns {import("./model.js").Kernel}
 */
export function answering(name, model, load) {
  const counted = (changes) =>
    model.get("answered") === undefined ? changes : { answered: model.get("answered") + 1, ...changes };
  /** Of the recorded state: it is looked at once, before anything is answered. */
  let checked;
  /** Kept, because they remember what they have read: only what is new is computed. */
  let answers;
  const ready = async () => {
    const course = await load();
    checked ??= {
      refusal: refusal(name, course, model.get),
      more: name === "RouterView" ? writesOn(course, model.get) : 0,
    };
    answers ??= answersOf(name, course);
    return course;
  };
  const respond = async (make) => {
    try {
      const course = await ready();
      if (checked.refusal) throw new Error(checked.refusal);
      const changes = make(course);
      if (changes) model.receive(changes);
    } catch (error) {
      model.receive(counted({ message: String(error.message ?? error) }));
    }
  };
  const written = (course, text) => {
    if (!checked.more || !text.trim()) return text;
    const ids = [course.documentId, ...course.encode(text)];
    return text + course.decode([...course.generate(ids, { newTokens: checked.more })]);
  };

  const kernel = /** @type {import("./model.js").Kernel} */ ({});
  if (name === "RouterView")
    kernel.message = (content) =>
      respond((course) =>
        answers.message(model.get, typeof content?.ask === "string" ? { ask: written(course, content.ask) } : content),
      );
  if (name === "TokenView")
    kernel.saved = (names) => names.includes("text") && respond(() => answers.changed(model.get, "text"));
  return kernel;
}
