// moe_lessons/accounting/price.py in JavaScript; a test runs both.

/** Bytes a number. */
export const PRECISIONS = { fp32: 4, bf16: 2, fp8: 1, fp4: 0.5 };

/** One sentence about numbers that make no model or no run; empty when they do. */
export function problem(model, { context }) {
  if (model.active > model.total) {
    const [active, total] = [model.active, model.total].map((count) => count.toLocaleString("en-US"));
    return `More parameters work on a token (${active}) than there are (${total}); move one of the two.`;
  }
  if (context > model.longest)
    return `The model reads at most ${model.longest.toLocaleString("en-US")} tokens; shorten the context.`;
  return "";
}

/** Another number of parameters, the same attention; what works more also multiplies more. */
export function withParameters(model, total, active) {
  return { ...model, total, active, products: Math.max(1, model.products + active - model.active) };
}

const shareOf = (model) => Math.min(model.share, model.active / model.total);

/** Parameters of the routed experts: those idle for one token, over the share that is. */
export function routed(model) {
  const idle = model.total - model.active;
  return idle ? idle / (1 - shareOf(model)) : 0;
}

/** FLOPs per token to learn from, over pairs that it may see, and to write behind `context` tokens. */
export function flopsPerToken(model, context) {
  const training = 6 * (model.products + model.pairs * seenCausally(model, context));
  return { training, generation: 2 * (model.products + model.cached_pairs * seen(model, context)) };
}

/** Positions that the last of `context` tokens looks at and the cache keeps, in the mean over the layers. */
function seen({ windowed = 0, window = 1 }, context) {
  return context - windowed * Math.max(0, context - window);
}

/** Positions that a text's tokens see, each of them up to itself alone, in the mean over tokens and layers. */
function seenCausally({ windowed = 0, window = 1 }, context) {
  const width = Math.min(context, window);
  const within = (width * (2 * context - width + 1)) / (2 * context);
  return ((1 - windowed) * (context + 1)) / 2 + windowed * within;
}

/** Bytes of weights and of the batch's caches. */
export function memory(model, precision, batch, context) {
  const size = PRECISIONS[precision];
  return { weights: size * model.total, cache: size * model.cache_numbers * batch * seen(model, context) };
}

const all = ({ weights, cache }) => weights + cache;

/** A step that writes one token in each text: its seconds of arithmetic and of reading, and tokens a second. */
export function generationSpeed(model, device, knobs) {
  const { devices, precision, batch, context, utilization, bandwidth_utilization: memoryUse } = knobs;
  const touched = 1 - (1 - shareOf(model)) ** batch;
  const read =
    PRECISIONS[precision] * (model.total - routed(model) * (1 - touched)) +
    memory(model, precision, batch, context).cache;
  const peak = device.peak[precision] ?? device.peak.bf16;
  const arithmetic = (batch * flopsPerToken(model, context).generation) / (devices * peak * utilization);
  const waiting = read / (devices * device.bandwidth * memoryUse);
  return {
    arithmetic,
    memory: waiting,
    tokensPerSecond: batch / Math.max(arithmetic, waiting),
    bound: waiting > arithmetic ? "memory" : "arithmetic",
  };
}

/** All that the calculator shows; `devices` 0 is as few as hold weights and caches. */
export function costs(model, device, knobs) {
  const { precision, batch, context, utilization, price, tokens } = knobs;
  const needed = Math.max(1, Math.ceil(all(memory(model, precision, batch, context)) / device.memory));
  const devices = knobs.devices || needed;
  const flops = flopsPerToken(model, context);
  const speed = generationSpeed(model, device, { ...knobs, devices });
  const trainingHours = (tokens * flops.training) / (device.peak.bf16 * utilization) / 3600;
  return {
    flops,
    memory: Object.fromEntries(Object.keys(PRECISIONS).map((name) => [name, memory(model, name, batch, context)])),
    needed,
    devices,
    speed,
    perMillion: (((devices * price) / 3600) * 1e6) / speed.tokensPerSecond,
    trainingFlops: tokens * flops.training,
    trainingHours,
    trainingPrice: trainingHours * price,
  };
}
