// ExpertPlane's plane: one run at one moment as a picture of squares, with points, borders and the pinned point on it.

import { element, shape } from "../shared/common.js";
import { t } from "../shared/language.js";
import { expertPixels, heightPixels, mixture, rightAnswer, seams, survey } from "./rule.js";

const SIZE = 208; // squares along one side
const NOISY = 104; // when each square draws its own noise

export function makePlane(view) {
  const { model, extent, runs, truth, points, rgb, steps, put } = view;
  const canvas = element("canvas", { width: SIZE, height: SIZE });
  const over = shape("svg", { viewBox: `${-extent} ${-extent} ${2 * extent} ${2 * extent}`, "aria-hidden": "true" });
  const names = element("div", { class: "moe-names", "aria-hidden": "true" });
  const root = element("div", { class: "moe-square", tabindex: 0, role: "application" }, canvas, over, names);
  const unit = extent / 100;
  const seamLayer = shape(
    "g",
    { class: "seams" },
    ...(truth ? seams(truth, extent) : []).map(([x1, y1, x2, y2]) => shape("line", { x1, y1: -y1, x2, y2: -y2 })),
  );
  const dotLayer = shape("g", { class: "dots" });
  for (let i = 0; i < points.length; i += 2)
    dotLayer.append(shape("circle", { cx: points[i], cy: -points[i + 1], r: 1.6 * unit }));
  const ring = shape("g", { class: "ring" }, shape("circle", { r: 4.4 * unit }), shape("circle", { r: 4.4 * unit }));
  over.append(dotLayer, seamLayer, ring);

  // ---- by hand and by keys
  const clamp = (value) => Math.max(-extent, Math.min(extent, value));
  const place = (event) => {
    const side = root.getBoundingClientRect();
    return [
      clamp(((event.clientX - side.left) / side.width) * 2 * extent - extent),
      clamp(extent - ((event.clientY - side.top) / side.height) * 2 * extent),
    ];
  };
  root.addEventListener("pointerdown", (event) => (root.setPointerCapture(event.pointerId), put("pin", place(event))));
  root.addEventListener("pointermove", (event) => {
    view.hover = place(event);
    if (event.buttons) put("pin", view.hover);
    else view.draw();
  });
  root.addEventListener("pointerleave", () => ((view.hover = null), view.draw()));
  root.addEventListener("keydown", (event) => {
    const to = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (!to) return;
    event.preventDefault();
    const far = (event.shiftKey ? 0.2 : 0.04) * extent;
    put(
      "pin",
      view.pin().map((value, i) => clamp(value + far * to[i])),
    );
  });

  // ---- painting
  const images = Object.fromEntries([SIZE, NOISY].map((size) => [size, new ImageData(size, size)]));
  const heights = heightRange();
  /** @returns {[number, number]} */
  function heightRange() {
    const values = [-1, -0.5, 0, 0.5, 1].flatMap((x) =>
      [-1, -0.5, 0, 0.5, 1].map((y) =>
        truth ? rightAnswer(truth, x * extent, y * extent) : mixture(runs[0], view.last)(x * extent, y * extent).value,
      ),
    );
    return [Math.min(...values), Math.max(...values)];
  }

  /** Paint one run's squares at a moment, colored by `look`; gives what was seen on them. */
  const paint = (run, moment, look, rolled) => {
    const size = rolled ? NOISY : SIZE;
    const image = images[size];
    const seen = survey(run, moment, size, extent, rolled);
    if (look === "experts") expertPixels(seen, rgb, image.data);
    else if (look === "answers") heightPixels(seen.value, size, heights, [0, 114, 178], 0.5, image.data);
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
    root.setAttribute(
      "aria-label",
      t("The plane at step {step}, run {run}: {awake} of {all} experts at work; arrow keys move the pinned point", {
        step: steps[moment],
        run: run.name,
        awake: seen.load.filter((share) => share).length,
        all: run.experts,
      }),
    );
    return seen;
  };

  function wrong(values, size) {
    const step = (2 * extent) / size;
    return values.map((value, at) =>
      Math.abs(
        value - rightAnswer(truth, ((at % size) + 0.5) * step - extent, extent - (Math.floor(at / size) + 0.5) * step),
      ),
    );
  }

  /** What lies on the squares. */
  const drawOver = () => {
    seamLayer.style.display = model.get("seams") ? "" : "none";
    dotLayer.style.display = model.get("dots") ? "" : "none";
    ring.setAttribute("transform", `translate(${view.pin()[0]} ${-view.pin()[1]})`);
  };
  return { root, paint, drawOver };
}
