// DropView on the page: its knobs and legend, what is pointed at, and the order in which a frame draws its parts.

import { choice, element, messageLine, numbers, onFrame, openView, shape, slider, visible } from "../shared/common.js";
import { expertColors } from "../shared/expert_colors.js";
import { arrow, follow, putter } from "../shared/habits.js";
import { changedFates, countsOf, fatesOf, linesOf, RULES, slotsFor, story } from "./rule.js";
import { makeSlots } from "./slots.js";
import { makeTexts } from "./texts.js";
import { makeTotals } from "./totals.js";

/** @param {import("../shared/common.js").Context} context */
function render({ model, el }) {
  openView(el, "moe-drop", "Which tokens find a slot, and which are dropped");
  const facts = model.get("facts");
  const { pieces, sequence, names, layers, top_k: topK, experts: n } = facts;
  const size = pieces.length * topK;
  const all = {
    experts: numbers(model.get("experts"), Uint16Array),
    weights: numbers(model.get("weights"), Float32Array),
  };
  const colors = expertColors(model.get("palette"), n);
  const members = names.map((_, which) => sequence.flatMap((s, token) => (s === which ? [token] : [])));
  let pointed = -1;

  const put = putter(model, 120);
  const row = () => Math.max(0, layers.indexOf(model.get("layer")));
  const tokensOf = (batch) => batch.flatMap((which) => members[which]);
  const pinned = () => (pointed >= 0 ? pointed : model.get("pinned"));

  // ---- what is turned
  const knobs = {
    factor: slider({
      label: "Capacity factor",
      min: 0.25,
      max: 3,
      step: 0.05,
      value: 1,
      show: (x) => x.toFixed(2),
      change: (x) => put("factor", x),
    }),
    rule: choice({ label: "Rule", names: RULES, change: (i) => put("rule", RULES[i]) }),
    layer: slider({
      label: "Layer",
      min: 0,
      max: layers.length - 1,
      value: 0,
      show: (i) => String(layers[i]),
      change: (i) => put("layer", layers[i]),
    }),
  };
  knobs.layer.root.hidden = layers.length < 2;
  const turned = (batch) => [...batch.slice(1), batch[0]];
  const rotate = element(
    "button",
    { type: "button", onclick: () => put("batch", turned(model.get("batch"))) },
    "Another text first",
  );
  const { line, say } = messageLine();
  const note = element("div", { class: "moe-note", "aria-live": "polite" });
  const threads = shape("svg", { class: "moe-threads", "aria-hidden": "true" });
  const legend = element(
    "div",
    { class: "moe-legend" },
    ...[
      ["served", "in a slot"],
      ["empty", "empty slot: padding"],
      ["over", "dropped"],
      ["moved", "another fate than in the batch as given"],
    ].map(([kind, words]) =>
      element(
        "span",
        {},
        element("i", { class: `moe-cell ${kind}`, style: `--tint: ${colors[0]}` }, kind === "over" ? "ab" : ""),
        words,
      ),
    ),
    ...[
      ["part", "a token that lost some of its choices"],
      ["gone", "one that lost all"],
    ]
      .slice(topK > 1 ? 0 : 1)
      .map(([kind, words]) =>
        element("span", {}, element("i", { class: `moe-chip ${kind}` }, element("span", {}, "ab")), words),
      ),
  );
  const parts = { model, facts, members, colors, put };
  const [texts, slots, totals] = [makeTexts(parts), makeSlots(el, parts), makeTotals(names)];
  const body = element("div", { class: "moe-drop-body" }, texts.root, note, slots.root, threads);
  el.append(
    element("div", { class: "moe-row" }, knobs.factor.root, knobs.rule.root, knobs.layer.root, rotate),
    line,
    totals.root,
    body,
    legend,
  );

  // ---- what is pointed at
  const point = (token) => token !== pointed && ((pointed = token), drawThreads());
  const under = (event) => Number(event.target.closest?.("[data-token]")?.dataset.token ?? -1);
  body.addEventListener("pointerover", (event) => point(under(event)));
  body.addEventListener("pointerleave", () => point(-1));
  slots.root.addEventListener("scroll", () => drawThreads());
  body.addEventListener("click", (event) => under(event) >= 0 && put("pinned", under(event)));
  texts.root.addEventListener("keydown", (event) => {
    const walk = tokensOf(model.get("batch"));
    const step = event.target === texts.root && arrow(event);
    if (!step) return;
    const to = walk.indexOf(model.get("pinned")) + step;
    put("pinned", walk[Math.max(0, Math.min(walk.length - 1, to))]);
  });

  // ---- drawing
  /** @type {{ layer?: any, fates?: Float64Array, most?: number }} what the last frame showed; `most` slots an expert */
  let shown = {};
  let painted = -1;
  const draw = onFrame(() => {
    say(model.get("message"));
    const [factor, rule, batch] = [model.get("factor"), model.get("rule"), model.get("batch")];
    const part = (array) => array.subarray(row() * size, (row() + 1) * size);
    const layer = { experts: part(all.experts), weights: part(all.weights), topK, n };
    const routed = (order) => {
      const tokens = tokensOf(order);
      const queues = linesOf(layer, tokens, rule);
      const most = slotsFor(rule, factor, tokens.length, topK, n);
      return { tokens, queues, most, fates: fatesOf(queues, size, most) };
    };
    const given = routed(names.map((_, which) => which));
    const { tokens, queues, most, fates } = routed(batch);
    shown = { layer, fates, most };
    knobs.factor.set(factor);
    knobs.factor.input.disabled = rule === "none";
    knobs.rule.select.selectedIndex = RULES.indexOf(rule);
    knobs.layer.set(row());
    rotate.disabled = batch.length < 2;

    const isMoved = (at) => !Number.isNaN(fates[at]) && fates[at] >= 0 !== given.fates[at] >= 0;
    if (painted !== row()) {
      texts.paint(layer.experts);
      slots.paint(layer.experts);
      painted = row();
    }
    texts.draw(fates, batch, isMoved);
    slots.draw(queues, fates, most, isMoved);
    totals.draw(countsOf(queues, fates, tokens, topK, most), most, batch, changedFates(given.fates, fates));
    drawThreads();
  });

  /** From the token under the pointer, or the pinned one, a thread to each of its places. */
  function drawThreads() {
    const token = pinned();
    el.querySelectorAll(".here").forEach((node) => node.classList.remove("here"));
    const { layer, fates, most } = shown;
    const chip = texts.chipOf.get(token);
    if (!chip || !layer) return;
    note.replaceChildren(element("b", {}, `“${visible(pieces[token])}”`), `  ${story(layer, fates, token, most)}`);
    texts.select(chip);
    chip.classList.add("here");
    const base = body.getBoundingClientRect();
    const from = chip.getBoundingClientRect();
    const [x, y] = [from.left + from.width / 2 - base.left, from.bottom - base.top];
    const paths = [];
    for (let rank = 0; rank < topK; rank++) {
      const cell = slots.cells[token * topK + rank];
      if (Number.isNaN(fates[token * topK + rank])) continue;
      cell.classList.add("here");
      const to = cell.getBoundingClientRect();
      const [tx, ty] = [to.left + to.width / 2 - base.left, to.top - base.top];
      const bend = Math.max(24, (ty - y) / 2);
      paths.push(
        shape("path", {
          d: `M${x},${y} C${x},${y + bend} ${tx},${ty - bend} ${tx},${ty}`,
          class: fates[token * topK + rank] < 0 ? "off" : "",
          style: `--tint: ${colors[layer.experts[token * topK + rank]]}`,
        }),
      );
    }
    threads.replaceChildren(...paths);
  }

  draw();
  return follow(model, el, ["factor", "rule", "layer", "batch", "pinned", "message"], draw);
}

export default { render };
