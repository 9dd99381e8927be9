// What a kernel answers to the course's widgets, made by the model in the browser. Nothing here touches the page.
//
//   const answers = answersOf("RouterView", model);       // null for a widget that never asks
//   const changes = answers.message?.(get, content);      // a message that the front end sent
//   const changes = answers.changed?.(get, "text");       // a trait that it saved
//
// `get(name)` reads the widget's present traits. The changes are traits to set, all at once: bytes as DataView, the
// counters (`drawn`, `answered`) already one higher. null: the message is none of theirs. The widget's own Python is
// the twin; whatever goes wrong becomes its `message`, one sentence.

/**
 * @typedef {Record<string, any>} Changes
 * @typedef {(name: string) => any} Get
 * @typedef {object} Answers
 * @property {(get: Get, content: any) => Changes | null} [message]
 * @property {(get: Get, name: string) => Changes | null} [changed]
 * @typedef {import("../model/index.js").Model} Model
 */

/**
 * @param {string} widget the Python class's name: "RouterView", "TokenView"
 * @param {Model} model
 * @returns {Answers | null}
 */
export function answersOf(widget, model) {
  throw new Error(`soon ${widget} ${model}`);
}

/**
 * The traits of an AttentionView of this text: pieces, shape, weights, layer, head, query; what the lessons make of
 * `record_attention`. An Error of one sentence for a text that the model cannot read.
 * @param {Model} model @param {string} text @returns {Changes}
 */
export function attend(model, text) {
  throw new Error(`soon ${model} ${text}`);
}

/**
 * The traits of a SamplingView of these prompts: pieces, contexts, logits [contexts, vocab], context.
 * @param {Model} model @param {string[]} prompts @returns {Changes}
 */
export function sample(model, prompts) {
  throw new Error(`soon ${model} ${prompts}`);
}

/**
 * The traits of a RouterView of this text, as `RouterView(ask(text), ask=ask)` would have them at the start.
 * @param {Model} model @param {string} text @returns {Changes}
 */
export function show(model, text) {
  throw new Error(`soon ${model} ${text}`);
}
