// RouterView's panels below the picture: closed until somebody asks for one. A closed panel is not drawn.

import { element } from "../shared/common.js";
import { t } from "../shared/language.js";

/** `panels`: of each its name in Python, what its button says, and its nodes. */
export function makePanels(view, panels, opened) {
  const isOpen = (name) => view.model.get("panels").includes(name);
  const parts = panels.map(({ name, label, nodes }, at) => {
    const id = `moe-panel-${name}-${Math.random().toString(36).slice(2)}`;
    const body = element("section", { id, class: "moe-router-panel", "aria-label": label, hidden: "" }, ...nodes);
    const button = element(
      "button",
      {
        type: "button",
        "data-panel": name,
        "aria-controls": id,
        onclick: () => {
          const open = panels.map((panel) => panel.name).filter((one) => isOpen(one) !== (one === name));
          view.put("panels", open);
        },
      },
      label,
    );
    return { name, body, button, at };
  });
  const bar = element(
    "div",
    { class: "moe-router-tabs", role: "group", "aria-label": t("More to see") },
    ...parts.map(({ button }) => button),
  );

  /** `usable`: whether there is anything in a panel. */
  const draw = (usable) => {
    let fresh = false;
    for (const { name, body, button } of parts) {
      const open = isOpen(name) && usable(name);
      button.hidden = !usable(name);
      button.setAttribute("aria-expanded", String(open));
      if (body.hidden === open) (body.hidden = !open), (fresh ||= open);
    }
    if (fresh) opened();
  };
  return { nodes: [bar, ...parts.map(({ body }) => body)], draw, isOpen };
}
