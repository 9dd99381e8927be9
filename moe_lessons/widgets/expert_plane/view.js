// ExpertPlane on the page: its knobs, the losses of its runs, and the order in which a frame draws its parts.

import { choice, element, messageLine, numbers, onFrame, openView, shape, slider, whole } from "../shared/common.js";
import { channels, expertColors } from "../shared/expert_colors.js";
import { follow, player, putter } from "../shared/habits.js";
import { later, speak, t } from "../shared/language.js";
import { drawAxes, drawCurve } from "./charts.js";
import { makePlane } from "./plane.js";
import { makePoint } from "./point.js";
import { unpackRuns } from "./rule.js";
import { makeThumbs } from "./thumbs.js";

const FILM = 8000; // ms that a whole run takes to play
const SHOWS = [later("experts"), later("answers"), later("errors")];

/** @param {import("../shared/common.js").Context} context */
function render({ model, el }) {
  speak(model);
  openView(el, "moe-plane", t("A mixture of experts on a plane, through training time"));
  const runs = unpackRuns(model.get("runs"), numbers(model.get("numbers"), Float32Array));
  const truth = model.get("truth").byteLength ? numbers(model.get("truth"), Float32Array) : null;
  const points = numbers(model.get("points"), Float32Array);
  const colors = expertColors(model.get("palette"), Math.max(...runs.map((run) => run.experts)));
  const steps = runs[0].steps;
  const last = steps.length - 1;
  const put = putter(model, 150);
  const [run, moment] = [() => runs[model.get("run")], () => Math.min(model.get("moment"), last)];
  let roll = 1;
  /** What the parts share; `reached` is the latest moment that was seen. */
  const view = {
    model,
    extent: model.get("extent"),
    runs,
    truth,
    points,
    colors,
    rgb: colors.map(channels),
    steps,
    last,
    moment,
    pin: () => model.get("pin"),
    hover: null,
    reached: 0,
    put,
    draw: () => draw(),
  };

  // ---- knobs
  const title = element("b", { class: "moe-title" }, t(model.get("title")));
  const { line, say } = messageLine();
  const time = slider({
    label: t("Step"),
    min: 0,
    max: last,
    value: moment(),
    show: (i) => whole(steps[i]),
    change: (i) => (film.stop(), put("moment", i)),
  });
  time.root.classList.add("moe-time");
  const show = choice({
    label: t("Color by"),
    names: SHOWS.slice(0, truth ? 3 : 2).map((look) => t(look)),
    value: SHOWS.indexOf(model.get("show")),
    change: (i) => put("show", SHOWS[i]),
  });
  const box = (label, name) => {
    const input = element("input", { type: "checkbox", onchange: () => put(name, input.checked) });
    return { root: element("label", { class: "moe-knob" }, input, element("span", {}, label)), input };
  };
  const [edges, dots, noise] = [
    box(t("true borders"), "seams"),
    box(t("points"), "dots"),
    box(t("noise, as in training"), "noise"),
  ];
  const again = element("button", { type: "button", onclick: () => (roll++, draw()) }, t("Draw again"));
  const film = player(() => {
    const from = moment() >= last ? 0 : moment();
    return (ms) => {
      put("moment", Math.min(last, Math.floor(from + (ms / FILM) * last)));
      return moment() < last ? 0 : undefined;
    };
  });

  // ---- the parts
  const [thumbs, plane, point] = [makeThumbs(view), makePlane(view), makePoint(view)];
  const losses = shape("svg", { role: "img", height: 112 });
  el.append(
    element("div", { class: "moe-row" }, title),
    line,
    thumbs.root,
    element("div", { class: "moe-row moe-film" }, film.button, time.root),
    element("div", { class: "moe-pair" }, plane.root, element("div", { class: "moe-side" }, ...point.nodes, losses)),
    element("div", { class: "moe-row" }, show.root, edges.root, dots.root, noise.root, again),
  );

  let painted = "";
  const draw = onFrame(() => {
    const [one, now, look] = [run(), moment(), model.get("show")];
    const rolled = model.get("noise") && one.noisy ? roll : 0;
    const wanted = [model.get("run"), now, look, rolled].join();
    view.reached = Math.max(view.reached, now);
    time.set(now);
    show.select.selectedIndex = SHOWS.indexOf(look);
    edges.input.checked = model.get("seams");
    dots.input.checked = model.get("dots");
    noise.input.checked = model.get("noise");
    edges.root.hidden = !truth;
    dots.root.hidden = !points.length;
    noise.root.hidden = !runs.some((each) => each.noisy);
    noise.input.disabled = !one.noisy;
    noise.root.title = one.noisy ? "" : t("this run has no noise");
    again.hidden = !rolled;
    say(model.get("message"));
    if (wanted !== painted) {
      point.drawWork(one, plane.paint(one, now, look, rolled).load);
      thumbs.paint(now);
    }
    painted = wanted;
    plane.drawOver();
    point.draw(one, now, rolled);
    drawLosses(now);
  });

  function drawLosses(now) {
    const top = Math.max(0.5, Math.min(1.5, ...runs.map((one) => one.loss[0])));
    const words =
      runs.length > 1 ? t("loss of each run; 1 is always saying the mean") : t("loss; 1 is always saying the mean");
    const axes = drawAxes(losses, view, words, top);
    runs.forEach((one) => one !== run() && drawCurve(losses, view, axes, one.loss, { class: "line other" }));
    drawCurve(losses, view, axes, run().loss, { class: "line mine" });
    losses.append(shape("circle", { cx: axes.toX(now), cy: axes.toY(run().loss[now]), r: 3.5, class: "mine" }));
    losses.setAttribute(
      "aria-label",
      t("Loss of {run} at step {step}: {loss}", {
        run: run().name,
        step: steps[now],
        loss: run().loss[now].toFixed(2),
      }),
    );
  }

  const rest = follow(model, el, ["run", "moment", "show", "pin", "seams", "dots", "noise", "message"], draw, {
    "change:title": () => (title.textContent = t(model.get("title"))),
  });
  return () => (film.stop(), rest());
}

export default { render };
