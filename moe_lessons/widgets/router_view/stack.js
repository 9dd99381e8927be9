// RouterView's stack: the layers at the side, each a strip of its tokens' first experts, with the way of the token that
// is looked at through all of them.

import { element } from "../shared/common.js";
import { channels } from "../shared/expert_colors.js";
import { t } from "../shared/language.js";
import { write } from "./heading.js";
import { percent } from "./words.js";

const MOST_WAY = 3; // experts of the looked-at token that a layer names

export function makeStack(view) {
  const root = element("div", {
    class: "moe-router-stack",
    role: "group",
    "aria-label": t("Layers; up and down change the layer"),
  });
  root.addEventListener("keydown", (event) => {
    view.steer(event);
    if (event.key.startsWith("Arrow")) layers[view.row]?.root.focus({ preventScroll: true });
  });
  let layers = [];
  let [words, tabbed] = [new Uint32Array(), -1];

  const build = ({ numbers, colors, tokens, experts, layers: n }) => {
    words = Uint32Array.from(colors, (color) => {
      const [r, g, b] = channels(color);
      return ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0; // as the bytes of a pixel lie in memory
    });
    root.classList.toggle("many", n > 8);
    root.classList.toggle("hundreds", experts > 100);
    layers = numbers.map((number, row) => {
      const canvas = element("canvas", { width: tokens, height: 1, "aria-hidden": "true" });
      const badges = Array.from({ length: MOST_WAY }, () => element("em"));
      const [way, note, mark] = [
        element("span", { class: "moe-router-way" }, ...badges),
        element("small"),
        element("i"),
      ];
      const button = element(
        "button",
        { type: "button", tabindex: -1, "data-layer": number, onclick: () => view.putLayer(row) },
        element(
          "b",
          {},
          ...(n > 8
            ? [element("span", { class: "moe-router-spoken" }, `${t("layer")} `), String(number)]
            : [t("layer {layer}", { layer: number })]),
        ),
        way,
        element("span", { class: "moe-router-mini" }, canvas, mark),
        note,
      );
      const pen = canvas.getContext("2d");
      return { root: button, badges, note, mark, pen, pixels: pen.createImageData(tokens, 1), done: "", said: "" };
    });
    root.replaceChildren(...layers.map((layer) => layer.root));
    tabbed = -1;
  };

  /** Paint one layer's strip, if its routing changed. */
  const paint = (row) => {
    const { trace } = view;
    const layer = layers[row];
    const [now, lit] = [trace.now[row], view.lit()];
    const done = `${trace.done[row]} ${lit} ${view.which()} ${view.isApplied}`;
    if (layer.done === done) return;
    layer.done = done;
    const out = new Uint32Array(layer.pixels.data.buffer);
    for (let token = 0; token < trace.tokens; token++) {
      let [seen, inside] = [now.experts[token * now.topK], lit < 0];
      for (let k = token * now.topK; !inside && k < (token + 1) * now.topK; k++) {
        if (now.experts[k] === lit) [seen, inside] = [lit, true];
      }
      out[token] = inside ? words[seen] : words[seen] & 0x30ffffff;
    }
    layer.pen.putImageData(layer.pixels, 0, 0);
  };

  /** Say where the focused token goes in each layer; `shares`: of each layer's choices, those that differ. */
  const draw = (row, focus, shares) => {
    const { trace } = view;
    layers.forEach((layer, at) => {
      const now = trace.now[at];
      if (!now) return;
      const way = Array.from(now.experts.subarray(focus * now.topK, (focus + 1) * now.topK)).slice(0, MOST_WAY);
      const words = `${way} ${focus} ${at === row} ${trace.tokens}`;
      if (layer.said !== words) {
        layer.said = words;
        for (const [i, badge] of layer.badges.entries()) {
          const e = way[i];
          write(badge, e === undefined ? "" : String(e));
          const style = e === undefined ? "display: none" : `background: ${trace.colors[e]}; color: ${trace.inks[e]}`;
          if (badge.look !== style) badge.style.cssText = badge.look = style;
        }
        layer.mark.style.left = `${((100 * (focus + 0.5)) / trace.tokens).toFixed(2)}%`;
        layer.root.className = at === row ? "here" : "";
        layer.root.setAttribute("aria-pressed", String(at === row));
      }
      const share = shares?.[at];
      write(layer.note, share === undefined ? "" : noteOf(share));
    });
    if (tabbed !== row) {
      layers[tabbed]?.root.setAttribute("tabindex", -1);
      layers[(tabbed = row)].root.setAttribute("tabindex", 0);
    }
  };
  const noteOf = (share) => {
    if (view.two()) return t("{share} of {count} agree", { share: percent(1 - share), count: view.matched() });
    return view.moved && share > 0 ? t("{share} differ", { share: percent(share) }) : "";
  };
  let scrolls = false;
  const measure = () => {
    scrolls = root.scrollWidth > root.clientWidth + 1 || root.scrollHeight > root.clientHeight + 1;
  };
  /** After a change of layer, it is in sight. */
  const follow = (row) => {
    if (!scrolls) return; // asking where things are makes the page lay them out at once
    const [box, own] = [root.getBoundingClientRect(), layers[row].root.getBoundingClientRect()];
    if (own.left < box.left || own.right > box.right) root.scrollLeft += own.left - box.left - 20;
    if (own.top < box.top || own.bottom > box.bottom) root.scrollTop += own.top - box.top - 20;
  };
  return { root, build, measure, paint, draw, follow };
}
