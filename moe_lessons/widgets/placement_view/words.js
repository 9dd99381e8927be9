// What PlacementView says: pure functions from numbers to words.

import { busiest, copiesOf } from "./rule.js";

const TIMES = ["", "once", "twice"];

/** What is written under the machines: who is waited for, in all layers, and what the replicas are and cost. */
export function verdict({ placement, work, n, at, waits, placed }) {
  const totals = work.map((row) => row.reduce((a, b) => a + b, 0));
  const high = busiest(work);
  const machine = totals.indexOf(high);
  const [slot] = work[machine].map((_, i) => i).sort((a, b) => work[machine][b] - work[machine][a] || a - b);
  const hot = `expert ${placement[machine][slot]} alone is ${Math.round((100 * work[machine][slot]) / high)}% of it`;
  const mean = waits.reduce((a, b) => a + b) / waits.length;
  const copies = copiesOf(placement, n);
  const more = copies.map((many, expert) => [expert, many]).filter(([, many]) => many > 1);
  const named = more.map(([expert, many]) => `${expert} (${TIMES[many] ?? `${many} times`})`);
  const share = Math.round((100 * (placement.flat().length - n)) / n);
  const last = more.length
    ? `Kept more than once: ${named.join(", ")}; ${share}% more experts in memory.`
    : placed
      ? "Every expert is kept once."
      : "Every expert is kept once, beside its neighbors, whatever its load.";
  return [
    `Layer ${at} waits for machine ${machine}, at ${high.toFixed(2)} times the mean; ${hot}.`,
    `In all ${waits.length} layers together the experts take ${mean.toFixed(2)} times as long as in perfect balance.`,
    last,
  ];
}
