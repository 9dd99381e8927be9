import {
  brief,
  choice,
  choices,
  element,
  messageLine,
  onFrame,
  openView,
  shape,
  slider,
  whole,
} from "../shared/common.js";
import { follow } from "../shared/habits.js";
import { later, speak, t } from "../shared/language.js";
import { countParameters, flopsPerToken, headDim, isLatent, isShared, parts, problem } from "./rule.js";

// Every part in drawing order: index into the palette, and what it is called.
const PARTS = {
  embedding: [4, later("embedding")],
  attention: [0, later("attention (q, k, v, o)")],
  scores: [8, later("attention scores")],
  feed_forward: [1, later("feed-forward")],
  experts: [1, later("experts")],
  shared_experts: [9, later("shared experts")],
  router: [5, later("router")],
  norms: [7, later("norms")],
  hyper_connections: [6, later("hyper-connections")],
  head: [2, later("head")],
  multi_token: [3, later("multi-token modules")],
};
const COUNTS = [1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 28, 32, 36, 40, 48, 56, 61, 64, 80, 96, 128];
const SIZES = [
  32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 5120, 6144, 7168, 8192, 12288, 14336,
  16384,
];
const WORDS = [256, 512, 1024, 2048, 4096, 8192, 16384, 32000, 50257, 65536, 102400, 128256, 151936, 200064, 262144];
const LENGTHS = Array.from({ length: 18 }, (_, i) => 2 ** i);
/** @type {[string, number[]][]} */
const KNOBS = [
  ["dim", SIZES],
  ["n_layers", COUNTS],
  ["attention.n_heads", COUNTS],
  ["attention.n_kv_heads", COUNTS],
  ["attention.q_lora_rank", SIZES],
  ["attention.kv_lora_rank", SIZES],
  ["hidden_dim", [...SIZES, 28672, 53248]],
  ["vocab_size", WORDS],
  ["context", LENGTHS],
  ["moe.n_routed_experts", [...COUNTS, 160, 256, 384, 512]],
  ["moe.top_k", COUNTS],
  ["moe.hidden_dim", SIZES],
];

/** @param {import("../shared/common.js").Context} context */
function render({ model, el }) {
  speak(model);
  openView(el, "moe-budget", t("Parameter and FLOP budget"));
  const palette = model.get("palette");
  const presets = model.get("presets");
  const { line, say } = messageLine();
  const knobs = element("div", { class: "moe-row moe-knobs" });
  const totals = element("div", { class: "moe-counts", role: "status" });
  const [bars, columns] = [shape("svg", { role: "img" }), shape("svg", { role: "img" })];
  const names = Object.keys(presets);
  const pick = choice({
    label: t("Model"),
    names,
    value: names.indexOf(model.get("preset")),
    change: (i) => use(names[i]),
  });
  const tie = element("input", { type: "checkbox", onchange: () => turn("tie_embeddings", tie.checked) });
  const top = element(
    "div",
    { class: "moe-row" },
    pick.root,
    element("label", { class: "moe-knob" }, tie, t("tie embeddings")),
  );
  el.append(top, knobs, line, totals, bars, columns);

  let [config, context] = [structuredClone(model.get("config")), model.get("context")];
  const free = () =>
    !isLatent(config) && !isShared(config) && headDim(config) === config.dim / config.attention.n_heads;
  let follows = free(); // head_dim is dim / n_heads, and stays so

  function publish() {
    // The kernel keeps the last sizes that make a model, so that its still picture can always be drawn.
    if (!problem(config)) {
      const size = isLatent(config) ? {} : { head_dim: headDim(config) };
      model.set("config", { ...config, attention: { ...config.attention, ...size } });
      model.set("context", context);
      model.save_changes();
    }
    draw();
  }
  function use(name) {
    config = structuredClone(presets[name]);
    context = config.max_length;
    follows = free();
    model.set("preset", name);
    addKnobs();
    publish();
  }
  function turn(path, value) {
    const [group, name] = path.includes(".") ? path.split(".") : [null, path];
    if (path === "context") context = value;
    else (group ? config[group] : config)[name] = value;
    if (follows) config.attention.head_dim = null;
    publish();
  }
  /** No layer has a dense feed-forward, whose width hidden_dim is. */
  const isSparse = ({ moe }) => Boolean(moe) && !moe.n_dense_layers;
  /** No slider for what no other size of this model goes with: each layer's kind of attention is named. */
  const fixed = (path) =>
    (path === "hidden_dim" && isSparse(config)) || (path === "n_layers" && Boolean(config.attention.compression));
  function addKnobs() {
    tie.checked = config.tie_embeddings;
    const present = (path) => (path === "context" ? context : path.split(".").reduce((o, key) => o?.[key], config));
    knobs.replaceChildren(
      ...KNOBS.filter(([path]) => present(path) != null && !fixed(path)).map(([path, values]) => {
        const list = choices(values, present(path));
        const label = path.startsWith("moe.hidden") ? "expert hidden_dim" : path.split(".").at(-1);
        const show = (i) => whole(list[i]);
        return slider({
          label,
          max: list.length - 1,
          min: 0,
          value: list.indexOf(present(path)),
          show,
          change: (i) => turn(path, list[i]),
        }).root;
      }),
    );
  }

  const draw = onFrame(() => {
    const wrong = problem(config);
    say(wrong || model.get("message"));
    [totals, bars, columns].forEach((node) => node.classList.toggle("moe-stale", Boolean(wrong)));
    if (wrong) return;
    const counted = countParameters(config);
    const flops = flopsPerToken(config, context);
    const words = [
      [brief(counted.total), t("parameters")],
      [brief(flops.total, "kMGT"), t("FLOPs per token")],
    ];
    if (counted.active < counted.total) words.splice(1, 0, [brief(counted.active), t("at work on one token")]);
    totals.replaceChildren(...words.map(([n, name]) => element("span", {}, element("b", {}, n), ` ${name}`)));
    drawBars(counted, flops);
    drawColumns();
  });
  const color = (name) => palette[PARTS[name][0]];

  function drawBars(counted, flops) {
    const shown = Object.keys(PARTS).filter((name) => name in counted.byPart || name in flops.byPart);
    const [row, left, width] = [24, 132, el.clientWidth];
    const half = (width - left) / 2;
    bars.setAttribute("height", String(row * (shown.length + 1)));
    /** @type {[string, number][]} */
    const halves = [
      [t("parameters"), 0],
      [t("FLOPs per token"), half],
    ];
    const head = halves.map(([text, x]) => shape("text", { x: left + x, y: 12, class: "quiet" }, text));
    bars.replaceChildren(...head);
    const words = [];
    shown.forEach((name, i) => {
      const y = row * (i + 1);
      bars.append(shape("text", { x: left - 8, y: y + 12, "text-anchor": "end" }, t(PARTS[name][1])));
      [counted, flops].forEach(({ total, byPart }, side) => {
        const share = (byPart[name] ?? 0) / total;
        const x = left + side * half;
        const length = share * Math.max(0, half - 110); // a phone has room for the words alone
        const label = share ? `${brief(byPart[name], side ? "kMGT" : "kMBT")} (${(100 * share).toFixed(1)}%)` : "0";
        if (share && !side) words.push(`${t(PARTS[name][1])} ${label}`);
        bars.append(
          shape("rect", { x, y: y + 1, width: length, height: row - 9, rx: 2, fill: color(name) }),
          shape("text", { x: x + length + 6, y: y + 12, class: "quiet" }, label),
        );
      });
    });
    bars.setAttribute("aria-label", t("Parameters: {list}", { list: words.join(", ") }));
  }

  function drawColumns() {
    const table = parts(config);
    const n = config.n_layers;
    const stacks = Array.from({ length: n + 2 }, () => []);
    table.forEach((part, i) => stacks[part.layer === null ? (i ? n + 1 : 0) : part.layer + 1].push(part));
    const peak = Math.max(...stacks.map((stack) => stack.reduce((sum, part) => sum + part.parameters, 0)));
    const [top, height, left, width] = [24, 110, 56, el.clientWidth];
    const step = Math.min(96, (width - left) / (n + 2));
    columns.setAttribute("height", String(top + height + 22));
    columns.setAttribute(
      "aria-label",
      t("Parameters by layer, from embedding to head; the most is {peak}", { peak: brief(peak) }),
    );
    columns.replaceChildren(
      shape(
        "text",
        { x: left, y: 13, class: "quiet" },
        t(config.moe ? later("parameters by layer (pale: idle for one token)") : later("parameters by layer")),
      ),
      shape("text", { x: left - 6, y: top + 8, "text-anchor": "end", class: "quiet" }, brief(peak)),
      shape("line", { x1: left, x2: left + step * (n + 2), y1: top + height, y2: top + height, class: "rule" }),
    );
    const every = Math.ceil((n * 24) / Math.max(24, step * n));
    stacks.forEach((stack, i) => {
      let y = top + height;
      for (const { name, parameters, active } of stack) {
        for (const [count, opacity] of [
          [active, 1],
          [parameters - active, 0.3],
        ]) {
          const tall = (height * count) / peak;
          y -= tall;
          if (tall > 0.05)
            columns.append(
              shape("rect", {
                x: left + i * step + step * 0.06,
                y,
                width: step * 0.88,
                height: tall,
                fill: color(name),
                opacity,
              }),
            );
        }
      }
      const crowded = i * step < 14 || (n + 1 - i) * step < 24; // too near to "in" or to "out"
      const label = i === 0 ? t("in") : i === n + 1 ? t("out") : (i - 1) % every || crowded ? "" : String(i - 1);
      columns.append(
        shape(
          "text",
          { x: left + (i + 0.5) * step, y: top + height + 14, "text-anchor": "middle", class: "quiet" },
          label,
        ),
      );
    });
  }

  addKnobs();
  return follow(model, el, ["message"], draw);
}

export default { render };
