// RouterView's sentence: where one token of one layer goes, and what the knobs or the other trace make of that. It is
// read aloud once the hand rests.

import { element } from "../shared/common.js";
import { isChanged } from "../shared/rule.js";
import { write } from "./heading.js";
import { destination, percent, quoted, verdict } from "./words.js";

const MOST_LAYERS = 8; // of a way that is still read

export function makeSentence(view) {
  const [badge, words] = [element("span", { class: "moe-router-badge" }), element("span")];
  const sentence = element("p", { class: "moe-router-sentence" }, badge, words);
  const spoken = element("div", { class: "moe-router-spoken", "aria-live": "polite" });
  let speaking = 0;

  /** `shares`: of each layer's choices, those that differ, as far as they are known. */
  const draw = (row, focus, shares, shut) => {
    const { trace, moved, isApplied } = view;
    const two = view.two();
    const state = moved ? (isApplied ? "applied" : "what if") : two ? `this is ${"AB"[view.which()]}` : "as it was";
    write(badge, state);
    const look = `moe-router-badge${moved ? (isApplied ? " applied" : " moved") : ""}`;
    if (badge.className !== look) badge.className = look;
    const where = destination(trace.now[row], focus);
    const start = `Layer ${trace.numbers[row]}: ${quoted(trace.pieces[focus])} goes to ${where}`;
    const rest = two ? `, ${beside(row, focus, shares)}` : `. ${alone(row, shares)}`;
    write(words, start + rest + shutOut(shut) + wayOf(focus));
    clearTimeout(speaking);
    speaking = setTimeout(() => write(spoken, words.textContent), 500);
  };

  const lostIn = ({ dropped }) => (dropped ? dropped.reduce((sum, one) => sum + one, 0) : 0);

  const shutOut = (shut) => {
    const groups = [...shut].map(String);
    const last = groups.pop();
    if (last === undefined) return "";
    const names = groups.length ? `Groups ${groups.join(", ")} and ${last} are` : `Group ${last} is`;
    return ` ${names} shut out for it.`;
  };
  /** The token's first experts, layer after layer, as far as they are known. */
  const wayOf = (focus) => {
    const { trace } = view;
    if (trace.layers < 2 || trace.layers > MOST_LAYERS) return "";
    const way = Array.from({ length: trace.layers }, (_, row) => trace.now[row]?.experts[focus * trace.now[row].topK]);
    return way.includes(undefined) ? "" : ` Its first experts, layer by layer: ${way.join(" → ")}.`;
  };

  /** Of one trace: what turned knobs change in all layers. */
  const alone = (row, shares) => {
    const { trace, moved, isApplied, scope } = view;
    if (!isApplied && moved && !view.inScope(row)) return `Untouched here: the knobs act on layer ${scope} only.`;
    const share = shares.reduce((sum, one) => sum + one, 0) / (shares.length || 1);
    const now = trace.now[row];
    const rest = verdict(moved, share, lostIn(now), now.experts.length);
    return outs(row) + (isApplied ? `In the model, ${rest[0].toLowerCase()}${rest.slice(1)}` : rest);
  };
  /** Which experts are switched off, and where their tokens went. */
  const outs = (row) => {
    const off = [...view.off];
    if (!off.length) return "";
    const { experts } = view.sides[view.which()].own[row];
    const homeless = experts.reduce((sum, expert) => sum + Number(view.off.has(expert)), 0);
    const names =
      off.length > 1 ? `Experts ${off.slice(0, -1).join(", ")} and ${off.at(-1)} are` : `Expert ${off[0]} is`;
    const where = view.scope < 0 && view.trace.layers > 1 ? " in every layer" : "";
    const start = `${names} off${where}; `;
    if (!homeless) return `${start}no token here had chosen ${off.length > 1 ? "them" : "it"}. `;
    return `${start}${homeless} choice${homeless === 1 ? " goes" : "s go"} to the next best here. `;
  };

  /** Of two traces: where the token goes in the other one, and how far this layer agrees. */
  const beside = (row, focus, shares) => {
    const { trace } = view;
    const [now, other] = [trace.now[row], view.reference(row)];
    const partner = other.partners[focus];
    const there =
      partner < 0
        ? `has no counterpart in ${other.name}`
        : isChanged(now, other.layer, focus, partner) || now.topK !== other.layer.topK
          ? `in ${other.name} to ${destination(other.layer, partner)}`
          : `as in ${other.name}`;
    const matched = view.matched();
    if (!matched) return `${there}. No token has a counterpart in ${other.name}.`;
    const tokens = `${matched} token${matched === 1 ? "" : "s"}`;
    const over = matched === trace.tokens ? `for all ${tokens}` : `for the ${tokens} that both have`;
    const lost = lostIn(now);
    const drops = lost ? ` ${lost} of ${now.experts.length} found no slot.` : "";
    return `${there}. ${percent(1 - (shares[row] ?? 0))} of this layer’s choices ${over} agree.${drops}`;
  };
  return { nodes: [sentence, spoken], draw, stop: () => clearTimeout(speaking) };
}
