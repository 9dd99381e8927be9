// RouterView's scores of one token, an expert each, with the bias apart from them.

import { later, t } from "../shared/language.js";
import { makeColumns } from "./columns.js";
import { niceEnd, quoted } from "./words.js";

export function makeScores(view) {
  const columns = makeColumns(view, "moe-router-scores", t("Scores of the experts"), (scale) => scale);

  const draw = (row, focus, shut) => {
    const { trace } = view;
    const { experts: n, pieces } = trace;
    const now = trace.now[row];
    const values = now.scores.subarray(focus * n, (focus + 1) * n);
    // Only differences between biases matter for a choice, and training may move them all together.
    const own = trace.bias.subarray(row * n, (row + 1) * n);
    let least = Infinity;
    for (let e = 0; e < n; e++) least = Math.min(least, own[e]);
    const added = view.biasIn(row);
    const biases = Float64Array.from(own, (b, e) => b - least + (added[e] ?? 0));
    const biased = biases.some((b) => b !== 0);
    const chosen = new Map();
    let bound = Infinity;
    for (let k = focus * now.topK; k < (focus + 1) * now.topK; k++) {
      chosen.set(
        now.experts[k],
        now.dropped?.[k] ? t("dropped") : t("weight {weight}", { weight: now.weights[k].toFixed(2) }),
      );
      bound = Math.min(bound, values[now.experts[k]] + biases[now.experts[k]]);
    }
    let [low, high] = [0, 0];
    for (let e = 0; e < n; e++) {
      low = Math.min(low, values[e] + biases[e]);
      high = Math.max(high, values[e], values[e] + biases[e]);
    }
    const { nGroups } = trace.ownKnobs;
    const isShut = (e) => shut.has(Math.floor((e * nGroups) / n));
    const shutNote = shut.size ? t("; hollow: its group is shut out") : "";
    const lot = (e) =>
      chosen.has(e) ? `, ${t("chosen")}, ${chosen.get(e)}` : isShut(e) ? t(", its group is shut out") : "";
    columns.say(
      t("Scores of {piece}", { piece: quoted(pieces[focus]) }),
      t(
        biased
          ? later("on each bar its score; filled: chosen, by score and bias (dashed)")
          : later("on each bar its score; filled: chosen, by score"),
      ) + shutNote,
    );
    columns.draw({
      values,
      offsets: biased ? biases : undefined,
      low,
      high: niceEnd(high),
      line: bound,
      lineLabel: `top ${now.topK}`,
      strong: (e) => chosen.has(e),
      shut: isShut,
      text: (e) => (chosen.has(e) ? values[e].toFixed(2) : ""),
      axis: String(niceEnd(high)),
      words: (e) => t("score {score}", { score: values[e].toFixed(3) }) + lot(e),
    });
  };
  return { ...columns, draw };
}
