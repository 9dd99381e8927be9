// One slide at a time: keys, clicks and swipes; what a slide comes to waits for a key of its own.
const root = document.documentElement;
const deck = document.getElementById("deck");
const all = /** @type {HTMLElement[]} */ ([...document.querySelectorAll(".slide")]);
const place = document.getElementById("place");
const help = document.getElementById("help");
let at = 0;

/** The parts of a slide that have not been shown yet. */
const waiting = () => [...all[at].querySelectorAll(".later")];

/** Show a slide, with its last part where one comes from behind. */
function show(number, whole = false) {
  at = Math.max(0, Math.min(all.length - 1, number));
  for (const [index, slide] of all.entries()) slide.classList.toggle("now", index === at);
  for (const part of all[at].querySelectorAll("[data-step]")) part.classList.toggle("later", !whole);
  place.textContent = `${at + 1} / ${all.length}`;
  document.title = `${all[at].dataset.heading} (${at + 1} of ${all.length})`;
  history.replaceState(null, "", `#${at + 1}`);
  all[at].focus({ preventScroll: !root.classList.contains("overview") });
}

function on() {
  const [next] = waiting();
  if (next && !root.classList.contains("overview")) next.classList.remove("later");
  else if (at < all.length - 1) show(at + 1);
}

/** The first slide of the next section, or of this one, or of the one before. */
function section(direction) {
  const heading = (index) => all[index]?.dataset.heading;
  let to = at + direction;
  while (to > 0 && to < all.length && heading(to) === heading(at)) to += direction;
  if (direction < 0) while (to > 0 && heading(to - 1) === heading(to)) to--;
  show(to);
}

function overview() {
  const open = root.classList.toggle("overview");
  if (open) all[at].scrollIntoView({ block: "center" });
  else show(at);
}

/** Whether any words of a slide lie below it or beside it. */
function cut(slide) {
  const edge = slide.getBoundingClientRect();
  const parts = [...slide.querySelectorAll(":scope > :not(.notes) :is(p, li)")].map((part) =>
    part.getBoundingClientRect(),
  );
  return parts.some((part) => part.bottom > edge.bottom || part.right > edge.right);
}

/** Write smaller where a slide has too many words, or the machine's letters are wide. */
function fit() {
  root.classList.add("overview");
  for (const slide of all) {
    for (let size = 0.95; size > 0.6 && cut(slide); size -= 0.05) slide.style.fontSize = `${size}em`;
  }
  root.classList.remove("overview");
}

const KEYS = {
  ArrowRight: on,
  " ": on,
  PageDown: on,
  ArrowLeft: () => show(at - 1, true),
  PageUp: () => show(at - 1, true),
  ArrowDown: () => section(1),
  ArrowUp: () => section(-1),
  Home: () => show(0),
  End: () => show(all.length - 1),
  Enter: () => (root.classList.contains("overview") ? overview() : on()),
  Escape: () => root.classList.contains("overview") && overview(),
  o: overview,
  n: () => root.classList.toggle("with-notes"),
  d: () => (root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark"),
  f: () => (document.fullscreenElement ? document.exitFullscreen() : root.requestFullscreen()),
  "?": () => help.toggleAttribute("hidden"),
};

addEventListener("keydown", (event) => {
  const act = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  act();
});
deck.addEventListener("click", (event) => {
  const target = /** @type {HTMLElement} */ (event.target);
  if (root.classList.contains("overview")) {
    at = Math.max(0, all.indexOf(target.closest(".slide")));
    overview();
  } else if (!target.closest(".notes") && !String(getSelection())) on();
});
let from = 0;
addEventListener("touchstart", (event) => (from = event.changedTouches[0].clientX), { passive: true });
addEventListener("touchend", (event) => {
  const moved = event.changedTouches[0].clientX - from;
  if (moved < -50) on();
  if (moved > 50) show(at - 1, true);
});
addEventListener("hashchange", () => show(Number(location.hash.slice(1)) - 1));

root.classList.add("live-deck");
fit();
if (matchMedia("(prefers-color-scheme: dark)").matches) root.dataset.theme = "dark";
show((Number(location.hash.slice(1)) || 1) - 1);
