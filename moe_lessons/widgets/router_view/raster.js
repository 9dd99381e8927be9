// RouterView's ribbons as pixels. A canvas without a graphics card takes some 60 microseconds to stroke a curve, and a
// knob may move hundreds of them in a frame; a ribbon that only runs downwards is painted here line by line in a few.

// Pixels of the page for one of the canvas, to the side and down: at rest, while tokens fall, while a knob moves; of
// more than MANY ribbons, which are thin, larger ones.
const GRAINS = { fine: [1, 1], falling: [1, 3], rough: [2, 6] };
const OF_MANY = { fine: [1, 2], falling: [2, 4], rough: [3, 8] };
const MANY = 200;
const STEPS = 1024;
const BEND = 0.56; // of the way down lies the curve's first handle, and as far from its end the second
/** How far to the side a ribbon has come, from 0 to 1, and how steeply it goes, by its way down in steps. */
export const [ASIDE, SLOPE] = curve();

function curve() {
  const [aside, slope] = [new Float32Array(STEPS + 2), new Float32Array(STEPS + 2)];
  let t = 0;
  for (let i = 0; i <= STEPS + 1; i++) {
    const goal = Math.min(1, i / STEPS);
    // From the step before, Newton's rule is there in two rounds; the curve is made before the first picture.
    for (let round = 0; round < 2; round++) {
      const way = 3 * (1 - t) ** 2 * t * BEND + 3 * (1 - t) * t * t * (1 - BEND) + t ** 3;
      const speed = 3 * ((1 - t) ** 2 * BEND + 2 * (1 - t) * t * (1 - 2 * BEND) + t * t * BEND);
      t = Math.max(0, Math.min(1, t + (goal - way) / speed));
    }
    aside[i] = t * t * (3 - 2 * t);
    const speed = 3 * ((1 - t) ** 2 * BEND + 2 * (1 - t) * t * (1 - 2 * BEND) + t * t * BEND);
    slope[i] = (6 * t * (1 - t)) / speed;
  }
  return [aside, slope];
}

/** Draw a whole ribbon as a path, the same curve as the pixels'. */
export function stroke(pen, { foot, x0, y0, x1, y1 }, i) {
  const turn = Math.max(y0[i], foot);
  const bend = (y1[i] - turn) * BEND;
  pen.beginPath();
  pen.moveTo(x0[i], y0[i]);
  pen.lineTo(x0[i], turn);
  pen.bezierCurveTo(x0[i], turn + bend, x1[i], y1[i] - bend, x1[i], y1[i]);
  pen.stroke();
}

/** Where a ribbon is after a share of its way down. */
export function pointAt({ foot, x0, y0, x1, y1 }, i, share) {
  const turn = Math.max(y0[i], foot);
  const y = y0[i] + (y1[i] - y0[i]) * share;
  const aside = y <= turn ? 0 : ASIDE[Math.round((STEPS * (y - turn)) / (y1[i] - turn))];
  return [x0[i] + (x1[i] - x0[i]) * aside, y];
}

/**
 * Lay a color over the pixels of one line from `left` to `right`, with edges that fade over `soft` pixels. Two channels
 * are mixed at a time; colors are multiplied by their alpha until all ribbons are there.
 */
function span(out, line, wide, left, right, soft, red, green, alpha) {
  const half = soft / 2;
  const from = Math.max(0, Math.floor(left - half));
  const to = Math.min(wide, Math.ceil(right + half));
  const full = Math.max(from, Math.min(to, Math.ceil(left + half - 0.5)));
  const end = Math.max(full, Math.min(to, Math.floor(right - half + 0.5)));
  const steep = alpha / soft;
  let enter = ((from + 0.5 - left) / soft + 0.5) * alpha;
  let leave = ((from + 0.5 - right) / soft + 0.5) * alpha;
  for (let x = from; x < to; x++, enter += steep, leave += steep) {
    if (x === full && end > full) {
      const [rest, low, high] = [256 - alpha, Math.imul(red, alpha), Math.imul(green, alpha)];
      for (; x < end; x++) {
        const old = out[line + x];
        out[line + x] =
          (((Math.imul(old & 0xff00ff, rest) + low) >>> 8) & 0xff00ff) |
          ((Math.imul((old >>> 8) & 0xff00ff, rest) + high) & 0xff00ff00);
      }
      enter += steep * (end - full);
      leave += steep * (end - full);
      if (x >= to) return;
    }
    const cover = (Math.min(alpha, Math.max(0, enter)) - Math.min(alpha, Math.max(0, leave))) | 0;
    if (cover <= 0) continue;
    const old = out[line + x];
    const rest = 256 - cover;
    out[line + x] =
      (((Math.imul(old & 0xff00ff, rest) + Math.imul(red, cover)) >>> 8) & 0xff00ff) |
      ((Math.imul((old >>> 8) & 0xff00ff, rest) + Math.imul(green, cover)) & 0xff00ff00);
  }
}

/** A canvas on which ribbons are painted as pixels, coarse ones, since a ribbon changes little from line to line. */
export function makeRaster(canvas) {
  const pen = canvas.getContext("2d");
  const inverse = Float32Array.from({ length: 256 }, (_, a) => (a ? 255 / a : 0));
  let [image, width, height, wide, tall, pixel] = [undefined, 0, 0, 0, 0, GRAINS.fine];
  // The same pixels twice: colors multiplied by their alpha, as they are mixed, and not, as the page wants them.
  let [mixed, out] = [new Uint32Array(), new Uint32Array()];
  let [first, last] = [new Int32Array(), new Int32Array()]; // of each line the pixels that were painted now
  let growing; // the ribbons that were painted as far as they had come, and of each the line where it ended
  let ends = new Int32Array();

  const measure = (across, high) => {
    [width, height] = [across, high];
    cut(pixel);
  };
  const cut = (size) => {
    pixel = size;
    wide = canvas.width = Math.max(1, Math.ceil(width / pixel[0]));
    tall = canvas.height = Math.max(1, Math.ceil(height / pixel[1]));
    image = pen.createImageData(wide, tall);
    out = new Uint32Array(image.data.buffer);
    mixed = new Uint32Array(out.length);
    [first, last] = [new Int32Array(tall), new Int32Array(tall)];
    growing = undefined;
  };

  /**
   * `words`: each expert's color as 0xbbggrr; `grain`: how large the pixels are; `shareOf(i)`: how far a ribbon has
   * come, all the way by default. Ribbons that grow are not painted again: each goes on where it ended.
   */
  const paint = (ribbons, words, { muted, alpha, grain, shareOf = undefined }) => {
    const wanted = (ribbons.size > MANY ? OF_MANY : GRAINS)[grain];
    if (pixel !== wanted) cut(wanted);
    const lines = pixel[1];
    const { size, y0, y1, expert, lost } = ribbons;
    const goals = new Int32Array(size);
    let goesOn = growing === ribbons && Boolean(shareOf);
    for (let i = 0; i < size; i++) {
      const share = shareOf ? shareOf(i) : 1;
      goals[i] = share > 0 ? Math.min(tall, Math.round((y0[i] + (y1[i] - y0[i]) * share) / lines)) : 0;
      goesOn &&= goals[i] >= ends[i]; // one that starts again is shorter than it was
    }
    if (!goesOn) {
      mixed.fill(0);
      out.fill(0);
      ends = new Int32Array(size);
    }
    first.fill(wide);
    last.fill(0);
    for (let i = 0; i < size; i++) {
      const from = Math.max(0, Math.round(y0[i] / lines), ends[i]);
      if (goals[i] <= from) continue;
      const word = lost[i] ? muted : words[expert[i]];
      run(ribbons, i, word, Math.round(256 * (lost[i] ? 0.7 * alpha : alpha)), from, goals[i]);
    }
    growing = shareOf && ribbons;
    ends = goals;
    show(!goesOn);
  };

  /** Lay one ribbon's color over the lines from `from` to before `to`. */
  const run = ({ foot, x0, y0, x1, y1, wide: thick, lost }, i, word, strength, from, to) => {
    const [columns, lines] = pixel;
    const red = word & 0xff00ff;
    const green = ((word >>> 8) & 0xff) | 0xff0000;
    const [bottom, start, way] = [y1[i], x0[i], x1[i] - x0[i]];
    const turn = Math.max(y0[i], foot);
    const half = (lost[i] ? 1 : thick[i]) / 2;
    const scale = STEPS / (bottom - turn);
    const lean = way / (bottom - turn);
    for (let y = from; y < to; y++) {
      if (lost[i] && (y * lines) % 8 > 3) continue; // dashed
      const down = (y + 0.5) * lines - turn;
      let x = start;
      let reach = half;
      let soft = 1;
      if (down > 0) {
        const step = Math.min(STEPS, (down * scale) | 0);
        x += way * (ASIDE[step] + (ASIDE[step + 1] - ASIDE[step]) * (down * scale - step));
        const slope = Math.abs(lean * SLOPE[step]);
        reach *= Math.sqrt(1 + slope * slope);
        soft = Math.max(1, (slope * lines) / columns); // pixels to the side from line to line
      }
      const left = (x - reach) / columns;
      const right = (x + reach) / columns;
      span(mixed, y * wide, wide, left, right, soft, red, green, strength);
      const low = Math.max(0, Math.floor(left - soft / 2));
      const high = Math.min(wide, Math.ceil(right + soft / 2));
      if (low < first[y]) first[y] = low;
      if (high > last[y]) last[y] = high;
    }
  };

  /** Bring what was painted now to the page; `all` of it where there was something else before. */
  const show = (all) => {
    let [top, bottom] = [tall, 0];
    for (let y = 0; y < tall; y++) {
      if (last[y] <= first[y]) continue;
      top = Math.min(top, y);
      bottom = y + 1;
      for (let i = y * wide + first[y], end = y * wide + last[y]; i < end; i++) {
        const old = mixed[i];
        if (old === 0) continue;
        const a = old >>> 24;
        const up = inverse[a];
        const r = ((old & 255) * up) | 0;
        const g = (((old >>> 8) & 255) * up) | 0;
        const b = (((old >>> 16) & 255) * up) | 0;
        out[i] = (a << 24) | (Math.min(b, 255) << 16) | (Math.min(g, 255) << 8) | Math.min(r, 255);
      }
    }
    if (all) pen.putImageData(image, 0, 0);
    else if (top < bottom) pen.putImageData(image, 0, 0, 0, top, wide, bottom - top);
  };
  return { measure, paint };
}

/** "#rrggbb" as 0xbbggrr, as the bytes of a pixel lie in memory. */
export function wordOf(color) {
  const rgb = parseInt(color.slice(1), 16);
  return ((rgb & 255) << 16) | (rgb & 0xff00) | (rgb >>> 16);
}
