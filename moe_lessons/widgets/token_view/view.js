import { element, messageLine, onFrame, openView, shape, visible } from "../shared/common.js";
import { arrow, debounce, follow } from "../shared/habits.js";

const MOST_CHIPS = 3000;

/** The counts below the text, as [number, name] pairs; ratios are empty for a text without tokens or words. */
export function counts({ n_bytes = 0, n_words = 0, ids = [] }) {
  const ratio = (a, b) => (b ? (a / b).toFixed(2) : "–");
  return [
    [String(n_bytes), "bytes"],
    [String(n_words), "words"],
    [String(ids.length), "tokens"],
    [ratio(n_bytes, ids.length), "bytes per token"],
    [ratio(ids.length, n_words), "tokens per word"],
  ];
}

/** What a chip shows: line ends and tabs get a sign before them; a bare space stays a space. */
export function chipText(piece) {
  return piece.replace(/\n/g, "↵\n").replace(/\t/g, "→\t").replace(/\r/g, "␍");
}

/** One line about a token: position, id, its bytes. */
export function describeToken(answer, index) {
  const bytes = answer.bytes[index];
  const n = bytes ? bytes.split(" ").length : 0;
  const size = `${n} byte${n === 1 ? "" : "s"}`;
  return `token ${index + 1} of ${answer.ids.length}: id ${answer.ids[index]}, ${size}: ${bytes}`;
}

/** @param {import("../shared/common.js").Context} context */
function render({ model, el }) {
  openView(el, "moe-tokens", "A text and its tokens");
  const palette = model.get("palette");
  const box = element("textarea", { rows: 3, spellcheck: "false", "aria-label": "Text to cut into tokens" });
  const samples = element("div", { class: "moe-row moe-samples" });
  const { line, say } = messageLine();
  const totals = element("div", { class: "moe-counts", role: "status" });
  const strip = element("div", {
    class: "moe-chips",
    tabindex: 0,
    role: "listbox",
    "aria-label": "Tokens; arrow keys walk",
  });
  const note = element("div", { class: "moe-note", "aria-live": "polite" });
  const chart = shape("svg", { class: "moe-domains", role: "img" });
  el.append(samples, box, line, totals, strip, note, chart);

  let sent = (box.value = model.get("text"));
  const send = (text) => {
    sent = text;
    model.set("text", text);
    model.save_changes();
  };
  const later = debounce(send, 30);
  box.addEventListener("input", () => later(box.value));

  let current = -1;
  const mark = (index) => {
    const answer = model.get("answer");
    strip.children[current]?.removeAttribute("aria-selected");
    current = answer.ids && index < answer.ids.length ? index : -1;
    strip.children[current]?.setAttribute("aria-selected", "true");
    note.textContent = current < 0 ? "Point at a token for its id and bytes." : describeToken(answer, current);
  };
  strip.addEventListener("pointerover", (event) => {
    const { index } = /** @type {HTMLElement} */ (event.target).dataset;
    if (index) mark(Number(index));
  });
  strip.addEventListener("keydown", (event) => {
    const step = arrow(event);
    if (!step) return;
    mark(Math.max(0, Math.min(strip.children.length - 1, current + step)));
    strip.children[current]?.scrollIntoView({ block: "nearest" });
  });

  const draw = onFrame(() => {
    const answer = model.get("answer");
    const pieces = answer.pieces ?? [];
    say(model.get("message"));
    totals.replaceChildren(...counts(answer).map(([n, name]) => element("span", {}, element("b", {}, n), ` ${name}`)));
    strip.replaceChildren(
      ...pieces.slice(0, MOST_CHIPS).map((piece, i) =>
        element(
          "span",
          {
            "data-index": i,
            class: "moe-chip",
            role: "option",
            style: `--tint: ${palette[i % 5]}`,
            "aria-label": /\S/.test(piece) ? undefined : visible(piece), // blanks alone are read as nothing
          },
          chipText(piece),
        ),
      ),
    );
    if (pieces.length > MOST_CHIPS) strip.append(element("span", {}, ` and ${pieces.length - MOST_CHIPS} more`));
    mark(-1);
  });

  const named = model.get("domains"); // another tokenizer changes their ratios, never their names and texts
  samples.hidden = !named.length;
  chart.style.display = named.length ? "" : "none";
  samples.append(
    ...named.map(({ name, text }) => {
      const use = () => ((box.value = text), later.cancel(), send(text));
      return element("button", { type: "button", "aria-label": `Use a sample of ${name}`, onclick: use }, name);
    }),
  );
  let most = 0; // the scale may grow but never shrinks, so that two tokenizers can be compared by eye
  const drawChart = onFrame(() => {
    const domains = model.get("domains");
    if (!domains.length) return;
    const [row, left, width] = [22, 96, el.clientWidth];
    most = Math.max(most, ...domains.map((d) => d.bytes_per_token));
    const scale = (width - left - 50) / most;
    chart.setAttribute("height", String(row * (domains.length + 1)));
    const words = domains.map((d) => `${d.name} ${d.bytes_per_token.toFixed(2)}`).join(", ");
    chart.setAttribute("aria-label", `Bytes per token by domain: ${words}`);
    chart.replaceChildren(shape("text", { x: 0, y: 12, class: "quiet" }, "bytes per token, by domain"));
    domains.forEach((d, i) => {
      const y = row * (i + 1);
      const length = Math.max(0, d.bytes_per_token * scale);
      chart.append(
        shape("text", { x: left - 8, y: y + 13, "text-anchor": "end" }, d.name.replace("_", " ")),
        shape("rect", { x: left, y: y + 2, width: length, height: row - 7, rx: 2, fill: palette[0] }),
        shape("text", { x: left + length + 6, y: y + 13, class: "quiet" }, d.bytes_per_token.toFixed(2)),
      );
    });
  });
  const take = () => {
    // The kernel's own change of the text, not the echo of what was typed here.
    if (model.get("text") !== sent) sent = box.value = model.get("text");
  };
  const rest = follow(model, el, ["domains"], drawChart, {
    "change:answer": draw,
    "change:message": draw,
    "change:text": take,
  });
  draw();
  return () => (rest(), later.cancel());
}

export default { render };
