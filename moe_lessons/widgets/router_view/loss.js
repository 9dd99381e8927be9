// RouterView's line about the loss: what the text costs the model, and what it costs with the knobs applied.

import { element } from "../shared/common.js";
import { later, t } from "../shared/language.js";
import { mean } from "./answer.js";
import { write } from "./heading.js";

export function makeLoss(view) {
  const [cost, words] = [element("b"), element("span")];
  const root = element("p", { class: "moe-router-loss" }, `${t("Loss on this text:")} `, cost, words);

  const draw = () => {
    const get = (name) => view.model.get(name);
    const { before, after } = view.isApplied ? get("applied") : {};
    const was = mean(view.isApplied ? before.nats : view.sides[0].nats);
    const is = mean(view.isApplied ? after.nats : view.sides[1]?.nats);
    const hidden = was === undefined;
    if (root.hidden !== hidden) root.hidden = hidden;
    if (hidden) return;
    const change = is === undefined ? "" : ` (${is < was ? "−" : "+"}${Math.abs(is - was).toFixed(3)})`;
    write(cost, is === undefined ? was.toFixed(3) : `${was.toFixed(3)} → ${is.toFixed(3)}`);
    write(words, ` ${t("nats per token")}${change}${rest(is)}`);
    root.classList.toggle("worse", is > was + 5e-4 && view.isApplied);
  };
  const rest = (is) => {
    if (view.two()) return is === undefined ? t(", of A.") : ", A → B.";
    if (view.isApplied) return t(", with the knobs applied.");
    if (!view.moved || !view.model.get("can_apply")) return ".";
    return t(
      view.busy ? later("; the model reads the text again…") : later("; apply the knobs to see how it answers."),
    );
  };
  return { root, draw };
}
