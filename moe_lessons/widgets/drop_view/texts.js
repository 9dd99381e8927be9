// DropView's texts: one line each, in the order of the batch, then those that are left out; a chip for each token, with
// a bar for each of its choices.

import { element, visible } from "../shared/common.js";
import { dress } from "./dress.js";

export function makeTexts({ model, facts, members, colors, put }) {
  const { pieces, names, top_k: topK } = facts;
  const id = `moe-drop-${Math.random().toString(36).slice(2)}`;
  const root = element("div", {
    class: "moe-texts",
    tabindex: 0,
    role: "listbox",
    "aria-label": "Tokens in the order of the batch; arrow keys walk",
  });
  const lines = names.map((name, which) => {
    const box = element("input", {
      type: "checkbox",
      "aria-label": `${name} is in the batch`,
      onchange: () => {
        const batch = model.get("batch");
        put("batch", box.checked ? [...batch, which] : batch.filter((other) => other !== which));
      },
    });
    const chips = members[which].map((token) =>
      element(
        "span",
        {
          class: "moe-chip",
          role: "option",
          id: `${id}-${token}`,
          "data-token": token,
          title: visible(pieces[token]),
        },
        element("span", {}, visible(pieces[token])),
        ...Array.from({ length: topK }, () => element("b")),
      ),
    );
    const strip = element("div", { class: "moe-strip" }, ...chips);
    return {
      box,
      chips,
      root: element("div", { class: "moe-text" }, element("label", { class: "moe-knob" }, box, name), strip),
    };
  });
  const chipOf = new Map(lines.flatMap(({ chips }) => chips.map((chip) => [Number(chip.dataset.token), chip])));

  /** The colors of one layer's choices. */
  const paint = (experts) =>
    experts.forEach((expert, at) => {
      const bar = /** @type {HTMLElement} */ (chipOf.get(Math.floor(at / topK)).children[(at % topK) + 1]);
      bar.style.setProperty("--tint", colors[expert]);
    });

  const draw = (fates, batch, isMoved) => {
    const order = [...batch, ...names.keys()].filter((which, i, list) => list.indexOf(which) === i);
    if (order.some((which, i) => root.children[i] !== lines[which].root))
      root.replaceChildren(...order.map((which) => lines[which].root));
    lines.forEach(({ box, chips, root: line }, which) => {
      const inside = batch.includes(which);
      line.classList.toggle("out", !inside);
      box.checked = inside;
      box.disabled = inside && batch.length === 1;
      chips.forEach((chip, i) => {
        const first = members[which][i] * topK;
        let [lost, moved] = [0, false];
        for (let rank = 0; rank < topK; rank++) {
          const dropped = fates[first + rank] < 0;
          lost += Number(dropped);
          moved ||= isMoved(first + rank);
          dress(chip.children[rank + 1], dropped ? "off" : "");
        }
        dress(chip, `moe-chip${lost === topK ? " gone" : lost ? " part" : ""}${moved ? " moved" : ""}`);
      });
    });
  };

  /** The chip of the token that is looked at becomes the selected one. */
  const select = (chip) => {
    root.setAttribute("aria-activedescendant", chip.id);
    root.querySelector("[aria-selected]")?.removeAttribute("aria-selected");
    chip.setAttribute("aria-selected", "true");
  };
  return { root, chipOf, paint, draw, select };
}
