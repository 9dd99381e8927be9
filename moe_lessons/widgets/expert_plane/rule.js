// A mixture of linear experts on the plane, computed where it is looked at. A point is (x, y, 1), so that three
// numbers are a linear function of it: an expert's logit, or what it answers. The rule is routing_rule.py's.

import { SCORES, weigh } from "../shared/routing_rule.js";

/** The runs as the browser keeps them: three numbers an expert for each moment, cut out of one array. */
export function unpackRuns(runs, all) {
  let at = 0;
  const take = (count) => all.subarray(at, (at += count));
  return runs.map((run) => {
    const count = run.steps.length * run.experts * 3;
    return { ...run, router: take(count), planes: take(count), noise: run.noisy ? take(count) : null };
  });
}

/** A number between 0 and 1 from whole numbers, the same each time: noise that can be drawn again. */
function hashed(a, b, c) {
  let h =
    Math.imul(a ^ 0x9e3779b9, 0x85ebca6b) ^
    Math.imul(b + 0x7f4a7c15, 0xc2b2ae35) ^
    Math.imul(c + 0x165667b1, 0x27d4eb2f);
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
  h = Math.imul(h ^ (h >>> 12), 0x297a2d39);
  return ((h ^ (h >>> 15)) >>> 0) / 4294967296;
}

/** A draw from the normal distribution; `roll`, `place` and `expert` say which. */
export function normal(roll, place, expert) {
  return (
    Math.sqrt(-2 * Math.log(1 - hashed(roll, place, 2 * expert))) *
    Math.cos(2 * Math.PI * hashed(roll, place, 2 * expert + 1))
  );
}

/**
 * A function of (x, y, place) that fills and returns one object: `scores` and `answers` of all experts, the chosen
 * `order`, best first, their `weights`, and the mixture's `value`. `roll` above 0 adds the router's noise.
 */
export function mixture(run, moment, roll = 0) {
  const { experts: n, top_k: k, router, planes, noise } = run;
  const score = SCORES[run.score_function];
  const base = moment * n * 3;
  const found = {
    scores: new Float64Array(n),
    answers: new Float64Array(n),
    order: new Int32Array(k),
    weights: new Float64Array(k),
    value: 0,
  };
  const { scores, answers, order, weights } = found;
  const taken = new Uint8Array(n);
  return (x, y, place = 0) => {
    for (let e = 0, at = base; e < n; e++, at += 3) {
      let logit = router[at] * x + router[at + 1] * y + router[at + 2];
      if (roll && noise) {
        const spread = noise[at] * x + noise[at + 1] * y + noise[at + 2];
        logit += (spread > 30 ? spread : Math.log1p(Math.exp(spread))) * normal(roll, place, e);
      }
      scores[e] = logit;
      answers[e] = planes[at] * x + planes[at + 1] * y + planes[at + 2];
      taken[e] = 0;
    }
    score(scores, 0, n);
    for (let i = 0; i < k; i++) {
      let best = -1;
      for (let e = 0; e < n; e++) if (!taken[e] && (best < 0 || scores[e] > scores[best])) best = e;
      taken[best] = 1;
      order[i] = best;
      weights[i] = scores[best];
    }
    weigh(weights, 0, k, run);
    found.value = 0;
    for (let i = 0; i < k; i++) found.value += weights[i] * answers[order[i]];
    return found;
  };
}

/** What should be answered at a point: of `truth`, n rows that decide and then n rows that answer. */
export function rightAnswer(truth, x, y) {
  const n = truth.length / 6;
  const row = (i) => truth[3 * i] * x + truth[3 * i + 1] * y + truth[3 * i + 2];
  let best = 0;
  for (let i = 1; i < n; i++) if (row(i) > row(best)) best = i;
  return row(n + best);
}

/** The straight borders between two pieces of `truth` as [x1, y1, x2, y2], inside the square of half-width `extent`. */
export function seams(truth, extent) {
  const n = truth.length / 6;
  const found = [];
  for (let one = 0; one < n; one++) {
    for (let other = one + 1; other < n; other++) {
      // On the line where both are equal, p + t * d, keep the t at which neither a side nor a third piece is passed.
      const [a, b, c] = [0, 1, 2].map((i) => truth[3 * one + i] - truth[3 * other + i]);
      const square = a * a + b * b;
      if (!square) continue;
      const [px, py, dx, dy] = [(-a * c) / square, (-b * c) / square, -b, a];
      let [low, high] = [-Infinity, Infinity];
      const keep = (slope, offset) => {
        // slope * t + offset >= 0
        if (slope > 1e-12) low = Math.max(low, -offset / slope);
        else if (slope < -1e-12) high = Math.min(high, -offset / slope);
        else if (offset < -1e-9) high = -Infinity;
      };
      keep(dx, px + extent), keep(-dx, extent - px), keep(dy, py + extent), keep(-dy, extent - py);
      for (let third = 0; third < n; third++) {
        if (third === one || third === other) continue;
        const [u, v, w] = [0, 1, 2].map((i) => truth[3 * one + i] - truth[3 * third + i]);
        keep(u * dx + v * dy, u * px + v * py + w);
      }
      if (high - low > 1e-9) found.push([px + low * dx, py + low * dy, px + high * dx, py + high * dy]);
    }
  }
  return found;
}

/**
 * The mixture on size x size squares, from the upper left: the strongest expert of each, its weight and the answer;
 * for each expert the share of squares that it works on, and the middle of those where it is the strongest.
 */
export function survey(run, moment, size, extent, roll = 0) {
  const n = run.experts;
  const at = mixture(run, moment, roll);
  const seen = {
    first: new Uint8Array(size * size),
    weight: new Float32Array(size * size),
    value: new Float32Array(size * size),
  };
  const [load, leads, sumX, sumY] = [0, 1, 2, 3].map(() => new Float64Array(n));
  const step = (2 * extent) / size;
  for (let row = 0, place = 0; row < size; row++) {
    const y = extent - (row + 0.5) * step;
    for (let column = 0; column < size; column++, place++) {
      const x = (column + 0.5) * step - extent;
      const { order, weights, value } = at(x, y, place);
      const first = order[0];
      seen.first[place] = first;
      seen.weight[place] = weights[0];
      seen.value[place] = value;
      leads[first]++;
      sumX[first] += x;
      sumY[first] += y;
      for (let i = 0; i < order.length; i++) load[order[i]]++;
    }
  }
  const squares = size * size;
  const share = (counts) => Array.from(counts, (count) => count / squares);
  const middles = Array.from(leads, (count, e) => (count ? [sumX[e] / count, sumY[e] / count] : null));
  return { ...seen, load: share(load), leads: share(leads), middles };
}

/** RGBA pixels: each square in its strongest expert's color, the paler the less that expert counts. */
export function expertPixels({ first, weight }, colors, data) {
  for (let place = 0; place < first.length; place++) {
    const color = colors[first[place]];
    data[4 * place] = color[0];
    data[4 * place + 1] = color[1];
    data[4 * place + 2] = color[2];
    data[4 * place + 3] = 255 * (0.1 + 0.9 * Math.min(1, Math.max(0, weight[place])));
  }
  return data;
}

/** RGBA pixels of numbers: the color's opacity grows from `low` to `high`, with lines at each multiple of `line`. */
export function heightPixels(values, size, [low, high], [red, green, blue], line, data) {
  for (let place = 0; place < values.length; place++) {
    const band = Math.floor(values[place] / line);
    const right = place % size < size - 1 ? Math.floor(values[place + 1] / line) : band;
    const below = place + size < values.length ? Math.floor(values[place + size] / line) : band;
    const share = Math.min(1, Math.max(0, (values[place] - low) / (high - low)));
    data[4 * place] = red;
    data[4 * place + 1] = green;
    data[4 * place + 2] = blue;
    data[4 * place + 3] =
      255 * Math.min(1, 0.06 + 0.74 * share + (line && (right !== band || below !== band) ? 0.22 : 0));
  }
  return data;
}
