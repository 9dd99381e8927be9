// CostView's curves: how many tokens a second memory and arithmetic allow, by the number of texts at once.

import { path, powers, rules } from "../shared/chart.js";
import { brief, shape } from "../shared/common.js";
import { generationSpeed, PRECISIONS } from "./rule.js";
import { percent } from "./words.js";

export const BATCHES = Array.from({ length: 13 }, (_, i) => 2 ** i);

export function makeRoofs(el, palette) {
  const root = shape("svg", { role: "img" });

  /** Tokens a second over texts at once: either roof, and the lower of the two as far as memory holds the caches. */
  const draw = (sizes, device, found, knobs) => {
    const narrow = el.clientWidth < 480; // a phone: the title takes two lines
    const [left, top, height, right] = [56, narrow ? 40 : 26, 150, 110];
    const width = Math.max(120, el.clientWidth - left - right);
    const room = found.devices * device.memory - PRECISIONS[knobs.precision] * sizes.total;
    const most = Math.floor(room / (PRECISIONS[knobs.precision] * sizes.cache_numbers * knobs.context));
    const at = (batch) => ({ batch, ...generationSpeed(sizes, device, { ...knobs, batch, devices: found.devices }) });
    const points = BATCHES.map(at);
    const rates = {
      memory: points.map((p) => p.batch / p.memory),
      arithmetic: points.map((p) => p.batch / p.arithmetic),
    };
    const logs = [...rates.memory, ...rates.arithmetic, found.speed.tokensPerSecond].map(Math.log10);
    const [low, high] = [Math.floor(Math.min(...logs)), Math.ceil(Math.max(...logs))];
    const x = (batch) => left + (width * Math.log2(batch)) / 12;
    const y = (rate) => top + height * (1 - (Math.log10(rate) - low) / (high - low || 1));
    root.setAttribute("height", String(top + height + 32));
    const here = `${brief(found.speed.tokensPerSecond)} at ${knobs.batch}, bound by ${found.speed.bound}`;
    root.setAttribute("aria-label", `Tokens a second over texts at once; ${here}`);
    const [busy, read] = [knobs.utilization, knobs.bandwidth_utilization].map(percent);
    const shares = busy === read ? busy : `${busy} and ${read}`;
    const many = `${found.devices} device${found.devices > 1 ? "s" : ""}`;
    const [title, assumed] = ["tokens a second, at best, over texts at once", `(${many}, ${shares} of the peaks)`];
    const titles = narrow ? [title, assumed] : [`${title} ${assumed}`];
    const show = (rate) => brief(rate).replace(/\.0+/, "");
    root.replaceChildren(
      ...titles.map((words, i) => shape("text", { x: left, y: 12 + 14 * i, class: "quiet" }, words)),
      ...rules(powers(low, high), { left, right: left + width, toY: y, gap: 6, show }),
    );
    for (const batch of BATCHES.filter((_, i) => i % (narrow ? 4 : 2) === 0)) {
      root.append(
        shape("text", { x: x(batch), y: top + height + 15, "text-anchor": "middle", class: "quiet" }, String(batch)),
      );
    }
    const xs = points.map((p) => x(p.batch));
    const ends = [
      ["arithmetic", palette[3]],
      ["memory", palette[0]],
    ];
    ends.forEach(([name, color]) =>
      root.append(
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
      root.append(
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
      root.append(
        shape(
          "text",
          { x: left + width + 6, y: place + 4, style: `fill: color-mix(in srgb, ${color} 78%, var(--ink))` },
          text,
        ),
      ),
    );
    if (most >= 1 && most < 4096) {
      root.append(
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
    root.append(
      shape("circle", {
        cx: x(knobs.batch),
        cy: y(found.speed.tokensPerSecond),
        r: 5,
        fill: "var(--ink)",
        stroke: "var(--paper)",
        "stroke-width": 1.5,
      }),
    );
    root.append(
      shape(
        "text",
        { x: left + width / 2, y: top + height + 29, "text-anchor": "middle", class: "quiet" },
        "texts at once",
      ),
    );
  };
  return { root, draw };
}
