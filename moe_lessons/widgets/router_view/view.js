import { element, listen, messageLine, numbers, onFrame, onTheme, onWidth, openView } from "../shared/common.js";
import { putter } from "../shared/habits.js";
import { difference, isChanged, isMoved } from "../shared/routing_rule.js";
import { makeAnswer } from "./answer.js";
import { makeBars } from "./bars.js";
import { makeGrid } from "./grid.js";
import { write } from "./heading.js";
import { KNOBS, makeKnobs } from "./knobs.js";
import { makePrompt } from "./prompt.js";
import { makeStrip } from "./strip.js";
import { readTrace, routeRow, withLogits } from "./trace.js";
import { destination, percent, quoted, verdict } from "./words.js";

const BUDGET = 6; // ms of a frame for layers that are not the selected one; the others wait for the next frame
const OTHER_TRAITS = ["layer", "pinned", "highlight", "message", "side"];

/** @param {import("../shared/common.js").Context} context */
function render({ model, el }) {
  openView(el, "moe-router", "Where each token goes: text, layers, expert load and scores");
  const get = (name) => model.get(name);
  let sides = []; // one trace, or two that are compared
  let turned; // the first one as the model read it with the applied knobs
  let partners = []; // of each side's tokens in the other: -1 for none
  let [knobs, asked, scope] = [{}, "", -1];
  let [speaking, follow] = [0, false];

  /** What the parts share: what is seen, and what may be done to it. */
  const view = {
    model,
    hovered: -1,
    busy: false,
    isApplied: false,
    moved: false,
    trace: undefined,
    row: 0,
    off: new Set(),
    put: putter(model, 120),
    putLayer: (row) => view.put("layer", view.trace.numbers[Math.min(view.trace.layers - 1, Math.max(0, row))]),
    putToken: (token) => view.put("pinned", Math.min(sides[0].tokens - 1, Math.max(0, toFirst(token)))),
    putHighlight: (expert) => view.put("highlight", get("highlight") === expert ? -1 : expert),
    hover: (token) => token !== view.hovered && ((view.hovered = token), draw()),
    /** The expert that others fade beside; one that is switched off would leave nothing in color. */
    lit: () => (view.off.has(get("highlight")) ? -1 : get("highlight")),
    biasOf: (expert) => get("bias")[expert] ?? 0,
    biasIn: (row) => (inScope(row) ? get("bias") : []),
    putBias(expert, value) {
      if (expert < 0 || !inScope(view.row)) return;
      const bias = Array.from({ length: view.trace.experts }, (_, e) => (e === expert ? value : view.biasOf(e)));
      view.put("bias", bias.some((b) => b) ? bias : []);
    },
    toggleOff(expert) {
      const off = get("off");
      if (expert < 0 || !inScope(view.row)) return;
      if (off.includes(expert))
        view.put(
          "off",
          off.filter((other) => other !== expert),
        );
      else if (view.canSwitchOff(expert))
        view.put(
          "off",
          [...off, expert].sort((a, b) => a - b),
        );
    },
    canSwitchOff: (expert) => atLeast([...get("off"), expert]) >= get("top_k"),
    mostChosen: () => atLeast(get("off")),
    /** What a layer's routing is compared with: the other trace's, or the model's own where knobs are turned. */
    reference(row) {
      if (sides.length > 1) {
        const which = get("side");
        const other = sides[1 - which];
        return { layer: other.now[row], partners: partners[which], tokens: other.tokens, name: "AB"[1 - which] };
      }
      return view.moved && (view.isApplied || inScope(row)) ? { layer: sides[0].own[row] } : null;
    },
    steer(event) {
      const [tokens, layers] =
        { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[event.key] ?? [];
      if (event.key === "Home") view.putToken(0);
      else if (event.key === "End") view.putToken(view.trace.tokens - 1);
      else if (tokens) view.putToken(pinned() + tokens);
      else if (layers) view.putLayer(view.row + layers);
      else return;
      event.preventDefault();
      follow = true;
    },
    reset() {
      const { topK, scoreFunction, normalize, topGroups } = sides[0].ownKnobs;
      const rest = {
        top_k: topK,
        temperature: 1,
        score_function: scoreFunction,
        normalize,
        noise: 0,
        seed: 0,
        capacity: 0,
        dropping: "first come",
        bias: [],
        off: [],
        top_groups: topGroups,
        acts_on: -1,
      };
      Object.entries(rest).forEach(([name, value]) => view.put(name, value));
    },
    apply() {
      view.busy = prompt.tell(
        { apply: Object.fromEntries(KNOBS.map((name) => [name, get(name)])) },
        "the model reads the text with these knobs…",
      );
      draw();
    },
    draw: () => draw(),
  };
  const inScope = (row) => scope < 0 || view.trace.numbers[row] === scope;
  /** The fewest experts that a token can be left with when these are off. */
  const atLeast = (off) => {
    const { nGroups } = view.trace.ownKnobs;
    const on = new Array(nGroups).fill(view.trace.experts / nGroups);
    for (const expert of off) on[Math.floor((expert * nGroups) / view.trace.experts)]--;
    return on
      .sort((a, b) => a - b)
      .slice(0, get("top_groups"))
      .reduce((sum, count) => sum + count, 0);
  };
  // `pinned` counts the first trace's tokens; the second one shows its partner, or the place that is as far along.
  const toFirst = (token) => (get("side") && sides.length > 1 ? across(token, 1) : token);
  const across = (token, from) => {
    const partner = partners[from]?.[token] ?? -1;
    return partner >= 0 ? partner : Math.min(sides[1 - from].tokens - 1, token);
  };
  const pinned = () => {
    const first = Math.min(get("pinned"), sides[0].tokens - 1);
    return get("side") && sides.length > 1 ? across(first, 0) : first;
  };

  // ---- the parts
  const prompt = makePrompt(view);
  const { line, say } = messageLine();
  const knobBox = makeKnobs(view);
  const [badge, words] = [element("span", { class: "moe-router-badge" }), element("span")];
  const sentence = element("p", { class: "moe-router-sentence" }, badge, words);
  const spoken = element("div", { class: "moe-router-spoken", "aria-live": "polite" });
  const [strip, grid, bars, answer] = [makeStrip(view), makeGrid(view), makeBars(view), makeAnswer(view)];
  const hint = element(
    "p",
    { class: "moe-router-hint" },
    "Drag a bar up or down to bias its expert, double-click to let go; click it to see its tokens alone.",
  );
  const title = element("h3", { class: "moe-router-head" }, get("title"));
  title.hidden = !get("title");

  el.addEventListener("keydown", (event) => {
    const writes = /** @type {Element} */ (event.target).matches("input[type=text], textarea, select");
    if (event.key !== "c" || writes || event.ctrlKey || event.metaKey || event.altKey || sides.length < 2) return;
    event.preventDefault();
    view.put("side", 1 - get("side"));
  });

  // ---- one frame
  const readKnobs = () => {
    asked = JSON.stringify(KNOBS.map(get));
    scope = get("acts_on");
    knobs = {
      ...sides[0].ownKnobs,
      topK: get("top_k"),
      temperature: get("temperature"),
      scoreFunction: get("score_function"),
      normalize: get("normalize"),
      noise: get("noise"),
      seed: get("seed"),
      capacity: get("capacity"),
      dropping: get("dropping"),
      bias: get("bias"),
      off: get("off"),
      topGroups: get("top_groups"),
    };
    view.moved = isMoved(knobs, sides[0].ownKnobs);
    const { knobs: applied } = get("applied");
    view.isApplied =
      sides.length < 2 &&
      view.moved &&
      Boolean(applied) &&
      asked === JSON.stringify(KNOBS.map((name) => applied[name]));
    if (view.isApplied) turned ??= withLogits(sides[0], get("applied_logits"));
    view.trace = view.isApplied ? turned : sides[sides.length > 1 ? get("side") : 0];
    view.row = Math.max(0, view.trace.numbers.indexOf(get("layer")));
    view.off = new Set(inScope(view.row) ? get("off") : []);
  };
  /** Route one layer of all that is compared. */
  const settle = (row) => {
    for (const trace of view.isApplied ? [sides[0], turned] : sides) {
      routeRow(trace, row, knobs, asked, view.moved && (scope < 0 || trace.numbers[row] === scope));
    }
  };

  const draw = onFrame(() => {
    const end = performance.now() + BUDGET;
    readKnobs();
    const { trace, row } = view;
    const at = pinned();
    const focus = view.hovered >= 0 ? Math.min(view.hovered, trace.tokens - 1) : at;
    settle(row);
    strip.draw(row, focus, at);
    bars.draw(row, focus);
    knobBox.draw();
    prompt.draw();
    grid.paint(row);
    let waiting = 0;
    for (let other = 0; other < trace.layers; other++) {
      if (other === row) continue;
      if (trace.done[other] !== asked && performance.now() > end) waiting++;
      else settle(other), grid.paint(other);
    }
    const rows = [...Array(trace.layers).keys()];
    const shares = waiting ? undefined : rows.map((l) => shareOf(l));
    if (shares) summary = { row, shares, moved: view.moved };
    grid.mark(row, at, sides.length > 1 && shares ? shares.map((share) => `${percent(1 - share)} agree`) : undefined);
    tell(row, focus);
    answer.draw(waiting ? undefined : pairOf(focus, rows, shares));
    say(get("message"));
    if (follow) strip.follow(at), grid.follow(at);
    follow = false;
    if (waiting) draw();
  });
  let summary = { shares: [] };
  const shareOf = (row) => {
    const other = view.reference(row);
    return other ? difference(view.trace.now[row], other.layer, view.trace.tokens, other.partners) : 0;
  };

  /** The sentence above the text, and the captions. */
  const tell = (row, focus) => {
    const { trace, moved, isApplied } = view;
    const now = trace.now[row];
    const two = sides.length > 1;
    const state = moved ? (isApplied ? "applied" : "what if") : two ? `this is ${"AB"[get("side")]}` : "as it was";
    write(badge, state);
    const look = `moe-router-badge${moved ? (isApplied ? " applied" : " moved") : ""}`;
    if (badge.className !== look) badge.className = look;
    const { shares } = summary;
    const share = shares.reduce((sum, one) => sum + one, 0) / (shares.length || 1);
    const lost = now.dropped ? now.dropped.reduce((sum, one) => sum + one, 0) : 0;
    let rest = verdict(moved, share, lost, now.experts.length);
    if (isApplied) rest = `In the model, ${rest[0].toLowerCase()}${rest.slice(1)}`;
    else if (moved && !inScope(row)) rest = `Untouched here: the knobs act on layer ${scope} only.`;
    if (two) {
      const other = view.reference(row);
      const partner = other.partners[focus];
      const there =
        partner < 0
          ? `has no counterpart in ${other.name}`
          : isChanged(now, other.layer, focus, partner) || now.topK !== other.layer.topK
            ? `in ${other.name} to ${destination(other.layer, partner)}`
            : `as in ${other.name}`;
      const matched = other.partners.reduce((sum, one) => sum + (one >= 0), 0);
      const over =
        matched === trace.tokens ? "" : ` for the ${matched} token${matched === 1 ? "" : "s"} that both have`;
      const drops = lost ? ` ${lost} of ${now.experts.length} found no slot.` : "";
      rest = `${there}. ${percent(1 - (shares[row] ?? 0))} of this layer’s choices${over} agree.${drops}`;
    }
    const number = trace.numbers[row];
    write(
      words,
      `Layer ${number}: ${quoted(trace.pieces[focus])} goes to ${destination(now, focus)}${two ? ", " : ". "}${rest}`,
    );
    clearTimeout(speaking);
    speaking = setTimeout(() => write(spoken, words.textContent), 500);
    const legend = now.topK > 1 ? "first expert, underlined by its second" : "expert";
    const marks = two ? "; dotted above: other experts than in the other" : moved ? "; dotted above: changed" : "";
    strip.say(`The text in layer ${number}`, `colored by each token’s ${legend}${marks}`);
    grid.say(
      "Every layer",
      `one column per token, one row per layer${two || moved ? "; an edge above: other experts" : ""}`,
    );
  };

  /** What the last part compares: two traces, the model before and after its knobs were turned, or nothing. */
  const pairOf = (focus, rows, shares) => {
    const [base, other] = sides;
    const key = JSON.stringify([focus, asked, get("side"), get("drawn"), get("answered"), view.isApplied, view.busy]);
    const piece = view.trace.pieces[focus];
    if (other) {
      if (!base.guesses && !other.guesses) return undefined;
      const which = get("side");
      const at = [focus, partners[which][focus]];
      const [a, b] = which ? at.reverse() : at;
      return {
        key,
        piece,
        names: ["A", "B"],
        guesses: [base.guesses?.[a], other.guesses?.[b]],
        nats: [base.nats, other.nats],
        words: ", A → B",
      };
    }
    if (view.isApplied) {
      const { before, after } = get("applied");
      const layers = rows.map((l) => [
        `layer ${base.numbers[l]}`,
        shares[l],
        `what if: ${percent(difference(base.now[l], base.own[l], base.tokens))}`,
      ]);
      const words = ": the loss on this text";
      return {
        key,
        piece,
        names: ["as it was", "applied"],
        guesses: [before.guesses[focus], after.guesses[focus]],
        nats: [before.nats, after.nats],
        layers,
        words,
      };
    }
    if (!base.guesses) return undefined;
    const note =
      view.moved && get("can_apply")
        ? "The knobs above only pretend: apply them to see what the model makes of them."
        : "";
    return {
      key,
      piece,
      names: [""],
      guesses: [base.guesses[focus]],
      nats: [base.nats],
      words: ": the loss on this text",
      note,
    };
  };

  // ---- another trace, another width, another theme
  const measure = () => {
    bars.measure();
    grid.measure();
    draw();
  };
  const take = () => {
    const read = (facts, arrays) => readTrace(get(facts), get(arrays), get("palette"));
    sides = [read("facts", "arrays"), ...(get("other_facts").tokens ? [read("other_facts", "other_arrays")] : [])];
    partners = [];
    if (sides.length > 1) {
      partners = [numbers(get("partners"), Int32Array), new Int32Array(sides[1].tokens).fill(-1)];
      partners[0].forEach((partner, token) => partner >= 0 && (partners[1][partner] = token));
    }
    turned = undefined;
    view.hovered = -1;
    summary = { shares: [] };
    readKnobs();
    knobBox.build(view.trace);
    show();
  };
  /** Build what depends on the trace that is shown. */
  const show = () => {
    readKnobs();
    strip.build(view.trace);
    grid.build(view.trace, sides.length > 1);
    bars.build(view.trace);
    measure();
  };

  el.append(
    title,
    prompt.root,
    line,
    knobBox.root,
    sentence,
    spoken,
    ...strip.nodes,
    ...grid.nodes,
    bars.root,
    hint,
    answer.root,
  );
  take();
  const silence = listen(model, {
    ...Object.fromEntries([...KNOBS, ...OTHER_TRAITS].map((name) => [`change:${name}`, draw])),
    "change:side": show,
    "change:drawn": take,
    "change:answered": () => {
      prompt.settle();
      view.busy = false;
      turned = undefined;
      draw();
    },
  });
  const rests = [onWidth(el, measure), onTheme(el, measure)];
  return () => {
    silence();
    rests.forEach((rest) => rest());
    prompt.stop();
    view.put.cancel();
    clearTimeout(speaking);
  };
}

export default { render };
