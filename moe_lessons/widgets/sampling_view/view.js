import { choice, element, messageLine, numbers, onFrame, openView, shape, slider, visible } from "../shared/common.js";
import { follow, putter } from "../shared/habits.js";
import { drawCounts, entropy, ranking, sampleDistribution } from "./rule.js";

const SHOWN = 25;
const K_STEPS = [0, 1, 2, 3, 4, 5, 8, 10, 15, 20, 30, 40, 50, 100, 200, 500];
const percent = (p) => (p >= 0.0995 ? `${(100 * p).toFixed(0)}%` : p >= 0.001 ? `${(100 * p).toFixed(1)}%` : "<0.1%");

/** @param {import("../shared/common.js").Context} context */
function render({ model, el }) {
  openView(el, "moe-sampling", "Sampling the next token");
  const pieces = model.get("pieces");
  const vocab = pieces.length;
  const all = numbers(model.get("logits"), Float32Array);
  const palette = model.get("palette");
  const steps = K_STEPS.filter((k) => k < vocab);
  if (!steps.includes(model.get("top_k"))) steps.push(model.get("top_k"));
  steps.sort((a, b) => (a || Infinity) - (b || Infinity)); // "off" stands at the right end

  const put = putter(model);
  const context = choice({
    label: "After",
    names: model.get("contexts"),
    value: model.get("context"),
    change: (i) => put("context", i),
  });
  context.root.hidden = model.get("contexts").length < 2;
  const temperature = slider({
    label: "Temperature",
    min: 0,
    max: Math.max(2, model.get("temperature")),
    step: 0.05,
    value: model.get("temperature"),
    show: (t) => (t === 0 ? "0: greedy" : t.toFixed(2)),
    change: (t) => put("temperature", t),
  });
  const topK = slider({
    label: "Top-k",
    min: 0,
    max: steps.length - 1,
    value: steps.indexOf(model.get("top_k")),
    show: (i) => (steps[i] ? String(steps[i]) : "off"),
    change: (i) => put("top_k", steps[i]),
  });
  const topP = slider({
    label: "Top-p",
    min: 0.01,
    max: 1,
    step: 0.01,
    value: model.get("top_p"),
    show: (p) => (p < 1 ? p.toFixed(2) : "off"),
    change: (p) => put("top_p", p),
  });
  const draws = (n) => put("n_drawn", Math.min(10000, model.get("n_drawn") + n));
  const button = (label, onclick) => element("button", { type: "button", onclick }, label);
  const buttons = element(
    "div",
    { class: "moe-row moe-draws" },
    button("Draw 1", () => draws(1)),
    button("Draw 100", () => draws(100)),
    button("Clear", () => put("n_drawn", 0)),
  );
  const note = element("div", { class: "moe-note", "aria-live": "polite" });
  const chart = shape("svg", { role: "img" });
  const { line, say } = messageLine();
  el.append(
    element("div", { class: "moe-row" }, context.root),
    element("div", { class: "moe-row" }, temperature.root, topK.root, topP.root),
    buttons,
    line,
    note,
    chart,
  );

  const orders = [];
  const draw = onFrame(() => {
    const [row, t, k, p, n] = ["context", "temperature", "top_k", "top_p", "n_drawn"].map((name) => model.get(name));
    const logits = all.subarray(row * vocab, (row + 1) * vocab);
    const order = (orders[row] ??= ranking(logits));
    const before = sampleDistribution(logits, { temperature: t }, order);
    const kept = sampleDistribution(logits, { temperature: t, topK: k, topP: p }, order);
    const counts = drawCounts(kept, n, model.get("seed"));
    temperature.set(t);
    if (steps.includes(k)) topK.set(steps.indexOf(k));
    topP.set(p);
    context.select.selectedIndex = row;
    note.replaceChildren(
      element("b", {}, String(kept.filter((q) => q > 0).length)),
      ` of ${vocab} tokens kept, entropy `,
      element("b", {}, `${entropy(kept).toFixed(2)} nats`),
      n ? `; dots: ${n} draw${n > 1 ? "s" : ""}` : "",
      k || p < 1 ? "; outline: before top-k and top-p" : "",
    );
    say(model.get("message"));
    bars(order.slice(0, SHOWN), before, kept, counts, n);
  });

  const bars = (shown, before, kept, counts, n) => {
    const [left, top, height, width] = [36, 8, 190, el.clientWidth];
    const step = (width - left - 10) / shown.length; // the last name leans out to the right
    const peak = Math.max(...shown.map((id) => Math.max(kept[id], before[id], n ? counts[id] / n : 0)));
    const y = (value) => top + height * (1 - value / peak);
    chart.setAttribute("height", String(top + height + 74));
    const best = shown
      .slice(0, 3)
      .map((id) => `${visible(pieces[id])} ${percent(kept[id])}`)
      .join(", ");
    chart.setAttribute("aria-label", `Likeliest next tokens: ${best}`);
    /** @type {SVGElement[]} */
    const parts = [0, 0.5, 1].flatMap((share) => [
      shape("line", { x1: left, x2: width, y1: y(peak * share), y2: y(peak * share), class: "rule" }),
      shape(
        "text",
        { x: left - 5, y: y(peak * share) + 4, "text-anchor": "end", class: "quiet" },
        percent(peak * share).replace("<0.1%", "0"),
      ),
    ]);
    shown.forEach((id, i) => {
      const [x, wide, middle] = [left + i * step + 1, Math.max(2, step - 3), left + (i + 0.5) * step];
      const gone = kept[id] === 0;
      const bar = (value, name, fill) =>
        shape("rect", { x, y: y(value), width: wide, height: top + height - y(value), class: name, fill });
      const piece = visible(pieces[id]);
      const label = shape(
        "text",
        { class: gone ? "mono quiet" : "mono", transform: `translate(${middle + 4} ${top + height + 7}) rotate(90)` },
        piece.length > 9 ? `${piece.slice(0, 8)}…` : piece,
      );
      const fate = gone ? "cut off" : percent(kept[id]);
      const drawn = n ? `, drawn ${counts[id]} of ${n}` : "";
      const words = `${piece} (id ${id}): ${percent(before[id])} before, ${fate}${drawn}`;
      const group = shape(
        "g",
        { "data-token": id, class: gone ? "cut" : "kept" },
        shape("title", {}, words),
        gone ? bar(before[id], "gone", "none") : bar(kept[id], "kept", palette[0]),
        bar(gone ? 0 : before[id], "before", "none"),
        label,
      );
      if (n && counts[id]) group.append(shape("circle", { cx: middle, cy: y(counts[id] / n), r: 4, fill: palette[3] }));
      parts.push(group);
    });
    chart.replaceChildren(...parts);
  };
  return follow(model, el, ["context", "temperature", "top_k", "top_p", "n_drawn", "seed", "message"], draw);
}

export default { render };
