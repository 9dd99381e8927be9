import { choice, element, messageLine, numbers, onFrame, openView, shape, slider, visible } from "../shared/common.js";
import { expertColors, inkOn } from "../shared/expert_colors.js";
import { arrow, follow, putter } from "../shared/habits.js";
import { changedFates, countsOf, fatesOf, linesOf, many, RULES, slotsFor, story, wholePercent } from "./rule.js";

const NARROW = 30; // pixels: a narrower column has no room for text

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
  const id = `moe-drop-${Math.random().toString(36).slice(2)}`;
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
  const totals = element("div", { class: "moe-counts", role: "status" });
  const texts = element("div", {
    class: "moe-texts",
    tabindex: 0,
    role: "listbox",
    "aria-label": "Tokens in the order of the batch; arrow keys walk",
  });
  const note = element("div", { class: "moe-note", "aria-live": "polite" });
  const grid = element("div", { class: "moe-slots", role: "img" });
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
  const body = element("div", { class: "moe-drop-body" }, texts, note, grid, threads);
  el.append(
    element("div", { class: "moe-row" }, knobs.factor.root, knobs.rule.root, knobs.layer.root, rotate),
    line,
    totals,
    body,
    legend,
  );

  // ---- the texts: one line each, in the order of the batch, then those that are left out
  const lines = names.map((name, which) => {
    const box = element("input", {
      type: "checkbox",
      "aria-label": `${name} is in the batch`,
      onchange: () => {
        const batch = model.get("batch");
        put("batch", box.checked ? [...batch, which] : batch.filter((other) => other !== which));
      },
    });
    const chips = members[which].map((token) =>
      element(
        "span",
        {
          class: "moe-chip",
          role: "option",
          id: `${id}-${token}`,
          "data-token": token,
          title: visible(pieces[token]),
        },
        element("span", {}, visible(pieces[token])),
        ...Array.from({ length: topK }, () => element("b")),
      ),
    );
    const strip = element("div", { class: "moe-strip" }, ...chips);
    return {
      box,
      chips,
      root: element("div", { class: "moe-text" }, element("label", { class: "moe-knob" }, box, name), strip),
    };
  });
  const chipOf = new Map(lines.flatMap(({ chips }) => chips.map((chip) => [Number(chip.dataset.token), chip])));

  const point = (token) => token !== pointed && ((pointed = token), drawThreads());
  const under = (event) => Number(event.target.closest?.("[data-token]")?.dataset.token ?? -1);
  body.addEventListener("pointerover", (event) => point(under(event)));
  body.addEventListener("pointerleave", () => point(-1));
  grid.addEventListener("scroll", () => drawThreads());
  body.addEventListener("click", (event) => under(event) >= 0 && put("pinned", under(event)));
  texts.addEventListener("keydown", (event) => {
    const walk = tokensOf(model.get("batch"));
    const step = event.target === texts && arrow(event);
    if (!step) return;
    const to = walk.indexOf(model.get("pinned")) + step;
    put("pinned", walk[Math.max(0, Math.min(walk.length - 1, to))]);
  });

  // ---- drawing
  const cells = Array.from({ length: size }, (_, at) =>
    element("div", { "data-token": Math.floor(at / topK) }, visible(pieces[Math.floor(at / topK)])),
  );
  const heads = colors.map((color, expert) =>
    element("div", { class: "moe-expert", style: `background: ${color}; color: ${inkOn(color)}` }, String(expert)),
  );
  heads.forEach((head, expert) => (head.style.gridArea = `1 / ${expert + 1}`));
  const limit = element("div", { class: "moe-limit" });
  const empty = []; // made as they are needed, and used again
  grid.style.gridTemplateColumns = `repeat(${n}, minmax(0, 1fr))`;
  grid.append(...heads, ...cells, limit);
  /** @type {{ layer?: any, fates?: Float64Array, slots?: number }} what the last frame showed */
  let shown = {};
  let painted = -1;
  const draw = onFrame(() => {
    say(model.get("message"));
    const [factor, rule, batch] = [model.get("factor"), model.get("rule"), model.get("batch")];
    const part = (array) => array.subarray(row() * size, (row() + 1) * size);
    const layer = { experts: part(all.experts), weights: part(all.weights), topK, n };
    const routed = (texts) => {
      const tokens = tokensOf(texts);
      const queues = linesOf(layer, tokens, rule);
      const slots = slotsFor(rule, factor, tokens.length, topK, n);
      return { tokens, queues, slots, fates: fatesOf(queues, size, slots) };
    };
    const given = routed(names.map((_, which) => which));
    const { tokens, queues, slots, fates } = routed(batch);
    shown = { layer, fates, slots };
    knobs.factor.set(factor);
    knobs.factor.input.disabled = rule === "none";
    knobs.rule.select.selectedIndex = RULES.indexOf(rule);
    knobs.layer.set(row());
    rotate.disabled = batch.length < 2;

    const isMoved = (at) => !Number.isNaN(fates[at]) && fates[at] >= 0 !== given.fates[at] >= 0;
    if (painted !== row()) paint(layer), (painted = row());
    drawTexts(fates, batch, isMoved);
    drawSlots(queues, slots, isMoved);
    drawTotals(countsOf(queues, fates, tokens, topK, slots), slots, batch, changedFates(given.fates, fates));
    drawThreads();
  });

  function drawTotals(counts, slots, batch, [lost, found]) {
    const words = [
      [slots === Infinity ? "no" : String(slots), slots === Infinity ? "limit" : "slots an expert"],
      [`${counts.dropped} of ${counts.choices}`, `choices dropped (${wholePercent(counts.dropped, counts.choices)})`],
      [String(counts.lost), `${counts.lost === 1 ? "token" : "tokens"} with nothing left`],
    ];
    if (slots !== Infinity)
      words.push([`${counts.padded} of ${counts.slots}`, `slots empty (${wholePercent(counts.padded, counts.slots)})`]);
    totals.replaceChildren(...words.map(([number, name]) => element("span", {}, element("b", {}, number), ` ${name}`)));
    const same = batch.length === names.length && batch.every((which, i) => which === i);
    const losers = many(lost, "choice loses its slot", "choices lose their slots");
    const finders = many(found, "choice finds one", "choices find one");
    const change =
      lost + found
        ? `Against the batch as given, ${losers} and ${finders}, though the router wants the same.`
        : "Every choice has the fate that it has in the batch as given.";
    totals.append(
      element(
        "div",
        { class: "moe-change" },
        same ? "This is the batch as given. Put another text first, or leave one out." : change,
      ),
    );
  }

  // A frame changes what differs from the last one and leaves the rest of the page alone.
  const dress = (node, name) => node.className !== name && (node.className = name);
  const place = (node, area) => node.area !== area && (node.style.gridArea = node.area = area);

  function drawTexts(fates, batch, isMoved) {
    const order = [...batch, ...names.keys()].filter((which, i, list) => list.indexOf(which) === i);
    if (order.some((which, i) => texts.children[i] !== lines[which].root))
      texts.replaceChildren(...order.map((which) => lines[which].root));
    lines.forEach(({ box, chips, root }, which) => {
      const inside = batch.includes(which);
      root.classList.toggle("out", !inside);
      box.checked = inside;
      box.disabled = inside && batch.length === 1;
      chips.forEach((chip, i) => {
        const first = members[which][i] * topK;
        let [lost, moved] = [0, false];
        for (let rank = 0; rank < topK; rank++) {
          const dropped = fates[first + rank] < 0;
          lost += Number(dropped);
          moved ||= isMoved(first + rank);
          dress(chip.children[rank + 1], dropped ? "off" : "");
        }
        dress(chip, `moe-chip${lost === topK ? " gone" : lost ? " part" : ""}${moved ? " moved" : ""}`);
      });
    });
  }

  /** The colors of one layer's choices, on the chips' bars and on the cells, and which experts there are. */
  function paint({ experts }) {
    for (let at = 0; at < size; at++) {
      chipOf.get(Math.floor(at / topK)).children[(at % topK) + 1].style.setProperty("--tint", colors[experts[at]]);
      cells[at].style.setProperty("--tint", colors[experts[at]]);
    }
  }

  function drawSlots(queues, slots, isMoved) {
    const narrow = el.clientWidth / n < NARROW;
    grid.classList.toggle("narrow", narrow);
    let padding = 0;
    cells.forEach((cell, at) => (cell.hidden = Number.isNaN(shown.fates[at])));
    queues.forEach((queue, expert) => {
      queue.forEach((choice, turn) => {
        const over = turn >= slots;
        dress(
          cells[choice],
          `moe-cell ${over ? "over" : "served"}${choice % topK ? " later" : ""}${isMoved(choice) ? " moved" : ""}`,
        );
        place(cells[choice], `${turn + 2 + over} / ${expert + 1}`);
      });
      for (let turn = queue.length; turn < slots && slots < Infinity; turn++) {
        if (padding === empty.length) grid.append((empty[padding] = element("div", { class: "moe-cell empty" })));
        place(empty[padding++], `${turn + 2} / ${expert + 1}`);
      }
    });
    empty.forEach((cell, i) => (cell.hidden = i >= padding));
    limit.hidden = slots === Infinity;
    limit.style.gridRow = limit.hidden ? 1 : slots + 2;
    const full = queues.flatMap((queue, expert) => (queue.length > slots ? [expert] : []));
    grid.setAttribute(
      "aria-label",
      `Slots of ${n} experts; experts that more tokens want than have room: ${full.join(", ") || "none"}`,
    );
  }

  /** From the token under the pointer, or the pinned one, a thread to each of its places. */
  function drawThreads() {
    const token = pinned();
    el.querySelectorAll(".here").forEach((node) => node.classList.remove("here"));
    const { layer, fates, slots } = shown;
    const chip = chipOf.get(token);
    if (!chip || !layer) return;
    note.replaceChildren(element("b", {}, `“${visible(pieces[token])}”`), `  ${story(layer, fates, token, slots)}`);
    texts.setAttribute("aria-activedescendant", chip.id);
    texts.querySelector("[aria-selected]")?.removeAttribute("aria-selected");
    chip.setAttribute("aria-selected", "true");
    chip.classList.add("here");
    const base = body.getBoundingClientRect();
    const from = chip.getBoundingClientRect();
    const [x, y] = [from.left + from.width / 2 - base.left, from.bottom - base.top];
    const paths = [];
    for (let rank = 0; rank < topK; rank++) {
      const cell = cells[token * topK + rank];
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
