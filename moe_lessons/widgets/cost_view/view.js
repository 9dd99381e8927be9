import { path } from "../shared/chart.js";
import { brief, choice, choices, element, messageLine, onFrame, openView, shape, slider } from "../shared/common.js";
import { follow } from "../shared/habits.js";
import { costs, generationSpeed, PRECISIONS, problem, withParameters } from "./rule.js";

const POWERS = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => 2 ** (from + i));
const ROUND = (from, to) =>
  Array.from({ length: 3 * (to - from) + 1 }, (_, i) => [1, 2, 5][i % 3] * 10 ** (from + Math.floor(i / 3)));
const BATCHES = POWERS(0, 12);
const FLOPS = "kMGTPEZY";
const whole = (n) => n.toLocaleString("en-US");
/** 3.71e24 as people write it. */
export const scientific = (n) => {
  const [digits, power] = n.toExponential(2).split("e");
  return `${digits} · 10${[...String(Number(power))].map((sign) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[sign] ?? "⁻").join("")}`;
};
const percent = (share) => `${Math.round(100 * share)}%`;
/** Money in three digits, or in cents where it is little. */
export const money = (dollars) =>
  dollars >= 999.5
    ? `${brief(dollars)} USD`
    : dollars >= 1
      ? `${dollars.toPrecision(3)} USD`
      : `${(100 * dollars).toPrecision(2)} cents`;
/** Bytes in three digits. */
export const bytes = (count) => `${brief(count, "kMGTP")}B`;
/** A short time with its unit. */
export const duration = (seconds) =>
  seconds >= 1
    ? `${seconds.toPrecision(3)} s`
    : seconds >= 1e-3
      ? `${(1e3 * seconds).toPrecision(3)} ms`
      : `${(1e6 * seconds).toPrecision(3)} µs`;

/** What is written under the pictures, as two sentences. */
export function verdict(found, { batch, tokens }, device) {
  const { speed, devices, needed } = found;
  const small =
    devices < needed ? ` But ${whole(devices)} hold too little: weights and caches need ${whole(needed)}.` : "";
  const each = speed.tokensPerSecond / batch;
  const parts = `${duration(speed.memory)} of reading, ${duration(speed.arithmetic)} of arithmetic`;
  const best = `at best ${brief(speed.tokensPerSecond)} tokens a second on ${devices} × ${device.name}`;
  const rest = `${brief(each)} for each text, and ${money(found.perMillion)} for a million tokens.${small}`;
  const hours = found.trainingHours < 99.5 ? found.trainingHours.toPrecision(2) : brief(found.trainingHours);
  const paid = money(found.trainingPrice);
  const flops = `${scientific(found.trainingFlops)} FLOPs`;
  return [
    `Writing waits for ${speed.bound} (${parts} a step): ${best}, ${rest}`,
    `Learning from ${brief(tokens)} tokens takes ${flops}: ${hours} hours of one device, ${paid}.`,
  ];
}

/** @param {import("../shared/common.js").Context} context */
function render({ model, el }) {
  openView(el, "moe-cost", "Cost calculator");
  const palette = model.get("palette");
  const [presets, machines] = [model.get("presets"), model.get("devices")];
  const { line, say } = messageLine();
  const knobs = element("div", { class: "moe-row moe-knobs" });
  const totals = element("div", { class: "moe-counts" });
  const [bars, roofs] = [shape("svg", { role: "img" }), shape("svg", { role: "img" })];
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
    bars,
    roofs,
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
      knob(
        "utilization",
        "utilization",
        Array.from({ length: 20 }, (_, i) => (i + 1) / 20),
        percent,
      ),
      knob("price an hour", "price", [0.5, 1, 1.5, 2, 2.5, 3, 4, 5, 7, 10], (n) => `${n} USD`),
      knob("to learn from", "tokens", ROUND(6, 14), (n) => brief(n)),
    );
  }

  const draw = onFrame(() => {
    const [sizes, device] = [chosen(), machines[turned.device]];
    const wrong = problem(sizes, turned);
    say(wrong || model.get("message"));
    [totals, bars, roofs, words].forEach((node) => node.classList.toggle("moe-stale", Boolean(wrong)));
    if (wrong) return;
    const found = costs(sizes, device, turned);
    const counts = [
      [brief(sizes.total), "parameters"],
      [brief(sizes.active), "at work on a token"],
      [`${brief(found.flops.training, FLOPS)}FLOPs`, "to learn from it"],
      [`${brief(found.flops.generation, FLOPS)}FLOPs`, "to write it"],
    ];
    totals.replaceChildren(...counts.map(([n, name]) => element("span", {}, element("b", {}, n), ` ${name}`)));
    drawMemory(found, device);
    drawRoofs(sizes, device, found);
    words.replaceChildren(...verdict(found, turned, device).map((sentence) => element("div", {}, sentence)));
  });

  function drawMemory(found, device) {
    const [row, left, top, width] = [22, 56, 18, el.clientWidth - 150];
    const most = Math.max(...Object.values(found.memory).map(({ weights, cache }) => weights + cache));
    const scale = (width - left) / Math.max(most, device.memory);
    const [weightColor, cacheColor] = [palette[0], palette[1]];
    bars.setAttribute("height", String(top + row * 4 + 14));
    bars.replaceChildren(
      shape("text", { x: left, y: 11, class: "quiet" }, "memory: weights"),
      shape("rect", { x: left + 100, y: 3, width: 9, height: 9, fill: weightColor }),
      shape("text", { x: left + 122, y: 11, class: "quiet" }, "caches"),
      shape("rect", { x: left + 164, y: 3, width: 9, height: 9, fill: cacheColor }),
    );
    const said = [];
    Object.entries(found.memory).forEach(([name, { weights, cache }], i) => {
      const y = top + i * row;
      const here = name === turned.precision;
      const many = Math.max(1, Math.ceil((weights + cache) / device.memory));
      const label = `${bytes(weights + cache)}, ${many} device${many > 1 ? "s" : ""}`;
      said.push(`${name} ${label}`);
      bars.append(
        shape("text", { x: left - 8, y: y + 12, "text-anchor": "end", class: here ? "mono" : "mono quiet" }, name),
        shape("rect", {
          x: left,
          y: y + 2,
          width: weights * scale,
          height: row - 9,
          fill: weightColor,
          opacity: here ? 1 : 0.45,
        }),
        shape("rect", {
          x: left + weights * scale,
          y: y + 2,
          width: cache * scale,
          height: row - 9,
          fill: cacheColor,
          opacity: here ? 1 : 0.45,
        }),
        shape("text", { x: left + (weights + cache) * scale + 6, y: y + 12, class: here ? "" : "quiet" }, label),
      );
    });
    const x = left + device.memory * scale;
    bars.append(
      shape("line", { x1: x, x2: x, y1: top, y2: top + 4 * row, stroke: "var(--muted)", "stroke-dasharray": "4 3" }),
      shape(
        "text",
        { x: Math.min(x + 3, left + width - 90), y: top + 4 * row + 9, class: "quiet" },
        `one device: ${bytes(device.memory)}`,
      ),
    );
    bars.setAttribute("aria-label", `Memory by precision: ${said.join("; ")}`);
  }

  /** Tokens a second over texts at once: either roof, and the lower of the two as far as memory holds the caches. */
  function drawRoofs(sizes, device, found) {
    const [left, top, height, right] = [56, 26, 150, 110];
    const width = Math.max(120, el.clientWidth - left - right);
    const room = found.devices * device.memory - PRECISIONS[turned.precision] * sizes.total;
    const most = Math.floor(room / (PRECISIONS[turned.precision] * sizes.cache_numbers * turned.context));
    const at = (batch) => ({ batch, ...generationSpeed(sizes, device, { ...turned, batch, devices: found.devices }) });
    const points = BATCHES.map(at);
    const rates = {
      memory: points.map((p) => p.batch / p.memory),
      arithmetic: points.map((p) => p.batch / p.arithmetic),
    };
    const logs = [...rates.memory, ...rates.arithmetic, found.speed.tokensPerSecond].map(Math.log10);
    const [low, high] = [Math.floor(Math.min(...logs)), Math.ceil(Math.max(...logs))];
    const x = (batch) => left + (width * Math.log2(batch)) / 12;
    const y = (rate) => top + height * (1 - (Math.log10(rate) - low) / (high - low || 1));
    roofs.setAttribute("height", String(top + height + 32));
    const here = `${brief(found.speed.tokensPerSecond)} at ${turned.batch}, bound by ${found.speed.bound}`;
    roofs.setAttribute("aria-label", `Tokens a second over texts at once; ${here}`);
    const assumed = `${found.devices} devices, ${percent(turned.utilization)} of the peaks`;
    roofs.replaceChildren(
      shape("text", { x: left, y: 12, class: "quiet" }, `tokens a second, at best, over texts at once (${assumed})`),
    );
    for (let power = low; power <= high; power++) {
      roofs.append(
        shape("line", { x1: left, x2: left + width, y1: y(10 ** power), y2: y(10 ** power), class: "rule" }),
        shape(
          "text",
          { x: left - 6, y: y(10 ** power) + 4, "text-anchor": "end", class: "quiet" },
          brief(10 ** power).replace(/\.0+/, ""),
        ),
      );
    }
    for (const batch of BATCHES.filter((_, i) => i % 2 === 0)) {
      roofs.append(
        shape("text", { x: x(batch), y: top + height + 15, "text-anchor": "middle", class: "quiet" }, String(batch)),
      );
    }
    const xs = points.map((p) => x(p.batch));
    const ends = [
      ["arithmetic", palette[3]],
      ["memory", palette[0]],
    ];
    ends.forEach(([name, color]) =>
      roofs.append(
        shape("path", {
          d: path(xs, rates[name].map(y)),
          fill: "none",
          stroke: color,
          "stroke-width": 1.2,
          "stroke-dasharray": "5 3",
        }),
      ),
    );
    const held = points.filter((p) => p.batch <= most);
    if (most >= 1 && most < BATCHES.at(-1)) held.push(at(most));
    if (held.length > 1)
      roofs.append(
        shape("path", {
          d: path(
            held.map((p) => x(p.batch)),
            held.map((p) => y(p.tokensPerSecond)),
          ),
          fill: "none",
          stroke: "var(--ink)",
          "stroke-width": 2.4,
        }),
      );
    const last = ends
      .map(([name, color]) => [y(rates[name].at(-1)), `${name} allows`, color])
      .sort((a, b) => a[0] - b[0]);
    if (last[1][0] - last[0][0] < 14) last[1][0] = last[0][0] + 14;
    last.forEach(([place, text, color]) =>
      roofs.append(shape("text", { x: left + width + 6, y: place + 4, style: `fill: ${color}` }, text)),
    );
    if (most >= 1 && most < 4096) {
      roofs.append(
        shape("line", {
          x1: x(most),
          x2: x(most),
          y1: top,
          y2: top + height,
          stroke: "var(--muted)",
          "stroke-dasharray": "2 3",
        }),
        shape("text", { x: x(most) + 4, y: top + height - 5, class: "quiet" }, `full: ${brief(most)} texts`),
      );
    }
    roofs.append(
      shape("circle", {
        cx: x(turned.batch),
        cy: y(found.speed.tokensPerSecond),
        r: 5,
        fill: "var(--ink)",
        stroke: "var(--paper)",
        "stroke-width": 1.5,
      }),
    );
    roofs.append(
      shape(
        "text",
        { x: left + width / 2, y: top + height + 29, "text-anchor": "middle", class: "quiet" },
        "texts at once",
      ),
    );
  }

  addKnobs();
  return follow(model, el, ["message"], draw);
}

export default { render };
