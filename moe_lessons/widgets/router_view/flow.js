// RouterView's picture: the text above, a bin for each expert below, and between them the ribbons of one layer. Two
// canvases: the lower one holds every ribbon and is painted where the routing or the room changes, the upper one what a
// hand touches and what falls.

import { element } from "../shared/common.js";
import { channels, inkOn } from "../shared/expert_colors.js";
import { t } from "../shared/language.js";
import { makeBins } from "./bins.js";
import { write } from "./heading.js";
import { makeRaster, wordOf } from "./raster.js";
import { paint, ribbonsOf } from "./ribbons.js";
import { makeStrip } from "./strip.js";

const REST_AFTER = 180; // ms without a change
const GLIDE = 420; // ms in which ribbons move to the next best
const [REST, CROSSED] = [0.55, 0.25]; // how strongly a ribbon is drawn that nobody touches, and that crosses bins

export function makeFlow(view) {
  const [strip, bins] = [makeStrip(view), makeBins(view)];
  const [lower, upper] = ["ribbons", "touched"].map((name) =>
    element("canvas", { class: `moe-router-${name}`, "aria-hidden": "true" }),
  );
  const note = element("p", { class: "moe-router-hint" });
  const stage = element(
    "div",
    { class: "moe-router-stage" },
    lower,
    strip.root,
    element("div", { class: "moe-router-gap" }),
    bins.root,
    upper,
    note,
  );
  const [raster, pen] = [makeRaster(lower), upper.getContext("2d")];
  const size = { width: 0, height: 0, foot: 0, muted: "", ink: "", version: 0 };
  let [spots, mouths, tints, words] = [[], [], [], []];
  let ribbons, drawn, above, gliding, dark, resting, grain; // `above`: what the upper canvas shows at rest
  view.scrolled = () => (size.version++, view.draw());

  const build = (trace) => {
    clearTimeout(resting); // the ribbons that it would paint are gone
    strip.build(trace);
    bins.build(trace);
    [ribbons, drawn, above, gliding] = [undefined, "", "", undefined];
  };

  /** Take the room there is; called where the width, the theme or the trace changes, never in a frame. */
  const measure = () => {
    bins.measure();
    const origin = stage.getBoundingClientRect();
    const ratio = window.devicePixelRatio || 1;
    size.width = origin.width;
    size.height = origin.height;
    upper.width = Math.max(1, Math.round(size.width * ratio));
    upper.height = Math.max(1, Math.round(size.height * ratio));
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    const look = getComputedStyle(stage);
    strip.measure(channelsOf(look.backgroundColor));
    size.foot = strip.root.offsetTop + strip.root.offsetHeight;
    mouths = bins.mouths(origin);
    const end = Math.max(...mouths.map((mouth) => mouth.y)) + 2; // no ribbon goes farther
    raster.measure(size.width, end);
    lower.style.cssText = `width: ${size.width}px; height: ${end}px`;
    upper.style.cssText = `width: ${size.width}px; height: ${size.height}px`;
    dark = !isDark(channelsOf(look.color));
    // On a dark page dark colors are brightened, on a light one light ones darkened, so that no ribbon is lost.
    tints = view.trace.colors.map((color) => {
      const ink = inkOn(color) === "#ffffff" ? "dark" : "bright";
      if (dark && ink === "dark") return mixed(color, 255, 0.3);
      return !dark && ink === "bright" ? mixed(color, 0, 0.06) : color;
    });
    words = tints.map(wordOf);
    size.ink = look.color;
    size.muted = getComputedStyle(upper).color;
    size.version++;
  };

  const place = (row) => {
    spots = strip.spots();
    return ribbonsOf(view.trace.now[row], spots, mouths, size.foot);
  };

  /** `falling`: what draws tokens that fall, and how many have come; undefined while they rest. */
  const draw = (row, focus, pinned, shut, falling) => {
    const landed = falling?.landed(row);
    strip.draw(row, focus, pinned);
    bins.draw(row, focus, landed, shut);
    const state = `${row} ${view.trace.done[row]} ${view.which()} ${view.isApplied} ${size.version}`;
    const fresh = state !== drawn;
    const first = !ribbons;
    if (fresh) {
      const before = ribbons;
      ribbons = place(row);
      drawn = state;
      gliding = view.glide && before && moves() ? { from: before, since: performance.now() } : undefined;
      view.glide = false;
    }
    const lit = view.lit();
    const touched = view.hovered >= 0 || lit >= 0;
    lower.classList.toggle("faint", touched && !falling);
    if (fresh) tell();
    const alpha = bins.place.lines > 2 ? CROSSED : REST;
    const look = { muted: dark ? 0xaaaaaa : 0x666666, alpha };
    clearTimeout(resting);
    if (falling) {
      raster.paint(ribbons, words, { ...look, grain: "falling", shareOf: (i) => falling.shareOf(ribbons.token[i]) });
      grain = "falling";
    } else if (gliding) raster.paint(between(), words, { ...look, grain: "falling" });
    else if (fresh || grain === "falling") {
      raster.paint(ribbons, words, { ...look, grain: (grain = first ? "fine" : "rough") }); // whole, when all have come
    }
    // What is painted while a hand moves is rough; once it rests there is time for all pixels.
    if (!falling && !gliding && grain !== "fine") {
      resting = setTimeout(() => raster.paint(ribbons, words, { ...look, grain: (grain = "fine") }), REST_AFTER);
    }
    const touch = falling || gliding ? "" : `${drawn} ${focus} ${lit} ${view.hovered}`;
    if (!touch || touch !== above) {
      above = touch; // in a frame that comes for another layer's sake it stays, and costs nothing
      pen.clearRect(0, 0, size.width, size.height);
      if (falling) falling.paint(pen, ribbons, { tints, ...size, chip: strip.chipOf });
      else if (!gliding) paintTouched(focus, lit);
    }
    if (gliding && performance.now() - gliding.since > GLIDE) (gliding = undefined), (drawn = "");
    if (gliding || (!falling && !drawn)) view.draw();
  };

  /** What is not drawn. */
  const tell = () => {
    const { tokens, now } = view.trace;
    const { topK } = now[view.row];
    const sights =
      spots.length < tokens
        ? t("Ribbons of the {count} tokens in sight; scroll the text for more.", { count: spots.length })
        : "";
    const ranks =
      ribbons.ranks < topK
        ? t("Of each token’s {all} ribbons the first {count} are drawn.", { all: topK, count: ribbons.ranks })
        : "";
    write(note, `${sights} ${ranks}`.trim());
    note.hidden = !note.textContent;
  };

  const paintTouched = (focus, lit) => {
    const whole = lit >= 0 && view.hovered < 0;
    const chosen = whole ? (i) => ribbons.expert[i] === lit : (i) => ribbons.token[i] === focus;
    paint(pen, ribbons, { tints, muted: size.muted, alpha: whole ? 0.85 : 0.95, chosen });
  };

  // ---- ribbons move from where they were to where they are
  const between = () => {
    const { from, since } = gliding;
    const time = Math.min(1, (performance.now() - since) / GLIDE);
    const eased = time < 0.5 ? 2 * time * time : 1 - 2 * (1 - time) ** 2;
    const between = { ...ribbons, x1: ribbons.x1.slice(), y1: ribbons.y1.slice() };
    const old = new Map(); // of each token its old ends, by expert
    for (let i = 0; i < from.size; i++) old.set(from.token[i] * 4096 + from.expert[i], i);
    const left = new Map(); // old ends that no expert of now takes up
    const kept = new Set(ribbons.token.map((token, i) => token * 4096 + ribbons.expert[i]));
    for (const [key, i] of old) if (!kept.has(key)) left.set(from.token[i], [...(left.get(from.token[i]) ?? []), i]);
    for (let i = 0; i < ribbons.size; i++) {
      const start = old.get(ribbons.token[i] * 4096 + ribbons.expert[i]) ?? left.get(ribbons.token[i])?.shift();
      if (start === undefined) continue;
      between.x1[i] = from.x1[start] + (ribbons.x1[i] - from.x1[start]) * eased;
      between.y1[i] = from.y1[start] + (ribbons.y1[i] - from.y1[start]) * eased;
    }
    return between;
  };
  const moves = () => !matchMedia("(prefers-reduced-motion: reduce)").matches;

  return { root: stage, build, measure, draw, moves, follow: strip.follow, stop: () => clearTimeout(resting) };
}

/** A color as the page computed it, as three numbers up to 255. */
function channelsOf(color) {
  const scale = color.startsWith("color") ? 255 : 1; // color(srgb 0.1 0.1 0.1) counts from 0 to 1
  return (color.match(/[\d.]+/g) ?? [0, 0, 0]).slice(0, 3).map((part) => Number(part) * scale);
}

/** Whether a color is dark, as the ink of a light page is. */
function isDark([r, g, b]) {
  return 0.3 * r + 0.6 * g + 0.1 * b < 128;
}

function mixed(color, target, amount) {
  const sides = channels(color).map((c) => Math.round(c + (target - c) * amount));
  return `#${sides.map((c) => c.toString(16).padStart(2, "0")).join("")}`;
}
