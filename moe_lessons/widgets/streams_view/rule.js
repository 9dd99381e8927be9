// Residual streams that only mix, as moe_lessons.widgets.streams_view.mixing has them; a test runs both.

const EPS = 1e-6;

/**
 * How streams mix in one layer, row by row.
 * @param {ArrayLike<number>} noise
 * @param {number} n streams
 * @param {{ size: number, iterations: number, own: number }} knobs
 */
export function mixing(noise, n, { size, iterations, own }) {
  const diagonal = (i) => (i % (n + 1) === 0 ? 1 : 0);
  if (!iterations) return Array.from({ length: n * n }, (_, i) => diagonal(i) + size * noise[i]);
  const matrix = Array.from({ length: n * n }, (_, i) => own * diagonal(i) + size * noise[i]);
  for (let row = 0; row < n; row++) {
    const logits = matrix.slice(row * n, row * n + n);
    const parts = logits.map((logit) => Math.exp(logit - Math.max(...logits)));
    const whole = parts.reduce((a, b) => a + b);
    parts.forEach((part, other) => {
      matrix[row * n + other] = part / whole + EPS;
    });
  }
  for (let step = 0; step < iterations; step++) {
    if (step) divide(matrix, sums(matrix, n).rows, (i) => Math.floor(i / n));
    divide(matrix, sums(matrix, n).columns, (i) => i % n);
  }
  return matrix;
}

function divide(matrix, by, place) {
  for (let i = 0; i < matrix.length; i++) matrix[i] /= by[place(i)] + EPS;
}

/**
 * What rows and columns of a matrix add up to.
 * @param {number[]} matrix
 * @param {number} n
 */
export function sums(matrix, n) {
  const [rows, columns] = [new Array(n).fill(0), new Array(n).fill(0)];
  matrix.forEach((value, i) => {
    rows[Math.floor(i / n)] += value;
    columns[i % n] += value;
  });
  return { rows, columns };
}

/**
 * The streams through `depth` mixings: the last matrix; the root mean square of each stream at first and after each
 * mixing; and how far the streams are from their mean in the end, by all that they are.
 * @param {{ noise: ArrayLike<number>, first: ArrayLike<number>, streams: number, size: number, iterations: number,
 *   own: number, depth: number }} state
 */
export function through({ noise, first, streams: n, depth, ...knobs }) {
  const dim = first.length / n;
  let now = Array.from({ length: n }, (_, s) => Array.from({ length: dim }, (_, d) => first[s * dim + d]));
  const sizes = [now.map(rms)];
  /** @type {number[]} */
  let matrix = [];
  for (let layer = 0; layer < depth; layer++) {
    const here = Array.from({ length: n * n }, (_, i) => noise[layer * n * n + i]);
    matrix = mixing(here, n, knobs);
    const before = now;
    now = before.map((_, other) =>
      before[0].map((_, d) => before.reduce((sum, stream, s) => sum + matrix[s * n + other] * stream[d], 0)),
    );
    sizes.push(now.map(rms));
  }
  return { matrix, sizes, apart: apart(now) };
}

/** Divides by the largest number first: squares would overflow where the numbers do not. */
function rms(stream) {
  const most = Math.max(...stream.map(Math.abs));
  return most ? most * Math.sqrt(stream.reduce((sum, x) => sum + (x / most) ** 2, 0) / stream.length) : 0;
}

function apart(streams) {
  const mean = streams[0].map((_, d) => streams.reduce((sum, stream) => sum + stream[d], 0) / streams.length);
  const most = Math.max(...streams.flat().map(Math.abs)) || 1;
  let [away, all] = [0, 0];
  for (const stream of streams)
    stream.forEach((x, d) => {
      away += ((x - mean[d]) / most) ** 2;
      all += (x / most) ** 2;
    });
  return all ? Math.sqrt(away / all) : 0;
}

/** One sentence about a state that cannot be drawn; empty when it can. */
export function problem({ noise, first, streams, size, iterations, own, depth }) {
  const most = noise.length / (streams * streams);
  if (!(streams >= 2) || first.length % streams) return `There are ${streams} streams, but two at least can mix.`;
  if (!(depth >= 1 && depth <= most)) return `The depth is ${depth}, but must be from 1 to ${most}.`;
  if (!(iterations >= 0 && iterations <= 50)) return `Iterations are ${iterations}, but must be from 0 to 50.`;
  return size >= 0 && own >= 0 ? "" : "Size and own logit must be 0 or more.";
}
