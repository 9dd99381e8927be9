// DropView's slots: a column for each expert with who found a slot, empty slots, and, below the limit, who found none.

import { element, visible } from "../shared/common.js";
import { inkOn } from "../shared/expert_colors.js";
import { dress, place } from "./dress.js";

const NARROW = 30; // pixels: a narrower column has no room for text

export function makeSlots(el, { facts, colors }) {
  const { pieces, top_k: topK, experts: n } = facts;
  const root = element("div", { class: "moe-slots", role: "img" });
  const cells = Array.from({ length: pieces.length * topK }, (_, at) =>
    element("div", { "data-token": Math.floor(at / topK) }, visible(pieces[Math.floor(at / topK)])),
  );
  const heads = colors.map((color, expert) =>
    element("div", { class: "moe-expert", style: `background: ${color}; color: ${inkOn(color)}` }, String(expert)),
  );
  heads.forEach((head, expert) => (head.style.gridArea = `1 / ${expert + 1}`));
  const limit = element("div", { class: "moe-limit" });
  const empty = []; // made as they are needed, and used again
  root.style.gridTemplateColumns = `repeat(${n}, minmax(0, 1fr))`;
  root.append(...heads, ...cells, limit);

  /** The colors of one layer's choices. */
  const paint = (experts) => experts.forEach((expert, at) => cells[at].style.setProperty("--tint", colors[expert]));

  const draw = (queues, fates, slots, isMoved) => {
    const narrow = el.clientWidth / n < NARROW;
    root.classList.toggle("narrow", narrow);
    let padding = 0;
    cells.forEach((cell, at) => (cell.hidden = Number.isNaN(fates[at])));
    queues.forEach((queue, expert) => {
      queue.forEach((choice, turn) => {
        const over = turn >= slots;
        dress(
          cells[choice],
          `moe-cell ${over ? "over" : "served"}${choice % topK ? " later" : ""}${isMoved(choice) ? " moved" : ""}`,
        );
        place(cells[choice], `${turn + 2 + over} / ${expert + 1}`);
      });
      for (let turn = queue.length; turn < slots && slots < Infinity; turn++) {
        if (padding === empty.length) root.append((empty[padding] = element("div", { class: "moe-cell empty" })));
        place(empty[padding++], `${turn + 2} / ${expert + 1}`);
      }
    });
    empty.forEach((cell, i) => (cell.hidden = i >= padding));
    limit.hidden = slots === Infinity;
    limit.style.gridRow = limit.hidden ? 1 : slots + 2;
    const full = queues.flatMap((queue, expert) => (queue.length > slots ? [expert] : []));
    root.setAttribute(
      "aria-label",
      `Slots of ${n} experts; experts that more tokens want than have room: ${full.join(", ") || "none"}`,
    );
  };
  return { root, cells, paint, draw };
}
