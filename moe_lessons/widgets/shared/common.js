// What the widgets share: elements, knobs, drawing once a frame.

/**
 * What anywidget gives: the traits of the Python half, and the element to draw in.
 * @typedef {object} Model
 * @property {(name: string) => any} get
 * @property {(name: string, value: any) => void} set on this page; the kernel hears of it by save_changes
 * @property {() => void} save_changes
 * @property {(event: string, handler: () => void) => void} on
 * @property {(event: string, handler: () => void) => void} off
 * @property {(message: object) => void} send
 * @typedef {{ model: Model, el: HTMLElement }} Context
 */

const SVG = "http://www.w3.org/2000/svg";

/**
 * An HTML element; `on...` attributes are listeners, `undefined` and `false` leave an attribute out.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, any>} attributes
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/**
 * An SVG element.
 * @template {keyof SVGElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, any>} attributes
 * @param {...(Node | string)} children
 * @returns {SVGElementTagNameMap[Tag]}
 */
export function shape(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "style") node.style.cssText = value;
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

/**
 * Prepare a widget's root: its classes, its name for screen readers, and no key reaches JupyterLab's shortcuts.
 * @param {HTMLElement} el
 * @param {string} name
 * @param {string} label
 */
export function openView(el, name, label) {
  el.classList.add("moe-view", name);
  el.setAttribute("role", "group");
  el.setAttribute("aria-label", label);
  el.addEventListener("keydown", (event) => event.stopPropagation());
}

/**
 * However often the result is called, `draw` runs once, in the next animation frame.
 * @param {() => void} draw
 */
export function onFrame(draw) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      draw();
    });
  };
}

/** Let the page do what waits, such as painting or hearing a hand, before a long work goes on. */
export function breath() {
  const { scheduler } = /** @type {any} */ (globalThis);
  return scheduler?.yield ? scheduler.yield() : new Promise((goOn) => setTimeout(goOn));
}

/**
 * Call `draw` when the width of `el` changes; returns what ends it.
 * @param {HTMLElement} el
 * @param {() => void} draw
 */
export function onWidth(el, draw) {
  let width = -1;
  const observer = new ResizeObserver(() => {
    if (el.clientWidth !== width) draw();
    width = el.clientWidth;
  });
  observer.observe(el);
  return () => observer.disconnect();
}

/**
 * Call `draw` when the theme changes, JupyterLab's or another page's; returns what ends it. While JupyterLab loads a
 * theme the page is hidden, and nothing in it has a size: then `draw` waits until it is seen again, which may be within
 * the same frame.
 * @param {HTMLElement} el
 * @param {() => void} draw
 */
export function onTheme(el, draw) {
  let [hidden, tries] = [false, 0];
  const look = () => {
    hidden = !el.clientWidth;
    if (!hidden) draw();
    else if (tries++ < 100) requestAnimationFrame(() => hidden && look());
  };
  const changed = () => ((tries = 0), look());
  const themes = new MutationObserver(changed);
  const { body, documentElement: root } = el.ownerDocument;
  for (const node of [body, root]) {
    themes.observe(node, { attributeFilter: ["data-jp-theme-name", "data-theme", "data-mode", "class"] });
  }
  const system = matchMedia("(prefers-color-scheme: dark)");
  system.addEventListener("change", changed);
  const sizes = new ResizeObserver(() => hidden && look()); // a page that stays hidden for longer
  sizes.observe(el);
  return () => {
    hidden = false;
    themes.disconnect();
    sizes.disconnect();
    system.removeEventListener("change", changed);
  };
}

/**
 * Keep listeners on a model, and take them all off again with the returned function.
 * @param {Model} model
 * @param {Record<string, () => void>} handlers
 */
export function listen(model, handlers) {
  for (const [event, handler] of Object.entries(handlers)) model.on(event, handler);
  return () => Object.entries(handlers).forEach(([event, handler]) => model.off(event, handler));
}

/**
 * A labeled range input; `show` turns its number into the words beside it.
 * @param {object} knob
 * @param {string} knob.label
 * @param {number} knob.min
 * @param {number} knob.max
 * @param {number} [knob.step]
 * @param {number} knob.value
 * @param {(value: number) => string} [knob.show]
 * @param {(value: number) => void} knob.change
 */
export function slider({ label, min, max, step = 1, value, show = String, change }) {
  const output = element("output", {}, show(value));
  const words = () => input.setAttribute("aria-valuetext", (output.textContent = show(Number(input.value))));
  const input = element("input", { type: "range", min, max, step, "aria-label": label });
  input.addEventListener("input", () => {
    words();
    change(Number(input.value));
  });
  /** @param {number} number */
  const set = (number) => {
    input.value = String(number);
    words();
  };
  set(value);
  return { root: element("label", { class: "moe-knob" }, element("span", {}, label), input, output), input, set };
}

/**
 * A labeled select; `change` gets the index of the chosen name.
 * @param {object} knob
 * @param {string} knob.label
 * @param {string[]} knob.names
 * @param {number} [knob.value]
 * @param {(index: number) => void} knob.change
 */
export function choice({ label, names, value = 0, change }) {
  const select = element("select", { "aria-label": label, onchange: () => change(select.selectedIndex) });
  select.append(...names.map((name) => element("option", {}, name)));
  select.selectedIndex = value;
  return { root: element("label", { class: "moe-knob" }, element("span", {}, label), select), select };
}

/**
 * The choices of a knob, with the present value among them.
 * @param {number[]} values
 * @param {number} present
 */
export function choices(values, present) {
  return [...new Set([...values, present])].sort((a, b) => a - b);
}

/** The place in a list of what comes nearest to a value. @param {number[]} list @param {number} value */
export function nearest(list, value) {
  return list.reduce((best, one, i) => (Math.abs(one - value) < Math.abs(list[best] - value) ? i : best), 0);
}

/** A line for one sentence about what went wrong; gone while there is none. */
export function messageLine() {
  const line = element("div", { class: "moe-message", role: "status", hidden: "" });
  return { line, say: (sentence) => ((line.textContent = sentence), (line.hidden = !sentence)) };
}

/**
 * A bytes trait as a typed array: it arrives as a DataView that need not be aligned.
 * @template Numbers
 * @param {DataView} view
 * @param {new (bytes: ArrayBufferLike) => Numbers} Type
 */
export function numbers(view, Type) {
  return new Type(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
}

/**
 * A piece of text with its blanks made visible.
 * @param {string} piece
 */
export function visible(piece) {
  return piece.replace(/ /g, "·").replace(/\n/g, "↵").replace(/\t/g, "→").replace(/\r/g, "␍");
}

/**
 * A count with all of its digits: 1234567 is "1,234,567".
 * @param {number} count
 */
export function whole(count) {
  return count.toLocaleString("en-US");
}

/**
 * A count in three digits with its unit: 1234567 is "1.23 M"; for FLOPs, `units` is "kMGT".
 * @param {number} count
 */
export function brief(count, units = "kMBT") {
  let power = 0;
  for (; count >= 999.5 && power < units.length; power++) count /= 1000;
  if (!power) return count.toFixed(0);
  return `${count.toFixed(count < 9.995 ? 2 : count < 99.95 ? 1 : 0)} ${units[power - 1]}`;
}

/**
 * Bytes in three digits: 671e9 is "671 GB".
 * @param {number} count
 */
export function bytes(count) {
  return `${brief(count, "kMGTP")}B`.replace(/(\d)B$/, "$1 B");
}
