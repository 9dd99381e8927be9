// Pictures of one page hear what is predicted in another one of them, with a kernel or without.

const EVENT = "moe-prediction";

/** @param {string} key @param {import("./rule.js").Answer} answer */
export function tell(key, answer) {
  document.dispatchEvent(new CustomEvent(EVENT, { detail: { key, answer } }));
}

/**
 * The answers that a picture knows: its own, and those that it has heard of since; `draw` is called with each.
 * @param {import("../shared/common.js").Model} model
 * @param {() => void} draw
 */
export function hearing(model, draw) {
  const heard = {};
  const keys = new Set(model.get("questions").map(({ key }) => key));
  const hear = (event) => {
    const { key, answer } = event.detail;
    if (!keys.has(key)) return;
    heard[key] = answer;
    draw();
  };
  document.addEventListener(EVENT, hear);
  return {
    /** @returns {Record<string, import("./rule.js").Answer>} */
    answers: () => ({ ...model.get("answers"), ...heard }),
    end: () => document.removeEventListener(EVENT, hear),
  };
}
