import { element, shape, openView, onFrame, onWidth, listen, slider, choice, messageLine, numbers } from "./common.js";
import { route, loadOf, isChanged, difference, isMoved, destination, verdict, expertColors, inkOn, niceEnd } from "./routing_rule.js";

const KNOBS = ["top_k", "temperature", "score_function", "normalize", "off"];
const PATIENCE = 4000; // ms until a silent kernel is mentioned
const MOST_CHOSEN = 16; // where the top-k slider ends, unless the model itself uses more

/** The parts of the trace that the browser works with. */
function readTrace(model) {
  const facts = model.get("facts");
  const own = {
    topK: facts.top_k,
    temperature: 1,
    scoreFunction: facts.score_function,
    normalize: facts.normalize,
    experts: numbers(model.get("experts"), Uint16Array),
    weights: numbers(model.get("weights"), Float32Array),
  };
  return {
    layers: facts.layers.length,
    tokens: facts.tokens,
    experts: facts.experts,
    numbers: facts.layers,
    pieces: facts.pieces,
    starts: new Set(facts.starts),
    routeScale: facts.route_scale,
    logits: numbers(model.get("logits"), Float32Array),
    bias: numbers(model.get("bias"), Float32Array),
    own,
    count: facts.layers.length * facts.tokens,
    ...look(expertColors(model.get("palette"), facts.experts)),
  };
}

/** Colors, the ink that reads on each, and each as the numbers that `rgb()` takes. */
function look(colors) {
  const parts = colors.map((color) => [1, 3, 5].map((i) => parseInt(color.slice(i, i + 2), 16)).join(" "));
  return { colors, inks: colors.map(inkOn), parts };
}

/** A piece as it is quoted in a sentence. */
export function quoted(piece) {
  return `“${piece.replace(/\n/g, "↵").replace(/\t/g, "→")}”`;
}

function render({ model, el }) {
  openView(el, "moe-router", "Where each token goes: text, layers, expert load and scores");
  let trace = readTrace(model);
  let room; // arrays of the last routing, used again
  let hovered = -1;
  let routedFor = ""; // what the arrays in `room` were computed for
  const sizes = { cells: 0, bars: 0, font: "" }; // measured when the width changes: reading them in a frame costs a layout
  let now, moved, share;

  // ---- talking to the model: at once here, to the kernel when the hand rests
  let saving = 0;
  const put = (name, value) => {
    model.set(name, value);
    clearTimeout(saving);
    saving = setTimeout(() => model.save_changes(), 120);
  };
  const rowOf = () => Math.max(0, trace.numbers.indexOf(model.get("layer")));
  const pinned = () => Math.min(model.get("pinned"), trace.tokens - 1);
  const putLayer = (row) => put("layer", trace.numbers[Math.min(trace.layers - 1, Math.max(0, row))]);
  const putToken = (token) => put("pinned", Math.min(trace.tokens - 1, Math.max(0, token)));
  /** The expert that others fade beside; one that is switched off would leave nothing in color. */
  const lit = () => (model.get("off").includes(model.get("highlight")) ? -1 : model.get("highlight"));
  const putHighlight = (expert) => put("highlight", model.get("highlight") === expert ? -1 : expert);
  const hover = (token) => {
    if (token !== hovered) ((hovered = token), draw());
  };
  const steer = (event) => {
    const [tokens, layers] = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[event.key] ?? [];
    if (event.key === "Home") putToken(0);
    else if (event.key === "End") putToken(trace.tokens - 1);
    else if (tokens) putToken(pinned() + tokens);
    else if (layers) putLayer(rowOf() + layers);
    else return;
    event.preventDefault();
    follow = true;
  };
  let follow = false; // after a key, the pinned token scrolls into sight

  // ---- knobs
  const make = {};
  const knobs = element("div", { class: "moe-row moe-router-knobs", role: "group", "aria-label": "Knobs" });
  const highlight = element("select", { "aria-label": "Highlight expert", onchange: () => put("highlight", highlight.selectedIndex - 1) });
  const switchOff = element("button", {
    type: "button", class: "moe-router-off", onclick: () => {
      const expert = model.get("highlight");
      const off = model.get("off");
      put("off", off.includes(expert) ? off.filter((other) => other !== expert) : [...off, expert].sort((a, b) => a - b));
    },
  });
  const reset = element("button", {
    type: "button", class: "moe-router-reset", onclick: () => {
      const { topK, scoreFunction, normalize } = trace.own;
      const rest = { off: [], top_k: topK, temperature: 1, score_function: scoreFunction, normalize };
      Object.entries(rest).forEach(([name, value]) => put(name, value));
    },
  }, "Reset");
  const normalize = element("input", { type: "checkbox", "aria-label": "Normalize weights", onchange: () => put("normalize", normalize.checked) });

  const buildKnobs = () => {
    make.layer = slider({
      label: "Layer", min: 0, max: trace.layers - 1, value: rowOf(), show: (row) => String(trace.numbers[row]), change: putLayer,
    });
    make.topK = slider({
      label: "Top-k", min: 1, max: Math.min(trace.experts, Math.max(MOST_CHOSEN, trace.own.topK)), value: 1,
      change: (k) => put("top_k", Math.min(k, trace.experts - model.get("off").length)),
    });
    make.temperature = slider({
      label: "Temperature", min: -1, max: 1, step: 0.02, value: 0, show: (x) => (10 ** x).toFixed(2),
      change: (x) => put("temperature", x === 0 ? 1 : Number((10 ** x).toPrecision(4))),
    });
    make.score = choice({
      label: "Score", names: ["softmax", "sigmoid"], change: (i) => put("score_function", ["softmax", "sigmoid"][i]),
    });
    for (const [name, knob] of Object.entries(make)) (knob.input ?? knob.select).dataset.knob = name;
    normalize.dataset.knob = "normalize";
    highlight.dataset.knob = "highlight";
    highlight.replaceChildren(element("option", {}, "none"), ...trace.colors.map((_, e) => element("option", {}, `expert ${e}`)));
    make.layer.root.hidden = trace.layers < 2;
    knobsShown = "";
    knobs.replaceChildren(
      make.layer.root, make.topK.root, make.temperature.root, make.score.root,
      element("label", { class: "moe-knob" }, normalize, element("span", {}, "Normalize")),
      element("label", { class: "moe-knob" }, element("span", {}, "Highlight"), highlight),
      switchOff, reset,
    );
  };
  let knobsShown = "";
  const showKnobs = () => {
    const state = JSON.stringify(["layer", "highlight", ...KNOBS].map((name) => model.get(name)));
    if (state === knobsShown) return;
    knobsShown = state;
    make.layer.set(rowOf());
    make.topK.set(model.get("top_k"));
    make.temperature.set(Math.log10(model.get("temperature")));
    make.score.select.selectedIndex = ["softmax", "sigmoid"].indexOf(model.get("score_function"));
    normalize.checked = model.get("normalize");
    const expert = model.get("highlight");
    const off = model.get("off");
    highlight.selectedIndex = expert + 1;
    switchOff.hidden = expert < 0;
    switchOff.textContent = `Switch ${off.includes(expert) ? "on" : "off"} expert ${expert}`;
    switchOff.disabled = !off.includes(expert) && off.length + model.get("top_k") >= trace.experts;
    reset.disabled = !moved;
  };

  // ---- prompt
  const { line, say } = messageLine();
  const field = element("input", { type: "text", "aria-label": "Your text", placeholder: "Type a text and press Enter", spellcheck: "false" });
  const send = element("button", { type: "submit" }, "Route it");
  const state = element("span", { class: "moe-router-state", role: "status" });
  const names = Object.keys(model.get("prompts"));
  const examples = choice({
    label: "Prompt", names: ["Choose…", ...names.map((name) => (name.length > 40 ? `${name.slice(0, 39)}…` : name))],
    change: (i) => {
      if (!i) return;
      field.value = model.get("prompts")[names[i - 1]];
      ask();
    },
  });
  examples.root.hidden = !names.length;
  let waiting = 0;
  const ask = () => {
    // The input turns line ends into nothing: a chosen prompt keeps its own.
    const chosen = model.get("prompts")[names[examples.select.selectedIndex - 1]];
    const text = chosen !== undefined && chosen.replace(/[\r\n]/g, "") === field.value ? chosen : field.value;
    settle();
    form.setAttribute("aria-busy", "true");
    state.textContent = "routing…";
    waiting = setTimeout(() => {
      state.textContent = "No answer yet: the kernel is busy, or this page has none (then run this cell again).";
    }, PATIENCE);
    try {
      model.send({ ask: text });
    } catch {
      settle();
      state.textContent = "This page has no kernel; run this cell in Jupyter to ask for other texts.";
    }
  };
  const settle = () => {
    clearTimeout(waiting);
    form.removeAttribute("aria-busy");
    state.textContent = "";
  };
  const form = element("form", {
    class: "moe-row moe-router-prompt", onsubmit: (event) => (event.preventDefault(), ask()),
  }, examples.root, field, send, state);
  form.hidden = !model.get("can_ask");

  // ---- the sentence
  const badge = element("span", { class: "moe-router-badge" });
  const words = element("span");
  const sentence = element("p", { class: "moe-router-sentence" }, badge, words);
  const spoken = element("div", { class: "moe-router-spoken", "aria-live": "polite" });
  let speaking = 0;

  // ---- text
  const { title: stripTitle, say: sayStrip } = heading();
  const strip = element("div", { class: "moe-router-strip", role: "group", "aria-label": "Tokens; arrow keys move the pinned one, up and down the layer" });
  let chips = [];
  let blank = [];
  const buildStrip = () => {
    chips = trace.pieces.map((piece, token) => {
      const chip = element("span", { class: "moe-token", role: "button", tabindex: -1, "data-token": token });
      for (const sign of piece.split(/(\n|\t)/)) {
        if (sign === "\n") chip.append(element("i", {}, "↵"));
        else if (sign === "\t") chip.append(element("i", {}, "→"));
        else chip.append(sign);
      }
      return chip;
    });
    blank = trace.pieces.map((piece) => /^\s*$/.test(piece));
    strip.replaceChildren();
    chips.forEach((chip, token) => {
      if (trace.starts.has(token)) strip.append(element("hr"));
      strip.append(chip);
      if (trace.pieces[token].endsWith("\n")) strip.append(element("br"));
    });
  };
  const tokenOf = (event) => Number(event.target.closest?.(".moe-token")?.dataset.token ?? -1);
  strip.addEventListener("pointerover", (event) => hover(tokenOf(event)));
  strip.addEventListener("pointerleave", () => hover(-1));
  strip.addEventListener("click", (event) => {
    if (tokenOf(event) >= 0) putToken(tokenOf(event));
  });
  strip.addEventListener("keydown", steer);

  const painted = []; // what each chip shows now
  let tabbed = -1; // the chip that Tab reaches
  const drawStrip = (row, focus) => {
    const expert = lit();
    const { topK, experts, weights } = now;
    chips.forEach((chip, token) => {
      const at = row * trace.tokens + token;
      const [first, second] = [experts[at * topK], topK > 1 ? experts[at * topK + 1] : -1];
      let [total, inside] = [0, expert < 0];
      for (let k = at * topK; k < (at + 1) * topK; k++) ((total += weights[k]), (inside ||= experts[k] === expert));
      const strength = total > 0 ? weights[at * topK] / total : 0;
      const changed = moved && isChanged(now, trace.own, at);
      // In 50 steps: a change too small to see costs nothing.
      const shade = (blank[token] ? 0.55 : 1) * (0.16 + 0.02 * Math.round(22 * strength));
      const looks = `${first} ${second} ${shade} ${inside} ${changed}`;
      if (painted[token] === looks) return;
      painted[token] = looks;
      chip.style.backgroundColor = inside ? `rgb(${trace.parts[first]} / ${shade.toFixed(2)})` : "";
      chip.style.borderBottomColor = inside && second >= 0 ? trace.colors[second] : "transparent";
      chip.classList.toggle("dim", !inside);
      chip.classList.toggle("changed", changed);
    });
    mark(chips, "pinned", pinned());
    mark(chips, "hovered", hovered);
    chips[tabbed]?.setAttribute("tabindex", -1);
    chips[(tabbed = pinned())].setAttribute("tabindex", 0);
    chips[focus].setAttribute("aria-label", `${trace.pieces[focus]}, ${destination(now, row * trace.tokens + focus)}`);
    if (!follow) return;
    if (strip.contains(el.ownerDocument.activeElement)) chips[pinned()].focus({ preventScroll: true });
    const box = strip.getBoundingClientRect();
    const own = chips[pinned()].getBoundingClientRect();
    if (own.top < box.top || own.bottom > box.bottom) strip.scrollTop += own.top - box.top - 30;
  };

  // ---- layers x tokens
  const gridTitle = element("h4", { class: "moe-router-title" }, element("b", {}, "Every layer"), " one column per token, one row per layer");
  const labels = element("div", { class: "moe-router-layers" });
  const canvas = element("canvas");
  const rowMark = element("div", { class: "moe-router-row" });
  const columnMark = element("div", { class: "moe-router-column" });
  const hoverMark = element("div", { class: "moe-router-column hovered" });
  const field2d = element("div", {
    class: "moe-router-cells", tabindex: 0, role: "application",
    "aria-label": "Layers by tokens; left and right move the pinned token, up and down the layer",
  }, canvas, rowMark, columnMark, hoverMark);
  const scroller = element("div", { class: "moe-router-scroller" }, field2d);
  const grid = element("div", { class: "moe-router-grid" }, labels, scroller);
  const cells = { width: 0, height: 18, seen: "", experts: undefined };
  const cellOf = (event) => {
    const box = field2d.getBoundingClientRect();
    return [Math.floor((event.clientY - box.top) / cells.height), Math.floor((event.clientX - box.left) / cells.width)];
  };
  field2d.addEventListener("pointermove", (event) => {
    const [, token] = cellOf(event);
    hover(token >= 0 && token < trace.tokens ? token : -1);
    if (event.buttons & 1) pickCell(event);
  });
  field2d.addEventListener("pointerleave", () => hover(-1));
  const pickCell = (event) => {
    const [row, token] = cellOf(event);
    putLayer(row);
    putToken(token);
  };
  field2d.addEventListener("pointerdown", (event) => {
    field2d.setPointerCapture(event.pointerId);
    pickCell(event);
  });
  field2d.addEventListener("keydown", steer);
  let rowLabels = [];
  const buildLabels = () => {
    rowLabels = trace.numbers.map((number, row) =>
      element("button", { type: "button", tabindex: -1, "data-layer": number, onclick: () => putLayer(row) }, `layer ${number}`),
    );
    labels.replaceChildren(...rowLabels);
  };

  const drawGrid = (row) => {
    const { tokens, layers, colors, inks, own } = trace;
    const { topK, experts } = now;
    const width = Math.max(3, Math.min(26, Math.floor((2 * sizes.cells) / tokens) / 2 || 3));
    const height = tokens * width > 300 ? 18 : 20;
    const ratio = Math.min(window.devicePixelRatio || 1, 16000 / (tokens * width));
    const expert = lit();
    const seen = [expert, width, height, ratio, moved].join(" ");
    if (seen !== cells.seen || !same(experts, cells.experts)) {
      cells.experts = experts.slice();
      cells.width = width;
      cells.height = height;
      const [across, down] = [Math.round(tokens * width * ratio), Math.round(layers * height * ratio)];
      if (canvas.width !== across) canvas.width = across;
      if (canvas.height !== down) canvas.height = down;
      canvas.style.width = `${tokens * width}px`;
      canvas.style.height = `${layers * height}px`;
      grid.style.setProperty("--row", `${height}px`);
      const pen = canvas.getContext("2d");
      pen.setTransform(ratio, 0, 0, ratio, 0, 0);
      pen.clearRect(0, 0, tokens * width, layers * height);
      pen.textAlign = "center";
      pen.textBaseline = "middle";
      pen.font = `10px ${sizes.font}`;
      const gap = width >= 5 ? 1 : 0;
      const numbered = width >= 13;
      for (let l = 0; l < layers; l++) {
        const top = l * height;
        for (let t = 0; t < tokens; t++) {
          const at = l * tokens + t;
          const first = experts[at * topK];
          let inside = expert < 0;
          for (let k = at * topK; !inside && k < (at + 1) * topK; k++) inside = experts[k] === expert;
          pen.globalAlpha = inside ? 1 : 0.12;
          pen.fillStyle = colors[first];
          pen.fillRect(t * width, top, width - gap, height - (topK > 1 ? 5 : 1));
          if (topK > 1) {
            pen.fillStyle = colors[experts[at * topK + 1]];
            pen.fillRect(t * width, top + height - 5, width - gap, 4);
          }
          if (numbered) {
            pen.fillStyle = inks[first];
            pen.fillText(first, t * width + (width - gap) / 2, top + (height - 4) / 2);
          }
          if (moved && width >= 6 && isChanged(now, own, at)) {
            pen.fillStyle = inks[first];
            pen.beginPath();
            pen.moveTo((t + 1) * width - gap, top);
            pen.lineTo((t + 1) * width - gap - 5, top);
            pen.lineTo((t + 1) * width - gap, top + 5);
            pen.fill();
          }
        }
      }
      pen.globalAlpha = 1;
      cells.seen = seen;
    }
    const place = (node, token) => {
      node.hidden = token < 0;
      node.style.cssText = `left: ${token * width - 1}px; width: ${Math.max(4, width + 1)}px`;
    };
    rowMark.style.cssText = `top: ${row * height}px; height: ${height}px; width: ${tokens * width}px`;
    place(columnMark, pinned());
    place(hoverMark, hovered);
    rowLabels.forEach((label, l) => label.classList.toggle("here", l === row));
    if (follow) {
      const x = pinned() * width;
      const inside = x >= scroller.scrollLeft && x <= scroller.scrollLeft + sizes.cells - width;
      if (!inside) scroller.scrollLeft = x - sizes.cells / 2;
    }
  };

  // ---- bars
  const load = columns("moe-router-load", putHighlight);
  const scores = columns("moe-router-scores", putHighlight);
  const bars = element("div", { class: "moe-router-bars" }, load.root, scores.root);

  const drawLoad = (row) => {
    const { tokens, experts: n, own, numbers: names } = trace;
    const counts = loadOf(now, row, tokens, n);
    const mean = (tokens * now.topK) / n;
    const most = Math.max(...counts);
    load.say(`Load in layer ${names[row]}`, ` max/mean ${(most / mean).toFixed(2)}${moved ? ", ▬ as it was" : ""}; tokens per expert`);
    const before = moved ? loadOf(own, row, tokens, n) : counts;
    load.draw({
      values: counts, low: 0, high: Math.max(most, ...before, 1), ghosts: before, line: mean, lineLabel: `mean ${mean < 10 ? mean.toFixed(1) : Math.round(mean)}`,
      strong: () => true, text: (e) => String(counts[e]), axis: "",
    });
  };

  const drawScores = (row, focus) => {
    const { tokens, experts: n, bias, pieces } = trace;
    const at = row * tokens + focus;
    const values = now.scores.subarray(at * n, (at + 1) * n);
    // Only differences between biases matter for a choice, and training may move them all together.
    const own = bias.subarray(row * n, (row + 1) * n);
    const least = Math.min(...own);
    const biases = own.map((b) => b - least);
    const biased = biases.some((b) => b !== 0);
    const chosen = new Map();
    let bound = Infinity;
    for (let k = at * now.topK; k < (at + 1) * now.topK; k++) {
      chosen.set(now.experts[k], now.weights[k]);
      bound = Math.min(bound, values[now.experts[k]] + biases[now.experts[k]]);
    }
    let [low, high] = [0, 0];
    for (let e = 0; e < n; e++) {
      low = Math.min(low, values[e] + biases[e]);
      high = Math.max(high, values[e], values[e] + biases[e]);
    }
    scores.say(`Scores of ${quoted(pieces[focus])}`, biased ? " filled: chosen; outlined: the bias" : " filled: chosen, with the weight");
    scores.draw({
      values, offsets: biased ? biases : undefined, low, high: niceEnd(high), line: bound, lineLabel: `top ${now.topK}`,
      strong: (e) => chosen.has(e), text: (e) => (chosen.has(e) ? chosen.get(e).toFixed(2) : ""), axis: String(niceEnd(high)),
    });
  };

  /** One column per expert; its nodes are made once and then only moved. */
  function columns(name, pick) {
    const { title, say } = heading();
    const svg = shape("svg", { role: "img" });
    const root = element("div", { class: name }, title, svg);
    const parts = {};
    const build = (n) => {
      parts.bars = Array.from({ length: n }, (_, e) => {
        const part = {
          hit: shape("rect", { class: "hit" }), bar: shape("rect", { class: "bar", fill: trace.colors[e] }),
          bias: shape("rect", { class: "bias", stroke: trace.colors[e] }), ghost: shape("line", { class: "ghost" }),
          text: shape("text", { class: "value", "text-anchor": "middle" }),
          number: shape("text", { class: "number", "text-anchor": "middle" }, String(e)),
        };
        part.group = shape("g", { class: "column", "data-expert": e, onclick: () => pick(e) },
          shape("title", {}, `expert ${e}`), part.hit, part.bar, part.bias, part.ghost, part.text, part.number);
        return part;
      });
      parts.base = shape("line", { class: "rule" });
      parts.line = shape("line", { class: "bound" });
      parts.lineLabel = shape("text", { class: "quiet" });
      parts.top = shape("text", { class: "quiet" });
      svg.replaceChildren(parts.base, ...parts.bars.map((part) => part.group), parts.line, parts.lineLabel, parts.top);
    };
    const draw = ({ values, offsets, low, high, ghosts, line: bound, lineLabel, strong, text, axis }) => {
      const n = trace.experts;
      const width = sizes.bars || 380;
      const [left, right, top, bottom, tall] = [axis ? 26 : 2, 54, axis && trace.experts > 24 ? 34 : 20, 18, 128];
      const step = (width - left - right) / n;
      const thick = Math.max(2, Math.min(34, step * 0.72));
      const y = (value) => top + ((tall - top - bottom) * (high - value)) / (high - low || 1);
      set(svg, { viewBox: `0 0 ${width} ${tall}`, height: tall });
      const expert = model.get("highlight");
      const off = model.get("off");
      const every = step >= 15 ? 1 : step >= 8 ? 4 : 8;
      parts.bars.forEach((part, e) => {
        const x = left + (e + 0.5) * step;
        const value = values[e];
        const is = { strong: strong(e), dim: expert >= 0 && expert !== e, off: off.includes(e), picked: expert === e };
        set(part.group, { class: `column${Object.keys(is).filter((key) => is[key]).map((key) => ` ${key}`).join("")}` });
        set(part.hit, { x: x - step / 2, y: 0, width: step, height: tall });
        set(part.bar, { x: x - thick / 2, width: thick, y: y(value), height: Math.max(0, y(0) - y(value)) });
        const end = offsets ? value + offsets[e] : value;
        set(part.bias, { x: x - thick / 2, width: thick, y: y(Math.max(value, end)), height: Math.abs(y(end) - y(value)), visibility: offsets && end !== value ? "visible" : "hidden" });
        const ghost = ghosts && ghosts[e] !== value;
        set(part.ghost, { x1: x - thick / 2 - 2, x2: x + thick / 2 + 2, y1: y(ghost ? ghosts[e] : 0), y2: y(ghost ? ghosts[e] : 0), visibility: ghost ? "visible" : "hidden" });
        const shown = text(e) && (step >= 22 || is.picked || (axis && is.strong)) ? text(e) : "";
        const above = y(Math.max(value, end)) - 4;
        const turned = axis && step < 26;
        write(part.text, shown);
        set(part.text, { x, y: above, transform: turned ? `rotate(-90 ${x} ${above}) translate(3 3)` : "rotate(0)", "text-anchor": turned ? "start" : "middle" });
        const numbered = e % every === 0 || is.picked || (axis && is.strong);
        set(part.number, { x, y: tall - 5, visibility: numbered ? "visible" : "hidden" });
      });
      set(parts.base, { x1: left, x2: width - right, y1: y(0) + 0.5, y2: y(0) + 0.5 });
      set(parts.line, { x1: left, x2: width - right, y1: y(bound), y2: y(bound), visibility: Number.isFinite(bound) ? "visible" : "hidden" });
      write(parts.lineLabel, lineLabel);
      set(parts.lineLabel, { x: width - right + 4, y: y(bound) + 3.5 });
      write(parts.top, axis);
      set(parts.top, { x: 0, y: y(high) + 4 });
    };
    return { root, say, build, draw, width: () => svg.clientWidth };
  }

  // ---- one frame
  const draw = onFrame(() => {
    const knobs = {
      topK: model.get("top_k"), temperature: model.get("temperature"), scoreFunction: model.get("score_function"),
      normalize: model.get("normalize"), off: model.get("off"), routeScale: trace.routeScale,
    };
    const asked = JSON.stringify(knobs);
    if (asked !== routedFor) {
      routedFor = asked;
      moved = isMoved(knobs, trace.own);
      room = route(trace, knobs, room);
      // Unmoved knobs show what was recorded, not what the rule makes of it: float32 and float64 may part at a tie.
      now = moved ? room : { ...trace.own, scores: room.scores };
      share = moved ? difference(now, trace.own, trace.count) : 0;
    }
    const row = rowOf();
    const focus = hovered >= 0 ? hovered : pinned();
    showKnobs();
    write(badge, moved ? "what if" : "as it was");
    badge.classList.toggle("moved", moved);
    el.classList.toggle("moved", moved);
    const number = trace.numbers[row];
    write(words, `Layer ${number}: ${quoted(trace.pieces[focus])} goes to ${destination(now, row * trace.tokens + focus)}. ${verdict(moved, share)}`);
    clearTimeout(speaking);
    speaking = setTimeout(() => {
      if (spoken.textContent !== words.textContent) spoken.textContent = words.textContent;
    }, 500);
    const legend = now.topK > 1 ? "first expert, underlined by its second" : "expert";
    sayStrip(`The text in layer ${number}`, ` colored by each token’s ${legend}`);
    drawStrip(row, focus);
    drawGrid(row);
    drawLoad(row);
    drawScores(row, focus);
    say(model.get("message"));
    follow = false;
  });

  const measure = () => {
    sizes.cells = scroller.clientWidth - 6;
    sizes.bars = load.width();
    sizes.font = getComputedStyle(el).fontFamily;
    draw();
  };

  const take = () => {
    trace = readTrace(model);
    routedFor = "";
    room = undefined;
    hovered = -1;
    painted.length = 0;
    cells.seen = "";
    bars.classList.toggle("many", trace.experts > 24);
    buildKnobs();
    buildStrip();
    buildLabels();
    load.build(trace.experts);
    scores.build(trace.experts);
    measure();
  };

  const title = element("h3", { class: "moe-router-head" }, model.get("title"));
  title.hidden = !model.get("title");
  el.append(title, form, line, knobs, sentence, spoken, stripTitle, strip, gridTitle, grid, bars);
  take();
  const silence = listen(model, {
    ...Object.fromEntries([...KNOBS, "layer", "pinned", "highlight", "message"].map((name) => [`change:${name}`, draw])),
    "change:drawn": take,
    "change:answered": () => (settle(), draw()),
  });
  const rest = onWidth(el, measure);
  return () => {
    silence();
    rest();
    for (const timer of [saving, waiting, speaking]) clearTimeout(timer);
  };
}

/** Set only the attributes that changed: most of a picture stays as it was. */
function set(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    const text = typeof value === "number" ? String(Math.round(value * 100) / 100) : value;
    if (node.getAttribute(name) !== text) node.setAttribute(name, text);
  }
}

/** A heading: what is seen in bold, how to read it beside it. */
function heading() {
  const [what, how] = [element("b"), element("span")];
  return {
    title: element("h4", { class: "moe-router-title" }, what, how),
    say: (first, second) => (write(what, first), write(how, second)),
  };
}

function same(a, b) {
  return a.length === b?.length && a.every((value, i) => value === b[i]);
}

function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Move a class to one node of many; -1 is none. */
function mark(nodes, name, index) {
  const last = nodes[`${name}At`];
  if (last === index) return;
  nodes[last]?.classList.remove(name);
  nodes[index]?.classList.add(name);
  nodes[`${name}At`] = index;
}

export default { render };
