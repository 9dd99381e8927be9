// What hands do in several widgets, without a browser: fake models, events and buttons.

import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { arrow, player, putter, walkRadios } from "../../moe_lessons/widgets/shared/habits.js";

function fakeModel() {
  const seen = [];
  return { seen, set: (name, value) => seen.push([name, value]), save_changes: () => seen.push("saved") };
}

const press = (key) => Object.assign(new Event("keydown", { cancelable: true }), { key });

/** A page with buttons and a clock that the test turns: what is due by then runs, in order. */
function fakePage(t) {
  let [now, ids, waiting] = [0, 0, []];
  t.mock.method(performance, "now", () => now);
  t.mock.method(globalThis, "setTimeout", (run, ms) => (waiting.push({ id: ++ids, due: now + ms, run }), ids));
  t.mock.method(globalThis, "clearTimeout", (id) => (waiting = waiting.filter((one) => one.id !== id)));
  globalThis.requestAnimationFrame = (draw) => setTimeout(draw, 16);
  globalThis.cancelAnimationFrame = (id) => clearTimeout(id);
  globalThis.document = {
    createElement: () => Object.assign(new EventTarget(), { setAttribute() {}, append() {}, textContent: "" }),
  };
  return (ms) => {
    now += ms;
    const due = waiting.filter((one) => one.due <= now);
    waiting = waiting.filter((one) => one.due > now);
    due.forEach(({ run }) => run());
  };
}

test("a value is on the page at once and in the kernel when the hand rests", (t) => {
  const later = fakePage(t);
  const model = fakeModel();
  const put = putter(model, 100);
  put("a", 1);
  later(99);
  put("a", 2);
  later(99);
  assert.deepEqual(model.seen, [
    ["a", 1],
    ["a", 2],
  ]);
  later(1);
  assert.deepEqual(model.seen.slice(2), ["saved"]);
  put("a", 3);
  put.cancel();
  later(1000);
  assert.deepEqual(model.seen.slice(3), [["a", 3]]);
});

test("without a wait the kernel hears at once", () => {
  const model = fakeModel();
  putter(model)("a", 1);
  assert.deepEqual(model.seen, [["a", 1], "saved"]);
});

test("arrow keys go one way each and keep the page where it is; other keys do nothing", () => {
  const ways = ["ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp", "Home", "a"].map((key) => {
    const event = press(key);
    return [arrow(event), event.defaultPrevented];
  });
  assert.deepEqual(ways, [
    [1, true],
    [1, true],
    [-1, true],
    [-1, true],
    [0, false],
    [0, false],
  ]);
});

test("arrows in a group of radio buttons walk around its ends", () => {
  const group = new EventTarget();
  const focus = mock.fn();
  let picked = 2;
  walkRadios(
    group,
    [0, 1, 2].map((i) => ({ focus: () => focus(i) })),
    () => picked,
    (i) => (picked = i),
  );
  for (const key of ["ArrowRight", "ArrowLeft", "x"]) group.dispatchEvent(press(key));
  assert.equal(picked, 2);
  assert.deepEqual(
    focus.mock.calls.map((call) => call.arguments[0]),
    [0, 2],
  );
});

test("a film runs until its step says so, and its button pauses it", (t) => {
  const later = fakePage(t);
  const played = [];
  const film = player(() => (ms) => (played.push(ms), played.length < 3 ? 50 : undefined), { wait: 20 });
  assert.equal(film.button.textContent, "▶ Play");
  film.button.dispatchEvent(new Event("click"));
  assert.equal(film.button.textContent, "❚❚ Pause");
  later(20);
  later(49);
  film.toggle();
  later(100);
  assert.deepEqual(played, [20]);
  film.toggle(); // from here on another start
  for (const ms of [20, 50, 50]) later(ms);
  assert.deepEqual(played, [20, 20, 70]);
  assert.equal(film.button.textContent, "▶ Play");
});

test("a film without pauses is drawn once a frame and does not go on where its step has stopped it", (t) => {
  const later = fakePage(t);
  let drawn = 0;
  const film = player(() => () => (++drawn === 2 && film.stop(), 0));
  film.toggle();
  for (let frame = 0; frame < 5; frame++) later(16);
  assert.equal(drawn, 2);
});
