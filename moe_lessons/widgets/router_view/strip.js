// RouterView's text: one chip per token, colored by its experts in one layer.

import { element, visible } from "../shared/common.js";
import { t } from "../shared/language.js";
import { isChanged } from "../shared/rule.js";
import { destination } from "./words.js";

const STEPS = 22; // shades of a chip: a change too small to see costs nothing

const LONG = 30; // signs of a piece that may be wider than its room

const MARKS = { "\n": "↵", "\t": "→", " ": "␣" };

/** So much of a color on the paper: ribbons that run below a chip do not shine through. */
function over(paper, color, shade) {
  return `rgb(${color.map((part, i) => Math.round(part * shade + paper[i] * (1 - shade))).join(" ")})`;
}

export function makeStrip(view) {
  const strip = element("div", {
    class: "moe-router-strip",
    role: "group",
    "aria-label": t("Tokens; arrow keys move the pinned one, up and down the layer"),
  });
  let [chips, blank, painted, tabbed] = [[], [], new Int32Array(), -1];
  let [boxes, byPlace, scrolls] = [[], [], false];
  // Where the text lies, and what of it is in sight; chips that are not are painted when they come into sight.
  const seen = { left: 0, top: 0, from: 0, tall: 0, spots: undefined };
  let [paper, depth] = [[255, 255, 255], 0.4];
  strip.addEventListener("scroll", () => {
    Object.assign(seen, { from: strip.scrollTop, spots: undefined });
    view.scrolled();
  });
  const tokenOf = (event) => Number(event.target.closest?.(".moe-token")?.dataset.token ?? -1);
  strip.addEventListener("pointerover", (event) => view.hover(tokenOf(event)));
  strip.addEventListener("pointerleave", () => view.hover(-1));
  strip.addEventListener("click", (event) => tokenOf(event) >= 0 && view.putToken(tokenOf(event)));
  strip.addEventListener("keydown", view.steer);

  const build = ({ pieces, starts }) => {
    chips = pieces.map((piece, token) => {
      const chip = element("span", { class: "moe-token", role: "button", tabindex: -1, "data-token": token });
      // A blank before a word is drawn as one, between chips: so the tokens are read as a text.
      const bare = piece.replace(/^ (?=\S)/, "");
      if (piece.length > LONG) chip.dataset.long = "";
      if (bare !== piece) chip.style.marginLeft = "6px";
      for (const sign of bare.split(/(\n|\t|^ +$)/)) {
        const mark = MARKS[sign[0]];
        chip.append(mark && !sign.trim() ? element("i", {}, mark.repeat(sign.length)) : sign);
      }
      return chip;
    });
    blank = pieces.map((piece) => /^\s*$/.test(piece));
    [painted, tabbed] = [new Int32Array(chips.length).fill(-1), -1];
    strip.replaceChildren(
      ...chips.flatMap((chip, token) => [
        ...(starts.has(token) ? [element("hr")] : []),
        chip,
        ...(pieces[token].endsWith("\n") ? [element("br")] : []),
      ]),
    );
  };

  const draw = (row, focus, pinned) => {
    const { trace, hovered } = view;
    const { topK, experts, weights, dropped } = trace.now[row];
    const [lit, other] = [view.lit(), view.reference(row)];
    for (const { token } of spots()) {
      const at = token * topK;
      const second = topK > 1 ? experts[at + 1] : 1023;
      let [total, inside, lost] = [0, lit < 0, 0];
      for (let k = at; k < at + topK; k++) {
        total += weights[k];
        inside ||= experts[k] === lit;
        lost += dropped ? dropped[k] : 0;
      }
      const step = total > 0 ? Math.round((STEPS * weights[at]) / total) : 0;
      const partner = !other ? -1 : other.partners ? other.partners[token] : token;
      const changed = partner >= 0 && isChanged(trace.now[row], other.layer, token, partner);
      const fate = !lost ? 0 : lost === topK ? 1 : topK > 1 && dropped[at + 1] ? 2 : 0;
      const looks =
        (experts[at] & 1023) |
        ((second & 1023) << 10) |
        (step << 20) |
        (Number(inside) << 25) |
        (Number(changed) << 26) |
        (fate << 27) |
        (Number(token === pinned) << 29) |
        (Number(token === hovered) << 30);
      if (painted[token] === looks) continue;
      painted[token] = looks;
      const chip = chips[token];
      const shade = (blank[token] ? 0.55 : 1) * (0.14 + (depth * step) / STEPS);
      chip.style.backgroundColor = inside ? over(paper, trace.parts[experts[at]], shade) : "";
      chip.style.borderBottomColor = inside && topK > 1 && fate !== 1 ? trace.colors[second] : "transparent";
      const hand = `${token === pinned ? " pinned" : ""}${token === hovered ? " hovered" : ""}`;
      const lot = `${changed ? " changed" : ""}${["", " dropped", " halved"][fate]}`;
      chip.className = `moe-token${inside ? "" : " dim"}${lot}${hand}`;
    }
    if (tabbed !== pinned) {
      chips[tabbed]?.setAttribute("tabindex", -1);
      chips[(tabbed = pinned)].setAttribute("tabindex", 0);
    }
    chips[focus].setAttribute(
      "aria-label",
      t("{piece}, {where}", { piece: trace.pieces[focus], where: destination(trace.now[row], focus) }),
    );
  };

  /** Where the chips lie, in pixels from the text's upper left corner; called where the room changes. */
  const measure = (background) => {
    if (String(paper) !== String(background)) painted.fill(-1);
    [paper, depth] = [background, background[1] < 128 ? 0.29 : 0.42]; // as strong as leaves the words readable
    strip.style.maxHeight = "";
    const origin = strip.getBoundingClientRect();
    boxes = chips.map((chip, token) => {
      const box = chip.getBoundingClientRect();
      return {
        token,
        text: view.trace.pieces[token].trim() || visible(view.trace.pieces[token]),
        x: box.left - origin.left,
        y: box.bottom - origin.top + strip.scrollTop,
        width: box.width,
        height: box.height,
      };
    });
    // A text that is longer than its room ends with a whole line.
    const ends = boxes.map(({ y }) => y + 5).filter((y) => y <= strip.clientHeight);
    scrolls = strip.scrollHeight > strip.clientHeight + 2;
    if (scrolls) strip.style.maxHeight = `${Math.max(30, ...ends)}px`;
    byPlace = [...boxes].sort((a, b) => a.x - b.x);
    Object.assign(seen, { from: strip.scrollTop, spots: undefined });
    Object.assign(seen, { left: strip.offsetLeft, top: strip.offsetTop, tall: strip.clientHeight });
    chipOf.font = getComputedStyle(strip).fontFamily;
  };
  /** The tokens that are in sight, from left to right, with the lower edge of each as seen from the stage. */
  const spots = () =>
    (seen.spots ??= byPlace
      .filter(({ y, height }) => y - height / 2 >= seen.from && y - height / 2 <= seen.from + seen.tall)
      .map((box) => ({ ...box, x: box.x + seen.left, y: Math.min(box.y - seen.from, seen.tall) + seen.top })));
  const chipOf = Object.assign((token) => boxes[token], { font: "" });

  /** After a key, the pinned token has the focus and is in sight. */
  const follow = (pinned) => {
    if (strip.contains(strip.ownerDocument.activeElement)) chips[pinned].focus({ preventScroll: true });
    if (!scrolls) return; // asking where things are makes the page lay them out at once
    const [box, own] = [strip.getBoundingClientRect(), chips[pinned].getBoundingClientRect()];
    if (own.top < box.top || own.bottom > box.bottom) strip.scrollTop += own.top - box.top - 30;
  };
  return { root: strip, build, draw, follow, measure, spots, chipOf };
}
