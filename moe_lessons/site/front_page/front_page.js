// The front page: a recorded trace that is alive at once, then the model, which routes what is typed.

import { t } from "../../widgets/shared/language.js";
import { followTheme, isDark } from "../host/theme.js";
import { openWidget } from "../host/widget.js";
import { wordsOf } from "../host/words.js";
import { makePlay } from "./play.js";
import { makeTyping } from "./typing.js";

/** The site's own folder, with a slash at its end: this module lies in one of its folders. */
const SITE = new URL("..", import.meta.url).href;
const byId = (name) => document.getElementById(name);
const say = (sentence) => (byId("state").textContent = sentence);

followTheme();
byId("theme").addEventListener("click", () => {
  const theme = isDark() ? "light" : "dark";
  document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem("theme", theme);
    localStorage.setItem("mode", theme); // the lessons' pages read both
  } catch {} // a browser may refuse to keep anything
});

async function start() {
  const [answer, words] = await Promise.all([fetch(`${SITE}recorded.json`), wordsOf(SITE)]);
  if (!answer.ok)
    throw new Error(
      t("The recorded trace could not be fetched ({status}); load the page again.", { status: answer.status }),
    );
  const view = await answer.json();
  view.traits.words = words;
  // The page has a box of its own for texts.
  view.traits.can_ask = view.traits.can_apply = false;
  /** @type {ReturnType<typeof makeTyping>} */
  let typing;
  const kernel = () => ({ message: (content) => typing.message(content) });
  const place = /** @type {HTMLElement} */ (byId("router").firstElementChild);
  const { model } = await openWidget(place, view, { front: `${SITE}widgets/`, kernel });
  const field = /** @type {HTMLTextAreaElement} */ (byId("text"));
  const buttons = /** @type {HTMLButtonElement[]} */ ([...document.querySelectorAll(".prompts [data-text]")]);
  typing = makeTyping({ model, field, say, buttons });
  const write = /** @type {HTMLButtonElement} */ (byId("write"));
  write.addEventListener("click", () => typing.writeOn(write));
  const play = makePlay({ model, root: place, prompts: buttons.map((button) => button.dataset.text), typing });
  byId("play").addEventListener("click", play.open);
  // On its way down: the router lets no key out, which JupyterLab would take for its own.
  const onKey = (event) => {
    const writes = event.target.matches("textarea, select, input:not([type=range], [type=checkbox])");
    if (event.key === "f" && !writes && !event.ctrlKey && !event.metaKey && !event.altKey) play.toggle();
  };
  document.addEventListener("keydown", onKey, true);
  document.documentElement.dataset.ready = "recorded";
  // The first thing that a visitor sees is tokens that fall; whoever wants no motion presses the button.
  if (!matchMedia("(prefers-reduced-motion: reduce)").matches) play.once();
  // The model is large: it comes when all of the page stands and has been painted, and takes nothing from that.
  const painted = () => requestAnimationFrame(() => requestAnimationFrame(() => fetchModel(typing)));
  if (document.readyState === "complete") painted();
  else addEventListener("load", painted, { once: true });
}

async function fetchModel(typing) {
  const bar = /** @type {HTMLProgressElement} */ (byId("coming"));
  try {
    bar.hidden = false;
    const answering = import("../answers/index.js"); // beside the weights, not after them
    const { courseModel } = await import("../host/course_model.js");
    const course = await courseModel(`${SITE}model/`, (share) => {
      bar.value = share;
      if (share < 1)
        say(t("A recorded sentence. The model is on its way: {share}%", { share: Math.floor(100 * share) }));
    });
    typing.wake(course, await answering);
    /** @type {HTMLButtonElement} */ (byId("write")).disabled = false;
    document.documentElement.dataset.ready = "model";
  } catch (error) {
    console.error(error);
    // A browser's own words for a lost connection say nothing to a reader.
    const why = error instanceof TypeError ? t("Check the connection and load the page again.") : error.message;
    typing.giveUp(`${t("The model did not come, so only the recorded sentence is here.")} ${why}`);
  } finally {
    bar.hidden = true;
  }
}

start().catch((error) => {
  console.error(error);
  say(`${t("The picture did not start.")} ${error.message}`);
});
