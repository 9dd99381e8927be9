import { powers, rules, spread } from "../shared/chart.js";
import {
  bytes,
  choice,
  element,
  messageLine,
  nearest,
  onFrame,
  openView,
  shape,
  slider,
  whole,
} from "../shared/common.js";
import { follow, putter } from "../shared/habits.js";
import { at, curves, fits, groups, inK, lengths, problem } from "./rule.js";

const BITS = [32, 16, 8, 4];
const [SHORTEST, LONGEST] = [2 ** 10, 2 ** 20];
const NAMES = [
  "shown",
  "rebuilt",
  "context",
  "conversations",
  "bits",
  "weight_bits",
  "memory",
  "kv_heads",
  "latent_heads",
];
const divisors = (n) => Array.from({ length: n }, (_, i) => i + 1).filter((i) => groups(n, i) === i);

/** How many conversations fit beside the weights, in words. */
export function inWords(number) {
  return number < 0 ? "not even the weights" : number >= 1e6 ? "over a million" : whole(number);
}

/** @param {import("../shared/common.js").Context} context */
function render({ model, el }) {
  openView(el, "moe-context", "Memory of conversations");
  const palette = model.get("palette");
  const [models, memories] = [model.get("models"), model.get("memories")];
  const [tokens, many] = [lengths(), Array.from({ length: 13 }, (_, i) => 2 ** i)];
  const { line, say } = messageLine();
  const state = () => Object.fromEntries([["models", models], ...NAMES.map((name) => [name, model.get(name)])]);
  const put = putter(model);

  const length = slider({
    label: "Context",
    min: 0,
    max: tokens.length - 1,
    value: nearest(tokens, model.get("context")),
    show: (i) => `${inK(tokens[i])} tokens`,
    change: (i) => put("context", tokens[i]),
  });
  const crowd = slider({
    label: "Conversations",
    min: 0,
    max: many.length - 1,
    value: nearest(many, model.get("conversations")),
    show: (i) => whole(many[i]),
    change: (i) => put("conversations", many[i]),
  });
  const names = models.map(({ name }) => name);
  const rooms = Object.keys(memories);
  const mode = choice({
    label: "Show",
    names: ["models side by side", ...names.map((name) => `what if: ${name}`)],
    value: names.indexOf(model.get("rebuilt")) + 1,
    change: (i) => put("rebuilt", i ? names[i - 1] : ""),
  });
  const width = (label, name) =>
    choice({
      label,
      names: BITS.map((bits) => `${bits} bits`),
      value: BITS.indexOf(model.get(name)),
      change: (i) => put(name, BITS[i]),
    });
  const [numbers, weights] = [width("Cache in", "bits"), width("Weights in", "weight_bits")];
  const room = choice({
    label: "Memory",
    names: rooms,
    value: rooms.indexOf(model.get("memory")),
    change: (i) => put("memory", rooms[i]),
  });
  const chips = element("div", { class: "moe-row moe-chips", role: "group", "aria-label": "Models shown" });
  const rebuild = element("div", { class: "moe-row", role: "group", "aria-label": "What it would be" });
  const chart = shape("svg", { role: "img" });
  const table = element("table", {});
  const note = element("div", { class: "moe-note" });
  el.append(
    element("div", { class: "moe-row moe-main" }, length.root, crowd.root),
    element("div", { class: "moe-row" }, mode.root, numbers.root, weights.root, room.root),
    chips,
    rebuild,
    line,
    chart,
    table,
    note,
  );
  names.forEach((name, i) => {
    const press = () => {
      const shown = model.get("shown");
      put(
        "shown",
        shown.includes(name)
          ? shown.filter((one) => one !== name)
          : names.filter((one) => one === name || shown.includes(one)),
      );
    };
    chips.append(
      element("button", { type: "button", style: `--run: ${palette[i % palette.length]}`, onclick: press }, name),
    );
  });

  let asked = ""; // the model whose two sliders stand there
  function offerRebuild({ rebuilt, kv_heads, latent_heads }) {
    if (asked === rebuilt) return;
    asked = rebuilt;
    const one = models.find(({ name }) => name === rebuilt);
    if (!one) return rebuild.replaceChildren();
    const shares = divisors(one.n_heads);
    const size = (heads) => `${heads * one.head_dim} numbers`;
    rebuild.replaceChildren(
      slider({
        label: "Key-value heads, grouped",
        min: 0,
        max: shares.length - 1,
        value: shares.indexOf(groups(one.n_heads, kv_heads)),
        show: (i) => `${shares[i]} of ${one.n_heads}`,
        change: (i) => put("kv_heads", shares[i]),
      }).root,
      slider({
        label: "Latent",
        min: 1,
        max: 16,
        value: latent_heads,
        show: size,
        change: (heads) => put("latent_heads", heads),
      }).root,
    );
  }

  const draw = onFrame(() => {
    const now = state();
    const wrong = problem(now);
    say(wrong || model.get("message"));
    length.set(nearest(tokens, now.context));
    crowd.set(nearest(many, now.conversations));
    mode.select.selectedIndex = names.indexOf(now.rebuilt) + 1;
    numbers.select.selectedIndex = BITS.indexOf(now.bits);
    weights.select.selectedIndex = BITS.indexOf(now.weight_bits);
    room.select.selectedIndex = rooms.indexOf(now.memory);
    chips.hidden = Boolean(now.rebuilt);
    [...chips.children].forEach((chip, i) => chip.setAttribute("aria-pressed", now.shown.includes(names[i])));
    offerRebuild(now);
    [chart, table].forEach((node) => node.classList.toggle("moe-stale", Boolean(wrong)));
    if (wrong) return;
    const drawn = curves(now).map((curve, i) => ({
      ...curve,
      color: palette[(now.rebuilt ? i : names.indexOf(curve.name)) % palette.length],
    }));
    drawChart(drawn, now);
    drawTable(drawn, now);
  });

  function drawChart(drawn, { context, conversations }) {
    const [left, top, bottom] = [64, 14, 292];
    const right = el.clientWidth - 150;
    const narrow = el.clientWidth < 560; // a phone
    const sizes = Object.values(memories);
    const cost = ({ kept }, length) => at(kept, length) * conversations;
    const low = Math.log10(Math.min(...drawn.map((curve) => cost(curve, SHORTEST)))) - 0.2;
    const high = Math.log10(Math.max(1.6 * Math.max(...sizes), ...drawn.map((curve) => cost(curve, LONGEST))));
    const toX = (count) => left + ((right - left) * Math.log2(count / SHORTEST)) / Math.log2(LONGEST / SHORTEST);
    const toY = (size) => bottom - ((bottom - top) * (Math.log10(size) - low)) / (high - low);
    chart.setAttribute("height", String(bottom + (narrow ? 62 : 34)));
    const show = (size) => bytes(size).replace(/\.0+ /, " ");
    chart.replaceChildren(...rules(powers(Math.ceil(low), high), { left, right, toY, gap: 7, show }));
    for (let count = SHORTEST; count <= LONGEST; count *= narrow ? 16 : 4)
      chart.append(
        shape("text", { x: toX(count), y: bottom + 15, "text-anchor": "middle", class: "quiet" }, inK(count)),
      );
    const words = narrow
      ? ["tokens of context", "(dashed: beyond what the model was made for,", "or not published so)"]
      : ["tokens of context (dashed: beyond what the model was made for, or not published so)"];
    const middle = (narrow ? el.clientWidth : left + right) / 2;
    words.forEach((line, i) =>
      chart.append(
        shape("text", { x: middle, y: bottom + 31 + 14 * i, "text-anchor": "middle", class: "quiet" }, line),
      ),
    );
    for (const [name, size] of Object.entries(memories)) {
      const y = toY(size);
      if (y > bottom) continue;
      chart.append(
        shape("line", { x1: left, x2: right, y1: y, y2: y, class: "memory" }),
        shape("text", { x: left + 4, y: y - 4, class: "quiet" }, name),
      );
    }
    const labels = drawn.map((curve) => {
      const { name, longest, whatIf, color } = curve;
      const end = Math.min(LONGEST, Math.max(SHORTEST, longest));
      for (const [from, to, dashed] of [
        [SHORTEST, end, whatIf],
        [end, LONGEST, true],
      ]) {
        const between = tokens.filter((length) => from < length && length < to);
        const points = [from, ...between, to].map((length) => `${toX(length)},${toY(cost(curve, length))}`);
        if (to > from)
          chart.append(
            shape("polyline", {
              points: points.join(" "),
              class: "curve",
              stroke: color,
              "stroke-dasharray": dashed ? "6 4" : false,
              "data-model": name,
            }),
          );
      }
      const here = Math.min(LONGEST, Math.max(SHORTEST, context));
      chart.append(shape("circle", { cx: toX(here), cy: toY(cost(curve, here)), r: 3.5, fill: color }));
      return { text: name, y: toY(cost(curve, LONGEST)), color };
    });
    const x = toX(Math.min(LONGEST, Math.max(SHORTEST, context)));
    chart.append(shape("line", { x1: x, x2: x, y1: top, y2: bottom, class: "now" }));
    spread(
      labels.map(({ y }) => y),
      13,
      top,
      bottom,
    ).forEach((y, i) => {
      const style = `fill: color-mix(in srgb, ${labels[i].color} 78%, var(--ink))`;
      chart.append(shape("text", { x: right + 7, y: y + 4, class: "named", style }, labels[i].text));
    });
    const crowd = conversations > 1 ? `${whole(conversations)} conversations` : "one conversation";
    const said = drawn.map((curve) => `${curve.name} ${bytes(cost(curve, context))}`).join(", ");
    chart.setAttribute("aria-label", `Cache of ${crowd} of ${inK(context)} tokens: ${said}`);
  }

  function drawTable(drawn, { context, conversations, memory }) {
    /** @param {string} words @param {"td" | "th"} tag */
    const cell = (words, tag = "td") => element(tag, {}, words);
    const head = [
      "",
      "bytes a token, in the mean",
      `cache of ${conversations > 1 ? `${whole(conversations)} conversations` : "one conversation"}`,
      "weights",
      `conversations beside them in ${memory}`,
    ];
    const rows = [...drawn]
      .sort((a, b) => at(b.kept, context) - at(a.kept, context))
      .map((curve) => {
        const starred = models.find(({ name }) => name === curve.name)?.note ? " *" : "";
        const name = element(
          "th",
          { scope: "row" },
          element("i", { style: `background: ${curve.color}` }),
          curve.name + starred,
        );
        return element(
          "tr",
          {},
          name,
          cell(whole(Math.round(at(curve.kept, context) / context))),
          cell(bytes(at(curve.kept, context) * conversations)),
          cell(bytes(curve.weights)),
          cell(inWords(fits(curve, context, memories[memory]))),
        );
      });
    table.replaceChildren(
      element("thead", {}, element("tr", {}, ...head.map((words) => cell(words, "th")))),
      element("tbody", {}, ...rows),
    );
    const notes = models.filter(({ name, note }) => note && drawn.some((curve) => curve.name === name));
    note.textContent = notes.length ? `* ${[...new Set(notes.map((one) => one.note))].join(" ")}` : "";
  }

  return follow(model, el, [...NAMES, "message"], draw);
}

export default { render };
