// The traits of a SamplingView, from the model: widgets/sampling_view/__init__.py is the twin.

import { bytesOf } from "./sent.js";

/** The next token's logits after each of these texts, behind the token that begins the document. */
export function sample(model, prompts) {
  if (!prompts.length) throw new Error("there are no prompts; give at least one text");
  const vocab = model.config.vocab_size;
  const rows = prompts.map((text) => model.forward([model.documentId, ...model.encode(text)]).logits.slice(-vocab));
  return {
    pieces: model.pieces(Array(vocab).keys()),
    contexts: prompts,
    logits: bytesOf(rows),
    context: 0,
    message: "",
  };
}
