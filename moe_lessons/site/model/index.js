// The course's model in plain JavaScript, as a page may use it. The second telling of lessons 02 to 07: a file beside
// this one has the name of its twin in moe_lessons/model/ or moe_lessons/text/, and tests hold the two together.
//
//   const model = readModel(await download("course-moe.safetensors", { onProgress }), tokenizerText, "course-moe");
//   const state = model.start();
//   const { logits, layers } = state.read([model.documentId, ...model.encode("Once upon")]);

/**
 * Names and settings as in moe_lessons/config.py and in the checkpoint's header.
 * @typedef {{n_heads: number, n_kv_heads: number, head_dim: number, rope_theta: number,
 *   qk_norm: boolean}} AttentionConfig
 * @typedef {Record<string, any> & {n_routed_experts: number, top_k: number, hidden_dim: number}} MoEConfig
 * @typedef {object} ModelConfig
 * @property {number} vocab_size
 * @property {number} dim
 * @property {number} n_layers
 * @property {number} hidden_dim
 * @property {number} max_length tokens that the model reads at most, the one that begins a document included
 * @property {AttentionConfig} attention
 * @property {MoEConfig | null} moe null for a dense model
 * @property {number} norm_eps
 * @property {boolean} tie_embeddings
 */

/**
 * All that can be turned about routing, in the browser's spelling of tracing/rule.py's Knobs. What is left out stands
 * as the model has it.
 * @typedef {object} Knobs
 * @property {number} [topK]
 * @property {string} [scoreFunction]
 * @property {boolean} [normalize]
 * @property {number} [routeScale]
 * @property {number} [nGroups]
 * @property {number} [topGroups]
 * @property {string} [groupScore]
 * @property {number} [temperature]
 * @property {number} [noise]
 * @property {number} [seed]
 * @property {number} [capacity] slots of each expert as a multiple of an even share; 0 for no limit
 * @property {string} [dropping] "first come" or "priority"
 * @property {number[]} [bias] of each expert, on top of the router's own; empty for none
 * @property {number[]} [off] experts that no token may choose
 */

/**
 * What knobs do, and where. The token at position 0 begins the document: it follows the knobs, but takes no slot and
 * gets no noise.
 * @typedef {object} Steering
 * @property {Knobs} [knobs] none: the model routes by itself
 * @property {number[] | null} [layers] numbers of the layers whose routers are turned; all of them by default
 */

/**
 * One sparse layer's routing of everything read: arrays by position, owned by the state and good until it reads again.
 * @typedef {object} LayerRouting
 * @property {number} number the layer's number in the model
 * @property {number} topK
 * @property {Float32Array} logits [time, experts], before the score function
 * @property {Float64Array} scores [time, experts], before the bias
 * @property {Uint16Array} experts [time, topK], best first
 * @property {Float64Array} weights [time, topK], 0 where the choice is dropped
 */

/**
 * What the model made of the ids. `logits` [time, vocab_size] are for the token after each position.
 * @typedef {object} Pass
 * @property {number} time how many ids
 * @property {number} kept how many of them were known from the reading before, and cost nothing
 * @property {Float32Array} logits [time, vocab_size]
 * @property {LayerRouting[]} layers one for each layer with a router; none in a dense model
 * @property {Float32Array} [attention] [n_layers, n_heads, time, time], rows are queries; only where asked for
 */

export { ranking, sampleDistribution } from "../../widgets/sampling_view/rule.js";
export { download } from "./download.js";
export { checkKnobs } from "./knobs.js";
export { Model, readModel, readModelInSteps } from "./model.js";
export { Reading } from "./reading.js";
export { readTokenizer } from "./tokenizer.js";
