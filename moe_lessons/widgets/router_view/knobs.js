// RouterView's knobs: what is looked at, how experts are chosen, what disturbs them, and where knobs act. Those that a
// lesson names stand beside the picture, the others wait in a drawer.

import { choice, element, slider } from "../shared/common.js";
import { later, t } from "../shared/language.js";
import { SCORE_FUNCTIONS } from "../shared/routing_rule.js";
import { MOST_BIAS, tidyBias } from "./hands.js";
import { KNOBS } from "./shown.js";
import { atRest } from "./trace.js";
import { signed } from "./words.js";

const MOST_CHOSEN = 16; // where the top-k slider ends, unless the model itself uses more
const UNLIMITED = 3.05; // the capacity slider's last place
const RULES = [later("first come"), later("priority")];
/** The knobs in their order, and what each is called in Python, in KNOB_NAMES of layout.py. */
const NAMES = {
  layer: "layer",
  topK: "top_k",
  groups: "top_groups",
  temperature: "temperature",
  score: "score_function",
  normalize: "normalize",
  noise: "noise",
  capacity: "capacity",
  dropping: "dropping",
  actsOn: "acts_on",
  highlight: "highlight",
  bias: "bias",
};

/** `first` stands before the knobs at hand, such as the button that plays; `last` at the end of the drawer. */
export function makeKnobs(view, first, last) {
  const { model, put } = view;
  const id = `moe-knobs-${Math.random().toString(36).slice(2)}`;
  const drawer = element("div", {
    id,
    class: "moe-router-knobs",
    role: "group",
    "aria-label": t("More knobs"),
    hidden: "",
  });
  const atHand = element("div", { class: "moe-row moe-router-hand" });
  const open = element("button", {
    type: "button",
    class: "moe-router-open",
    "aria-controls": id,
    "aria-expanded": "false",
    onclick: () => {
      drawer.hidden = !drawer.hidden;
      open.setAttribute("aria-expanded", String(!drawer.hidden));
    },
  });
  const apply = element(
    "button",
    { type: "button", class: "moe-router-apply", onclick: () => view.apply() },
    t("Apply to the model"),
  );
  const reset = element(
    "button",
    { type: "button", class: "moe-router-reset", onclick: () => view.reset() },
    t("Reset"),
  );
  const actions = element("div", { class: "moe-router-actions" }, reset, apply);
  /** @type {Record<string, any>} */
  let knobs = {};
  let shown = "";

  const build = (trace) => {
    const labeled = (label, input) => element("label", { class: "moe-knob" }, element("span", {}, label), input);
    const normalize = element("input", {
      type: "checkbox",
      "aria-label": t("Normalize weights"),
      onchange: () => put("normalize", normalize.checked),
    });
    const seed = element("button", {
      type: "button",
      title: t("Draw other noise"),
      onclick: () => put("seed", (model.get("seed") + 1) % 2 ** 32),
    });
    const switchOff = element("button", {
      type: "button",
      class: "moe-router-off",
      onclick: () => view.toggleOff(model.get("highlight")),
    });
    const layers = trace.numbers.map((layer) => t("layer {layer}", { layer }));
    knobs = {
      layer: slider({
        label: t("Layer"),
        min: 0,
        max: trace.layers - 1,
        value: 0,
        show: (row) => String(trace.numbers[row]),
        change: view.putLayer,
      }),
      topK: slider({
        label: t("Top-k"),
        min: 1,
        max: Math.min(trace.experts, Math.max(MOST_CHOSEN, trace.ownKnobs.topK)),
        value: 1,
        change: (k) => put("top_k", Math.min(k, view.mostChosen())),
      }),
      groups: slider({
        label: t("Groups"),
        min: 1,
        max: trace.ownKnobs.nGroups,
        value: 1,
        show: (k) => t("{k} of {all}", { k, all: trace.ownKnobs.nGroups }),
        change: (k) =>
          put("top_groups", Math.max(k, Math.ceil((model.get("top_k") * trace.ownKnobs.nGroups) / trace.experts))),
      }),
      score: choice({
        label: t("Score"),
        names: SCORE_FUNCTIONS,
        change: (i) => put("score_function", SCORE_FUNCTIONS[i]),
      }),
      temperature: slider({
        label: t("Temperature"),
        min: -1,
        max: 1,
        step: 0.02,
        value: 0,
        show: (x) => (10 ** x).toFixed(2),
        change: (x) => put("temperature", x === 0 ? 1 : Number((10 ** x).toPrecision(4))),
      }),
      normalize: { root: labeled(t("Normalize"), normalize), input: normalize, set: (on) => (normalize.checked = on) },
      noise: slider({
        label: t("Noise"),
        min: 0,
        max: 3,
        step: 0.05,
        value: 0,
        show: (x) => (x ? x.toFixed(2) : t("none")),
        change: (x) => put("noise", x),
      }),
      capacity: slider({
        label: t("Capacity"),
        min: 0.25,
        max: UNLIMITED,
        step: 0.05,
        value: UNLIMITED,
        show: (x) => (x > 3 ? t("no limit") : x.toFixed(2)),
        change: (x) => put("capacity", x > 3 ? 0 : Number(x.toFixed(2))),
      }),
      dropping: choice({
        label: t("Dropping"),
        names: RULES.map((rule) => t(rule)),
        change: (i) => put("dropping", RULES[i]),
      }),
      highlight: choice({
        label: t("Expert"),
        names: [t("none"), ...trace.colors.keys()],
        change: (i) => put("highlight", i - 1),
      }),
      bias: slider({
        label: t("Bias"),
        min: -MOST_BIAS,
        max: MOST_BIAS,
        step: 0.005,
        value: 0,
        show: signed,
        change: (x) => view.putBias(model.get("highlight"), tidyBias(x)),
      }),
      actsOn: choice({
        label: t("Act on"),
        names: [t("every layer"), ...layers],
        change: (i) => put("acts_on", i ? trace.numbers[i - 1] : -1),
      }),
    };
    for (const [name, knob] of Object.entries(knobs)) (knob.input ?? knob.select).dataset.knob = name;
    knobs.layer.root.hidden = knobs.actsOn.root.hidden = trace.layers < 2;
    knobs.groups.root.hidden = trace.ownKnobs.nGroups < 2;
    knobs.noise.root.append(seed);
    knobs.highlight.root.append(switchOff);
    Object.assign(knobs, { seed, switchOff });
    shown = "";
    const named = model.get("at_hand");
    const isAtHand = (name) => named.includes(NAMES[name]);
    const rooted = (names) => names.map((name) => knobs[name].root);
    const waiting = Object.keys(NAMES).filter((name) => !isAtHand(name));
    atHand.replaceChildren(first, ...rooted(Object.keys(NAMES).filter(isAtHand)), actions, open);
    drawer.replaceChildren(...rooted(waiting), last);
  };

  const draw = () => {
    const get = (name) => model.get(name);
    const state =
      JSON.stringify(
        [...KNOBS, "layer", "highlight", "can_apply", "other_facts"].map((name) =>
          name === "other_facts" ? !!get(name).tokens : get(name),
        ),
      ) +
      view.busy +
      view.isApplied;
    if (state === shown) return;
    shown = state;
    knobs.layer.set(view.row);
    knobs.topK.set(get("top_k"));
    knobs.groups.set(get("top_groups"));
    knobs.temperature.set(Math.log10(get("temperature")));
    knobs.score.select.selectedIndex = SCORE_FUNCTIONS.indexOf(get("score_function"));
    knobs.normalize.set(get("normalize"));
    knobs.noise.set(get("noise"));
    knobs.seed.textContent = `↻ ${get("seed")}`;
    knobs.seed.setAttribute("aria-label", `↻ ${get("seed")}, ${t("draw other noise")}`);
    knobs.seed.disabled = !get("noise");
    knobs.capacity.set(get("capacity") || UNLIMITED);
    knobs.dropping.select.selectedIndex = RULES.indexOf(get("dropping"));
    knobs.dropping.select.disabled = !get("capacity");
    const [expert, off] = [get("highlight"), get("off")];
    knobs.highlight.select.selectedIndex = expert + 1;
    knobs.bias.set(expert < 0 ? 0 : view.biasOf(expert));
    knobs.bias.input.disabled = expert < 0;
    const isOff = off.includes(expert);
    knobs.switchOff.textContent = t(isOff ? later("Switch on") : later("Switch off"));
    knobs.switchOff.disabled = expert < 0 || (!isOff && !view.canSwitchOff(expert));
    knobs.actsOn.select.selectedIndex = placeOf(get("acts_on"), view.trace);
    actions.hidden = !view.moved;
    const turned = waitingTurned();
    open.textContent = turned ? t("⚙ Knobs ({turned} turned)", { turned }) : t("⚙ Knobs");
    apply.hidden = !get("can_apply") || !!get("other_facts").tokens;
    apply.disabled = !view.moved || view.busy || view.isApplied;
    apply.textContent = t(
      view.busy ? later("Applying…") : view.isApplied ? later("Applied") : later("Apply to the model"),
    );
    apply.classList.toggle("ready", !apply.disabled);
  };
  /** How many knobs in the drawer are turned: nobody should wonder what else is at work. */
  const waitingTurned = () => {
    const [rest, own] = [atRest(), view.sides[0].ownKnobs];
    const named = model.get("at_hand");
    const away = {
      top_k: model.get("top_k") !== own.topK,
      top_groups: model.get("top_groups") !== own.topGroups,
      score_function: model.get("score_function") !== own.scoreFunction,
      normalize: model.get("normalize") !== own.normalize,
      bias: model.get("bias").length > 0,
      ...Object.fromEntries(["temperature", "noise", "capacity"].map((name) => [name, model.get(name) !== rest[name]])),
    };
    return Object.keys(away).filter((name) => away[name] && !named.includes(name)).length;
  };
  return { nodes: [atHand, drawer], build, draw };
}

function placeOf(layer, { numbers }) {
  return layer < 0 ? 0 : 1 + numbers.indexOf(layer);
}
