import { choice, element, messageLine, numbers, onFrame, openView, slider, visible } from "../shared/common.js";
import { channels } from "../shared/expert_colors.js";
import { follow, putter, walkRadios } from "../shared/habits.js";

/** The weights of one head: `at(query, key)` between 0 and 1. */
export function headOf(weights, [, heads, time], layer, head) {
  const start = (layer * heads + head) * time * time;
  return { time, at: (query, key) => weights[start + query * time + key] / 65535 };
}

/** What a head does most, on average over its queries, in a few words. */
export function habit({ time, at }) {
  let [self, previous, first, distance, mass] = [0, 0, 0, 0, 0];
  for (let query = 1; query < time; query++) {
    for (let key = 0; key <= query; key++) {
      const weight = at(query, key);
      mass += weight;
      distance += weight * (query - key);
      if (key === query) self += weight;
      if (key === query - 1) previous += weight;
      if (key === 0 && query > 1) first += weight;
    }
  }
  if (!mass) return "";
  /** @type {[number, string][]} */
  const shares = [
    [self, "itself"],
    [previous, "previous"],
    [first, "first"],
  ];
  const [share, name] = shares.sort((a, b) => b[0] - a[0])[0];
  return share / mass >= 0.4
    ? `${name} ${Math.round((100 * share) / mass)}%`
    : `mean ${(distance / mass).toFixed(1)} back`;
}

/** The keys with the largest weights for a query, largest first; ties go to the earlier key. */
export function topKeys({ at }, query, count) {
  const keys = Array.from({ length: query + 1 }, (_, key) => [key, at(query, key)]);
  return keys.sort((a, b) => b[1] - a[1] || a[0] - b[0]).slice(0, count);
}

/** RGBA pixels of one head: the color's opacity grows with the weight, keys after the query stay empty. */
export function pixels({ time, at }, [red, green, blue]) {
  const data = new Uint8ClampedArray(4 * time * time);
  for (let query = 0; query < time; query++) {
    for (let key = 0; key <= query; key++) {
      // The square root keeps small weights in sight; + 26 keeps the causal triangle visible where there is no weight.
      data.set([red, green, blue, 26 + 229 * Math.sqrt(at(query, key))], 4 * (query * time + key));
    }
  }
  return data;
}

/** @param {import("../shared/common.js").Context} context */
function render({ model, el }) {
  openView(el, "moe-attention", "Attention weights, head by head");
  const shape = model.get("shape");
  const [layers, heads, time] = shape;
  const pieces = model.get("pieces");
  const weights = numbers(model.get("weights"), Uint16Array);
  const put = putter(model);

  const layer = choice({
    label: "Layer",
    names: Array.from({ length: layers }, (_, i) => String(i)),
    value: model.get("layer"),
    change: (i) => put("layer", i),
  });
  const query = slider({
    label: "Query position",
    min: 0,
    max: time - 1,
    value: model.get("query"),
    change: (i) => put("query", i),
    show: (i) => `${i + 1} of ${time}`,
  });
  const { line, say } = messageLine();
  const small = element("div", { class: "moe-heads", role: "radiogroup", "aria-label": "Heads of this layer" });
  const thumbs = Array.from({ length: heads }, (_, i) => {
    const canvas = element("canvas", { width: time, height: time });
    const label = element("small");
    const pick = element("button", { type: "button", role: "radio", onclick: () => put("head", i) }, canvas, label);
    return { canvas, label, pick };
  });
  small.append(...thumbs.map((thumb) => thumb.pick));
  walkRadios(
    small,
    thumbs.map((thumb) => thumb.pick),
    () => model.get("head"),
    (i) => put("head", i),
  );

  const map = element("canvas", { width: time, height: time });
  const row = element("div", { class: "moe-row-mark" });
  const large = element("div", { class: "moe-map", role: "img" }, map, row);
  const strip = element("div", { class: "moe-strip", "aria-label": "Text, shaded by weight" });
  const chips = pieces.map((piece, i) => {
    const text = element("span", {}, visible(piece));
    return element("button", { type: "button", tabindex: -1, onclick: () => put("query", i) }, text);
  });
  strip.append(...chips);
  const note = element("div", { class: "moe-note", "aria-live": "polite" });
  const side = element("div", { class: "moe-side" }, note, strip);
  el.append(
    element("div", { class: "moe-row" }, layer.root, query.root),
    line,
    small,
    element(
      "div",
      { class: "moe-pair" },
      element("div", { class: "moe-axes" }, element("span", {}, "key →"), large, element("span", {}, "query ↓")),
      side,
    ),
  );

  const cell = (event) => {
    const box = large.getBoundingClientRect();
    const at = (offset, size) => Math.min(time - 1, Math.max(0, Math.floor((offset / size) * time)));
    return [at(event.clientY - box.top, box.height), at(event.clientX - box.left, box.width)];
  };
  let pointed = -1;
  large.addEventListener(
    "pointerdown",
    (event) => (large.setPointerCapture(event.pointerId), put("query", cell(event)[0])),
  );
  large.addEventListener("pointermove", (event) => {
    const [at, key] = cell(event);
    pointed = key;
    if (event.buttons) put("query", at);
    draw();
  });
  large.addEventListener("pointerleave", () => ((pointed = -1), draw()));

  let painted = "";
  const paint = (canvas, head, color) => {
    canvas.getContext("2d").putImageData(new ImageData(pixels(head, color), time, time), 0, 0);
  };
  const draw = onFrame(() => {
    const [l, h, q] = ["layer", "head", "query"].map((name) => model.get(name));
    const color = channels(model.get("palette")[h % model.get("palette").length]);
    const head = headOf(weights, shape, l, h);
    if (painted !== `${l} ${h}`) {
      thumbs.forEach(({ canvas, label, pick }, i) => {
        const one = headOf(weights, shape, l, i);
        paint(canvas, one, channels(model.get("palette")[i % model.get("palette").length]));
        label.textContent = `head ${i}: ${habit(one)}`;
        pick.setAttribute("aria-label", label.textContent);
        pick.setAttribute("aria-checked", String(i === h));
        pick.tabIndex = i === h ? 0 : -1;
      });
      paint(map, head, color);
      large.setAttribute("aria-label", `Layer ${l}, head ${h}: weight of each key for each query`);
      painted = `${l} ${h}`;
    }
    layer.select.selectedIndex = l;
    query.set(q);
    row.style.cssText = `top: ${(100 * q) / time}%; height: ${100 / time}%; width: ${(100 * (q + 1)) / time}%`;
    const strongest = topKeys(head, q, 1)[0][1] || 1;
    chips.forEach((chip, key) => {
      const share = key > q ? 0 : head.at(q, key) / strongest;
      chip.style.background = `rgb(${color.join(" ")} / ${(0.75 * share).toFixed(3)})`;
      chip.className = key === q ? "query" : key > q ? "later" : key === pointed ? "pointed" : "";
      chip.title = key > q ? "later than the query: hidden" : `${(100 * head.at(q, key)).toFixed(1)}%`;
    });
    const says = topKeys(head, q, 3)
      .filter(([, weight], i) => !i || weight >= 0.01)
      .map(([key, weight]) => `${visible(pieces[key])} ${(100 * weight).toFixed(0)}%`);
    const here =
      pointed >= 0 && pointed <= q
        ? `; pointed at ${visible(pieces[pointed])}: ${(100 * head.at(q, pointed)).toFixed(1)}%`
        : "";
    note.replaceChildren(element("b", {}, visible(pieces[q])), ` looks at ${says.join(", ")}${here}`);
    say(model.get("message"));
  });
  return follow(model, el, ["layer", "head", "query", "message"], draw);
}

export default { render };
