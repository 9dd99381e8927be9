import { element, shape, openView, onFrame, onWidth, listen, slider, choice, messageLine, brief } from "./common.js";

/** One sentence about sizes that make no model; empty when they do. */
export function problem(config) {
  const { n_heads, n_kv_heads, head_dim } = config.attention;
  const dim = head_dim ?? config.dim / n_heads;
  if (!Number.isInteger(dim)) {
    return `dim is ${config.dim}, which n_heads = ${n_heads} does not divide; choose a multiple of ${n_heads}.`;
  }
  if (dim % 2) return `Each head has ${dim} dimensions, but rotary positions turn pairs; change dim or n_heads so that it is even.`;
  if (n_heads % n_kv_heads) {
    return `n_heads is ${n_heads} and n_kv_heads is ${n_kv_heads}; n_heads must be a multiple of n_kv_heads.`;
  }
  const { moe } = config;
  if (moe && moe.top_k > moe.n_routed_experts) {
    return `top_k is ${moe.top_k}, but there are only ${moe.n_routed_experts} experts to choose from; lower top_k.`;
  }
  return "";
}

/** Every part in reading order: {layer, name, parameters, active}; layer is null before and after the layers. */
export function parts(config) {
  const { dim, vocab_size, n_layers, hidden_dim, attention: heads, moe, tie_embeddings } = config;
  const head_dim = heads.head_dim ?? dim / heads.n_heads;
  const attention = dim * head_dim * (2 * heads.n_heads + 2 * (heads.n_kv_heads ?? heads.n_heads));
  const norms = 2 * dim + (heads.qk_norm ? 2 * head_dim : 0);
  const part = (layer, name, parameters, active = parameters) => ({ layer, name, parameters, active });
  const table = [part(null, "embedding", vocab_size * dim)];
  for (let layer = 0; layer < n_layers; layer++) {
    table.push(part(layer, "attention", attention), part(layer, "norms", norms));
    if (!moe || layer < (moe.n_dense_layers ?? 0)) {
      table.push(part(layer, "feed_forward", 3 * dim * hidden_dim));
      continue;
    }
    const expert = 3 * dim * moe.hidden_dim;
    table.push(part(layer, "router", moe.n_routed_experts * (dim + (moe.expert_bias ? 1 : 0))));
    table.push(part(layer, "experts", moe.n_routed_experts * expert, moe.top_k * expert));
    if (moe.n_shared_experts) table.push(part(layer, "shared_experts", moe.n_shared_experts * expert));
  }
  table.push(part(null, "norms", dim), part(null, "head", tie_embeddings ? 0 : vocab_size * dim));
  return table;
}

/** Parameters in all, at work on one token, and by part. */
export function countParameters(config) {
  const counted = { total: 0, active: 0, byPart: {} };
  for (const { name, parameters, active } of parts(config)) {
    counted.total += parameters;
    counted.active += active;
    counted.byPart[name] = (counted.byPart[name] ?? 0) + parameters;
  }
  return counted;
}

/** Forward FLOPs for one token of a sequence of `context` tokens, two per multiply-add: {total, byPart}. */
export function flopsPerToken(config, context) {
  const { dim, vocab_size, attention: heads, moe } = config;
  const byPart = {};
  const add = (name, products) => (byPart[name] = (byPart[name] ?? 0) + 2 * products);
  for (const { name, active } of parts(config)) {
    if (name === "embedding" || name === "norms") continue; // a table look-up; no matrix product
    if (name === "router") add(name, active - (moe.expert_bias ? moe.n_routed_experts : 0)); // the bias is added
    else add(name, name === "head" ? vocab_size * dim : active);
    // Scores for all pairs, masked ones included, then their weighted sum of values.
    if (name === "attention") add("scores", 2 * heads.n_heads * (heads.head_dim ?? dim / heads.n_heads) * context);
  }
  return { total: Object.values(byPart).reduce((a, b) => a + b, 0), byPart };
}

// Every part in drawing order: index into the palette, and what it is called.
const PARTS = {
  embedding: [4, "embedding"],
  attention: [0, "attention (q, k, v, o)"],
  scores: [8, "attention scores"],
  feed_forward: [1, "feed-forward"],
  experts: [1, "experts"],
  shared_experts: [9, "shared experts"],
  router: [5, "router"],
  norms: [7, "norms"],
  head: [2, "head"],
};
const COUNTS = [1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 28, 32, 36, 40, 48, 56, 61, 64, 80, 96, 128];
const SIZES = [32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 5120, 6144, 7168, 8192, 12288, 14336, 16384];
const WORDS = [256, 512, 1024, 2048, 4096, 8192, 16384, 32000, 50257, 65536, 102400, 128256, 151936, 200064, 262144];
const LENGTHS = Array.from({ length: 18 }, (_, i) => 2 ** i);
const KNOBS = [
  ["dim", SIZES], ["n_layers", COUNTS], ["attention.n_heads", COUNTS], ["attention.n_kv_heads", COUNTS],
  ["hidden_dim", [...SIZES, 28672, 53248]], ["vocab_size", WORDS], ["context", LENGTHS],
  ["moe.n_routed_experts", [...COUNTS, 160, 256, 384, 512]], ["moe.top_k", COUNTS], ["moe.hidden_dim", SIZES],
];

/** The choices of a knob, with the present value among them. */
export function choices(values, present) {
  return [...new Set([...values, present])].sort((a, b) => a - b);
}

function render({ model, el }) {
  openView(el, "moe-budget", "Parameter and FLOP budget");
  const palette = model.get("palette");
  const presets = model.get("presets");
  const { line, say } = messageLine();
  const knobs = element("div", { class: "moe-row moe-knobs" });
  const totals = element("div", { class: "moe-counts", role: "status" });
  const [bars, columns] = [shape("svg", { role: "img" }), shape("svg", { role: "img" })];
  const names = Object.keys(presets);
  const pick = choice({ label: "Model", names, value: names.indexOf(model.get("preset")), change: (i) => use(names[i]) });
  const tie = element("input", { type: "checkbox", onchange: () => turn("tie_embeddings", tie.checked) });
  const top = element("div", { class: "moe-row" }, pick.root, element("label", { class: "moe-knob" }, tie, "tie embeddings"));
  el.append(top, knobs, line, totals, bars, columns);

  let [config, context] = [structuredClone(model.get("config")), model.get("context")];
  const free = () => config.attention.head_dim === config.dim / config.attention.n_heads || !config.attention.head_dim;
  let follows = free(); // head_dim is dim / n_heads, and stays so

  function publish() {
    // The kernel keeps the last sizes that make a model, so that its still picture can always be drawn.
    if (!problem(config)) {
      const { n_heads, head_dim } = config.attention;
      model.set("config", { ...config, attention: { ...config.attention, head_dim: head_dim ?? config.dim / n_heads } });
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
  function addKnobs() {
    tie.checked = config.tie_embeddings;
    const present = (path) => (path === "context" ? context : path.split(".").reduce((o, key) => o?.[key], config));
    knobs.replaceChildren(
      ...KNOBS.filter(([path]) => present(path) !== undefined).map(([path, values]) => {
        const list = choices(values, present(path));
        const label = path.startsWith("moe.hidden") ? "expert hidden_dim" : path.split(".").at(-1);
        const show = (i) => list[i].toLocaleString("en-US");
        return slider({ label, max: list.length - 1, min: 0, value: list.indexOf(present(path)), show, change: (i) => turn(path, list[i]) }).root;
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
    const words = [[brief(counted.total), "parameters"], [brief(flops.total, "kMGT"), "FLOPs per token"]];
    if (counted.active < counted.total) words.splice(1, 0, [brief(counted.active), "at work on one token"]);
    totals.replaceChildren(...words.map(([n, name]) => element("span", {}, element("b", {}, n), " " + name)));
    drawBars(counted, flops);
    drawColumns();
  });
  const color = (name) => palette[PARTS[name][0]];

  function drawBars(counted, flops) {
    const shown = Object.keys(PARTS).filter((name) => name in counted.byPart || name in flops.byPart);
    const [row, left, width] = [24, 132, el.clientWidth];
    const half = (width - left) / 2;
    bars.setAttribute("height", row * (shown.length + 1));
    const head = [["parameters", 0], ["FLOPs per token", half]].map(([text, x]) => shape("text", { x: left + x, y: 12, class: "quiet" }, text));
    bars.replaceChildren(...head);
    const words = [];
    shown.forEach((name, i) => {
      const y = row * (i + 1);
      bars.append(shape("text", { x: left - 8, y: y + 12, "text-anchor": "end" }, PARTS[name][1]));
      [counted, flops].forEach(({ total, byPart }, side) => {
        const share = (byPart[name] ?? 0) / total;
        const x = left + side * half;
        const length = share * (half - 110);
        const label = share ? `${brief(byPart[name], side ? "kMGT" : "kMBT")} (${(100 * share).toFixed(1)}%)` : "0";
        if (share && !side) words.push(`${PARTS[name][1]} ${label}`);
        bars.append(
          shape("rect", { x, y: y + 1, width: length, height: row - 9, rx: 2, fill: color(name) }),
          shape("text", { x: x + length + 6, y: y + 12, class: "quiet" }, label),
        );
      });
    });
    bars.setAttribute("aria-label", `Parameters: ${words.join(", ")}`);
  }

  function drawColumns() {
    const table = parts(config);
    const n = config.n_layers;
    const stacks = Array.from({ length: n + 2 }, () => []);
    table.forEach((part, i) => stacks[part.layer === null ? (i ? n + 1 : 0) : part.layer + 1].push(part));
    const peak = Math.max(...stacks.map((stack) => stack.reduce((sum, part) => sum + part.parameters, 0)));
    const [top, height, left, width] = [24, 110, 56, el.clientWidth];
    const step = Math.min(96, (width - left) / (n + 2));
    columns.setAttribute("height", top + height + 22);
    columns.setAttribute("aria-label", `Parameters by layer, from embedding to head; the most is ${brief(peak)}`);
    columns.replaceChildren(
      shape("text", { x: left, y: 13, class: "quiet" }, "parameters by layer" + (config.moe ? " (pale: idle for one token)" : "")),
      shape("text", { x: left - 6, y: top + 8, "text-anchor": "end", class: "quiet" }, brief(peak)),
      shape("line", { x1: left, x2: left + step * (n + 2), y1: top + height, y2: top + height, class: "rule" }),
    );
    const every = Math.ceil((n * 24) / Math.max(24, step * n));
    stacks.forEach((stack, i) => {
      let y = top + height;
      for (const { name, parameters, active } of stack) {
        for (const [count, opacity] of [[active, 1], [parameters - active, 0.3]]) {
          const tall = (height * count) / peak;
          y -= tall;
          if (tall > 0.05) columns.append(shape("rect", { x: left + i * step + step * 0.06, y, width: step * 0.88, height: tall, fill: color(name), opacity }));
        }
      }
      const label = i === 0 ? "in" : i === n + 1 ? "out" : (i - 1) % every || (step < 24 && i + 1 > n) ? "" : String(i - 1);
      columns.append(shape("text", { x: left + (i + 0.5) * step, y: top + height + 14, "text-anchor": "middle", class: "quiet" }, label));
    });
  }

  addKnobs();
  const silence = listen(model, { "change:message": draw });
  const rest = onWidth(el, draw);
  return () => (silence(), rest());
}

export default { render };
