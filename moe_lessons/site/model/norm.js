// Root-mean-square normalization (Zhang and Sennrich, arXiv:1910.07467).

/**
 * Scale each of the first `count` vectors [count, gain.length] to a root mean square of 1, then each entry by its
 * learned gain. `out` may be `vectors`.
 */
export function rmsNorm(out, vectors, count, gain, eps) {
  const dim = gain.length;
  for (let start = 0; start < count * dim; start += dim) {
    let squares = 0;
    for (let i = 0; i < dim; i++) squares += vectors[start + i] * vectors[start + i];
    const scale = 1 / Math.sqrt(squares / dim + eps);
    for (let i = 0; i < dim; i++) out[start + i] = vectors[start + i] * scale * gain[i];
  }
}
