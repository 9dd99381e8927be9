import { board } from "../shared/board.js";
import { path, rules, short, smooth, spread, ticks } from "../shared/chart.js";
import { choice, element, messageLine, onFrame, openView, shape, whole } from "../shared/common.js";
import { follow, putter } from "../shared/habits.js";
import { later, speak, t } from "../shared/language.js";

const [STEP, SECONDS, LOSS, TOKENS, LR] = [0, 1, 2, 3, 4]; // the columns of a point
const COLUMN = { steps: STEP, seconds: SECONDS, tokens: TOKENS };
const LETTER = 6.9; // pixels of a bold one beside a curve, about
const FIELD = { steps: "step", seconds: "seconds", tokens: "tokens" };

/** Add what one run gained to the runs; false where something before it is missing, and nothing is added. */
export function merge(runs, { run: name, first, points, first_evaluation, evaluations }) {
  const run = runs.find((one) => one.name === name);
  if (!run || first > run.points.length || first_evaluation > run.evaluations.length) return false;
  run.points.splice(first, Infinity, ...points);
  run.evaluations.splice(first_evaluation, Infinity, ...evaluations);
  return true;
}

/** Tokens per second over the last five seconds of a run; 0 before there are two points. */
export function speed(points) {
  const last = points.at(-1);
  const before = points.findLast((point) => point[SECONDS] <= last[SECONDS] - 5) ?? points[0];
  return last && last[SECONDS] > before[SECONDS]
    ? (last[TOKENS] - before[TOKENS]) / (last[SECONDS] - before[SECONDS])
    : 0;
}

/** 75 seconds are "1:15". */
export function clock(seconds) {
  return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
}

/** @param {import("../shared/common.js").Context} context */
function render({ model, el }, store) {
  speak(model);
  openView(el, "moe-training", t("Training board"));
  const palette = model.get("palette");
  const put = putter(model);
  const xs = [later("steps"), later("tokens"), later("seconds")];
  const title = element("b", { class: "moe-title" }, t(model.get("title")));
  const pick = choice({
    label: t("over"),
    names: xs.map((x) => t(x)),
    value: xs.indexOf(model.get("x")),
    change: (i) => put("x", xs[i]),
  });
  const { line, say } = messageLine();
  const status = element("div", { class: "moe-status", role: "status" });
  const chart = shape("svg", { role: "img" });
  const small = element("div", { class: "moe-panels" });
  el.append(element("div", { class: "moe-row" }, title, pick.root), line, status, chart, small);

  const extent = (x) => {
    const ends = store.runs.map((run) => (run.unit === x && run.total ? run.total : 0));
    const reached = store.runs.map((run) => run.points.at(-1)?.[COLUMN[x]] ?? 0);
    return Math.max(...ends, ...reached, 1e-9);
  };
  const color = (i) => palette[i % palette.length];
  const grid = (svg, [left, right, top, bottom], xMost, yMost, counts, yTop) => {
    const toY = (value) => bottom - ((bottom - top) * value) / yTop;
    svg.append(...rules(ticks(yMost, counts[1]), { left, right, toY }));
    for (const value of ticks(xMost, counts[0])) {
      const x = left + ((right - left) * value) / xMost;
      svg.append(
        shape(
          "text",
          { x, y: bottom + 14, "text-anchor": x > right - 14 ? "end" : "middle", class: "quiet" },
          short(value),
        ),
      );
    }
  };
  const floorLine = (y, left, right) => shape("line", { x1: left, x2: right, y1: y, y2: y, class: "floor" });

  const draw = onFrame(() => {
    const x = model.get("x");
    pick.select.selectedIndex = xs.indexOf(x);
    say(model.get("message"));
    drawStatus();
    drawLoss(x);
    drawDomains(x);
  });

  function drawStatus() {
    const widest = Math.max(...store.runs.map((run) => run.name.length)) + 1;
    status.replaceChildren(
      ...store.runs.map((run, i) => {
        const last = run.points.at(-1);
        const done = last && run.total ? Math.min(1, last[COLUMN[run.unit]] / run.total) : 0;
        const bar = element(
          "span",
          {
            class: "moe-progress",
            role: "progressbar",
            "aria-valuenow": Math.round(100 * done),
            "aria-valuemin": 0,
            "aria-valuemax": 100,
            "aria-label": t("Share of the run"),
          },
          element("span", { style: `width: ${100 * done}%; background: ${color(i)}` }),
        );
        const words = !last
          ? t("waiting for the first step")
          : [
              run.unit === "steps" && run.total
                ? t("step {step} of {all}", { step: whole(last[STEP]), all: whole(run.total) })
                : t("step {step}", { step: whole(last[STEP]) }),
              run.unit === "seconds" && run.total
                ? t("{now} of {all}", { now: clock(last[SECONDS]), all: clock(run.total) })
                : clock(last[SECONDS]),
              t("{count} tokens per second", { count: whole(Math.round(speed(run.points))) }),
              ...(last[LR] === null
                ? []
                : [t("learning rate {share}% of its peak", { share: Math.round(100 * last[LR]) })]),
              ...(run.finished ? [t("finished")] : []),
            ].join(" · ");
        return element(
          "div",
          {},
          element("b", { style: `--run: ${color(i)}; min-width: ${widest}ch` }, run.name || "●"),
          bar,
          element("span", {}, words),
        );
      }),
    );
  }

  function drawLoss(x) {
    const floors = Object.entries(model.get("floors"));
    const [left, top, bottom] = [38, 18, 218];
    // Beside a curve's end stands its name, or where that would take half of the room the number alone.
    const longest = Math.max(0, ...store.runs.map((run) => run.name.length));
    const named = LETTER * (longest + 6) < 0.4 * el.clientWidth;
    const right = el.clientWidth - Math.max(108, named ? LETTER * (longest + 6) : 0);
    const lines = store.runs
      .map((run, number) => {
        const points = run.points.filter((point) => point[LOSS] !== null);
        return { number, name: run.name, at: points.map((p) => p[COLUMN[x]]), raw: points.map((p) => p[LOSS]) };
      })
      .filter((one) => one.raw.length);
    const xMost = extent(x);
    const yMost =
      1.04 * lines.reduce((most, one) => Math.max(most, ...one.raw), Math.max(1e-3, ...floors.map((f) => f[1])));
    const toX = (value) => left + ((right - left) * value) / xMost;
    const toY = (value) => bottom - ((bottom - top) * value) / yMost;
    chart.replaceChildren(
      shape("text", { x: 0, y: 9, class: "quiet" }, t("loss, {unit}", { unit: t(model.get("unit")) })),
    );
    chart.setAttribute("height", String(bottom + 20));
    grid(chart, [left, right, top, bottom], xMost, yMost, [6, 5], yMost);
    const labels = floors.map(([name, floor]) => {
      chart.append(floorLine(toY(floor), left, right));
      return { text: t("{name} floor", { name: name.replace("_", " ") }), said: "", y: toY(floor), fill: "" };
    });
    for (const { number, name, at, raw } of lines) {
      const smoothed = smooth(raw);
      const places = at.map(toX);
      chart.append(
        shape("path", { d: path(places, raw.map(toY)), class: "raw", stroke: color(number) }),
        shape("path", { d: path(places, smoothed.map(toY)), class: "line", stroke: color(number), "data-run": name }),
      );
      const last = smoothed.at(-1).toFixed(2);
      labels.push({
        text: named ? `${name} ${last}`.trim() : last,
        said: `${name} ${last}`.trim(),
        y: toY(smoothed.at(-1)),
        fill: color(number),
      });
    }
    spread(
      labels.map((one) => one.y),
      13,
      top,
      bottom,
    ).forEach((y, i) => {
      const { text, fill } = labels[i];
      const style = fill ? `fill: color-mix(in srgb, ${fill} 55%, var(--ink))` : undefined;
      chart.append(shape("text", { x: right + 6, y: y + 4, class: fill ? "named" : "quiet", style }, text));
    });
    const said = labels
      .filter((one) => one.fill)
      .map((one) => one.said)
      .join(", ");
    chart.setAttribute("aria-label", t("Training loss over {x}: {said}", { x: t(x), said: said || t("no steps yet") }));
  }

  function drawDomains(x) {
    const floors = model.get("floors");
    const seen = new Set(store.runs.flatMap((run) => run.evaluations.flatMap((one) => Object.keys(one.values))));
    const names = [...new Set([...model.get("domains"), ...seen])].filter((name) => seen.has(name) || name in floors);
    while (small.children.length > names.length) small.lastChild.remove();
    const xMost = extent(x);
    names.forEach((name, index) => {
      if (!small.children[index])
        small.append(element("figure", {}, element("figcaption"), shape("svg", { role: "img", height: 96 })));
      const [caption, svg] = small.children[index].children;
      const lines = store.runs.map((run) => run.evaluations.filter((one) => (one.values[name] ?? null) !== null));
      const last = lines.map((line) => line.at(-1)?.values[name]);
      const yMost = 1.06 * Math.max(1e-3, floors[name] ?? 0, ...lines.flat().map((one) => one.values[name]));
      const [left, right, top, bottom] = [28, svg.clientWidth - 4, 4, 80];
      const toX = (value) => left + ((right - left) * value) / xMost;
      const toY = (value) => bottom - ((bottom - top) * value) / yMost;
      const values = last
        .map((value, i) => value !== undefined && element("b", { style: `--run: ${color(i)}` }, value.toFixed(2)))
        .filter(Boolean);
      caption.replaceChildren(`${name.replace("_", " ")} `, ...values);
      const floor = name in floors ? t("floor {floor}", { floor: floors[name].toFixed(2) }) : "";
      svg.setAttribute(
        "aria-label",
        t("Held-out loss on {name}, {floor}", { name: caption.textContent, floor: floor || t("floor unknown") }),
      );
      svg.replaceChildren();
      grid(svg, [left, right, top, bottom], xMost, yMost, [2, 2], yMost);
      if (floor) {
        svg.append(
          floorLine(toY(floors[name]), left, right),
          shape("text", { x: left + 3, y: toY(floors[name]) - 4, class: "quiet" }, floor),
        );
      }
      lines.forEach((line, i) => {
        const [px, py] = [line.map((one) => toX(one[FIELD[x]])), line.map((one) => toY(one.values[name]))];
        svg.append(
          shape("path", { d: path(px, py), class: "line", stroke: color(i) }),
          ...px.map((cx, k) => shape("circle", { cx, cy: py[k], r: 2.2, fill: color(i) })),
        );
      });
    });
  }

  store.views.add(draw);
  const rest = follow(model, el, ["x", "message"], draw, {
    "change:title": () => (title.textContent = t(model.get("title"))),
  });
  return () => (store.views.delete(draw), rest());
}

export default board(structuredClone, merge, render);
