// What hands do in several widgets: a knob's value on its way to the kernel, a film that plays, keys that walk.

import { element, listen, onWidth } from "./common.js";
import { t } from "./language.js";

/**
 * Call `action` once it has not been asked for during `wait` milliseconds.
 * @param {(...values: any[]) => void} action
 * @param {number} wait
 */
export function debounce(action, wait) {
  let timer;
  const later = (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => action(...values), wait);
  };
  later.cancel = () => clearTimeout(timer);
  return later;
}

/**
 * A function that changes a trait: at once on the page, and in the kernel when the hand has rested for `wait` ms.
 * @param {import("./common.js").Model} model
 */
export function putter(model, wait = 0) {
  const later = debounce(() => model.save_changes(), wait);
  /** @type {{ (name: string, value: any): void, cancel?: () => void }} */
  const put = (name, value) => {
    model.set(name, value);
    if (wait) later();
    else model.save_changes();
  };
  put.cancel = later.cancel;
  return put;
}

/**
 * Call `draw` when one of these traits or the width of `el` changes, and what `others` name; returns what ends it.
 * @param {import("./common.js").Model} model
 * @param {HTMLElement} el
 * @param {string[]} names
 * @param {() => void} draw
 * @param {Record<string, () => void>} others events such as "change:title", and what each calls
 */
export function follow(model, el, names, draw, others = {}) {
  const silence = listen(model, { ...Object.fromEntries(names.map((name) => [`change:${name}`, draw])), ...others });
  const rest = onWidth(el, draw);
  return () => (silence(), rest());
}

/**
 * A button that plays and pauses. At each start `begin` gives a function that is called with the milliseconds played so
 * far, first after `wait`, and says when to call it again: 0 for the next frame, undefined at the end.
 * @param {() => (milliseconds: number) => number | undefined} begin
 * @param {{ wait?: number, [attribute: string]: any }} options
 */
export function player(begin, { wait = 0, ...attributes } = {}) {
  const button = element("button", { type: "button", class: "moe-play", onclick: () => toggle(), ...attributes });
  let cancel; // what is waited for; none while it stands still
  const soon = (ms, run) => {
    const waiting = ms ? setTimeout(run, ms) : requestAnimationFrame(run);
    cancel = () => (ms ? clearTimeout(waiting) : cancelAnimationFrame(waiting));
  };
  const stop = () => {
    cancel?.();
    cancel = undefined;
    button.setAttribute("data-plays", "");
    button.textContent = t("▶ Play");
  };
  const start = () => {
    const [step, begun] = [begin(), performance.now()];
    const run = () => {
      const next = step(performance.now() - begun);
      if (!cancel || next === undefined)
        stop(); // it may have been stopped in between
      else soon(next, run);
    };
    button.setAttribute("data-plays", "yes");
    button.textContent = t("❚❚ Pause");
    soon(wait, run);
  };
  const toggle = () => (cancel ? stop() : start());
  stop();
  return { button, stop, toggle, stands: () => !cancel };
}

/**
 * Which way an arrow key goes, 1 to the right or down and -1 back, while the page stands still; 0 for other keys.
 * @param {KeyboardEvent} event
 */
export function arrow(event) {
  const way = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key] ?? 0;
  if (way) event.preventDefault();
  return way;
}

/**
 * Arrow keys in a group of radio buttons pick the next one, around its ends; `present` says which one is picked.
 * @param {HTMLElement} group
 * @param {HTMLElement[]} buttons
 * @param {() => number} present
 * @param {(index: number) => void} pick
 */
export function walkRadios(group, buttons, present, pick) {
  group.addEventListener("keydown", (event) => {
    const way = arrow(event);
    if (!way) return;
    const next = (present() + way + buttons.length) % buttons.length;
    pick(next);
    buttons[next].focus();
  });
}
