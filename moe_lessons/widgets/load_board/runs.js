// The runs of a LoadBoard as the browser keeps them, put together from what the kernel sends.

import { numbers } from "../shared/common.js";

/** A run as the widget keeps it: its arrays as numbers, `loads` with one row of layers x experts a point. */
export function unpack(state) {
  return {
    ...state,
    points: [...state.points],
    loads: numbers(state.loads, Float32Array),
    text: numbers(state.text, Int16Array),
  };
}

/** Add what one run gained to the runs; false where something before it is missing, and nothing is added. */
export function merge(runs, { run: name, first, points, loads }) {
  const run = runs.find((one) => one.name === name);
  if (!run?.points.length || first > run.points.length) return false;
  run.points.splice(first, Infinity, ...points);
  const kept = run.loads.subarray(0, first * run.layers * run.experts);
  const gained = numbers(loads, Float32Array);
  run.loads = new Float32Array(kept.length + gained.length);
  run.loads.set(kept);
  run.loads.set(gained, kept.length);
  return true;
}
