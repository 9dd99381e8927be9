// RouterView on the page: its parts, the order in which a frame draws them, and what makes it draw another one.

import { element, listen, messageLine, onFrame, onTheme, onWidth, openView } from "../shared/common.js";
import { makeAnswer } from "./answer.js";
import { makeGrid } from "./grid.js";
import { makeHands } from "./hands.js";
import { makeKnobs } from "./knobs.js";
import { makeLoad } from "./load.js";
import { makePrompt } from "./prompt.js";
import { makeScores } from "./scores.js";
import { makeSentence } from "./sentence.js";
import { KNOBS, makeShown } from "./shown.js";
import { makeStrip } from "./strip.js";

const BUDGET = 6; // ms of a frame for layers that are not the selected one; the others wait for the next frame
const OTHER_TRAITS = ["layer", "pinned", "highlight", "message", "side"];

/** @param {import("../shared/common.js").Context} context */
function render({ model, el }) {
  openView(el, "moe-router", "Where each token goes: text, layers, expert load and scores");
  const get = (name) => model.get(name);
  const shown = makeShown(model);
  const hands = makeHands(shown, { tell: (message, doing) => prompt.tell(message, doing), draw: () => draw() });
  const view = Object.assign(shown, hands);

  // ---- the parts
  const prompt = makePrompt(view);
  const { line, say } = messageLine();
  const [knobs, sentence, strip, grid] = [makeKnobs(view), makeSentence(view), makeStrip(view), makeGrid(view)];
  const [load, scores, answer] = [makeLoad(view), makeScores(view), makeAnswer(view)];
  const bars = element("div", { class: "moe-router-bars" }, load.root, scores.root);
  const hint = element(
    "p",
    { class: "moe-router-hint" },
    "Drag a bar up or down to bias its expert, double-click to let go; click it to see its tokens alone.",
  );
  const title = element("h3", { class: "moe-router-head" }, get("title"));
  title.hidden = !get("title");
  el.append(
    title,
    prompt.root,
    line,
    knobs.root,
    ...sentence.nodes,
    ...strip.nodes,
    ...grid.nodes,
    bars,
    hint,
    answer.root,
  );

  el.addEventListener("keydown", (event) => {
    const writes = /** @type {Element} */ (event.target).matches("input[type=text], textarea, select");
    if (event.key !== "c" || writes || event.ctrlKey || event.metaKey || event.altKey || !view.two()) return;
    event.preventDefault();
    view.put("side", 1 - get("side"));
  });

  // ---- one frame
  let known = []; // of each layer's choices the share that differs, from the last frame in which none waited
  const draw = onFrame(() => {
    const end = performance.now() + BUDGET;
    view.read();
    const { trace, row } = view;
    const at = view.pinned();
    const focus = view.hovered >= 0 ? Math.min(view.hovered, trace.tokens - 1) : at;
    view.settle(row);
    strip.draw(row, focus, at);
    load.draw(row);
    scores.draw(row, focus);
    knobs.draw();
    prompt.draw();
    grid.paint(row);
    let waiting = 0;
    for (let other = 0; other < trace.layers; other++) {
      if (other === row) continue;
      if (trace.done[other] !== view.asked && performance.now() > end) waiting++;
      else view.settle(other), grid.paint(other);
    }
    const shares = waiting ? undefined : Array.from({ length: trace.layers }, (_, other) => view.changed(other));
    if (shares) known = shares;
    grid.mark(row, at, shares);
    sentence.draw(row, focus, known);
    answer.draw(focus, shares);
    say(get("message"));
    if (view.follow) strip.follow(at), grid.follow(at);
    view.follow = false;
    if (waiting) draw();
  });

  // ---- another trace, another width, another theme
  const measure = () => {
    load.measure();
    scores.measure();
    grid.measure();
    draw();
  };
  const take = () => {
    view.take();
    known = [];
    knobs.build(view.trace);
    show();
  };
  /** Build what depends on the trace that is shown. */
  const show = () => {
    view.read();
    strip.build(view.trace);
    grid.build(view.trace, view.two());
    bars.classList.toggle("many", view.trace.experts > 24);
    load.build(view.trace);
    scores.build(view.trace);
    measure();
  };
  take();
  const silence = listen(model, {
    ...Object.fromEntries([...KNOBS, ...OTHER_TRAITS].map((name) => [`change:${name}`, draw])),
    "change:side": show,
    "change:drawn": take,
    "change:answered": () => {
      prompt.settle();
      view.settled();
      draw();
    },
  });
  const rests = [onWidth(el, measure), onTheme(el, measure)];
  return () => {
    silence();
    rests.forEach((rest) => rest());
    prompt.stop();
    view.put.cancel();
    sentence.stop();
  };
}

export default { render };
