// The traits of an AttentionView, from the model: widgets/attention_view/__init__.py is the twin.

import { bytesOf } from "./sent.js";

/** Where every head looks in this text, behind the token that begins the document. */
export function attend(model, text) {
  const ids = [model.documentId, ...model.encode(text)];
  const { attention, time } = model.forward(ids, { attention: true });
  return {
    pieces: model.pieces(ids),
    shape: [model.config.n_layers, model.config.attention.n_heads, time],
    weights: bytesOf([Uint16Array.from(attention, (weight) => Math.round(65535 * weight))]),
    layer: 0,
    head: 0,
    query: time - 1,
    message: "",
  };
}
