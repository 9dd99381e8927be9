// What CostView says: pure functions from numbers to words.

import { brief, whole } from "../shared/common.js";

/** 3.71e24 as people write it. */
export const scientific = (n) => {
  const [digits, power] = n.toExponential(2).split("e");
  return `${digits} · 10${[...String(Number(power))].map((sign) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[sign] ?? "⁻").join("")}`;
};

/** Money in three digits, or in cents where it is little. */
export const money = (dollars) =>
  dollars >= 999.5
    ? `${brief(dollars)} USD`
    : dollars >= 1
      ? `${dollars.toPrecision(3)} USD`
      : `${(100 * dollars).toPrecision(2)} cents`;

/** A short time with its unit. */
export const duration = (seconds) =>
  seconds >= 1
    ? `${seconds.toPrecision(3)} s`
    : seconds >= 1e-3
      ? `${(1e3 * seconds).toPrecision(3)} ms`
      : `${(1e6 * seconds).toPrecision(3)} µs`;

/** A share as a whole percentage. */
export const percent = (share) => `${Math.round(100 * share)}%`;

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
