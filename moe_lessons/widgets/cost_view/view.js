// CostView on the page: its knobs, the totals, two pictures and the sentences below them.

import { brief, choice, choices, element, messageLine, onFrame, openView, slider, whole } from "../shared/common.js";
import { follow } from "../shared/habits.js";
import { makeMemory } from "./memory.js";
import { BATCHES, makeRoofs } from "./roofs.js";
import { costs, PRECISIONS, problem, withParameters } from "./rule.js";
import { percent, verdict } from "./words.js";

const POWERS = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => 2 ** (from + i));
const ROUND = (from, to) =>
  Array.from({ length: 3 * (to - from) + 1 }, (_, i) => [1, 2, 5][i % 3] * 10 ** (from + Math.floor(i / 3)));
const SHARES = Array.from({ length: 20 }, (_, i) => (i + 1) / 20);
const FLOPS = "kMGTPEZY";
/** @param {import("../shared/common.js").Context} context */
function render({ model, el }) {
  openView(el, "moe-cost", "Cost calculator");
  const palette = model.get("palette");
  const [presets, machines] = [model.get("presets"), model.get("devices")];
  const { line, say } = messageLine();
  const knobs = element("div", { class: "moe-row moe-knobs" });
  const totals = element("div", { class: "moe-counts" });
  const [memory, roofs] = [makeMemory(el, palette), makeRoofs(el, palette)];
  const words = element("div", { class: "moe-note", role: "status" });
  let turned = { ...model.get("knobs") };
  const select = (label, key, table, show = (name) => name) => {
    const names = Object.keys(table);
    return choice({
      label,
      names: names.map(show),
      value: names.indexOf(turned[key]),
      change: (i) => turn(key, names[i]),
    }).root;
  };
  el.append(
    element(
      "div",
      { class: "moe-row" },
      select("Model", "preset", presets),
      select("on", "device", machines, (name) => machines[name].name),
      select("in", "precision", PRECISIONS),
    ),
    knobs,
    line,
    totals,
    memory.root,
    roofs.root,
    words,
  );

  const chosen = () => withParameters(presets[turned.preset], turned.total, turned.active);
  function turn(key, value) {
    turned = { ...turned, [key]: value };
    if (key === "preset") {
      const { total, active, longest } = presets[value];
      turned = { ...turned, total, active, context: Math.min(turned.context, longest) };
      addKnobs();
    }
    // The kernel keeps the last numbers that make a model, so that its still picture can always be drawn.
    if (!problem(chosen(), turned)) {
      model.set("knobs", turned);
      model.save_changes();
    }
    draw();
  }
  function addKnobs() {
    const knob = (label, key, values, show) => {
      const list = choices(values, turned[key]);
      return slider({
        label,
        min: 0,
        max: list.length - 1,
        value: list.indexOf(turned[key]),
        show: (i) => show(list[i]),
        change: (i) => turn(key, list[i]),
      }).root;
    };
    const { longest } = presets[turned.preset];
    knobs.replaceChildren(
      knob("parameters", "total", ROUND(6, 13), (n) => brief(n)),
      knob("at work", "active", ROUND(6, 13), (n) => brief(n)),
      knob(
        "context",
        "context",
        POWERS(5, 20).filter((n) => n <= longest),
        whole,
      ),
      knob("texts at once", "batch", BATCHES, whole),
      knob("devices", "devices", [0, ...POWERS(0, 12)], (n) => (n ? whole(n) : "as few as fit")),
      knob("use of arithmetic", "utilization", SHARES, percent),
      knob("use of memory", "bandwidth_utilization", SHARES, percent),
      knob("price an hour", "price", [0.5, 1, 1.5, 2, 2.5, 3, 4, 5, 7, 10], (n) => `${n} USD`),
      knob("to learn from", "tokens", ROUND(6, 14), (n) => brief(n)),
    );
  }

  const draw = onFrame(() => {
    const [sizes, device] = [chosen(), machines[turned.device]];
    const wrong = problem(sizes, turned);
    say(wrong || model.get("message"));
    [totals, memory.root, roofs.root, words].forEach((node) => node.classList.toggle("moe-stale", Boolean(wrong)));
    if (wrong) return;
    const found = costs(sizes, device, turned);
    const counts = [
      [brief(sizes.total), "parameters"],
      [brief(sizes.active), "at work on a token"],
      [`${brief(found.flops.training, FLOPS)}FLOPs`, "to learn from it"],
      [`${brief(found.flops.generation, FLOPS)}FLOPs`, "to write it"],
    ];
    totals.replaceChildren(...counts.map(([n, name]) => element("span", {}, element("b", {}, n), ` ${name}`)));
    memory.draw(found, device, turned.precision);
    roofs.draw(sizes, device, found, turned);
    words.replaceChildren(...verdict(found, turned, device).map((sentence) => element("div", {}, sentence)));
  });

  addKnobs();
  return follow(model, el, ["message"], draw);
}

export default { render };
