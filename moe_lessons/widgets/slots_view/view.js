// SlotsView on the page: a text on its way through one layer's slots.

import { choice, element, messageLine, numbers, onFrame, openView, slider, visible } from "../shared/common.js";
import { expertColors, inkOn } from "../shared/expert_colors.js";
import { follow, putter } from "../shared/habits.js";
import { makeStepper } from "../shared/stepper.js";
import { makeRates } from "./rates.js";
import { hitRates, loadsUntil, POLICIES, replay, story } from "./rule.js";

const PACE = 320; // milliseconds from one token to the next while it plays
const WORDS = { lru: "LRU", pinned: "pinned", belady: "Belady (knows the future)" };

/** @param {import("../shared/common.js").Context} context */
function render({ model, el }) {
  openView(el, "moe-slots-view", "Which experts are in memory when a token asks for them");
  const facts = model.get("facts");
  const { layers, experts: n, top_k: topK, names, pieces, calibrations, favorites } = facts;
  const all = numbers(model.get("routes"), Uint16Array);
  const colors = expertColors(model.get("palette"), n);
  const starts = pieces.map((_, i) => pieces.slice(0, i).reduce((sum, text) => sum + text.length * topK, 0));
  const put = putter(model, 60);
  const row = () => Math.max(0, layers.indexOf(model.get("layer")));
  const length = () => pieces[model.get("text")].length;

  /** The experts of each of the text's tokens in the layer. */
  const requestsOf = (text, layer) => {
    const from = (starts[text] * layers.length + layer * pieces[text].length * topK) | 0;
    return pieces[text].map((_, token) => [...all.subarray(from + token * topK, from + (token + 1) * topK)]);
  };

  // ---- what is turned
  const walk = makeStepper({ model, put, last: length, pace: () => PACE, one: "token", look: "moe-slots-text" });
  const knobs = {
    text: choice({
      label: "Text",
      names,
      change: (i) => {
        walk.stop();
        const whole = model.get("at") >= length();
        model.set("at", 0); // valid in every text
        model.set("text", i);
        put("at", whole ? pieces[i].length : 0);
      },
    }),
    policy: choice({
      label: "Who makes room",
      names: POLICIES.map((policy) => WORDS[policy]),
      change: (i) => put("policy", POLICIES[i]),
    }),
    calibration: choice({
      label: "Pinned: favorites of",
      names: calibrations,
      change: (i) => put("calibration", i),
    }),
    slots: slider({
      label: "Slots",
      min: topK,
      max: n,
      value: topK,
      show: (x) => `${x} of ${n}`,
      change: (x) => put("slots", x),
    }),
    layer: slider({
      label: "Layer",
      min: 0,
      max: layers.length - 1,
      value: 0,
      show: (i) => String(layers[i]),
      change: (i) => put("layer", layers[i]),
    }),
    at: slider({ label: "Token", min: 0, max: 1, value: 0, change: walk.move }),
  };
  knobs.text.root.hidden = names.length < 2;
  knobs.layer.root.hidden = layers.length < 2;

  // ---- what is seen
  const { line, say } = messageLine();
  const counts = element("div", { class: "moe-counts" });
  const words = element("div", { class: "moe-note", "aria-live": "polite" });
  const shelf = element("div", { class: "moe-shelf", role: "img" });
  const away = element("div", { class: "moe-away", role: "img" });
  const rates = makeRates(WORDS);
  const legend = element(
    "div",
    { class: "moe-slots-legend" },
    ...[
      ["hit", "asked for, and there"],
      ["load", "fetched for this token"],
      ["", "in memory"],
    ].map(([kind, name]) => element("span", {}, element("i", { class: `moe-slot ${kind}` }, "3"), name)),
  );
  el.append(
    element("div", { class: "moe-row" }, ...["text", "policy", "calibration"].map((name) => knobs[name].root)),
    element("div", { class: "moe-row" }, knobs.slots.root, knobs.layer.root),
    line,
    element("div", { class: "moe-row moe-drive" }, ...walk.buttons, knobs.at.root),
    counts,
    walk.strip,
    words,
    element("div", { class: "moe-label" }, "In memory"),
    shelf,
    element("div", { class: "moe-label" }, "In the file only"),
    away,
    legend,
    rates.root,
  );

  // ---- drawing
  /**
   * What was replayed last, again where something is turned.
   * @typedef {Record<string, any[]>} ByPolicy
   * @type {{ asked?: string, requests?: number[][], turns?: ByPolicy, everywhere?: ByPolicy }}
   */
  let room = {};
  const replayed = () => {
    const [text, layer, slots, known] = [model.get("text"), row(), model.get("slots"), model.get("calibration")];
    const asked = [text, layer, slots, known].join(" ");
    if (room.asked !== asked) {
      const requests = requestsOf(text, layer);
      const run = (policy) => [policy, replay(requests, slots, policy, favorites[known][layer])];
      room = { asked, requests, turns: Object.fromEntries(POLICIES.map(run)), everywhere: {} };
    }
    return room;
  };
  /** What this policy does in each layer, made when it is first asked for. */
  const inEachLayer = (policy) => {
    const { everywhere } = replayed();
    const [text, slots, known] = [model.get("text"), model.get("slots"), model.get("calibration")];
    everywhere[policy] ??= layers.map((_, layer) =>
      replay(requestsOf(text, layer), slots, policy, favorites[known][layer]),
    );
    return everywhere[policy];
  };
  const draw = onFrame(() => {
    say(model.get("message"));
    const { requests, turns } = replayed();
    const [policy, slots] = [model.get("policy"), model.get("slots")];
    const at = Math.min(model.get("at"), length());
    knobs.text.select.selectedIndex = model.get("text");
    knobs.policy.select.selectedIndex = POLICIES.indexOf(policy);
    knobs.calibration.select.selectedIndex = model.get("calibration");
    knobs.calibration.select.disabled = policy !== "pinned";
    knobs.slots.set(slots);
    knobs.layer.set(row());
    knobs.at.input.max = String(length());
    knobs.at.set(at);
    walk.show(at);
    const mine = turns[policy];
    const text = pieces[model.get("text")];
    drawCounts(mine, inEachLayer(policy), at);
    drawText(text, mine, at);
    words.textContent = story(requests, mine, at, at ? visible(text[at - 1]) : "");
    drawShelf(requests, mine, at, slots);
    rates.draw(Object.fromEntries(POLICIES.map((name) => [name, hitRates(turns[name])])), policy, at);
  });

  function drawCounts(turns, layersTurns, at) {
    const [asked, loads] = [at * topK, loadsUntil(turns, at)];
    const everywhere = layersTurns.reduce((sum, each) => sum + loadsUntil(each, at), 0);
    const per = (count, whole, digits, unit = "") => (whole ? `${(count / whole).toFixed(digits)}${unit}` : "–");
    const parts = [
      [String(loads), loads === 1 ? "expert fetched" : "experts fetched"],
      [per(loads, at, 2), "a token, in this layer"],
      [per(everywhere, at, 2), `a token, in all ${layers.length} layers`],
      [per(100 * (asked - loads), asked, 0, "%"), "of the choices were there"],
    ];
    counts.replaceChildren(...parts.map(([number, name]) => element("span", {}, element("b", {}, number), ` ${name}`)));
  }

  const chips = []; // made once and dressed anew
  function drawText(text, turns, at) {
    while (chips.length < text.length) chips.push(element("span"));
    text.forEach((piece, token) => {
      const missed = turns[token].hit.filter((there) => !there).length;
      const kind = token >= at ? "ahead" : missed ? "miss" : "found";
      const name = `moe-chip ${kind}${token === at - 1 ? " now" : ""}`;
      const [chip, shown] = [chips[token], visible(piece)];
      if (chip.className !== name) chip.className = name;
      if (chip.textContent !== shown) chip.textContent = shown;
      chip.dataset.at = String(token + 1);
    });
    const { strip } = walk;
    if (strip.children.length !== text.length) strip.replaceChildren(...chips.slice(0, text.length));
    const now = chips[Math.max(0, at - 1)];
    const below = now.offsetTop - strip.offsetTop - strip.clientHeight / 2;
    strip.scrollTop = Math.max(0, below); // inside the strip only; the page stays where it is
  }

  function drawShelf(requests, turns, at, slots) {
    const wanted = at ? requests[at - 1] : [];
    const { holds, hit } = at ? turns[at - 1] : { holds: Array(slots).fill(-1), hit: [] };
    const kindOf = (expert) => (!wanted.includes(expert) ? "" : hit[wanted.indexOf(expert)] ? "hit" : "load");
    const box = (expert) =>
      expert < 0
        ? element("i", { class: "moe-slot empty" })
        : element(
            "i",
            {
              class: `moe-slot ${kindOf(expert)}`,
              style: `background:${colors[expert]};color:${inkOn(colors[expert])}`,
            },
            String(expert),
          );
    shelf.replaceChildren(...holds.map(box));
    const others = [...Array(n).keys()].filter((expert) => !holds.includes(expert));
    away.replaceChildren(...others.map((expert) => element("i", { class: "moe-slot away" }, String(expert))));
    const inside = holds.filter((expert) => expert >= 0);
    shelf.setAttribute("aria-label", `In memory: experts ${inside.join(", ") || "none"}`);
    away.setAttribute("aria-label", `In the file only: experts ${others.join(", ") || "none"}`);
  }

  draw();
  const rest = follow(model, el, ["text", "calibration", "policy", "slots", "layer", "at", "message"], draw);
  return () => (walk.stop(), put.cancel?.(), rest());
}

export default { render };
