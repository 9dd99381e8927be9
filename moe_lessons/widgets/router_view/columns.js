// RouterView's bars, one per expert, as they are drawn and moved: a bar is dragged up and down, or moved by arrow keys,
// to bias its expert; a click highlights the expert.

import { element, shape } from "../shared/common.js";
import { t } from "../shared/language.js";
import { MOST_BIAS, tidyBias } from "./hands.js";
import { heading, set, write } from "./heading.js";
import { signed } from "./words.js";

const TALL = 140;
const [TOP, FOOT] = [20, 30]; // room above the bars, and below them for numbers and biases
export const ROOM = TALL - TOP - FOOT;
const STILL = 3; // pixels: a shorter way is a click

/** One column per expert; its nodes are made once and then only moved. `biasPerPixel` is what a drag counts. */
export function makeColumns(view, name, label, biasPerPixel) {
  const { title, say } = heading();
  const keys = t("left and right walk, up and down change the bias, Enter highlights, Delete switches off");
  const svg = shape("svg", {
    role: "group",
    "aria-label": `${label}; ${keys}`,
  });
  const root = element("div", { class: name }, title, svg);
  let parts = [];
  let base, bound, boundLabel, top;
  let [wide, tabbed, focused, drag, scale] = [380, -1, -1, undefined, 0];

  const build = ({ experts, colors }) => {
    parts = Array.from({ length: experts }, (_, e) => {
      const part = {
        hit: shape("rect", { class: "hit", y: 0, height: TALL }),
        bar: shape("rect", { class: "bar", fill: colors[e] }),
        late: shape("rect", { class: "late", fill: colors[e] }),
        bias: shape("rect", { class: "bias" }),
        ghost: shape("line", { class: "ghost" }),
        text: shape("text", { class: "value" }),
        number: shape("text", { class: "number", y: TALL - 18 }, String(e)),
        added: shape("text", { class: "added", y: TALL - 4 }),
      };
      part.group = shape(
        "g",
        {
          class: "column",
          "data-expert": e,
          style: `--tint: ${colors[e]}`,
          tabindex: -1,
          role: "slider",
          "aria-orientation": "vertical",
          "aria-label": t("expert {e}, bias", { e }),
          "aria-valuemin": -MOST_BIAS,
          "aria-valuemax": MOST_BIAS,
          "aria-valuenow": 0,
        },
        part.hit,
        part.bar,
        part.late,
        part.bias,
        part.ghost,
        part.text,
        part.number,
        part.added,
      );
      return part;
    });
    [base, bound] = [shape("line", { class: "rule" }), shape("line", { class: "bound" })];
    [boundLabel, top] = [shape("text", { class: "quiet" }), shape("text", { class: "quiet", x: 0 })];
    svg.replaceChildren(base, ...parts.map((part) => part.group), bound, boundLabel, top);
    [tabbed, focused, drag] = [-1, -1, undefined];
  };
  const measure = () => {
    wide = svg.clientWidth || 380;
    set(svg, { viewBox: `0 0 ${wide} ${TALL}`, height: TALL });
  };

  // ---- by hand
  const expertOf = (event) => Number(event.target.closest?.(".column")?.dataset.expert ?? -1);
  svg.addEventListener("pointerdown", (event) => {
    const expert = expertOf(event);
    if (expert < 0 || event.button) return;
    svg.setPointerCapture(event.pointerId);
    drag = { expert, y: event.clientY, bias: view.biasOf(expert), step: biasPerPixel(scale), far: false };
  });
  svg.addEventListener("pointermove", (event) => {
    if (!drag) return;
    const way = drag.y - event.clientY;
    if (!drag.far && Math.abs(way) <= STILL) return;
    drag.far = true;
    svg.classList.add("dragging");
    view.putBias(drag.expert, tidyBias(drag.bias + way * drag.step));
  });
  const release = (event) => {
    if (drag && !drag.far && event.type === "pointerup") view.putHighlight(drag.expert);
    drag = undefined;
    svg.classList.remove("dragging");
  };
  svg.addEventListener("pointerup", release);
  svg.addEventListener("pointercancel", release);
  svg.addEventListener("dblclick", (event) => {
    // Capture makes the picture the target: ask where the hand is.
    /** @type {SVGElement} */
    const column = svg.ownerDocument.elementFromPoint(event.clientX, event.clientY)?.closest(".column");
    if (column) view.putBias(Number(column.dataset.expert), 0);
  });

  // ---- by keys
  svg.addEventListener("focusin", (event) => ((focused = expertOf(event)), view.draw()));
  svg.addEventListener("focusout", () => ((focused = -1), view.draw()));
  svg.addEventListener("keydown", (event) => {
    const expert = expertOf(event);
    if (expert < 0) return;
    const step = { ArrowUp: 0.01, ArrowDown: -0.01, PageUp: 0.1, PageDown: -0.1 }[event.key];
    const to = { ArrowLeft: expert - 1, ArrowRight: expert + 1, Home: 0, End: parts.length - 1 }[event.key];
    if (step) view.putBias(expert, tidyBias(view.biasOf(expert) + step * (event.shiftKey ? 10 : 1)));
    else if (to !== undefined) parts[Math.max(0, Math.min(parts.length - 1, to))].group.focus();
    else if (event.key === "Enter" || event.key === " ") view.putHighlight(expert);
    else if (event.key === "Delete" || event.key === "Backspace") view.toggleOff(expert);
    else if (event.key === "Escape" || event.key === "0") view.putBias(expert, 0);
    else return;
    event.preventDefault();
  });

  /** @param {any} picture */
  const draw = ({ values, kept, offsets, low, high, ghosts, line, lineLabel, strong, shut, text, axis, words }) => {
    const n = parts.length;
    if (drag?.far && scale) high = Math.max(high, low + scale * ROOM); // no shrinking under the hand
    const [left, right] = [axis ? 26 : 2, 54];
    const step = (wide - left - right) / n;
    const above = axis && step < 27 ? TOP + 14 : TOP; // numbers that stand upright need more room
    const thick = Math.max(2, Math.min(34, step * 0.72));
    scale = (high - low || 1) / (TALL - above - FOOT);
    const y = (value) => above + (high - value) / scale;
    const [picked, lit] = [view.model.get("highlight"), view.lit()]; // one that is off fades nobody
    const { off, row } = view;
    const added = view.biasIn(row);
    const every = step >= 15 ? 1 : step >= 8 ? 4 : 8;
    const tab = focused >= 0 ? focused : Math.max(0, picked);
    for (let e = 0; e < n; e++) {
      const part = parts[e];
      const x = left + (e + 0.5) * step;
      const value = values[e];
      const here = kept ? kept[e] : value;
      const [isStrong, isPicked, isOff] = [strong(e), picked === e, off.has(e)];
      const look = `${isStrong ? " strong" : ""}${lit >= 0 && lit !== e ? " dim" : ""}`;
      set(part.group, {
        class: `column${look}${isOff ? " off" : ""}${isPicked ? " picked" : ""}${shut?.(e) ? " shut" : ""}`,
      });
      set(part.hit, { x: x - step / 2, width: step });
      set(part.bar, { x: x - thick / 2, width: thick, y: y(here), height: Math.max(0, y(0) - y(here)) });
      const late = here !== value;
      set(
        part.late,
        late
          ? { x: x - thick / 2 + 0.5, width: thick - 1, y: y(value), height: y(here) - y(value), display: "inline" }
          : { display: "none" },
      );
      const end = offsets ? value + offsets[e] : value;
      set(
        part.bias,
        end === value
          ? { display: "none" }
          : {
              x: x - thick / 2,
              width: thick,
              y: y(Math.max(value, end)),
              height: Math.abs(y(end) - y(value)),
              display: "inline",
            },
      );
      const ghost = ghosts && ghosts[e] !== value;
      set(
        part.ghost,
        ghost
          ? { x1: x - thick / 2 - 2, x2: x + thick / 2 + 2, y1: y(ghosts[e]), y2: y(ghosts[e]), display: "inline" }
          : { display: "none" },
      );
      const shown = step >= 22 || isPicked || (axis && isStrong) ? text(e) : "";
      write(part.text, shown);
      if (shown) {
        const crossed = ghost && Math.abs(y(ghosts[e]) - y(value) + 8) < 9; // the line would strike the number out
        const over = y(Math.max(value, end, crossed ? ghosts[e] : value)) - 4;
        const turned = axis && step < 27;
        set(
          part.text,
          turned
            ? {
                x: x + 3,
                y: over + 3,
                transform: `rotate(-90 ${x.toFixed(1)} ${over.toFixed(1)})`,
                "text-anchor": "start",
              }
            : { x, y: over, transform: "", "text-anchor": "middle" },
        );
      }
      const numbered = e % every === 0 || isPicked || (axis && isStrong);
      set(part.number, { x, display: numbered ? "inline" : "none" });
      const bias = added[e] ? signed(added[e]) : "";
      write(part.added, step >= 34 || isPicked || e === focused || drag?.expert === e ? bias : bias ? "•" : "");
      set(part.added, { x });
      if (e === focused)
        set(part.group, {
          "aria-valuenow": String(added[e] ?? 0),
          "aria-valuetext": `${bias || "0"}; ${words(e)}${isOff ? t(", switched off") : ""}`,
        });
      if ((e === tab) !== (e === tabbed)) set(part.group, { tabindex: e === tab ? 0 : -1 });
    }
    tabbed = tab;
    set(base, { x1: left, x2: wide - right, y1: y(0) + 0.5, y2: y(0) + 0.5 });
    const drawn = Number.isFinite(line) && line <= high * 1.05;
    set(
      bound,
      drawn ? { x1: left, x2: wide - right, y1: y(line), y2: y(line), display: "inline" } : { display: "none" },
    );
    write(boundLabel, lineLabel);
    set(boundLabel, { x: wide - right + 4, y: (drawn ? y(line) : above - 8) + 3.5 });
    write(top, axis);
    set(top, { y: y(high) + 4 });
  };
  return { root, say, build, draw, measure };
}
