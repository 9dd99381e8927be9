// Rotary position embedding (Su et al., arXiv:2104.09864), in the half-split layout of Hugging Face's Llama.

/** Cosines and sines [time, headDim / 2] of the angles position * theta^(-2i / headDim), in float32 as in PyTorch. */
export function rotation(time, headDim, theta) {
  const half = headDim / 2;
  const [cos, sin] = [new Float32Array(time * half), new Float32Array(time * half)];
  for (let i = 0; i < half; i++) {
    const speed = Math.fround(theta ** -Math.fround((2 * i) / headDim));
    for (let position = 0; position < time; position++) {
      const angle = Math.fround(position * speed);
      cos[position * half + i] = Math.cos(angle);
      sin[position * half + i] = Math.sin(angle);
    }
  }
  return { cos, sin };
}

/**
 * Turn each pair (entry i, entry i + headDim / 2) by its position's angle, so that q . k sees only distance. In place:
 * `vectors` [count, heads, headDim] stand at the positions from `start` on.
 */
export function rotate(vectors, count, heads, headDim, { cos, sin }, start) {
  const half = headDim / 2;
  for (let i = 0; i < count; i++) {
    const angle = (start + i) * half;
    for (let head = 0; head < heads; head++) {
      const at = (i * heads + head) * headDim;
      for (let j = 0; j < half; j++) {
        const first = vectors[at + j];
        const second = vectors[at + half + j];
        vectors[at + j] = first * cos[angle + j] - second * sin[angle + j];
        vectors[at + half + j] = second * cos[angle + j] + first * sin[angle + j];
      }
    }
  }
}
