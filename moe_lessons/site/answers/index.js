// What a kernel answers to the course's widgets, made by the model in the browser. Nothing here touches the page.
//
//   const answers = answersOf("RouterView", model);       // null for a widget that never asks
//   const changes = answers.message?.(get, content);      // a message that the front end sent
//   const changes = answers.changed?.(get, "text");       // a trait that it saved
//
// `get(name)` reads the widget's present traits. The changes are traits to set, all at once: bytes as DataView, the
// counters (`drawn`, `answered`) already one higher. null: the message is none of theirs. The widget's own Python is
// the twin; whatever goes wrong becomes its `message`, one sentence.

import { routerView } from "./router_view.js";
import { tokenView } from "./token_view.js";

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
  if (widget === "TokenView") return tokenView(model);
  return widget === "RouterView" && model.rule ? routerView(model) : null;
}

// The traits of a widget of a text that nobody has traced yet: RouterView's as `RouterView(ask(text), ask=ask)` has
// them at the start, AttentionView's after `record_attention`, SamplingView's [contexts, vocab]. Each throws an Error
// of one sentence for what the model cannot read.
export { attend } from "./attention_view.js";
export { show } from "./router_view.js";
export { sample } from "./sampling_view.js";
export { sentence } from "./sentence.js";
export { tokenize } from "./token_view.js";
