// DropView's counts: what the capacity costs this batch, and which fates differ from those in the batch as given.

import { element } from "../shared/common.js";
import { many, wholePercent } from "./rule.js";

export function makeTotals(names) {
  const root = element("div", { class: "moe-counts", role: "status" });

  const draw = (counts, slots, batch, [lost, found]) => {
    const words = [
      slots === Infinity ? ["no", "limit"] : [String(slots), `${slots === 1 ? "slot" : "slots"} an expert`],
      [`${counts.dropped} of ${counts.choices}`, `choices dropped (${wholePercent(counts.dropped, counts.choices)})`],
      [String(counts.lost), `${counts.lost === 1 ? "token" : "tokens"} with nothing left`],
    ];
    if (slots !== Infinity)
      words.push([`${counts.padded} of ${counts.slots}`, `slots empty (${wholePercent(counts.padded, counts.slots)})`]);
    root.replaceChildren(...words.map(([number, name]) => element("span", {}, element("b", {}, number), ` ${name}`)));
    const same = batch.length === names.length && batch.every((which, i) => which === i);
    const losers = many(lost, "choice loses its slot", "choices lose their slots");
    const finders = many(found, "choice finds one", "choices find one");
    const change =
      lost + found
        ? `Against the batch as given, ${losers} and ${finders}, though the router wants the same.`
        : "Every choice has the fate that it has in the batch as given.";
    root.append(
      element(
        "div",
        { class: "moe-change" },
        same ? "This is the batch as given. Put another text first, or leave one out." : change,
      ),
    );
  };
  return { root, draw };
}
