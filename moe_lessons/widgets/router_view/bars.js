// RouterView's two rows of bars, one per expert: a layer's load, and one token's scores with the bias apart from them.
// A bar is dragged up and down, or moved by arrow keys, to bias its expert; a click highlights the expert.

import { element, shape } from "../shared/common.js";
import { loadOf } from "../shared/routing_rule.js";
import { heading, set, write } from "./heading.js";
import { niceEnd, quoted, signed } from "./words.js";

const TALL = 140;
const [TOP, FOOT] = [20, 30]; // room above the bars, and below them for numbers and biases
const STILL = 3; // pixels: a shorter way is a click
export const MOST_BIAS = 1;

/** A bias as the hand leaves it: in steps of 0.005, within its limits. */
export function tidyBias(value) {
  return Math.round(200 * Math.max(-MOST_BIAS, Math.min(MOST_BIAS, value))) / 200;
}

export function makeBars(view) {
  const load = columns(view, "moe-router-load", "Load of the experts", () => 0.5 / (TALL - TOP - FOOT));
  const scores = columns(view, "moe-router-scores", "Scores of the experts", (scale) => scale);
  const root = element("div", { class: "moe-router-bars" }, load.root, scores.root);

  const drawLoad = (row) => {
    const { trace } = view;
    const n = trace.experts;
    const now = trace.now[row];
    const { asked, kept } = loadOf(now, n);
    const other = view.reference(row);
    const scale = other?.partners ? trace.tokens / other.tokens : 1; // another text may be longer
    const before = other ? loadOf(other.layer, n).asked.map((count) => Math.round(count * scale)) : asked;
    const mean = (trace.tokens * now.topK) / n;
    const most = Math.max(...asked);
    const limited = Number.isFinite(now.slots);
    const ghost = !other ? "" : `, ▬ ${other.name ?? "as it was"}`;
    const lost = limited ? `, ${asked.reduce((sum, count, e) => sum + count - kept[e], 0)} dropped` : "";
    load.say(
      `Load in layer ${trace.numbers[row]}`,
      `max/mean ${(most / mean).toFixed(2)}${lost}${ghost}${lost ? "" : "; tokens per expert"}`,
    );
    load.draw({
      values: asked,
      kept,
      low: 0,
      high: Math.max(most, ...before, limited ? Math.min(now.slots, 2 * most) : 1, 1),
      ghosts: before,
      line: limited ? now.slots : mean,
      lineLabel: limited
        ? `${now.slots} slot${now.slots === 1 ? "" : "s"}`
        : `mean ${mean < 10 ? mean.toFixed(1) : Math.round(mean)}`,
      strong: () => true,
      text: (e) => String(asked[e]),
      axis: "",
      words: (e) => `${asked[e]} tokens${asked[e] > kept[e] ? `, ${asked[e] - kept[e]} of them dropped` : ""}`,
    });
  };

  const drawScores = (row, focus) => {
    const { trace } = view;
    const { experts: n, pieces } = trace;
    const now = trace.now[row];
    const values = now.scores.subarray(focus * n, (focus + 1) * n);
    // Only differences between biases matter for a choice, and training may move them all together.
    const own = trace.bias.subarray(row * n, (row + 1) * n);
    let least = Infinity;
    for (let e = 0; e < n; e++) least = Math.min(least, own[e]);
    const added = view.biasIn(row);
    const biases = Float64Array.from(own, (b, e) => b - least + (added[e] ?? 0));
    const biased = biases.some((b) => b !== 0);
    const chosen = new Map();
    let bound = Infinity;
    for (let k = focus * now.topK; k < (focus + 1) * now.topK; k++) {
      chosen.set(now.experts[k], now.dropped?.[k] ? "✕" : `×${now.weights[k].toFixed(2)}`);
      bound = Math.min(bound, values[now.experts[k]] + biases[now.experts[k]]);
    }
    let [low, high] = [0, 0];
    for (let e = 0; e < n; e++) {
      low = Math.min(low, values[e] + biases[e]);
      high = Math.max(high, values[e], values[e] + biases[e]);
    }
    scores.say(
      `Scores of ${quoted(pieces[focus])}`,
      biased ? "filled: chosen, × its weight; dashed: the bias" : "filled: chosen, × its weight",
    );
    const inWords = (sign) => sign.replace("✕", "dropped").replace("×", "weight ");
    scores.draw({
      values,
      offsets: biased ? biases : undefined,
      low,
      high: niceEnd(high),
      line: bound,
      lineLabel: `top ${now.topK}`,
      strong: (e) => chosen.has(e),
      text: (e) => chosen.get(e) ?? "",
      axis: String(niceEnd(high)),
      words: (e) => `score ${values[e].toFixed(3)}${chosen.has(e) ? `, chosen, ${inWords(chosen.get(e))}` : ""}`,
    });
  };

  return {
    root,
    build: (trace) => (root.classList.toggle("many", trace.experts > 24), load.build(trace), scores.build(trace)),
    measure: () => (load.measure(), scores.measure()),
    draw: (row, focus) => (drawLoad(row), drawScores(row, focus)),
  };
}

/** One column per expert; its nodes are made once and then only moved. */
function columns(view, name, label, biasPerPixel) {
  const { title, say } = heading();
  const svg = shape("svg", {
    role: "group",
    "aria-label": `${label}; left and right walk, up and down change the bias, Enter highlights, Delete switches off`,
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
          "aria-label": `expert ${e}, bias`,
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
  const draw = ({ values, kept, offsets, low, high, ghosts, line, lineLabel, strong, text, axis, words }) => {
    const n = parts.length;
    if (drag?.far && scale) high = Math.max(high, low + scale * (TALL - TOP - FOOT)); // no shrinking under the hand
    const [left, right, above] = [axis ? 26 : 2, 54, axis && n > 24 ? TOP + 14 : TOP];
    const step = (wide - left - right) / n;
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
        class: `column${look}${isOff ? " off" : ""}${isPicked ? " picked" : ""}`,
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
        const turned = axis && step < 20;
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
          "aria-valuetext": `${bias || "0"}; ${words(e)}${isOff ? ", switched off" : ""}`,
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
