// RouterView's load panel: how many tokens each expert of a layer gets, beside those of what it is compared with.

import { loadOf } from "../shared/rule.js";
import { makeColumns, ROOM } from "./columns.js";

export function makeLoad(view) {
  const columns = makeColumns(view, "moe-router-load", "Load of the experts", () => 0.5 / ROOM);

  const draw = (row) => {
    const { trace } = view;
    const n = trace.experts;
    const now = trace.now[row];
    const { asked, kept } = loadOf(now, n);
    const other = view.reference(row);
    const scale = other?.partners ? trace.tokens / other.tokens : 1; // another text may be longer
    const before = other ? loadOf(other.layer, n).asked.map((count) => Math.round(count * scale)) : asked;
    const mean = (trace.tokens * now.topK) / n;
    const most = Math.max(...asked);
    const limited = Number.isFinite(now.slots);
    const ghost = !other ? "" : `, ▬ ${other.name ?? "as it was"}`;
    const lost = limited ? `, ${asked.reduce((sum, count, e) => sum + count - kept[e], 0)} dropped` : "";
    columns.say(
      `Load in layer ${trace.numbers[row]}`,
      `max/mean ${(most / mean).toFixed(2)}${lost}${ghost}${lost ? "" : "; tokens per expert"}`,
    );
    columns.draw({
      values: asked,
      kept,
      low: 0,
      high: Math.max(most, ...before, limited ? Math.min(now.slots, 2 * most) : 1, 1),
      ghosts: before,
      line: limited ? now.slots : mean,
      lineLabel: limited
        ? `${now.slots} slot${now.slots === 1 ? "" : "s"}`
        : `mean ${mean < 10 ? mean.toFixed(1) : Math.round(mean)}`,
      strong: () => true,
      text: (e) => String(asked[e]),
      axis: "",
      words: (e) => `${asked[e]} tokens${asked[e] > kept[e] ? `, ${asked[e] - kept[e]} of them dropped` : ""}`,
    });
  };
  return { ...columns, draw };
}
