// RouterView's load panel: how many tokens each expert of a layer gets, beside those of what it is compared with.

import { t } from "../shared/language.js";
import { loadOf } from "../shared/rule.js";
import { makeColumns, ROOM } from "./columns.js";

export function makeLoad(view) {
  const columns = makeColumns(view, "moe-router-load", t("Load of the experts"), () => 0.5 / ROOM);

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
    const ghost = !other ? "" : `, ▬ ${other.name ?? t("as it was")}`;
    const lost = limited
      ? `, ${t("{count} dropped", { count: asked.reduce((sum, count, e) => sum + count - kept[e], 0) })}`
      : "";
    columns.say(
      t("Load in layer {layer}", { layer: trace.numbers[row] }),
      `max/mean ${(most / mean).toFixed(2)}${lost}${ghost}${lost ? "" : t("; tokens per expert")}`,
    );
    columns.draw({
      values: asked,
      kept,
      low: 0,
      high: Math.max(most, ...before, limited ? Math.min(now.slots, 2 * most) : 1, 1),
      ghosts: before,
      line: limited ? now.slots : mean,
      lineLabel: limited
        ? now.slots === 1
          ? t("1 slot")
          : t("{count} slots", { count: now.slots })
        : t("mean {mean}", { mean: mean < 10 ? mean.toFixed(1) : Math.round(mean) }),
      strong: () => true,
      text: (e) => String(asked[e]),
      axis: "",
      words: (e) =>
        t("{count} tokens", { count: asked[e] }) +
        (asked[e] > kept[e] ? `, ${t("{count} of them dropped", { count: asked[e] - kept[e] })}` : ""),
    });
  };
  return { ...columns, draw };
}
