// What widgets and pages say in the language of the page; English ones fetch nothing. A lesson that is not translated
// stands in an article that says so by its `lang`.

import { speak } from "../../widgets/shared/language.js";

/**
 * The translations of a page, by the English text; from here on its own code speaks them, too.
 * @param {string} site the site's folder, with a slash at its end
 * @returns {Promise<Record<string, string>>}
 */
export async function wordsOf(site) {
  const { lang } =
    /** @type {HTMLElement | null} */ (document.querySelector("article[lang]")) ?? document.documentElement;
  if (!lang || lang === "en") return {};
  try {
    const answer = await fetch(`${site}languages/${lang}.json`);
    const words = answer.ok ? await answer.json() : {};
    speak({ get: () => words });
    return words;
  } catch (error) {
    console.error(error); // a page that speaks English is better than none
    return {};
  }
}
