// A lesson's page: every recorded widget on it comes to life when it is about to be seen.

import { t } from "../../widgets/shared/language.js";
import { keeping } from "./predictions.js";
import { followTheme } from "./theme.js";
import { openWidget } from "./widget.js";
import { wordsOf } from "./words.js";

/** The site's own folder, with a slash at its end: this module lies in one of its folders. */
const SITE = new URL("..", import.meta.url).href;
const AHEAD = "800px"; // below and above the window, so that a reader meets a widget that is there already

/** @param {HTMLElement} place @param {Record<string, string>} words the widgets' own, in the page's language */
async function bringToLife(place, words) {
  const note = /** @type {HTMLElement} */ (place.querySelector(".moe-host-note"));
  const picture = /** @type {HTMLElement} */ (place.querySelector(".moe-host-widget"));
  const say = (sentence) => ((note.textContent = sentence), (note.hidden = !sentence));
  try {
    const answer = await fetch(place.dataset.state);
    if (!answer.ok)
      throw new Error(
        t("This picture's state could not be fetched ({status}); load the page again.", { status: answer.status }),
      );
    const state = await answer.json();
    state.traits.words = words;
    const load = async () => {
      const { courseModel } = await import("./course_model.js");
      const course = await courseModel(`${SITE}model/`, (share) =>
        say(share < 1 ? t("The model is on its way: {share}%", { share: Math.floor(100 * share) }) : ""),
      );
      say("");
      return course;
    };
    const kernel = (model) => {
      if (state.name === "PredictionView") return keeping(model);
      const asked = {};
      // What answers is fetched with the first question: most readers never ask one.
      const answers = () => import("./answering.js").then(({ answering }) => answering(state.name, model, load));
      let known;
      asked.message = async (content) => (await (known ??= answers())).message?.(content);
      asked.saved = async (names) => (await (known ??= answers())).saved?.(names);
      return state.name === "RouterView" || state.name === "TokenView" ? asked : {};
    };
    const fresh = document.createElement("div");
    // The old picture stands until the new one is drawn behind it, so that the page does not jump.
    fresh.classList.add("moe-host-fresh");
    picture.after(fresh);
    await openWidget(fresh, state, { front: `${SITE}widgets/`, kernel });
    fresh.classList.remove("moe-host-fresh"); // this one alone: the widget has given the element names of its own
    picture.remove();
    place.dataset.live = "yes";
  } catch (error) {
    console.error(error);
    say(`${t("The live picture did not start; what you see is its still.")} ${error.message}`);
  }
}

async function start() {
  followTheme();
  const words = await wordsOf(SITE);
  const seen = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) {
        if (!isIntersecting) continue;
        seen.unobserve(target);
        bringToLife(/** @type {HTMLElement} */ (target), words);
      }
    },
    { rootMargin: AHEAD },
  );
  for (const place of document.querySelectorAll(".moe-host[data-state]")) seen.observe(place);
}

start();
