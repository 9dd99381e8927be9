// RouterView on the page: its parts, the order in which a frame draws them, and what makes it draw another one.

import { breath, element, listen, messageLine, onFrame, onTheme, onWidth, openView } from "../shared/common.js";
import { speak, t } from "../shared/language.js";
import { makeAnswer } from "./answer.js";
import { makeFall } from "./fall.js";
import { makeFlow } from "./flow.js";
import { makeGrid } from "./grid.js";
import { makeHands } from "./hands.js";
import { makeKnobs } from "./knobs.js";
import { makeLoad } from "./load.js";
import { makeLoss } from "./loss.js";
import { makePanels } from "./panels.js";
import { makePrompt } from "./prompt.js";
import { makeScores } from "./scores.js";
import { makeSentence } from "./sentence.js";
import { KNOBS, makeShown } from "./shown.js";
import { makeStack } from "./stack.js";

const BUDGET = 12; // ms of a frame for layers that are not the selected one; the others wait for the next frame
const OTHER_TRAITS = ["layer", "pinned", "highlight", "message", "side", "panels"];

/**
 * In short steps: a page that opens with this view hears its reader between any two of them.
 * @param {import("../shared/common.js").Context} context
 */
async function render({ model, el }) {
  speak(model);
  openView(el, "moe-router", t("Where each token goes: the text, its experts, and the ribbons between them"));
  const get = (name) => model.get(name);
  const shown = makeShown(model);
  const hands = makeHands(shown, { tell: (message, doing) => prompt.tell(message, doing), draw: () => draw() });
  const view = Object.assign(shown, hands);

  // ---- the parts
  const prompt = makePrompt(view);
  const { line, say } = messageLine();
  const flow = makeFlow(view);
  const fall = makeFall(view, flow.moves, () => frame());
  await breath();
  const [knobs, sentence, loss] = [makeKnobs(view, fall.button, prompt.keep), makeSentence(view), makeLoss(view)];
  const [stack, grid, answer] = [makeStack(view), makeGrid(view), makeAnswer(view)];
  const [load, scores] = [makeLoad(view), makeScores(view)];
  await breath();
  const hint = () =>
    element(
      "p",
      { class: "moe-router-hint" },
      t("Drag a bar up or down to bias its expert, double-click to let go; click it to see its tokens alone."),
    );
  const panels = makePanels(
    view,
    [
      { name: "layers", label: t("Every layer"), nodes: grid.nodes },
      { name: "load", label: t("Load"), nodes: [load.root, hint()] },
      { name: "scores", label: t("Scores of one token"), nodes: [scores.root, hint()] },
      { name: "guesses", label: t("Next token"), nodes: [answer.root] },
    ],
    () => measure(),
  );
  const title = element("div", { class: "moe-router-head" }, t(get("title")));
  title.hidden = !get("title");
  el.tabIndex = -1; // a click anywhere in it, and its keys work
  const flowing = element("div", { class: "moe-router-flow" }, stack.root, flow.root);
  const upper = [title, prompt.root, line, ...knobs.nodes, prompt.toggle, flowing];

  el.addEventListener("keydown", (event) => {
    const writes = /** @type {Element} */ (event.target).matches("input[type=text], textarea, select");
    if (event.key !== "c" || writes || event.ctrlKey || event.metaKey || event.altKey || !view.two()) return;
    event.preventDefault();
    view.put("side", 1 - get("side"));
  });

  // ---- one frame
  let seen = -1; // the row that was last in sight
  let known = []; // of each layer's choices the share that differs, from the last frame in which none waited
  let whole = true; // something else changed than how far tokens have fallen
  let last = { row: -1, focus: 0, at: 0, shut: new Set() }; // what the last whole frame showed
  const draw = () => ((whole = true), frame());
  const frame = onFrame(() => {
    const { row, focus, at, shut } = last;
    if (whole || !fall.falling(row)) drawAll();
    else flow.draw(row, focus, at, shut, fall.falling(row));
  });
  const usable = (name) => (name === "layers" ? view.trace.layers > 1 : name !== "guesses" || answer.has());
  /** What words and numbers say of the first frame. */
  const drawWords = () => {
    const [row, at] = [view.row, view.pinned()];
    const shares = Array.from({ length: view.trace.layers }, (_, other) => view.changed(other));
    panels.draw(usable);
    stack.draw(row, at, shares);
    sentence.draw(row, at, shares, view.shut(row, at));
    loss.draw();
  };
  const drawAll = () => {
    whole = false;
    const end = performance.now() + BUDGET;
    view.read();
    const { trace, row } = view;
    const at = view.pinned();
    const focus = view.hovered >= 0 ? Math.min(view.hovered, trace.tokens - 1) : at;
    view.settle(row);
    panels.draw(usable);
    const shut = view.shut(row, focus);
    last = { row, focus, at, shut };
    if (built("load")) load.draw(row);
    if (built("scores")) scores.draw(row, focus, shut);
    knobs.draw();
    prompt.draw();
    const paint = (other) => {
      stack.paint(other);
      if (built("layers")) grid.paint(other);
    };
    paint(row);
    let waiting = 0;
    for (let other = 0; other < trace.layers; other++) {
      if (other === row) continue;
      if (trace.done[other] !== view.asked && performance.now() > end) waiting++;
      else view.settle(other), paint(other);
    }
    flow.draw(row, focus, at, shut, fall.falling(row));
    const shares = waiting ? undefined : Array.from({ length: trace.layers }, (_, other) => view.changed(other));
    if (shares) known = shares;
    stack.draw(row, focus, shares);
    if (built("layers")) grid.mark(row, at, shares);
    sentence.draw(row, focus, known, shut);
    loss.draw();
    if (panels.isOpen("guesses")) answer.draw(focus, shares);
    say(t(get("message")) || view.notice);
    if (seen !== row) stack.follow((seen = row));
    if (view.follow) flow.follow(at), built("layers") && grid.follow(at);
    view.follow = false;
    if (waiting) draw();
  };

  // ---- another trace, another width, another theme
  const inPanels = {
    layers: { part: grid, build: () => grid.build(view.trace, view.two()) },
    load: { part: load, build: () => load.build(view.trace) },
    scores: { part: scores, build: () => scores.build(view.trace) },
  };
  const stale = new Set(); // panels that are built for another trace, or not yet: nobody has opened them
  const built = (name) => panels.isOpen(name) && !stale.has(name);
  const measure = () => {
    if (!el.clientWidth) return; // hidden: another call comes once it is seen
    flow.measure();
    stack.measure();
    for (const [name, { part, build }] of Object.entries(inPanels)) {
      if (!panels.isOpen(name)) continue;
      if (stale.delete(name)) build();
      part.measure();
    }
    draw();
  };
  const take = () => {
    view.take();
    known = [];
    knobs.build(view.trace);
    prompt.take();
    view.follow = true; // the word that it opens on is in sight
    show();
  };
  /** Build what depends on the trace that is shown. */
  const show = () => {
    view.read();
    fall.stop();
    for (const build of builds) build();
    measure();
  };
  const builds = [
    () => flow.build(view.trace),
    () => stack.build(view.trace),
    () => Object.keys(inPanels).forEach((name) => stale.add(name)),
  ];

  // ---- the first picture: as `take`, with a breath between its parts
  const { drawn, side } = Object.fromEntries(["drawn", "side"].map((name) => [name, get(name)]));
  view.take();
  await breath();
  for (const build of [() => knobs.build(view.trace), prompt.take, ...builds]) {
    build();
    await breath();
  }
  for (let other = 0; other < view.trace.layers; other++) {
    view.settle(other);
    stack.paint(other);
    if (other % 4 === 3) await breath();
  }
  // What can be said before anything has a place: then it gets its place once.
  for (const words of [knobs.draw, prompt.draw, drawWords]) {
    words();
    await breath();
  }
  for (const nodes of [upper, [...sentence.nodes, loss.root, ...panels.nodes]]) {
    el.append(...nodes);
    if (el.clientWidth) await breath(); // asked, so that the page is laid out part by part
  }
  view.follow = true;
  if (drawn !== get("drawn") || side !== get("side"))
    take(); // the kernel was faster
  else measure();

  const silence = listen(model, {
    ...Object.fromEntries([...KNOBS, ...OTHER_TRAITS].map((name) => [`change:${name}`, draw])),
    "change:side": show,
    "change:drawn": take,
    "change:answered": () => {
      prompt.settle();
      view.settled();
      if (view.again && view.moved) view.apply();
      view.again = false;
      draw();
    },
  });
  const rests = [onWidth(el, measure), onTheme(el, measure)];
  return () => {
    silence();
    rests.forEach((rest) => rest());
    prompt.stop();
    view.put.cancel();
    fall.stop();
    flow.stop();
    sentence.stop();
  };
}

export default { render };
