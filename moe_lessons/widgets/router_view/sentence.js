// RouterView's sentence: where one token of one layer goes, and what the knobs or the other trace make of that. It is
// read aloud once the hand rests.

import { element } from "../shared/common.js";
import { later, t } from "../shared/language.js";
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
    const state = moved
      ? t(isApplied ? later("applied") : later("what if"))
      : two
        ? t("this is {side}", { side: "AB"[view.which()] })
        : t("as it was");
    write(badge, state);
    const look = `moe-router-badge${moved ? (isApplied ? " applied" : " moved") : ""}`;
    if (badge.className !== look) badge.className = look;
    const where = destination(trace.now[row], focus);
    const facts = { layer: trace.numbers[row], piece: quoted(trace.pieces[focus]), where };
    const start = t("Layer {layer}: {piece} goes to {where}", facts);
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
    const some = groups.join(", ");
    const said = some
      ? later("Groups {some} and {last} are shut out for it.")
      : later("Group {last} is shut out for it.");
    return ` ${t(said, { some, last })}`;
  };
  /** The token's first experts, layer after layer, as far as they are known. */
  const wayOf = (focus) => {
    const { trace } = view;
    if (trace.layers < 2 || trace.layers > MOST_LAYERS) return "";
    const way = Array.from({ length: trace.layers }, (_, row) => trace.now[row]?.experts[focus * trace.now[row].topK]);
    return way.includes(undefined)
      ? ""
      : ` ${t("Its first experts, layer by layer: {way}.", { way: way.join(" → ") })}`;
  };

  /** Of one trace: what turned knobs change in all layers. */
  const alone = (row, shares) => {
    const { trace, moved, isApplied, scope } = view;
    if (!isApplied && moved && !view.inScope(row))
      return t("Untouched here: the knobs act on layer {scope} only.", { scope });
    const share = shares.reduce((sum, one) => sum + one, 0) / (shares.length || 1);
    const now = trace.now[row];
    const rest = verdict(moved, share, lostIn(now), now.experts.length);
    const lower = rest[0].toLowerCase() + rest.slice(1);
    return outs(row) + (isApplied ? t("In the model, {lower}", { lower, rest }) : rest);
  };
  /** Which experts are switched off, and where their tokens went. */
  const outs = (row) => {
    const off = [...view.off];
    if (!off.length) return "";
    const { experts } = view.sides[view.which()].own[row];
    const homeless = experts.reduce((sum, expert) => sum + Number(view.off.has(expert)), 0);
    const [some, last, many] = [off.slice(0, -1).join(", "), off.at(-1), off.length > 1];
    const every = view.scope < 0 && view.trace.layers > 1;
    const start = many
      ? t(
          every
            ? later("Experts {some} and {last} are off in every layer;")
            : later("Experts {some} and {last} are off;"),
          {
            some,
            last,
          },
        )
      : t(every ? later("Expert {last} is off in every layer;") : later("Expert {last} is off;"), { last });
    const then = homeless
      ? homeless === 1
        ? t("1 choice goes to the next best here.")
        : t("{count} choices go to the next best here.", { count: homeless })
      : t(many ? later("no token here had chosen them.") : later("no token here had chosen it."));
    return `${start} ${then} `;
  };

  /** Of two traces: where the token goes in the other one, and how far this layer agrees. */
  const beside = (row, focus, shares) => {
    const { trace } = view;
    const [now, other] = [trace.now[row], view.reference(row)];
    const partner = other.partners[focus];
    const there =
      partner < 0
        ? t("has no counterpart in {other}", { other: other.name })
        : isChanged(now, other.layer, focus, partner) || now.topK !== other.layer.topK
          ? t("in {other} to {where}", { other: other.name, where: destination(other.layer, partner) })
          : t("as in {other}", { other: other.name });
    const matched = view.matched();
    if (!matched) return `${there}. ${t("No token has a counterpart in {other}.", { other: other.name })}`;
    const all = matched === trace.tokens;
    const agree =
      matched === 1
        ? all
          ? later("{share} of this layer’s choices for all 1 token agree.")
          : later("{share} of this layer’s choices for the 1 token that both have agree.")
        : all
          ? later("{share} of this layer’s choices for all {count} tokens agree.")
          : later("{share} of this layer’s choices for the {count} tokens that both have agree.");
    const lost = lostIn(now);
    const drops = lost ? ` ${t("{lost} of {all} found no slot.", { lost, all: now.experts.length })}` : "";
    return `${there}. ${t(agree, { share: percent(1 - (shares[row] ?? 0)), count: matched })}${drops}`;
  };
  return { nodes: [sentence, spoken], draw, stop: () => clearTimeout(speaking) };
}
