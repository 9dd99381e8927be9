// Experts in slots as SlotsView tells them: node --test tests/js/

import assert from "node:assert/strict";
import test from "node:test";
import { makeReplays } from "../../moe_lessons/widgets/slots_view/replays.js";
import { hitRates, loads, POLICIES, replay, soFar, story } from "../../moe_lessons/widgets/slots_view/rule.js";

const asked = (...experts) => experts.map((expert) => [expert]);
const found = (turns) => turns.flatMap(({ hit }, turn) => (hit[0] ? [turn] : []));

test("each policy sends away another one", () => {
  const requests = asked(0, 0, 1, 2, 0, 1);
  assert.deepEqual(found(replay(requests, 2, "lru")), [1]);
  assert.deepEqual(found(replay(requests, 2, "belady")), [1, 4]);
  assert.deepEqual(found(replay(asked(1, 0, 2, 3, 1, 2, 1), 2, "pinned", [1, 2])), [4, 6]);
});

test("who comes and who goes is told", () => {
  const requests = asked(0, 1, 2);
  const turns = replay(requests, 2, "lru");
  assert.deepEqual(turns[2], { hit: [false], holds: [2, 1], gone: [0] });
  assert.equal(story(requests, turns, 3, "·x"), "“·x” asks for 2: 2 must be fetched; for it 0 must go.");
  assert.match(story(requests, turns, 0, ""), /empty/);
});

test("rates and loads are counted up to a token", () => {
  const requests = [[0, 1], [1, 2], [1, 2]]; // biome-ignore format: three tokens
  assert.deepEqual(hitRates(replay(requests, 3, "lru")), [0, 0.25, 0.5]);
  assert.deepEqual(soFar(loads(requests, 3, "lru")), [0, 2, 3, 3]);
  assert.deepEqual(soFar([]), [0]);
});

/** Two texts of 50 tokens and three layers, two of eight experts a token; and every replay that is made of them. */
function watched() {
  const texts = [5, 7].map((step) =>
    [0, 1, 2].map((layer) => [...Array(50).keys()].map((i) => [(step * i + layer) % 8, (step * i + layer + 3) % 8])),
  );
  const favorites = [[...Array(8).keys()], [7, 6, 5, 4, 3, 2, 1, 0]].map((order) => [order, order, order]);
  const made = [];
  const noted =
    (name, rule) =>
    (...given) => (made.push(name), rule(...given));
  const rule = { replay: noted("turns", replay), loads: noted("loads", loads), soFar };
  const replays = makeReplays(texts, favorites, rule);
  /** What is made anew for a frame that shows this. */
  const frame = (layer, policy, text, slots, calibration) => {
    made.length = 0;
    replays.turn(text, slots, calibration);
    for (const name of POLICIES) replays.turns(layer, name);
    replays.everywhere(policy);
    return [made.filter((name) => name === "turns").length, made.filter((name) => name === "loads").length];
  };
  return { texts, favorites, replays, frame };
}

test("a turned knob replays what it changes, once, and nothing else", () => {
  const { frame } = watched();
  assert.deepEqual(frame(0, "lru", 0, 4, 0), [3, 3], "three curves of the layer, and one count in three layers");
  assert.deepEqual(frame(0, "lru", 0, 4, 0), [0, 0], "a step of the cursor");
  assert.deepEqual(frame(2, "lru", 0, 4, 0), [3, 0], "another layer");
  assert.deepEqual(frame(0, "lru", 0, 4, 0), [0, 0], "and back");
  assert.deepEqual(frame(0, "pinned", 0, 4, 0), [0, 3], "another policy");
  assert.deepEqual(frame(0, "pinned", 0, 4, 1), [1, 3], "another text's favorites: pinned alone");
  assert.deepEqual(frame(0, "belady", 0, 4, 1), [0, 3], "a third policy");
  assert.deepEqual(frame(0, "belady", 0, 5, 1), [3, 3], "a slot more");
  assert.deepEqual(frame(0, "belady", 1, 5, 1), [3, 3], "another text");
});

test("what is kept is what would be made anew", () => {
  const { texts, favorites, replays, frame } = watched();
  const places = [
    [0, "lru", 0, 4, 0],
    [1, "pinned", 0, 4, 1],
    [1, "pinned", 0, 4, 0],
    [2, "belady", 1, 3, 1],
    [0, "pinned", 1, 5, 1],
    [0, "pinned", 0, 4, 1],
  ];
  for (const [layer, policy, text, slots, calibration] of [...places, ...places]) {
    frame(layer, policy, text, slots, calibration);
    const anew = (each) => replay(texts[text][each], slots, policy, favorites[calibration][each]);
    assert.deepEqual(replays.turns(layer, policy), anew(layer));
    const fetched = [0, 1, 2].flatMap((each) => anew(each).flatMap(({ hit }) => hit)).filter((there) => !there).length;
    assert.equal(replays.everywhere(policy).at(-1), fetched);
  }
});
