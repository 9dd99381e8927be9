// How a text is walked through one event at a time: by buttons, by playing, and by keys and clicks on the text itself.

import { element } from "./common.js";
import { arrow, player } from "./habits.js";
import { t } from "./language.js";

/**
 * Moves the trait `at` between 0 and `last()`. The chips that are put into `strip` say in `data-at` where they lead.
 * @param {object} options
 * @param {import("./common.js").Model} options.model
 * @param {(name: string, value: any) => void} options.put
 * @param {() => number} options.last
 * @param {() => number} options.pace milliseconds from one event to the next while it plays
 * @param {string} options.one what one event is called
 * @param {string} options.look the class of the strip
 */
export function makeStepper({ model, put, last, pace, one, look }) {
  const move = (to) => (film.stop(), put("at", Math.max(0, Math.min(last(), to))));
  const button = (label, words, way) =>
    element(
      "button",
      { type: "button", "aria-label": words, title: words, onclick: () => move(model.get("at") + way) },
      label,
    );
  const back = button("◀ Back", `One ${one} back (left arrow)`, -1);
  const step = button("Step ▶", `One ${one} on (right arrow)`, 1);
  const film = player(
    () => {
      if (model.get("at") >= last()) put("at", 0);
      return () => {
        const at = model.get("at");
        if (at >= last()) return undefined;
        put("at", at + 1);
        return pace();
      };
    },
    { wait: 150, "aria-label": t("Play or pause (space)"), title: t("Play or pause (space)") },
  );
  const strip = element("div", {
    class: look,
    tabindex: 0,
    role: "group",
    "aria-label": `The text; arrow keys step through its ${one}s, space plays, Home and End jump`,
  });
  strip.addEventListener("keydown", (event) => {
    const at = model.get("at");
    const way = arrow(event);
    const to = way ? at + way : { Home: 0, End: last() }[event.key];
    if (to !== undefined) move(to);
    else if (event.key === " ") film.toggle();
    else return;
    event.preventDefault();
  });
  strip.addEventListener("click", (event) => {
    /** @type {HTMLElement} */
    const chip = /** @type {HTMLElement} */ (event.target).closest("[data-at]");
    if (chip) move(Number(chip.dataset.at));
  });
  /** At either end, one of the buttons rests. */
  const show = (at) => ([back.disabled, step.disabled] = [at === 0, at === last()]);
  return { move, stop: film.stop, buttons: [back, film.button, step], strip, show };
}
