import { choice, element, listen, messageLine, onFrame, openView, slider, visible } from "../shared/common.js";
import { putter } from "../shared/habits.js";
import { makeStepper } from "../shared/stepper.js";
import { chipsOf, endOf, eventsOf, nearest, story, totalsOf } from "./rule.js";

/** @type {[string, number][]} */
const PACES = [
  ["slow", 900],
  ["walking", 350],
  ["fast", 70],
];
const KNOBS = ["Text", "Temperature", "Drafts a pass"];
const WORDS = {
  prompt: "prompt",
  main: "the main model's own token",
  kept: "accepted draft",
  refused: "refused draft",
  unread: "fell with it, unread",
  bonus: "for free behind accepted drafts",
  open: "guessed, not judged yet",
};

/** @param {import("../shared/common.js").Context} context */
function render({ model, el }) {
  openView(el, "moe-drafts", "Speculative decoding, draft by draft");
  const records = model.get("records");
  const record = () => records[Math.min(model.get("record"), records.length - 1)];
  const last = () => eventsOf(record().steps).length;
  const put = putter(model);
  const pace = choice({ label: "Pace", names: PACES.map(([name]) => name), value: 1, change: () => {} });
  const walk = makeStepper({
    model,
    put,
    last,
    pace: () => PACES[pace.select.selectedIndex][1],
    one: "event",
    look: "moe-draft-text",
  });

  // ---- knobs
  const values = KNOBS.map((_, knob) => [...new Set(records.map(({ knobs }) => knobs[knob]))]);
  const selects = KNOBS.map((label, knob) =>
    choice({
      label,
      names: values[knob].map(String),
      change: (i) => (walk.stop(), choose(nearest(records, model.get("record"), knob, values[knob][i]))),
    }),
  );
  selects.forEach(({ root }, knob) => (root.hidden = values[knob].length < 2));
  const choose = (to) => {
    // A text that was at its end is shown at its end, another from the beginning.
    const whole = model.get("at") >= last();
    model.set("at", 0); // valid in every recording
    model.set("record", to);
    put("at", whole ? eventsOf(records[to].steps).length : 0);
  };
  const passOf = (at) => eventsOf(record().steps)[at - 1]?.pass ?? -1;
  const time = slider({
    label: "Pass",
    min: 0,
    max: 1,
    value: 0,
    change: (passes) => walk.move(endOf(record().steps, passes)),
  });
  const plain = element("input", { type: "checkbox", onchange: () => el.classList.toggle("plain", plain.checked) });

  // ---- what is seen
  const { line, say } = messageLine();
  const totals = element("div", { class: "moe-counts" });
  const words = element("div", { class: "moe-note", "aria-live": "polite" });
  const bars = element("div", { class: "moe-odds", role: "img" });
  const legend = element(
    "div",
    { class: "moe-draft-legend" },
    ...["kept", "refused", "unread", "main", "bonus"].map((kind) =>
      element("span", {}, element("i", { class: `moe-chip ${kind}` }, "ab"), WORDS[kind]),
    ),
  );
  el.append(
    element("div", { class: "moe-row" }, ...selects.map(({ root }) => root)),
    line,
    element(
      "div",
      { class: "moe-row moe-drive" },
      ...walk.buttons,
      time.root,
      pace.root,
      element("label", { class: "moe-knob" }, plain, "only what stays"),
    ),
    totals,
    walk.strip,
    words,
    bars,
    legend,
  );

  const draw = onFrame(() => {
    const [at, { steps, knobs }] = [Math.min(model.get("at"), last()), record()];
    say(model.get("message"));
    selects.forEach(({ select }, knob) => (select.selectedIndex = values[knob].indexOf(knobs[knob])));
    time.input.max = steps.length;
    time.set(passOf(at) + 1);
    walk.show(at);
    const totals = totalsOf(steps, at);
    drawTotals(totals, totalsOf(steps, endOf(steps, totals.passes)));
    drawText(at);
    words.textContent = story(record(), at, visible);
    drawOdds(at);
  });

  /** The totals so far; the mean is that of the passes that are over. */
  function drawTotals({ tokens, passes, judged, accepted }, over) {
    const ratio = (a, b, show) => (b ? show(a / b) : "–");
    const numbers = [
      [tokens, tokens === 1 ? "token written" : "tokens written"],
      [passes, passes === 1 ? "pass" : "passes"],
      [ratio(over.tokens - 1, passes, (x) => x.toFixed(2)), "tokens a pass"],
      [`${accepted} of ${judged}`, `drafts accepted (${ratio(accepted, judged, (x) => `${(100 * x).toFixed(0)}%`)})`],
    ];
    totals.replaceChildren(
      ...numbers.map(([number, name]) => element("span", {}, element("b", {}, String(number)), ` ${name}`)),
    );
  }

  const nodes = []; // chips are made once and dressed anew
  function drawText(at) {
    const chips = chipsOf(record(), at);
    while (nodes.length < chips.length) nodes.push(element("span"));
    chips.forEach(({ kind, piece, at: made }, i) => {
      const [node, name, text] = [nodes[i], `moe-chip ${kind}${made === at && at ? " now" : ""}`, visible(piece)];
      if (node.className !== name) node.className = name;
      if (node.textContent !== text) node.textContent = text;
      node.dataset.at = made;
      node.title = `${text}: ${WORDS[kind]}`;
    });
    const { strip } = walk;
    if (strip.children.length !== chips.length) strip.replaceChildren(...nodes.slice(0, chips.length));
    // Scroll inside the strip only; the page stays where the reader has put it.
    strip.scrollTop = strip.scrollHeight;
  }

  /** Bars of the draft that was judged last: what the main model gives it, and what it was drawn with. */
  function drawOdds(at) {
    const event = eventsOf(record().steps)[at - 1];
    const judged = event?.kind === "verdict" ? event.place : -1;
    const { wanted = [], drafted = [] } = record().steps[event?.pass ?? 0] ?? {};
    const bar = (label, p, kind) => [
      element("span", {}, label),
      element("div", {}, element("b", { class: kind, style: `width: ${100 * Math.max(0, p)}%` })),
    ];
    const known = judged >= 0;
    bars.classList.toggle("blank", !known);
    bars.setAttribute(
      "aria-label",
      known
        ? `Main model ${(100 * wanted[judged]).toFixed(1)}%, draft ${(100 * drafted[judged]).toFixed(1)}%`
        : "No draft is being judged",
    );
    bars.replaceChildren(
      ...bar("main model", known ? wanted[judged] : 0, "main"),
      ...bar("draft", known ? drafted[judged] : 0, "draft"),
    );
  }

  const silence = listen(model, { "change:record": draw, "change:at": draw, "change:message": draw });
  draw();
  return () => (walk.stop(), silence());
}

export default { render };
