// RouterView's grid: a row for each layer, a column for each token, painted as pixels. While a knob moves, nothing is
// measured.

import { element } from "../shared/common.js";
import { channels } from "../shared/expert_colors.js";
import { t } from "../shared/language.js";
import { isChanged } from "../shared/rule.js";
import { heading } from "./heading.js";
import { percent } from "./words.js";

const NUMBERED = 13; // pixels: a narrower cell has no room for its expert's number
const FADED = 31; // alpha of what does not belong to the highlighted expert
const DROPPED = 64; // alpha of a choice without a slot

export function makeGrid(view) {
  const { title, say } = heading();
  const labels = element("div", { class: "moe-router-layers" });
  const canvas = element("canvas");
  const [rowMark, columnMark, hoverMark] = ["row", "column", "column hovered"].map((name) =>
    element("div", { class: `moe-router-${name}` }),
  );
  const field = element(
    "div",
    {
      class: "moe-router-cells",
      tabindex: 0,
      role: "application",
      "aria-label": t("Layers by tokens; left and right move the pinned token, up and down the layer"),
    },
    canvas,
    rowMark,
    columnMark,
    hoverMark,
  );
  const scroller = element("div", { class: "moe-router-scroller" }, field);
  const root = element("div", { class: "moe-router-grid" }, labels, scroller);
  const pen = canvas.getContext("2d");
  const size = { width: 0, height: 18, ratio: 1, room: 0, font: "", ink: 0 };
  let [pixels, words, painted, rowLabels] = [undefined, undefined, [], []];

  const cellOf = (event) => {
    const box = field.getBoundingClientRect();
    return [Math.floor((event.clientY - box.top) / size.height), Math.floor((event.clientX - box.left) / size.width)];
  };
  const pick = (event) => {
    const [row, token] = cellOf(event);
    view.putLayer(row);
    view.putToken(token);
  };
  field.addEventListener("pointermove", (event) => {
    const [, token] = cellOf(event);
    view.hover(token >= 0 && token < view.trace.tokens ? token : -1);
    if (event.buttons & 1) pick(event);
  });
  field.addEventListener("pointerleave", () => view.hover(-1));
  field.addEventListener("pointerdown", (event) => {
    field.setPointerCapture(event.pointerId);
    pick(event);
  });
  field.addEventListener("keydown", view.steer);

  const build = ({ numbers, colors }, compared) => {
    labels.classList.toggle("compared", compared);
    rowLabels = numbers.map((number, row) => {
      const share = element("small");
      const label = element(
        "button",
        { type: "button", tabindex: -1, "data-layer": number, onclick: () => view.putLayer(row) },
        t("layer {layer}", { layer: number }),
        share,
      );
      return { label, share };
    });
    labels.replaceChildren(...rowLabels.map(({ label }) => label));
    words = colors.map((color) => {
      const [r, g, b] = channels(color);
      return (b << 16) | (g << 8) | r; // as the bytes of a pixel lie in memory, without its alpha
    });
  };

  /** Take the room there is; called where the width, the theme or the trace changes, never in a frame. */
  const measure = () => {
    const { tokens, layers } = view.trace;
    const look = getComputedStyle(field);
    Object.assign(size, { room: scroller.clientWidth - 6, font: look.fontFamily });
    const [r, g, b] = (look.color.match(/[\d.]+/g) ?? [0, 0, 0]).map(Number);
    // color(srgb 0.1 0.1 0.1) counts from 0 to 1, rgb(20, 20, 20) to 255
    const scale = look.color.startsWith("color") ? 255 : 1;
    size.ink = (Math.round(b * scale) << 16) | (Math.round(g * scale) << 8) | Math.round(r * scale);
    size.inkText = look.color;
    size.width = Math.max(3, Math.min(26, Math.floor((2 * size.room) / tokens) / 2 || 3));
    size.height = tokens * size.width > 300 ? 18 : 20;
    size.ratio = Math.min(window.devicePixelRatio || 1, 16000 / (tokens * size.width));
    canvas.width = Math.max(1, Math.round(tokens * size.width * size.ratio));
    canvas.height = Math.max(1, Math.round(size.height * size.ratio) * layers);
    canvas.style.cssText = `width: ${tokens * size.width}px; height: ${layers * size.height}px`;
    root.style.setProperty("--row", `${size.height}px`);
    pixels = pen.createImageData(canvas.width, Math.round(size.height * size.ratio));
    painted = [];
  };

  /** Paint one layer, if any of its cells changed. */
  const paint = (row) => {
    const { trace } = view;
    const { tokens } = trace;
    const now = trace.now[row];
    const { topK, experts, dropped } = now;
    const [lit, other] = [view.lit(), view.reference(row)];
    const looks = (painted[row] ??= new Int32Array(tokens).fill(-1));
    let same = true;
    for (let token = 0; token < tokens; token++) {
      const at = token * topK;
      let inside = lit < 0;
      for (let k = at; !inside && k < at + topK; k++) inside = experts[k] === lit;
      const partner = !other ? -1 : other.partners ? other.partners[token] : token;
      const changed = partner >= 0 && isChanged(now, other.layer, token, partner);
      const [lost, lostToo] = dropped ? [dropped[at], topK > 1 ? dropped[at + 1] : 0] : [0, 0];
      const look =
        (experts[at] & 1023) |
        ((topK > 1 ? experts[at + 1] & 1023 : 1023) << 10) |
        (Number(topK > 1) << 20) |
        (Number(inside) << 21) |
        (Number(changed) << 22) |
        (lost << 23) |
        (lostToo << 24);
      if (looks[token] !== look) (looks[token] = look), (same = false);
    }
    if (!same) fill(row, looks);
  };

  const fill = (row, looks) => {
    const { tokens, inks, experts: n } = view.trace;
    const { width, ratio } = size;
    const out = new Uint32Array(pixels.data.buffer);
    const [across, down] = [pixels.width, pixels.height];
    const gap = Math.round(width >= 5 ? ratio : 0);
    const px = (y) => Math.round(y * ratio);
    const [edge, second, bottom] = [px(2), down - px(5), down - px(1)];
    out.fill(0);
    for (let token = 0; token < tokens; token++) {
      const look = looks[token];
      const [left, right] = [px(token * width), px((token + 1) * width) - gap];
      const alpha = look & (1 << 21) ? 255 : FADED;
      const color = (lost) => (lost ? Math.min(alpha, DROPPED) : alpha) << 24;
      const main = words[look & 1023] | color(look & (1 << 23));
      const two = look & (1 << 20);
      const below = two ? words[(look >> 10) & 1023] | color(look & (1 << 24)) : main;
      // The first scanline of each part; the others are copies of it.
      out.fill(look & (1 << 22) ? size.ink | (alpha << 24) : main, left, right);
      out.fill(main, edge * across + left, edge * across + right);
      out.fill(below, second * across + left, second * across + right);
    }
    const copy = (from, to) => {
      for (let y = from + 1; y < to; y++) out.copyWithin(y * across, from * across, (from + 1) * across);
    };
    copy(0, edge);
    copy(edge, second);
    copy(second, bottom);
    pen.putImageData(pixels, 0, row * down);
    if (width < NUMBERED && tokens > 1) return;
    pen.font = `${px(10)}px ${size.font}`;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    const y = row * down + px((size.height - 3.5) / 2);
    for (let token = 0; token < tokens; token++) {
      const look = looks[token];
      const expert = look & 1023;
      if (expert >= n) continue;
      const lost = look & (1 << 23);
      const x = px(token * width) + (px(width) - gap) / 2;
      pen.globalAlpha = look & (1 << 21) ? 1 : 0.2;
      pen.fillStyle = lost ? size.inkText : inks[expert];
      pen.fillText(String(expert), x, y);
      if (lost) pen.fillRect(x - px(5), y - px(0.75), px(10), px(1.25)); // struck out
    }
    pen.globalAlpha = 1;
  };

  /** Put the marks in place; say what share of each layer's choices agrees with the other trace: all but `shares`. */
  const mark = (row, pinned, shares) => {
    const { tokens } = view.trace;
    const { width, height } = size;
    const style = (node, text) => node.said !== text && (node.style.cssText = node.said = text);
    const place = (node, token) =>
      style(node, token < 0 ? "display: none" : `left: ${token * width - 1}px; width: ${Math.max(4, width + 1)}px`);
    style(rowMark, `top: ${row * height}px; height: ${height}px; width: ${tokens * width}px`);
    place(columnMark, pinned);
    place(hoverMark, view.hovered);
    const edges = view.two() || view.moved ? t("; an edge above: other experts") : "";
    say(t("Every layer"), t("one column per token, one row per layer") + edges);
    rowLabels.forEach(({ label, share }, at) => {
      const name = at === row ? "here" : "";
      if (label.className !== name) label.className = name;
      const text =
        view.two() && shares
          ? t("{share} of {count} agree", { share: percent(1 - shares[at]), count: view.matched() })
          : "";
      if (share.said !== text) share.textContent = share.said = text;
    });
  };
  const follow = (pinned) => {
    const x = pinned * size.width;
    const inside = x >= scroller.scrollLeft && x <= scroller.scrollLeft + size.room - size.width;
    if (!inside) scroller.scrollLeft = x - size.room / 2;
  };
  return { nodes: [title, root], build, measure, paint, mark, follow };
}
