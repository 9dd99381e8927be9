// A model on disk: its configuration and its weights, by the names that they have in PyTorch.

import { readSafetensors } from "./safetensors.js";

// As shipped, and with eight bits a number, which moe_lessons/site/web_checkpoint.py writes.
const FORMATS = ["moe-lessons-1", "moe-lessons-web-1"];

/**
 * The configuration in a checkpoint, and `weights(name, shape)`: float32. An Error of one sentence for a file that is
 * cut off, foreign, or made for another model. `unpack` reads all weights beforehand and awaits `pause` after each, so
 * that a page stays awake.
 * @param {Uint8Array} bytes
 * @returns {{config: import("./index.js").ModelConfig, weights(name: string, shape: number[]): Float32Array,
 *   unpack(pause: () => Promise<void>): Promise<void>}}
 */
export function readCheckpoint(bytes) {
  const { tensors, notes } = readSafetensors(bytes);
  if (!FORMATS.includes(notes.format)) {
    throw new Error(`The file is no checkpoint of moe-lessons: its header does not say ${FORMATS[0]}.`);
  }
  const unpacked = new Map();
  const read = (name) => {
    const scales = tensors.get(`${name}.scale`);
    const numbers = tensors.get(name).numbers();
    return scales ? scaled(numbers, scales.numbers()) : numbers;
  };
  return {
    config: JSON.parse(notes.config),
    async unpack(pause) {
      for (const name of tensors.keys()) {
        if (!name.endsWith(".scale")) unpacked.set(name, read(name));
        await pause();
      }
    },
    weights(name, shape) {
      const tensor = tensors.get(name);
      if (!tensor) throw new Error(`The checkpoint lacks the tensor ${name}; it was made for another model.`);
      if (String(tensor.shape) !== String(shape)) {
        throw new Error(
          `The checkpoint holds ${name} of size [${tensor.shape}], but the model's is [${shape}]; ` +
            "it was made for another model.",
        );
      }
      return unpacked.get(name) ?? read(name);
    },
  };
}

/** Whole numbers of eight bits times the scale of their row: what eight bits a number stand for. */
function scaled(whole, scales) {
  const numbers = new Float32Array(whole.length);
  const columns = whole.length / scales.length;
  for (let row = 0, i = 0; row < scales.length; row++) {
    const scale = scales[row];
    for (const end = i + columns; i < end; i++) numbers[i] = whole[i] * scale;
  }
  return numbers;
}
