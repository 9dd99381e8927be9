// SlotsView's curves: the share of choices that were in memory, so far, for each policy.

import { path } from "../shared/chart.js";
import { element, shape } from "../shared/common.js";

const [WIDEST, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [640, 130, 38, 8, 8, 20];

/** @param {Record<string, string>} names of the policies, as they are written */
export function makeRates(names) {
  const svg = shape("svg", { role: "img" });
  const key = element("div", { class: "moe-slots-legend" });
  const root = element("div", { class: "moe-rates" }, element("div", { class: "moe-label" }, "Found so far"), svg, key);

  /** Curves over all tokens, full up to the cursor and pale behind it. */
  const draw = (rates, chosen, at) => {
    const tokens = rates[chosen].length;
    const width = Math.min(WIDEST, root.clientWidth || WIDEST);
    svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    const x = (token) => LEFT + (token / Math.max(1, tokens)) * (width - LEFT - RIGHT);
    const y = (rate) => TOP + (1 - rate) * (HEIGHT - TOP - BOTTOM);
    /** @type {SVGElement[]} */
    const parts = [0, 0.5, 1].flatMap((rate) => [
      shape("line", { class: "rule", x1: LEFT, x2: width - RIGHT, y1: y(rate), y2: y(rate) }),
      shape("text", { class: "quiet", x: LEFT - 6, y: y(rate) + 4, "text-anchor": "end" }, `${100 * rate}%`),
    ]);
    for (const [policy, values] of Object.entries(rates)) {
      const line = (from, to, kind) => {
        const some = values.slice(from, to);
        if (some.length < 2) return;
        const d = path(
          some.map((_, i) => x(from + i + 1)),
          some.map(y),
        );
        parts.push(shape("path", { d, class: `moe-rate ${policy} ${kind} ${policy === chosen ? "chosen" : ""}` }));
      };
      line(0, at, "past");
      line(Math.max(0, at - 1), tokens, "ahead");
    }
    parts.push(shape("line", { class: "moe-cursor", x1: x(at), x2: x(at), y1: TOP, y2: HEIGHT - BOTTOM }));
    parts.push(shape("text", { class: "quiet", x: LEFT, y: HEIGHT - 4 }, "tokens"));
    svg.replaceChildren(...parts);
    const now = (values) => (at ? `${(100 * values[at - 1]).toFixed(0)}%` : "–");
    key.replaceChildren(
      ...Object.entries(rates).map(([policy, values]) =>
        element("span", {}, element("b", { class: `moe-key ${policy}` }), `${names[policy]} ${now(values)}`),
      ),
    );
    const told = Object.entries(rates).map(([policy, values]) => `${names[policy]} ${now(values)}`);
    svg.setAttribute("aria-label", `Found in memory after ${at} tokens: ${told.join(", ")}`);
  };
  return { root, draw };
}
