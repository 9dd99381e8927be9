import {
  bytes,
  choice,
  element,
  messageLine,
  nearest,
  numbers,
  onFrame,
  openView,
  shape,
  slider,
  visible,
  whole,
} from "../shared/common.js";
import { arrow, follow, putter, walkRadios } from "../shared/habits.js";
import { atLength, KINDS, readBy, standing, stretches } from "./rule.js";

const NAMES = ["full", "sliding window", "indexed", "compressed, sparse", "heavily compressed"];
const KNOBS = { full: [], window: ["window"], indexed: ["top_k"] };
KNOBS.sparse = ["window", "top_k", "sparse_rate"];
KNOBS.heavy = ["window", "heavy_rate"];
const RATES = { sparse_rate: [2, 4, 8, 16], heavy_rate: [16, 32, 64] };
const TRAITS = ["kind", "query", "layer", "window", "top_k", "sparse_rate", "heavy_rate", "context"];
const LENGTHS = Array.from({ length: 41 }, (_, i) => Math.round(2 ** (10 + i / 4)));
const [ROW, MARK] = [24, 15];

/** What one kind reads, in words. */
export function inWords({ tokens, entries, rate }, query) {
  const of = `${tokens.length} of ${query + 1} tokens`;
  const each = (n, one) => `${n} ${n === 1 ? one : `${one.replace(/y$/, "ie")}s`}`;
  return rate ? `${of}, and ${each(entries.length, "entry")} for ${rate} tokens each` : of;
}

/** @param {import("../shared/common.js").Context} context */
function render({ model, el }) {
  openView(el, "moe-keys", "What a token reads, by the kind of attention");
  const [pieces, layers, published] = [model.get("pieces"), model.get("layers"), model.get("published")];
  const [time, palette] = [pieces.length, model.get("palette")];
  const ranks = numbers(model.get("ranks"), Uint8Array);
  const put = putter(model);
  const { line, say } = messageLine();
  const move = (to) => put("query", Math.max(0, Math.min(time - 1, to)));
  const rowOf = (layer, query) => [...ranks.subarray((layer * time + query) * time).subarray(0, query + 1)];

  const query = slider({
    label: "Token",
    min: 1,
    max: time,
    value: 1,
    show: (i) => `${i} of ${time}`,
    change: (i) => move(i - 1),
  });
  const layer = choice({
    label: "Layer",
    names: Array.from({ length: layers }, (_, i) => String(i)),
    change: (i) => put("layer", i),
  });
  layer.root.hidden = layers < 2;
  const counted = (label, name, max) =>
    slider({ label, min: 1, max, value: model.get(name), change: (value) => put(name, value) });
  const rated = (label, name) => {
    const of = RATES[name];
    const knob = slider({
      label,
      min: 0,
      max: of.length - 1,
      value: 0,
      show: (i) => `${of[i]} tokens`,
      change: (i) => put(name, of[i]),
    });
    return { ...knob, set: (value) => knob.set(nearest(of, value)) };
  };
  const knobs = {
    window: counted("Window", "window", 64),
    top_k: counted("Indexer picks", "top_k", 64),
    sparse_rate: rated("An entry for", "sparse_rate"),
    heavy_rate: rated("An entry for", "heavy_rate"),
  };

  const picture = shape("svg", { role: "img" });
  const kinds = element("div", { class: "moe-kinds", role: "radiogroup", "aria-label": "Kind of attention" });
  const buttons = KINDS.map((kind, i) =>
    element(
      "button",
      {
        type: "button",
        role: "radio",
        style: `--run: ${palette[i % palette.length]}`,
        onclick: () => put("kind", kind),
      },
      NAMES[i],
    ),
  );
  kinds.append(...buttons);
  walkRadios(
    kinds,
    buttons,
    () => KINDS.indexOf(model.get("kind")),
    (i) => put("kind", KINDS[i]),
  );
  const note = element("div", { class: "moe-note", role: "status" });
  const strip = element("div", {
    class: "moe-text",
    tabindex: 0,
    role: "group",
    "aria-label": "The text; click a token, or use arrow keys, Home and End",
  });
  const chips = pieces.map((piece, i) => element("span", { "data-at": i }, visible(piece)));
  strip.append(...chips);
  strip.addEventListener("click", (event) => {
    const chip = /** @type {HTMLElement} */ (event.target).closest("[data-at]");
    if (chip) move(Number(/** @type {HTMLElement} */ (chip).dataset.at));
  });
  strip.addEventListener("keydown", (event) => {
    const way = arrow(event);
    const to = way ? model.get("query") + way : { Home: 0, End: time - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    move(to);
  });
  const length = slider({
    label: "A text of",
    min: 0,
    max: LENGTHS.length - 1,
    value: nearest(LENGTHS, model.get("context")),
    show: (i) => `${whole(LENGTHS[i])} tokens`,
    change: (i) => put("context", LENGTHS[i]),
  });
  const table = element("table", {});
  el.append(
    element("div", { class: "moe-row" }, query.root, layer.root),
    line,
    kinds,
    picture,
    element("div", { class: "moe-row moe-few" }, ...Object.values(knobs).map((knob) => knob.root)),
    note,
    strip,
    element("div", { class: "moe-row moe-long" }, length.root),
    table,
  );

  const draw = onFrame(() => {
    say(model.get("message"));
    /** @type {any} */
    const now = Object.fromEntries(TRAITS.map((name) => [name, model.get(name)]));
    const at = KINDS.indexOf(now.kind);
    const readings = KINDS.map((kind) => readBy(kind, rowOf(now.layer, now.query), now));
    query.set(now.query + 1);
    layer.select.selectedIndex = now.layer;
    for (const [name, knob] of Object.entries(knobs)) {
      knob.root.hidden = !KNOBS[now.kind].includes(name);
      knob.set(now[name]);
    }
    length.set(nearest(LENGTHS, now.context));
    buttons.forEach((button, i) => {
      button.setAttribute("aria-checked", String(i === at));
      button.tabIndex = i === at ? 0 : -1;
    });
    bands(readings, now.query, at);
    el.style.setProperty("--run", palette[at % palette.length]);
    chips.forEach((chip, i) => (chip.className = standing(i, now.query, readings[at])));
    const [chip, height] = [chips[now.query], strip.clientHeight]; // in sight, without moving the page
    const top = chip.offsetTop; // from the strip, which is positioned
    if (top < strip.scrollTop || top + chip.offsetHeight > strip.scrollTop + height) strip.scrollTop = top - height / 2;
    note.replaceChildren(
      element("b", {}, visible(pieces[now.query])),
      ` (${NAMES[at]}) reads ${inWords(readings[at], now.query)}.`,
    );
    lengths(now.context, at);
  });

  /** A band for each kind, aligned by position; a click takes the kind, and the token under the hand. */
  function bands(readings, query, at) {
    const width = el.clientWidth - 6;
    const step = width / time;
    picture.setAttribute("height", String(ROW * KINDS.length + 4));
    picture.replaceChildren();
    readings.forEach((reading, i) => {
      const color = palette[i % palette.length];
      const y = i * ROW + (ROW - MARK) / 2;
      const bar = (from, to, opacity, high = MARK) =>
        shape("rect", {
          x: 1 + from * step,
          y: y + (MARK - high) / 2,
          width: Math.max(1.2, (to - from) * step),
          height: high,
          fill: color,
          "fill-opacity": opacity,
        });
      picture.append(bar(0, query + 1, 0.12));
      for (const entry of reading.entries) {
        picture.append(bar(entry * reading.rate + 0.12, (entry + 1) * reading.rate - 0.12, 0.5, 9));
      }
      for (const [from, to] of stretches(reading.tokens)) picture.append(bar(from, to, 1));
      if (i === at)
        picture.append(shape("rect", { x: 0, y: y - 3, width: width + 2, height: MARK + 6, class: "chosen" }));
    });
    const said = readings.map((reading, i) => `${NAMES[i]} ${inWords(reading, query)}`);
    picture.setAttribute("aria-label", `Token ${query + 1}: ${said.join("; ")}`);
  }
  picture.addEventListener("click", (event) => {
    const box = picture.getBoundingClientRect();
    put("kind", KINDS[Math.max(0, Math.min(KINDS.length - 1, Math.floor((event.clientY - box.top) / ROW)))]);
  });

  /** What a published layer of each kind reads, scores and keeps at a length, by formula. */
  function lengths(context, at) {
    /** @param {string} words @param {"td" | "th"} tag */
    const cell = (words, tag = "td") => element(tag, {}, words);
    const rows = KINDS.map((kind, i) => {
      const [read, scored, kept] = atLength(published[kind], context);
      const name = element(
        "th",
        { scope: "row" },
        element("i", { style: `background: ${palette[i % palette.length]}` }),
        `${NAMES[i]} (${published[kind].model})`,
      );
      const cells = [cell(whole(read)), cell(scored ? whole(scored) : "none"), cell(bytes(2 * kept))];
      return element("tr", { class: i === at ? "chosen" : "" }, name, ...cells);
    });
    const heads = ["one layer of", "vectors read by the last token", "scored by its indexer", "kept, 16 bits"];
    table.replaceChildren(
      element("thead", {}, element("tr", {}, ...heads.map((words) => cell(words, "th")))),
      element("tbody", {}, ...rows),
    );
  }

  return follow(model, el, [...TRAITS, "message"], draw);
}

export default { render };
