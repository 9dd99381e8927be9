import { path, short, ticks } from "../shared/chart.js";
import { choice, element, messageLine, numbers, onFrame, openView, shape, slider } from "../shared/common.js";
import { channels, expertColors, inkOn } from "../shared/expert_colors.js";
import { follow, player, putter, walkRadios } from "../shared/habits.js";
import { expertPixels, heightPixels, mixture, rightAnswer, seams, survey, unpackRuns } from "./rule.js";

const FILM = 8000; // ms that a whole run takes to play
const SIZE = 208; // squares along one side of the large picture, and of the small ones
const NOISY = 104; // of the large one when each square draws its own noise
const SMALL = 52;
const SHOWS = ["experts", "answers", "errors"];

/** Where on a time axis round steps stand: [moment, words], at least `gap` moments apart. */
export function marks(steps, gap) {
  const found = [];
  for (const wanted of [0, 1, 3].concat([1, 2, 3, 4, 5].flatMap((p) => [10 ** p, 3 * 10 ** p]))) {
    const moment = steps.findIndex((step) => step >= wanted);
    if (moment >= 0 && (!found.length || moment - found.at(-1)[0] >= gap)) found.push([moment, short(steps[moment])]);
  }
  return found;
}

/** What is seen at a point, in words. */
export function sentence({ order, weights, value }, right, x, y) {
  const sign = (number) => number.toFixed(2).replace("-", "−");
  const at = `(${sign(x)}, ${sign(y)})`;
  const helped = order.length > 1 && weights[0] < 0.995 ? `, then ${order[1]} with ${weights[1].toFixed(2)}` : "";
  const wanted = right === null ? "" : `, and should say ${sign(right)}`;
  return [
    `At ${at}`,
    ` expert ${order[0]} counts ${weights[0].toFixed(2)}${helped}. The mixture says ${sign(value)}${wanted}.`,
  ];
}

/** @param {import("../shared/common.js").Context} context */
function render({ model, el }) {
  openView(el, "moe-plane", "A mixture of experts on a plane, through training time");
  const extent = model.get("extent");
  const runs = unpackRuns(model.get("runs"), numbers(model.get("numbers"), Float32Array));
  const truth = model.get("truth").byteLength ? numbers(model.get("truth"), Float32Array) : null;
  const points = numbers(model.get("points"), Float32Array);
  const most = Math.max(...runs.map((run) => run.experts));
  const colors = expertColors(model.get("palette"), most);
  const rgb = colors.map(channels);
  const steps = runs[0].steps;
  const last = steps.length - 1;
  const [run, moment, pin] = [
    () => runs[model.get("run")],
    () => Math.min(model.get("moment"), last),
    () => model.get("pin"),
  ];
  let [roll, hover, reached] = [1, null, 0];
  const put = putter(model, 150);

  // ---- knobs
  const title = element("b", { class: "moe-title" }, model.get("title"));
  const { line, say } = messageLine();
  const time = slider({
    label: "Step",
    min: 0,
    max: last,
    value: moment(),
    show: (i) => steps[i].toLocaleString("en-US"),
    change: (i) => (film.stop(), put("moment", i)),
  });
  time.root.classList.add("moe-time");
  const show = choice({
    label: "Color by",
    names: SHOWS.slice(0, truth ? 3 : 2),
    value: SHOWS.indexOf(model.get("show")),
    change: (i) => put("show", SHOWS[i]),
  });
  const box = (label, name) => {
    const input = element("input", { type: "checkbox", onchange: () => put(name, input.checked) });
    return { root: element("label", { class: "moe-knob" }, input, element("span", {}, label)), input };
  };
  const [edges, dots, noise] = [
    box("true borders", "seams"),
    box("points", "dots"),
    box("noise, as in training", "noise"),
  ];
  const again = element("button", { type: "button", onclick: () => (roll++, draw()) }, "Draw again");
  const film = player(() => {
    const from = moment() >= last ? 0 : moment();
    return (ms) => {
      put("moment", Math.min(last, Math.floor(from + (ms / FILM) * last)));
      return moment() < last ? 0 : undefined;
    };
  });

  // ---- one small picture for each run: they are the choice of the run, too
  const strip = element("div", {
    class: "moe-runs",
    role: "radiogroup",
    "aria-label": "Runs",
    hidden: runs.length < 2 && "",
  });
  const thumbs = runs.map((one, i) => {
    const canvas = element("canvas", { width: SMALL, height: SMALL });
    const loss = element("small");
    const pick = element(
      "button",
      { type: "button", role: "radio", onclick: () => put("run", i) },
      canvas,
      element("span", {}, one.name),
      loss,
    );
    return { canvas, loss, pick, image: new ImageData(SMALL, SMALL) };
  });
  strip.append(...thumbs.map((thumb) => thumb.pick));
  walkRadios(
    strip,
    thumbs.map((thumb) => thumb.pick),
    () => model.get("run"),
    (i) => put("run", i),
  );

  // ---- the plane
  const canvas = element("canvas", { width: SIZE, height: SIZE });
  const over = shape("svg", { viewBox: `${-extent} ${-extent} ${2 * extent} ${2 * extent}`, "aria-hidden": "true" });
  const names = element("div", { class: "moe-names", "aria-hidden": "true" });
  const map = element("div", { class: "moe-square", tabindex: 0, role: "application" }, canvas, over, names);
  const unit = extent / 100;
  const lines = truth ? seams(truth, extent) : [];
  const seamLayer = shape(
    "g",
    { class: "seams" },
    ...lines.map(([x1, y1, x2, y2]) => shape("line", { x1, y1: -y1, x2, y2: -y2 })),
  );
  const dotLayer = shape("g", { class: "dots" });
  for (let i = 0; i < points.length; i += 2)
    dotLayer.append(shape("circle", { cx: points[i], cy: -points[i + 1], r: 1.6 * unit }));
  const ring = shape("g", { class: "ring" }, shape("circle", { r: 4.4 * unit }), shape("circle", { r: 4.4 * unit }));
  over.append(dotLayer, seamLayer, ring);
  const clamp = (value) => Math.max(-extent, Math.min(extent, value));
  const place = (event) => {
    const side = map.getBoundingClientRect();
    return [
      clamp(((event.clientX - side.left) / side.width) * 2 * extent - extent),
      clamp(extent - ((event.clientY - side.top) / side.height) * 2 * extent),
    ];
  };
  map.addEventListener("pointerdown", (event) => (map.setPointerCapture(event.pointerId), put("pin", place(event))));
  map.addEventListener("pointermove", (event) => ((hover = place(event)), event.buttons ? put("pin", hover) : draw()));
  map.addEventListener("pointerleave", () => ((hover = null), draw()));
  map.addEventListener("keydown", (event) => {
    const to = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (!to) return;
    event.preventDefault();
    const far = (event.shiftKey ? 0.2 : 0.04) * extent;
    put(
      "pin",
      pin().map((value, i) => clamp(value + far * to[i])),
    );
  });

  // ---- what happens at the point
  const note = element("div", { class: "moe-note", "aria-live": "polite" });
  const head = ["expert", "score here", "weight", "says", "works on"].map((name) =>
    element("span", { role: "columnheader" }, name),
  );
  const table = element(
    "div",
    { class: "moe-experts", role: "table", "aria-label": "The experts at this point" },
    element("div", { role: "row", class: "head" }, ...head),
  );
  const rows = Array.from({ length: most }, (_, e) => {
    const fill = element("i", { style: `background: ${colors[e]}` });
    const chip = element(
      "b",
      { role: "cell", style: `background: ${colors[e]}; color: ${inkOn(colors[e])}` },
      String(e),
    );
    const [weight, says, works] = [0, 1, 2].map(() => element("span", { role: "cell" }));
    const bar = element("span", { role: "cell", class: "bar" }, fill);
    const root = element("div", { role: "row" }, chip, bar, weight, says, works);
    return { root, bar, fill, weight, says, works };
  });
  table.append(...rows.map((row) => row.root));
  const scores = shape("svg", { role: "img", height: 112 });
  const losses = shape("svg", { role: "img", height: 112 });
  const knobs = element("div", { class: "moe-row" }, show.root, edges.root, dots.root, noise.root, again);
  const side = element("div", { class: "moe-side" }, note, table, scores, losses);
  el.append(
    element("div", { class: "moe-row" }, title),
    line,
    strip,
    element("div", { class: "moe-row moe-film" }, film.button, time.root),
    element("div", { class: "moe-pair" }, map, side),
    knobs,
  );

  /** A chart over the moments of the run: its axes, the mark of the present moment, and a function from x to pixels. */
  function chart(svg, words, top) {
    const [left, right, high, low] = [30, svg.clientWidth - 4, 16, 94];
    const toX = (i) => left + ((right - left) * i) / Math.max(1, last);
    const toY = (value) => low - ((low - high) * Math.min(value, top)) / top;
    svg.replaceChildren(shape("text", { x: 0, y: 9, class: "quiet" }, words));
    for (const value of ticks(top, 2)) {
      svg.append(
        shape("line", { x1: left, x2: right, y1: toY(value), y2: toY(value), class: "rule" }),
        shape("text", { x: left - 5, y: toY(value) + 4, "text-anchor": "end", class: "quiet" }, short(value)),
      );
    }
    for (const [i, text] of marks(steps, (42 * last) / Math.max(1, right - left))) {
      svg.append(
        shape("text", { x: toX(i), y: low + 14, "text-anchor": i === last ? "end" : "middle", class: "quiet" }, text),
      );
    }
    svg.append(shape("line", { x1: toX(moment()), x2: toX(moment()), y1: high - 2, y2: low, class: "now" }));
    return { toX, toY };
  }

  /** A line up to the present moment, faint from there to the latest that was seen: what comes, readers predict. */
  function curve(svg, { toX, toY }, values, attributes) {
    const part = (from, to, more) =>
      svg.append(
        shape("path", {
          d: path(
            values.slice(from, to + 1).map((_, i) => toX(from + i)),
            values.slice(from, to + 1).map(toY),
          ),
          ...attributes,
          ...more,
        }),
      );
    if (reached > moment()) part(moment(), reached, { opacity: 0.3 });
    part(0, moment());
  }

  let painted = "";
  const large = Object.fromEntries([SIZE, NOISY].map((size) => [size, new ImageData(size, size)]));
  const sizes = heightRange();
  /** @returns {[number, number]} */
  function heightRange() {
    const values = [-1, -0.5, 0, 0.5, 1].flatMap((x) =>
      [-1, -0.5, 0, 0.5, 1].map((y) =>
        truth ? rightAnswer(truth, x * extent, y * extent) : mixture(runs[0], last)(x * extent, y * extent).value,
      ),
    );
    return [Math.min(...values), Math.max(...values)];
  }

  const draw = onFrame(() => {
    const [one, now, look] = [run(), moment(), model.get("show")];
    const rolled = model.get("noise") && one.noisy ? roll : 0;
    const wanted = [model.get("run"), now, look, rolled].join();
    reached = Math.max(reached, now);
    time.set(now);
    show.select.selectedIndex = SHOWS.indexOf(look);
    edges.input.checked = model.get("seams");
    dots.input.checked = model.get("dots");
    noise.input.checked = model.get("noise");
    edges.root.hidden = !truth;
    dots.root.hidden = !points.length;
    noise.root.hidden = !runs.some((each) => each.noisy);
    noise.input.disabled = !one.noisy;
    noise.root.title = one.noisy ? "" : "this run has no noise";
    again.hidden = !rolled;
    say(model.get("message"));
    if (wanted !== painted) paint(one, now, look, rolled);
    painted = wanted;
    seamLayer.style.display = model.get("seams") ? "" : "none";
    dotLayer.style.display = model.get("dots") ? "" : "none";
    drawPoint(one, now, rolled);
    drawLosses(now);
  });

  function paint(one, now, look, rolled) {
    const size = rolled ? NOISY : SIZE;
    const image = large[size];
    const seen = survey(one, now, size, extent, rolled);
    if (look === "experts") expertPixels(seen, rgb, image.data);
    else if (look === "answers") heightPixels(seen.value, size, sizes, [0, 114, 178], 0.5, image.data);
    else heightPixels(wrong(seen.value, size), size, [0, 1.5], [213, 94, 0], 0, image.data);
    canvas.width = canvas.height = size;
    canvas.getContext("2d").putImageData(image, 0, 0);
    const named = look === "experts" && !rolled ? seen.leads.flatMap((share, e) => (share > 0.015 ? [e] : [])) : [];
    const percent = (value) => `${(50 * (1 + value / extent)).toFixed(2)}%`;
    names.replaceChildren(
      ...named.map((e) =>
        element(
          "b",
          { style: `left: ${percent(seen.middles[e][0])}; top: ${percent(-seen.middles[e][1])}` },
          String(e),
        ),
      ),
    );
    rows.forEach((row, e) => {
      row.root.hidden = e >= one.experts;
      const share = seen.load[e] ?? 0;
      row.works.textContent = share ? (share < 0.005 ? "<1%" : `${Math.round(100 * share)}%`) : "nothing";
      row.root.classList.toggle("idle", !share);
    });
    thumbs.forEach(({ canvas, loss, pick, image }, i) => {
      expertPixels(survey(runs[i], now, SMALL, extent), rgb, image.data);
      canvas.getContext("2d").putImageData(image, 0, 0);
      loss.textContent = `loss ${runs[i].loss[now].toFixed(2)}`;
      pick.setAttribute("aria-checked", String(i === model.get("run")));
      pick.tabIndex = i === model.get("run") ? 0 : -1;
    });
    const awake = `${seen.load.filter((share) => share).length} of ${one.experts}`;
    map.setAttribute(
      "aria-label",
      `The plane at step ${steps[now]}, run ${one.name}: ${awake} experts at work; arrow keys move the pinned point`,
    );
  }

  function wrong(values, size) {
    const step = (2 * extent) / size;
    return values.map((value, at) =>
      Math.abs(
        value - rightAnswer(truth, ((at % size) + 0.5) * step - extent, extent - (Math.floor(at / size) + 0.5) * step),
      ),
    );
  }

  function drawPoint(one, now, rolled) {
    const [x, y] = hover ?? pin();
    ring.setAttribute("transform", `translate(${pin()[0]} ${-pin()[1]})`);
    const here = mixture(one, now, rolled)(x, y, 977);
    const [bold, rest] = sentence(here, truth && rightAnswer(truth, x, y), x, y);
    note.replaceChildren(element("b", {}, bold), rest);
    rows.slice(0, one.experts).forEach((row, e) => {
      const rank = here.order.indexOf(e);
      row.fill.style.width = `${100 * here.scores[e]}%`;
      row.bar.setAttribute("aria-label", here.scores[e].toFixed(2));
      row.root.classList.toggle("chosen", rank >= 0);
      row.weight.textContent = rank < 0 ? "–" : here.weights[rank].toFixed(2);
      row.says.textContent = rank < 0 ? "not asked" : here.answers[e].toFixed(2).replace("-", "−");
    });
    const axes = chart(scores, `${hover ? "scores here" : "scores at the pinned point"}, step by step`, 1);
    const through = Array.from({ length: reached + 1 }, (_, i) => Array.from(mixture(one, i)(x, y).scores));
    for (let e = 0; e < one.experts; e++)
      curve(
        scores,
        axes,
        through.map((row) => row[e]),
        { class: "line", style: `stroke: color-mix(in srgb, ${colors[e]} 82%, var(--ink))` },
      );
    const highest = Math.max(...here.scores);
    const strongest = here.scores.indexOf(highest);
    scores.setAttribute(
      "aria-label",
      `Scores at the point over the steps; now expert ${strongest} has the highest, ${highest.toFixed(2)}`,
    );
  }

  function drawLosses(now) {
    const top = Math.max(0.5, Math.min(1.5, ...runs.map((one) => one.loss[0])));
    const axes = chart(
      losses,
      runs.length > 1 ? "loss of each run; 1 is always saying the mean" : "loss; 1 is always saying the mean",
      top,
    );
    runs.forEach((one) => one !== run() && curve(losses, axes, one.loss, { class: "line other" }));
    curve(losses, axes, run().loss, { class: "line mine" });
    losses.append(shape("circle", { cx: axes.toX(now), cy: axes.toY(run().loss[now]), r: 3.5, class: "mine" }));
    losses.setAttribute("aria-label", `Loss of ${run().name} at step ${steps[now]}: ${run().loss[now].toFixed(2)}`);
  }

  const rest = follow(model, el, ["run", "moment", "show", "pin", "seams", "dots", "noise", "message"], draw, {
    "change:title": () => (title.textContent = model.get("title")),
  });
  return () => (film.stop(), rest());
}

export default { render };
