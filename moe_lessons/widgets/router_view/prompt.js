// RouterView's prompt box: a text for the kernel to route, and which of two traces is shown.

import { choice, element } from "../shared/common.js";
import { later, t } from "../shared/language.js";
import { set, write } from "./heading.js";

const PATIENCE = 4000; // ms until a silent kernel is mentioned

export function makePrompt(view) {
  const { model, put } = view;
  const field = element("input", {
    type: "text",
    "aria-label": t("Your text"),
    placeholder: t("Type a text and press Enter"),
    spellcheck: "false",
  });
  const send = element("button", { type: "submit" }, t("Route it"));
  const keep = element("button", {
    type: "button",
    class: "moe-router-keep",
    onclick: () => tell({ keep: !compared() }, t("keeping…")),
  });
  const state = element("span", { class: "moe-router-state", role: "status" });
  const names = Object.keys(model.get("prompts"));
  const compared = () => Boolean(model.get("other_facts").tokens);
  const examples = choice({
    label: t("Prompt"),
    names: [t("Choose…"), ...names.map((name) => (name.length > 40 ? `${name.slice(0, 39)}…` : name))],
    change: (i) => {
      if (!i) return;
      field.value = model.get("prompts")[names[i - 1]];
      ask();
    },
  });
  examples.root.hidden = !names.length;
  const ask = () => {
    // The input turns line ends into nothing: a chosen prompt keeps its own.
    const chosen = model.get("prompts")[names[examples.select.selectedIndex - 1]];
    tell(
      { ask: chosen !== undefined && chosen.replace(/[\r\n]/g, "") === field.value ? chosen : field.value },
      t("routing…"),
    );
  };

  let waiting = 0;
  /** Send a message that the kernel answers; say so while it does not. */
  const tell = (message, doing) => {
    settle();
    root.setAttribute("aria-busy", "true");
    state.textContent = doing;
    waiting = setTimeout(() => {
      state.textContent = t("No answer yet: the kernel is busy, or this page has none (then run this cell again).");
    }, PATIENCE);
    try {
      model.send(message);
      return true;
    } catch {
      settle();
      state.textContent = t("This page has no kernel; run this cell in Jupyter.");
      return false;
    }
  };
  const settle = () => {
    clearTimeout(waiting);
    root.removeAttribute("aria-busy");
    state.textContent = "";
  };

  const form = element(
    "form",
    { class: "moe-row moe-router-prompt", onsubmit: (event) => (event.preventDefault(), ask()) },
    examples.root,
    field,
    send,
  );
  keep.hidden = !model.get("can_ask");
  form.hidden = !model.get("can_ask");
  const sides = [0, 1].map((side) => element("button", { type: "button", onclick: () => put("side", side) }));
  const toggle = element(
    "div",
    {
      class: "moe-router-sides",
      role: "group",
      "aria-label": t("Which of the two is shown; the key c changes"),
      title: t("or press c"),
    },
    ...sides,
  );
  const root = element("div", {}, form, state);

  /** The text that is routed stands in the box, unless somebody writes there. */
  const take = () => {
    if (field.ownerDocument.activeElement !== field) field.value = model.get("facts").pieces.join("");
  };
  const draw = () => {
    const both = compared();
    if (toggle.hidden === both) toggle.hidden = !both;
    write(keep, t(both ? later("Stop comparing") : later("Keep to compare")));
    sides.forEach((button, side) => {
      write(button, `${"AB"[side]}  ${model.get("names")[side] ?? ""}`);
      const pressed = String(model.get("side") === side);
      set(button, { "aria-pressed": pressed });
    });
  };
  return { root, toggle, keep, take, draw, tell, settle, stop: () => clearTimeout(waiting) };
}
