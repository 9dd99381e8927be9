// RouterView's bins: an expert each, a button that switches it off, filled as far as it is loaded. Bins of one group
// share a border. A layer's bins are made once; a frame touches those that changed.

import { element } from "../shared/common.js";
import { later, t } from "../shared/language.js";
import { loadOf } from "../shared/rule.js";
import { set, write } from "./heading.js";

const NARROW = 19; // pixels: a bin that is narrower has no room for its count
const THIN = 13; // and one narrower than this bears its number only where it is a multiple of four
const [FULL, COUNT] = [0.92, 19]; // of its height is the fill of the busiest bin, less the pixels that its count needs

export function makeBins(view) {
  const root = element("div", {
    class: "moe-router-bins",
    role: "group",
    "aria-label": t("Experts; left and right walk, Enter switches one off or on"),
  });
  let bins = [];
  let groups = [];
  const place = { step: 0, lines: 1, tall: 74 }; // of one bin, in pixels
  let tabbed = -1;

  const expertOf = (event) => Number(event.target.closest?.(".moe-bin")?.dataset.expert ?? -1);
  root.addEventListener("pointerover", (event) => view.hoverBin(expertOf(event)));
  root.addEventListener("pointerleave", () => view.hoverBin(-1));
  root.addEventListener(
    "focusin",
    (event) => /** @type {Element} */ (event.target).matches(":focus-visible") && view.hoverBin(expertOf(event)),
  );
  root.addEventListener("focusout", () => view.hoverBin(-1));
  root.addEventListener("click", (event) => expertOf(event) >= 0 && view.pressBin(expertOf(event)));
  root.addEventListener("keydown", (event) => {
    const expert = expertOf(event);
    const to = { ArrowLeft: expert - 1, ArrowRight: expert + 1, Home: 0, End: bins.length - 1 }[event.key];
    if (expert < 0 || to === undefined) return;
    event.preventDefault();
    const next = Math.max(0, Math.min(bins.length - 1, to));
    tab(next);
    bins[next].root.focus();
  });
  const tab = (expert) => {
    bins[tabbed]?.root.setAttribute("tabindex", -1);
    bins[(tabbed = expert)]?.root.setAttribute("tabindex", 0);
  };

  const build = ({ experts, colors, ownKnobs }) => {
    bins = colors.slice(0, experts).map((color, e) => {
      const [count, number] = [element("b"), element("span", {}, String(e))];
      const body = element("div", { class: "moe-bin-body" }, count);
      const bin = element(
        "button",
        { type: "button", class: "moe-bin", role: "switch", tabindex: -1, "data-expert": e, style: `--tint: ${color}` },
        body,
        number,
      );
      return { root: bin, body, count };
    });
    const n = ownKnobs.nGroups;
    groups = Array.from({ length: n }, (_, group) => {
      const own = bins.slice((group * experts) / n, ((group + 1) * experts) / n).map((bin) => bin.root);
      const name = element("small");
      const box = element("div", { class: n > 1 ? "moe-bin-group bordered" : "moe-bin-group" }, ...own);
      if (n > 1) box.append(name);
      return { box, name };
    });
    root.replaceChildren(...groups.map(({ box }) => box));
    tabbed = -1;
    tab(0);
  };

  /** Bins as wide as the room allows, in several lines where they would be too narrow. */
  const measure = () => {
    const n = bins.length;
    const apart = groups.length > 1 ? 10 * groups.length : 0;
    const room = root.clientWidth - apart - 2;
    const least = n > 256 ? 12 : 14;
    place.lines = Math.max(1, Math.ceil((n * least) / room));
    const perGroup = n / groups.length;
    const inLine = Math.ceil(n / place.lines);
    place.step =
      Math.floor((4 * room) / (groups.length > 1 && place.lines > 1 ? Math.max(inLine, perGroup) : inLine)) / 4;
    place.step = Math.max(Math.min(place.step, 84), Math.min(least, room));
    place.tall = place.lines === 1 ? 74 : place.lines < 4 ? 46 : 22;
    const look = root.classList;
    look.toggle("narrow", place.step < NARROW);
    look.toggle("thin", place.step < THIN);
    look.toggle("lines", place.lines > 1);
    look.toggle("wide", place.step >= 40);
    root.style.setProperty("--step", `${place.step}px`);
    root.style.setProperty("--tall", `${place.tall}px`);
  };

  /** Where the ribbons end: of each bin's mouth the left edge, the top and the width, seen from `origin`. */
  const mouths = (origin) =>
    bins.map(({ root: bin }) => {
      const box = bin.firstElementChild.getBoundingClientRect();
      return { x: box.left - origin.left, y: box.top - origin.top, width: box.width, height: box.height };
    });

  /** `landed`: how many tokens have come so far, while they fall; `shut`: groups that the focused token may not use. */
  const draw = (row, focus, landed, shut) => {
    const { trace, off } = view;
    const now = trace.now[row];
    const { asked, kept } = loadOf(now, trace.experts);
    const most = Math.max(1, ...asked);
    const lit = view.lit();
    const mine = new Set();
    for (let k = focus * now.topK; k < (focus + 1) * now.topK; k++) mine.add(now.experts[k]);
    const perGroup = trace.experts / groups.length;
    const full = place.step < NARROW ? FULL : Math.min(FULL, 1 - COUNT / place.tall);
    for (let e = 0; e < bins.length; e++) {
      const bin = bins[e];
      const count = landed ? landed[e] : kept[e];
      const isOff = off.has(e);
      const isShut = shut.has(Math.floor(e / perGroup));
      const level = ((full * count) / most).toFixed(3);
      const lost = asked[e] - kept[e];
      // A fill is a background and a count is moved by `top`: neither makes the page a new layer, as transforms would.
      if (bin.level !== level) bin.body.style.backgroundSize = `100% ${100 * Number((bin.level = level))}%`;
      if (place.step >= NARROW) {
        write(bin.count, isOff ? t("off") : lost && !landed ? `${count}+${lost}` : String(count));
        const high = ((1 - Number(isOff ? 0 : level)) * place.tall - 18).toFixed(1);
        if (bin.high !== high) bin.count.style.top = `${(bin.high = high)}px`;
      }
      const look = `moe-bin${isOff ? " off" : ""}${mine.has(e) ? " mine" : ""}${isShut ? " shut" : ""}`;
      const dim = (lit >= 0 && lit !== e) || (lit < 0 && view.hovered >= 0 && !mine.has(e));
      set(bin.root, {
        class: look + (dim ? " dim" : ""),
        "aria-checked": String(!isOff),
        "aria-label": wordsOf(e, asked[e], lost, isOff, isShut),
      });
    }
    groups.forEach(({ box, name }, group) => {
      const isShut = shut.has(group);
      write(name, t(isShut ? later("group {group}, shut out") : later("group {group}"), { group }));
      box.classList.toggle("shut", isShut);
    });
  };
  const wordsOf = (e, count, lost, isOff, isShut) => {
    if (isOff) return t("expert {e}, switched off; press to switch it on", { e });
    const tokens = count === 1 ? t("expert {e}, 1 token", { e }) : t("expert {e}, {count} tokens", { e, count });
    const late = lost ? t(", {lost} of them without a slot", { lost }) : "";
    return tokens + late + (isShut ? t("; its group shut it out for the token that is looked at") : "");
  };
  return { root, build, measure, mouths, draw, place };
}
