// SlotsView on the page: a text on its way through one layer's slots.

import { choice, element, messageLine, numbers, onFrame, openView, slider, visible } from "../shared/common.js";
import { expertColors, inkOn } from "../shared/expert_colors.js";
import { follow, putter } from "../shared/habits.js";
import { makeStepper } from "../shared/stepper.js";
import { makeRates } from "./rates.js";
import { makeReplays } from "./replays.js";
import { hitRates, POLICIES, story } from "./rule.js";

const PACE = 320; // milliseconds from one token to the next while it plays
const WORDS = { lru: "LRU", pinned: "pinned", belady: "Belady (knows the future)" };

/** @param {import("../shared/common.js").Context} context */
function render({ model, el }) {
  openView(el, "moe-slots-view", "Which experts are in memory when a token asks for them");
  const facts = model.get("facts");
  const { layers, experts: n, top_k: topK, names, pieces, calibrations, favorites } = facts;
  const all = numbers(model.get("routes"), Uint16Array);
  const colors = expertColors(model.get("palette"), n);
  let from = 0; // the experts of each token [texts][layers][tokens], as they lie one after the other
  const asked = pieces.map((text) => layers.map(() => text.map(() => [...all.subarray(from, (from += topK))])));
  const replays = makeReplays(asked, favorites);
  const put = putter(model, 60);
  const row = () => Math.max(0, layers.indexOf(model.get("layer")));
  const length = () => pieces[model.get("text")].length;

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
  const draw = onFrame(() => {
    say(model.get("message"));
    const [policy, slots, layer] = [model.get("policy"), model.get("slots"), row()];
    const [text, calibration] = [model.get("text"), model.get("calibration")];
    const at = Math.min(model.get("at"), length());
    replays.turn(text, slots, calibration);
    const [requests, mine] = [asked[text][layer], replays.turns(layer, policy)];
    rates.draw(Object.fromEntries(POLICIES.map((name) => [name, hitRates(replays.turns(layer, name))])), policy, at);
    knobs.text.select.selectedIndex = text;
    knobs.policy.select.selectedIndex = POLICIES.indexOf(policy);
    knobs.calibration.select.selectedIndex = calibration;
    knobs.calibration.select.disabled = policy !== "pinned";
    knobs.slots.set(slots);
    knobs.layer.set(layer);
    knobs.at.input.max = String(length());
    knobs.at.set(at);
    walk.show(at);
    drawCounts(mine, replays.everywhere(policy)[at], at);
    words.textContent = story(requests, mine, at, at ? visible(pieces[text][at - 1]) : "");
    drawShelf(requests, mine, at, slots);
    drawText(pieces[text], mine, at); // last, for it asks where a chip came to lie
  });

  function drawCounts(turns, everywhere, at) {
    const choices = turns.slice(0, at).flatMap(({ hit }) => hit);
    const loads = choices.filter((there) => !there).length;
    const per = (count, whole, digits, unit = "") => (whole ? `${(count / whole).toFixed(digits)}${unit}` : "–");
    const parts = [
      [String(loads), loads === 1 ? "expert fetched" : "experts fetched"],
      [per(loads, at, 2), "a token, in this layer"],
      [per(everywhere, at, 2), `a token, in all ${layers.length} layers`],
      [per(100 * (choices.length - loads), choices.length, 0, "%"), "of the choices were there"],
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
      if (!chip.dataset.at) chip.dataset.at = String(token + 1);
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
