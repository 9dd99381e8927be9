// The routing rule on typed arrays, and what is said about its result. tracing/rule.py is its twin in numpy; a test
// runs both on the same cases. Nothing here touches the page.

/**
 * Route every token of every layer: choose by score plus bias, weigh by score alone; a tie goes to the lower index.
 *
 * `trace` has the sizes layers, tokens, experts and the arrays logits [layers, tokens, experts], bias [layers, experts].
 * Returns experts and weights [layers, tokens, topK] and scores [layers, tokens, experts]; `room` is an earlier result
 * whose arrays are used again where they fit, so that a dragged knob allocates nothing.
 */
export function route(trace, knobs, room = {}) {
  const { layers, tokens, experts: n, logits, bias } = trace;
  const { topK, temperature, scoreFunction, normalize, routeScale = 1, off = [] } = knobs;
  const rows = layers * tokens;
  const fits = room.topK === topK && room.scores?.length === rows * n && room.experts?.length === rows * topK;
  const result = fits
    ? room
    : {
        topK,
        experts: new Uint16Array(rows * topK),
        weights: new Float64Array(rows * topK),
        scores: new Float64Array(rows * n),
      };
  const { experts, weights, scores } = result;
  const open = new Uint8Array(n).fill(1);
  for (const expert of off) open[expert] = 0;
  const best = new Float64Array(topK);
  const softmax = scoreFunction === "softmax";

  for (let row = 0; row < rows; row++) {
    const at = row * n;
    if (softmax) {
      let highest = -Infinity;
      for (let e = 0; e < n; e++) {
        const scaled = logits[at + e] / temperature;
        scores[at + e] = scaled;
        if (scaled > highest) highest = scaled;
      }
      let total = 0;
      for (let e = 0; e < n; e++) total += scores[at + e] = Math.exp(scores[at + e] - highest);
      for (let e = 0; e < n; e++) scores[at + e] /= total;
    } else {
      for (let e = 0; e < n; e++) {
        const scaled = logits[at + e] / temperature;
        const small = Math.exp(-Math.abs(scaled)); // never overflows
        scores[at + e] = scaled >= 0 ? 1 / (1 + small) : small / (1 + small);
      }
    }

    const biasAt = Math.floor(row / tokens) * n;
    const first = row * topK;
    let found = 0;
    for (let e = 0; e < n; e++) {
      if (!open[e]) continue;
      const wanted = scores[at + e] + bias[biasAt + e];
      if (found === topK && !(wanted > best[topK - 1])) continue;
      let place = found < topK ? found++ : topK - 1;
      for (; place > 0 && wanted > best[place - 1]; place--) {
        best[place] = best[place - 1];
        experts[first + place] = experts[first + place - 1];
      }
      best[place] = wanted;
      experts[first + place] = e;
    }

    let sum = 0;
    for (let k = 0; k < topK; k++) sum += weights[first + k] = scores[at + experts[first + k]];
    for (let k = 0; k < topK; k++) {
      if (normalize) weights[first + k] = sum > 0 ? weights[first + k] / sum : 0;
      weights[first + k] *= routeScale;
    }
  }
  return result;
}

/** How many tokens of one layer each expert got. */
export function loadOf({ experts, topK }, row, tokens, n) {
  const load = new Int32Array(n);
  for (let i = row * tokens * topK, end = (row + 1) * tokens * topK; i < end; i++) load[experts[i]]++;
  return load;
}

/** How many of the first result's choices for a token are also the second's. */
export function shared(now, own, token) {
  let count = 0;
  for (let i = token * now.topK; i < (token + 1) * now.topK; i++) {
    for (let j = token * own.topK; j < (token + 1) * own.topK; j++) count += now.experts[i] === own.experts[j];
  }
  return count;
}

/** Whether a token goes somewhere else, not only to more or fewer experts. */
export function isChanged(now, own, token) {
  return shared(now, own, token) < Math.min(now.topK, own.topK);
}

/** The share of choices, of all layers and tokens (`count`), that only one of two results made; 0 where they agree. */
export function difference(now, own, count) {
  let same = 0;
  for (let token = 0; token < count; token++) same += shared(now, own, token);
  return count ? 1 - same / (count * Math.max(now.topK, own.topK)) : 0;
}

/** Whether the knobs ask for anything but what the model did. */
export function isMoved(knobs, own) {
  return (
    knobs.off.length > 0 ||
    ["topK", "temperature", "scoreFunction", "normalize"].some((name) => knobs[name] !== own[name])
  );
}

/** A share as a percentage that never rounds a difference away. */
export function percent(share) {
  if (share === 0) return "0%";
  if (share < 0.01) return "under 1%";
  return `${share > 0.99 && share < 1 ? 99 : Math.round(100 * share)}%`;
}

/** Where one token goes, in words: "experts 3 (0.61) and 5 (0.39)". */
export function destination({ experts, weights, topK }, token) {
  const parts = [];
  for (let k = 0; k < topK; k++) parts.push(`${experts[token * topK + k]} (${weights[token * topK + k].toFixed(2)})`);
  const last = parts.pop();
  return parts.length ? `experts ${parts.join(", ")} and ${last}` : `expert ${last}`;
}

/** What moved knobs change, in words. */
export function verdict(moved, share) {
  if (!moved) return "This is what the model did.";
  if (share === 0) return "Every choice is still the model’s own; only the weights changed.";
  return `${percent(share)} of all choices differ from the model’s own.`;
}

// For experts past the palette: its first eight hues again, darker (below 0) or lighter (above).
const LEVELS = [0, 0, -0.38, 0.66, -0.6, 0.25, -0.2, 0.4];

/** One color per expert, "#rrggbb"; above 64 experts they repeat, so a number always stands beside them. */
export function expertColors(palette, n) {
  return Array.from({ length: n }, (_, expert) => {
    if (expert < palette.length) return palette[expert].toLowerCase();
    const level = LEVELS[Math.floor(expert / 8) % 8];
    const target = level < 0 ? 0 : 255;
    const mixed = rgb(palette[expert % 8]).map((c) => Math.floor(c + (target - c) * Math.abs(level) + 0.5));
    return `#${mixed.map((c) => c.toString(16).padStart(2, "0")).join("")}`;
  });
}

/** The text color that reads on a background: near black or white. */
export function inkOn(color) {
  const [r, g, b] = rgb(color).map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.3 ? "#1b1b1b" : "#ffffff";
}

function rgb(hex) {
  return [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
}

/** The next round number: where an axis ends. */
export function niceEnd(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const ends = [1, 1.2, 1.5, 2, 3, 4, 5, 6, 8, 10].map((step) => Number((step * power).toPrecision(2)));
  return ends.find((end) => end >= value * (1 - 1e-9));
}
