// The course's model for all that is on a page: fetched once, when it is first needed, and heard of while it comes.

import { download, readModel } from "../model/index.js";

/** @type {Promise<import("../model/index.js").Model> | undefined} */
let coming;
let progress = 0;
/** @type {Set<(share: number) => void>} */
const waiting = new Set();

/**
 * The course's sparse model. Each caller may hear what share has come; a failed download is tried again when next asked.
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
  const { file, size } = await fetchJson(`${folder}checkpoint.json`);
  const onProgress = (received, total) => {
    progress = received / (total || size);
    for (const tell of waiting) tell(Math.min(1, progress));
  };
  const [bytes, tokenizer] = await Promise.all([
    download(`${folder}${file}`, { onProgress, size }),
    fetchText(`${folder}tokenizer.json`),
  ]);
  return readModel(bytes, tokenizer, "course-moe");
}

async function fetchText(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`The model could not be fetched (${answer.status}); load the page again.`);
  return answer.text();
}

async function fetchJson(address) {
  return JSON.parse(await fetchText(address));
}
