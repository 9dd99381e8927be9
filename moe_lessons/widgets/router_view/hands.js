// What hands do in RouterView: they put the traits that the kernel hears of, and ask the model to read the text again.

import { putter } from "../shared/habits.js";
import { t } from "../shared/language.js";
import { KNOBS } from "./shown.js";
import { atRest } from "./trace.js";

export const MOST_BIAS = 1;

/** A bias as the hand leaves it: in steps of 0.005, within its limits. */
export function tidyBias(value) {
  return Math.round(200 * Math.max(-MOST_BIAS, Math.min(MOST_BIAS, value))) / 200;
}

/** `tell` sends a message to the kernel and says what it is for; `draw` asks for a frame. */
export function makeHands(view, { tell, draw }) {
  const get = (name) => view.model.get(name);
  const put = putter(view.model, 120);
  const putLayer = (row) => put("layer", view.trace.numbers[Math.min(view.trace.layers - 1, Math.max(0, row))]);
  const putToken = (token) => put("pinned", Math.min(view.sides[0].tokens - 1, Math.max(0, view.toFirst(token))));
  /** The fewest experts that a token can be left with when these are off. */
  const atLeast = (off) => {
    const { nGroups } = view.trace.ownKnobs;
    const on = new Array(nGroups).fill(view.trace.experts / nGroups);
    for (const expert of off) on[Math.floor((expert * nGroups) / view.trace.experts)]--;
    return on
      .sort((a, b) => a - b)
      .slice(0, get("top_groups"))
      .reduce((sum, count) => sum + count, 0);
  };
  const canSwitchOff = (expert) => atLeast([...get("off"), expert]) >= get("top_k");

  return {
    draw,
    put,
    putLayer,
    putToken,
    putHighlight: (expert) => put("highlight", get("highlight") === expert ? -1 : expert),
    hover: (token) => token !== view.hovered && ((view.hovered = token), draw()),
    hoverBin: (expert) => expert !== view.hoveredBin && ((view.hoveredBin = expert), draw()),
    putBias(expert, value) {
      if (expert < 0 || !view.inScope(view.row)) return;
      const bias = Array.from({ length: view.trace.experts }, (_, e) => (e === expert ? value : view.biasOf(e)));
      put("bias", bias.some((b) => b) ? bias : []);
    },
    canSwitchOff,
    mostChosen: () => atLeast(get("off")),
    toggleOff(expert) {
      const off = get("off");
      if (expert < 0 || !view.inScope(view.row)) return;
      if (off.includes(expert))
        put(
          "off",
          off.filter((other) => other !== expert),
        );
      else if (canSwitchOff(expert))
        put(
          "off",
          [...off, expert].sort((a, b) => a - b),
        );
    },
    /** A bin is pressed: its expert goes out or comes back, its ribbons move, and the model says what that costs. */
    pressBin(expert) {
      const off = get("off").includes(expert);
      view.notice = "";
      if (!view.inScope(view.row))
        view.notice = t("Expert {expert} stays: the knobs act on layer {scope} only.", { expert, scope: view.scope });
      else if (!off && !canSwitchOff(expert)) {
        view.notice = t("Expert {expert} stays: each token needs {k}, and fewer would be left; lower top-k.", {
          expert,
          k: get("top_k"),
        });
      } else {
        view.glide = true;
        this.toggleOff(expert);
        view.read();
        view.again = view.busy; // the answer on its way is for other knobs
        if (get("can_apply") && !view.two() && view.moved && !view.busy) this.apply();
      }
      draw();
    },
    /** Arrow keys move the pinned token and the layer. */
    steer(event) {
      const [tokens, layers] =
        { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[event.key] ?? [];
      if (event.key === "Home") putToken(0);
      else if (event.key === "End") putToken(view.trace.tokens - 1);
      else if (tokens) putToken(view.pinned() + tokens);
      else if (layers) putLayer(view.row + layers);
      else return;
      event.preventDefault();
      view.follow = true;
    },
    reset() {
      view.notice = "";
      const { topK, scoreFunction, normalize, topGroups } = view.sides[0].ownKnobs;
      const rest = {
        top_k: topK,
        score_function: scoreFunction,
        normalize,
        top_groups: topGroups,
        acts_on: -1,
        ...atRest(),
      };
      Object.entries(rest).forEach(([name, value]) => put(name, value));
    },
    apply() {
      view.busy = tell(
        { apply: Object.fromEntries(KNOBS.map((name) => [name, get(name)])) },
        t("the model reads the text with these knobs…"),
      );
      draw();
    },
  };
}
