// The course's model for all that is on a page: fetched once, when it is first needed, and heard of while it comes.

import { breath } from "../../widgets/shared/common.js";
import { t } from "../../widgets/shared/language.js";
import { download, readModelInSteps } from "../model/index.js";

/** @type {Promise<import("../model/index.js").Model> | undefined} */
let coming;
let progress = 0;
/** @type {Set<(share: number) => void>} */
const waiting = new Set();

/**
 * The course's sparse model. Each caller may hear what share has come; what failed is tried again when next asked.
 * @param {string} folder where the checkpoint and the tokenizer lie, with a slash at its end
 * @param {(share: number) => void} [onProgress]
 */
export function courseModel(folder, onProgress) {
  if (onProgress) waiting.add(onProgress), onProgress(progress);
  coming ??= fetchModel(folder).catch((error) => {
    coming = undefined;
    throw error;
  });
  return coming;
}

async function fetchModel(folder) {
  const tokenizer = fetchText(`${folder}tokenizer.json`);
  tokenizer.catch(() => {}); // said below, after what is asked first
  const { file, size } = JSON.parse(await fetchText(`${folder}checkpoint.json`));
  const onProgress = (received, total) => {
    progress = received / (total || size);
    for (const tell of waiting) tell(Math.min(1, progress));
  };
  const bytes = await download(`${folder}${file}`, { onProgress, size, cacheName: "moe-lessons" });
  return readModelInSteps(bytes, await tokenizer, "course-moe", breath);
}

async function fetchText(address) {
  const answer = await fetch(address);
  if (!answer.ok)
    throw new Error(t("The model could not be fetched ({status}); load the page again.", { status: answer.status }));
  return answer.text();
}
