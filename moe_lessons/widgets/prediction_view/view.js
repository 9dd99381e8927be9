// A prediction: asked for, beside its measurement, or summed up over a lesson.

import { openView } from "../shared/common.js";
import { later, speak, t } from "../shared/language.js";
import { ask } from "./ask.js";
import { compare } from "./compare.js";
import { sum } from "./sum.js";

const NAMES = {
  ask: later("A prediction to make"),
  compare: later("Prediction and measurement"),
  sum: later("The lesson's predictions"),
};

/** @param {import("../shared/common.js").Context} context */
function render({ model, el }) {
  const mode = model.get("mode");
  speak(model);
  openView(el, "moe-prediction", t(NAMES[mode]));
  el.dataset.mode = mode;
  if (!model.get("questions").length) return undefined;
  return { ask, compare, sum }[mode]({ model, el });
}

export default { render };
