// CostView's bars: the memory of weights and caches in each precision, beside that of one device.

import { bytes, shape } from "../shared/common.js";

export function makeMemory(el, palette) {
  const root = shape("svg", { role: "img" });

  const draw = (found, device, precision) => {
    const [row, left, top, width] = [22, 56, 18, el.clientWidth - 150];
    const most = Math.max(...Object.values(found.memory).map(({ weights, cache }) => weights + cache));
    const scale = (width - left) / Math.max(most, device.memory);
    const [weightColor, cacheColor] = [palette[0], palette[1]];
    root.setAttribute("height", String(top + row * 4 + 14));
    root.replaceChildren(
      shape("text", { x: left, y: 11, class: "quiet" }, "memory: weights"),
      shape("rect", { x: left + 100, y: 3, width: 9, height: 9, fill: weightColor }),
      shape("text", { x: left + 122, y: 11, class: "quiet" }, "caches"),
      shape("rect", { x: left + 164, y: 3, width: 9, height: 9, fill: cacheColor }),
    );
    const said = [];
    Object.entries(found.memory).forEach(([name, { weights, cache }], i) => {
      const y = top + i * row;
      const here = name === precision;
      const many = Math.max(1, Math.ceil((weights + cache) / device.memory));
      const label = `${bytes(weights + cache)}, ${many} device${many > 1 ? "s" : ""}`;
      said.push(`${name} ${label}`);
      root.append(
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
    root.append(
      shape("line", { x1: x, x2: x, y1: top, y2: top + 4 * row, stroke: "var(--muted)", "stroke-dasharray": "4 3" }),
      shape(
        "text",
        { x: Math.min(x + 3, left + width - 90), y: top + 4 * row + 9, class: "quiet" },
        `one device: ${bytes(device.memory)}`,
      ),
    );
    root.setAttribute("aria-label", `Memory by precision: ${said.join("; ")}`);
  };
  return { root, draw };
}
