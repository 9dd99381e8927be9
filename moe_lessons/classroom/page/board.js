// The projector's page: one view at a time, moved by the arrow keys; whatever was chosen by name is shown as text.

import { element } from "../../widgets/shared/common.js";
import { follow } from "./live.js";
import { current, draw as drawQuestion } from "./predictions.js";
import { exercises, ledger, mistakes, routers } from "./tables.js";

/** @type {(name: string) => HTMLElement} */
const byId = (name) => /** @type {HTMLElement} */ (document.getElementById(name));
const [title, views, state, place, keys] = ["title", "views", "state", "place", "keys"].map(byId);

/** @type {import("./live.js").Board} */
let board = {
  learners: [],
  questions: [],
  lessons: [],
  mistakes: [],
  routers: { rows: [], left_out: 0, elsewhere: 0 },
  claims: [],
};
let line = "";
let view = Math.max(0, Number(location.hash.slice(1)) - 1) || 0;
let picked = ""; // a question or a lesson that the teacher stays with; empty for the newest

/** A view's name, its items to step through, whether it has something to show, and how it is drawn. */
const VIEWS = [
  { name: "Join", items: () => [], full: () => true, draw: join },
  {
    name: "Predictions",
    items: () => board.questions.map(({ key }) => key),
    full: () => board.questions.length,
    draw: predictions,
  },
  {
    name: "Exercises",
    items: () => board.lessons.map(({ lesson }) => lesson),
    full: () => board.lessons.length,
    draw: () => exercises(board.lessons[chosen()]),
  },
  { name: "Mistakes", items: () => [], full: () => board.mistakes.length, draw: () => mistakes(board.mistakes) },
  { name: "Routers", items: () => [], full: () => board.routers.rows.length, draw: () => routers(board.routers) },
  { name: "Ledger", items: () => [], full: () => board.claims.length, draw: () => ledger(board.claims) },
];
const EMPTY = [
  "",
  "Nobody has predicted anything yet.",
  "Nobody has checked an exercise yet.",
  "No two make the same mistake now.",
  "Nobody has entered a router yet.",
  "No lesson has settled a claim yet.",
];

function chosen() {
  const items = VIEWS[view].items();
  const at = items.indexOf(picked);
  if (at >= 0) return at;
  return view === 1 ? current(board.questions) : items.length - 1;
}

function join() {
  const names = board.learners.map((name) => element("li", {}, element("bdi", {}, name)));
  const inside = line.replace("moe-lessons", "%run -m moe_lessons");
  return [
    element("p", { class: "lesson" }, "In a terminal; in the course’s own folder with .venv/bin/ before it:"),
    element("p", { class: "line" }, element("code", {}, line)),
    element("p", { class: "lesson" }, "Or in a cell of a notebook:"),
    element("p", { class: "line small" }, element("code", {}, `${inside} --name "…"`)),
    element("p", { class: "sum", role: "status" }, `${names.length} here`),
    element("ul", { class: "names" }, ...names),
  ];
}

function predictions() {
  const question = board.questions[chosen()];
  const em = Number.parseFloat(getComputedStyle(document.documentElement).fontSize);
  const room = { width: place.clientWidth, height: Math.max(11 * em, Math.min(innerHeight - 19 * em, 24 * em)), em };
  return drawQuestion(question, room, () => show(question.key));
}

function draw() {
  const { name, items, full, draw: drawn } = VIEWS[view];
  title.textContent = name;
  document.title = `${name} · the class`;
  const focused = document.activeElement?.closest("main") !== null && document.activeElement?.tagName === "BUTTON";
  place.replaceChildren(...(full() ? drawn() : [element("p", { class: "empty" }, EMPTY[view])]));
  if (focused) place.querySelector("button")?.focus();
  views.replaceChildren(
    ...VIEWS.map((each, i) =>
      element(
        "button",
        { type: "button", "aria-current": i === view ? "page" : false, onclick: () => go(i) },
        each.name,
      ),
    ),
  );
  const many = items().length > 1;
  const step = many ? `${chosen() + 1} of ${items().length}: ↑ ↓ · ` : "";
  keys.textContent = `${board.learners.length} here · ${step}← → views · f full screen · d dark or light`;
}

function go(/** @type {number} */ to) {
  view = (to + VIEWS.length) % VIEWS.length;
  picked = "";
  history.replaceState(null, "", `#${view + 1}`);
  draw();
}

function step(/** @type {number} */ by) {
  const items = VIEWS[view].items();
  const to = Math.max(0, chosen() + by);
  picked = items[to] ?? ""; // beyond the last one the page follows the room again
  draw();
}

function turnTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
}

/** @type {Record<string, () => void>} */
const KEYS = {
  ArrowRight: () => go(view + 1),
  ArrowLeft: () => go(view - 1),
  ArrowDown: () => step(1),
  ArrowUp: () => step(-1),
  r: () => view === 1 && board.questions.length && show(board.questions[chosen()].key),
  f: () => (document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen()),
  d: turnTheme,
};
addEventListener("keydown", (event) => {
  const act = KEYS[event.key];
  if (!act || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  act();
});
addEventListener("resize", draw);

const show = follow(
  (seen) => {
    board = seen;
    draw();
  },
  (trouble) => (state.textContent = trouble),
);
draw();
const said = await fetch("line");
if (said.ok) ({ line } = await said.json());
draw();
