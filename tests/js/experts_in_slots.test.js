// Experts in slots as SlotsView tells them: node --test tests/js/

import assert from "node:assert/strict";
import test from "node:test";
import { hitRates, loadsUntil, replay, story } from "../../moe_lessons/widgets/slots_view/rule.js";

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
  const turns = replay([[0, 1], [1, 2], [1, 2]], 3, "lru"); // biome-ignore format: three tokens
  assert.deepEqual(hitRates(turns), [0, 0.25, 0.5]);
  assert.deepEqual(
    [0, 1, 2, 3].map((at) => loadsUntil(turns, at)),
    [0, 2, 3, 3],
  );
});
