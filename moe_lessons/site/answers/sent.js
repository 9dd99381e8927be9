// A trace as RouterView takes it: sizes and text, then arrays as bytes. widgets/router_view/sent.py is the twin.

/** @typedef {import("./tracer.js").Trace} Trace */
/** @typedef {import("../model/index.js").Model} Model */

/** Sizes, settings and text, and what the model made of it. @param {Model} model @param {Trace} trace */
export function factsOf(model, trace) {
  return {
    layers: trace.layers.map((layer) => layer.number),
    tokens: trace.ids.length,
    experts: model.config.moe.n_routed_experts,
    pieces: trace.pieces,
    starts: [],
    rule: model.rule,
    model: model.name,
    ...readingOf(trace),
  };
}

/** What the model made of the text, rounded to four digits. @param {Trace} trace */
export function readingOf({ nats, guesses }) {
  return {
    nats: nats.map(rounded),
    guesses: guesses.map((guess) => guess.map(([piece, share]) => [piece, rounded(share)])),
  };
}

/** Logits [layers, tokens, experts], bias [layers, experts], weights [layers, tokens, top_k], then uint16 experts. */
export function arraysOf(model, trace) {
  const each = (part) => trace.layers.map((layer) => layer[part]);
  const biases = model.routers.map((router) => router.bias);
  return bytesOf([
    ...each("logits"),
    ...biases,
    ...each("weights").map((weights) => Float32Array.from(weights)),
    ...each("experts"),
  ]);
}

/** Typed arrays, one after the other, as the protocol hands bytes over. @param {ArrayLike<any>[]} arrays */
export function bytesOf(arrays) {
  const whole = new Uint8Array(arrays.reduce((sum, array) => sum + /** @type {any} */ (array).byteLength, 0));
  let at = 0;
  for (const { buffer, byteOffset, byteLength } of /** @type {any[]} */ (arrays)) {
    whole.set(new Uint8Array(buffer, byteOffset, byteLength), at);
    at += byteLength;
  }
  return new DataView(whole.buffer);
}

/** The router's logits in the bytes of a trace: a copy, since bytes may begin anywhere. */
export function logitsIn({ layers, tokens, experts }, view) {
  const size = 4 * layers.length * tokens * experts;
  return new Float32Array(view.buffer.slice(view.byteOffset, view.byteOffset + Math.min(size, view.byteLength)));
}

const rounded = (number) => Math.round(1e4 * number) / 1e4;
