// The words of the class's board, without a browser.

import assert from "node:assert/strict";
import { test } from "node:test";
import { follow } from "../../moe_lessons/classroom/page/live.js";
import { current, sentence } from "../../moe_lessons/classroom/page/predictions.js";

const question = {
  answered: 12,
  late: 0,
  room: 30,
  shown: false,
  right: null,
  measured: null,
  kind: "slider",
  unit: "%",
};

test("the newest question is looked at that a quarter of the room has answered, else the newest", () => {
  const asked = (...counts) => counts.map((answered) => ({ ...question, answered }));
  assert.equal(current(asked(20, 9, 1)), 1);
  assert.equal(current(asked(1, 2, 0)), 2);
  assert.equal(current(asked(30)), 0);
  assert.equal(current([]), -1);
});

test("no measurement is said before it is shown", () => {
  assert.equal(sentence(question), "12 of 30 predicted. The measurement comes when half of the room has predicted.");
});

test("what the room's machines measured is said as a range, or as one number, or as missing", () => {
  const shown = {
    ...question,
    shown: true,
    right: 3,
    measured: { machines: 8, low: 20, high: 31.5, places: [20, 31.5] },
  };
  assert.match(sentence(shown), /On 8 machines: 20 to 31.5%. 3 came close enough/);
  const same = { machines: 1, low: 5, high: 5, places: [5] };
  assert.match(sentence({ ...shown, measured: same, right: 0 }), /On one machine: 5%. None came close enough/);
  assert.match(sentence({ ...shown, late: 2 }), /2 more did when it stood on their page already/);
  assert.match(sentence({ ...shown, kind: "choice" }), /3 chose it/);
  assert.match(sentence({ ...shown, measured: null, right: null }), /No machine of the room has measured it yet/);
});

/** A page whose websockets are these. */
function page() {
  const sockets = [];
  globalThis.location = new URL("http://127.0.0.1:8870/class/");
  globalThis.WebSocket = class {
    static OPEN = 1;
    readyState = 0;
    sent = [];
    constructor() {
      sockets.push(this);
    }
    send(text) {
      this.sent.push(text);
    }
  };
  return sockets;
}

test("a teacher who lets a measurement be seen is told where the class cannot hear of it", () => {
  const sockets = page();
  const said = [];
  const show = follow(
    () => {},
    (trouble) => said.push(trouble),
  );
  show("05.one_sheet");
  assert.match(said.at(-1), /cannot tell the class now/);
  sockets[0].readyState = 1;
  sockets[0].onmessage({ data: "{}" });
  show("05.one_sheet");
  assert.deepEqual(sockets[0].sent, ['{"show":"05.one_sheet"}']);
  assert.equal(said.at(-1), "");
  sockets[0].readyState = 3;
  show("05.one_sheet");
  assert.match(said.at(-1), /cannot tell the class now/);
  assert.equal(sockets[0].sent.length, 1);
});
