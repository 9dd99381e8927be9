// SlotsView's replays, kept: what a turned knob leaves as it was is not made again. Nothing here touches the page.

import * as rule from "./rule.js";

/**
 * @param {number[][][][]} requests the experts of each token [texts][layers][tokens]
 * @param {number[][][]} favorites of each calibration, most used first [calibrations][layers]
 * @param {Pick<typeof rule, "replay" | "loads" | "soFar">} made what makes them
 */
export function makeReplays(requests, favorites, { replay, loads, soFar } = rule) {
  const kept = new Map();
  let [text, slots, calibration] = [-1, -1, -1];
  const once = (name, make) => {
    if (!kept.has(name)) kept.set(name, make());
    return kept.get(name);
  };
  /** Only the favorites of "pinned" are those of a text; no other policy hears of it. */
  const name = (policy, what) => [policy, policy === "pinned" ? calibration : "", what].join();
  return {
    /** Say which slots, texts' places among `requests` and `favorites` are asked about from now on. */
    turn(newText, newSlots, newCalibration) {
      if (newText !== text || newSlots !== slots) kept.clear();
      [text, slots, calibration] = [newText, newSlots, newCalibration];
    },
    /** The layer's turns, one for each token. */
    turns: (layer, policy) =>
      once(name(policy, layer), () => replay(requests[text][layer], slots, policy, favorites[calibration][layer])),
    /** Experts fetched before each token, all layers together. */
    everywhere: (policy) =>
      once(name(policy, "all"), () => {
        const each = requests[text].map((asked, layer) => loads(asked, slots, policy, favorites[calibration][layer]));
        return soFar(requests[text][0].map((_, token) => each.reduce((sum, layer) => sum + layer[token], 0)));
      }),
  };
}
