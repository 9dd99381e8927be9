// A widget of the course on a page without a kernel: its front end, its style sheet and its state, brought together.

import { makeModel } from "./model.js";
import { traitsOf } from "./state.js";

/** @type {Map<string, Promise<void>>} */
const styles = new Map();

/** Load a style sheet once for all widgets of its kind, and wait until it is there: front ends measure text. */
function style(address) {
  const known = styles.get(address);
  if (known) return known;
  const waiting = new Promise((resolve) => {
    const there = [...document.styleSheets].some((sheet) => sheet.href === new URL(address, document.baseURI).href);
    if (there) return resolve(undefined); // the page itself has asked for it
    const link = document.createElement("link");
    link.rel = "stylesheet";
    link.href = address;
    link.onload = link.onerror = () => resolve(undefined); // a widget without its colors is better than none
    document.head.append(link);
  });
  styles.set(address, waiting);
  return waiting;
}

/**
 * Show a widget in `el`. Gives its model, whose `receive` changes it as a kernel would, and what takes it off again.
 * @param {HTMLElement} el
 * @param {import("./state.js").State} state
 * @param {object} options
 * @param {string} options.front the folder of the built front ends, with a slash at its end
 * @param {(model: any) => import("./model.js").Kernel} [options.kernel] what answers, given the model
 */
export async function openWidget(el, state, { front, kernel }) {
  const asked = /** @type {import("./model.js").Kernel} */ ({});
  const model = makeModel(traitsOf(state), asked);
  Object.assign(asked, kernel?.(model));
  const address = new URL(`${front}${state.widget}.js`, document.baseURI).href;
  const [module] = await Promise.all([import(address), style(`${front}${state.widget}.css`)]);
  const widget = typeof module.default === "function" ? await module.default() : module.default;
  const ends = [await widget.initialize?.({ model })];
  el.replaceChildren();
  ends.push(await widget.render({ model, el }));
  return { model, close: () => ends.forEach((end) => end?.()) };
}
