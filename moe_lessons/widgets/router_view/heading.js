// Headings and texts of RouterView that change often: the page is only touched where they differ.

import { element } from "../shared/common.js";

/** A heading: what is seen in bold, how to read it beside it. */
export function heading() {
  const [what, how] = [element("b"), element("span")];
  return {
    title: element("div", { class: "moe-router-title" }, what, how),
    say: (first, second) => (write(what, first), write(how, ` ${second}`)),
  };
}

/** Set a node's text; asking the page for the old one would cost more than remembering it. */
export function write(node, text) {
  if (node.said !== text) node.textContent = node.said = text;
}

/** Set the attributes that changed: most of a picture stays as it was. */
export function set(node, attributes) {
  const seen = (node.seen ??= {});
  for (const name in attributes) {
    const value = attributes[name];
    const rounded = typeof value === "number" ? Math.round(value * 100) / 100 : value;
    if (seen[name] !== rounded) node.setAttribute(name, (seen[name] = rounded));
  }
}
