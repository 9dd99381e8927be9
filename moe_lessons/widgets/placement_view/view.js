import { choice, element, messageLine, onFrame, openView, shape, slider } from "../shared/common.js";
import { expertColors, inkOn } from "../shared/expert_colors.js";
import { follow, putter } from "../shared/habits.js";
import { busiest, copiesOf, place, workOf } from "./rule.js";
import { verdict } from "./words.js";

const IN_ORDER = "in order";
const [LEFT, TOP, HEIGHT] = [34, 20, 190];

/** @param {import("../shared/common.js").Context} context */
function render({ model, el }) {
  openView(el, "moe-placement", "Experts placed on machines");
  const [loads, n, layers] = [model.get("loads"), model.get("n_experts"), model.get("n_layers")];
  const [kinds, colors] = [Object.keys(loads), expertColors(model.get("palette"), n)];
  const sizes = Array.from({ length: n }, (_, i) => i + 1).filter((i) => i > 1 && n % i === 0);
  const most = () => n - n / model.get("machines");
  const { line, say } = messageLine();
  const put = putter(model);

  const plans = [IN_ORDER, ...kinds];
  const made = choice({
    label: "Placed",
    names: [IN_ORDER, ...kinds.map((kind) => `by load, for earlier ${kind}`)],
    change: (i) => put("made_for", plans[i]),
  });
  const now = choice({ label: "Text now", names: kinds, change: (i) => put("now", kinds[i]) });
  const machines = choice({
    label: "Machines",
    names: sizes.map(String),
    change: (i) => {
      const [to, extra] = [sizes[i], model.get("extra")];
      model.set("machines", to);
      put("extra", Math.min(extra, n - n / to));
    },
  });
  const extra = slider({
    label: "Replicas on each",
    min: 0,
    max: most(),
    value: model.get("extra"),
    change: (value) => put("extra", value),
  });
  const layer = slider({
    label: "Layer",
    min: 0,
    max: layers - 1,
    value: model.get("layer"),
    change: (value) => put("layer", value),
  });
  layer.root.hidden = layers < 2;
  const root = shape("svg", { role: "img" });
  const words = element("div", { class: "moe-note", role: "status" });
  el.append(
    element("div", { class: "moe-row" }, made.root, now.root),
    element("div", { class: "moe-row" }, machines.root, extra.root, layer.root),
    line,
    root,
    words,
  );

  const draw = onFrame(() => {
    say(model.get("message"));
    const [plan, text, at, many] = ["made_for", "now", "layer", "machines"].map((name) => model.get(name));
    const more = Math.min(model.get("extra"), most());
    made.select.selectedIndex = plans.indexOf(plan);
    now.select.selectedIndex = kinds.indexOf(text);
    machines.select.selectedIndex = sizes.indexOf(many);
    extra.input.max = String(most());
    extra.input.disabled = plan === IN_ORDER;
    extra.set(more);
    layer.set(at);
    const shown = (which) => {
      const placement = place(plan === IN_ORDER ? undefined : loads[plan][0][which], n, many, more);
      return { placement, work: workOf(placement, loads[text][1][which]) };
    };
    const { placement, work } = shown(at);
    const waits = Array.from({ length: layers }, (_, which) => busiest(shown(which).work));
    columns(placement, work);
    const said = verdict({ placement, work, n, at, waits, placed: plan !== IN_ORDER });
    words.replaceChildren(...said.map((sentence) => element("div", {}, sentence)));
    root.setAttribute("aria-label", `${many} machines working on ${text}. ${said[0]}`);
  });

  /** A column for each machine, the heaviest expert at the bottom; a copy's number has a stroke. */
  function columns(placement, work) {
    const copies = copiesOf(placement, n);
    const width = Math.max(160, el.clientWidth - LEFT - 8);
    const high = busiest(work);
    const scale = HEIGHT / Math.max(1.5, Math.min(high * 1.06, 20));
    const step = width / placement.length;
    const y = (value) => TOP + HEIGHT - value * scale;
    const across = (value, style) =>
      shape("line", { x1: LEFT, x2: LEFT + width, y1: y(value), y2: y(value), style: `stroke: ${style}` });
    root.setAttribute("height", String(TOP + HEIGHT + 20));
    root.replaceChildren();
    placement.forEach((row, machine) => {
      const left = LEFT + machine * step + step * 0.12;
      const wide = step * 0.76;
      let top = 0;
      for (const slot of row.map((_, i) => i).sort((a, b) => work[machine][b] - work[machine][a] || a - b)) {
        const [expert, tall] = [row[slot], work[machine][slot]];
        const [color, copied] = [colors[expert], copies[expert] > 1];
        const name = `expert ${expert}${copied ? `, one of ${copies[expert]} copies` : ""}: ${tall.toFixed(2)}`;
        const box = { x: left, y: y(top + tall), width: wide, height: Math.max(0, tall * scale - 1), fill: color };
        const bar = shape("rect", { ...box, class: copied ? "copied" : "" }, shape("title", {}, name));
        root.append(bar);
        if (tall * scale > 12 && wide > 15) {
          const place = { x: left + wide / 2, y: y(top + tall / 2) + 4, "text-anchor": "middle" };
          root.append(shape("text", { ...place, style: `fill: ${inkOn(color)}` }, `${expert}${copied ? "′" : ""}`));
        }
        top += tall;
      }
      const label = placement.length > 8 || step < 64 ? String(machine) : `machine ${machine}`;
      const foot = { x: left + wide / 2, y: TOP + HEIGHT + 15, "text-anchor": "middle", class: "quiet" };
      root.append(shape("text", foot, label));
    });
    const mean = across(1, "var(--muted)");
    mean.setAttribute("stroke-dasharray", "4 3");
    const wait = { x: LEFT + width, y: y(high) - 5, "text-anchor": "end" };
    root.append(
      mean,
      shape("text", { x: LEFT - 5, y: y(1) + 4, "text-anchor": "end", class: "quiet" }, "mean"),
      across(high, "var(--ink)"),
      shape("text", wait, `all wait for this: ${high.toFixed(2)} times the mean`),
    );
  }

  return follow(model, el, ["made_for", "now", "layer", "machines", "extra", "message"], draw);
}

export default { render };
