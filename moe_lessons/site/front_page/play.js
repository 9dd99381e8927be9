// Play mode: the front page full screen, in a loop that a teacher can leave running.

const LOOK = 2500; // ms to read a picture before something changes
const [NEW, SLOW] = [16, 180]; // tokens that the model writes to a prompt, and the ms in which a reader follows one
const FALL = 12000; // ms that tokens get to fall through all layers, where nothing says that they are done

const TALL = 900; // px
const PANELS = ["layers", "load", "scores"]; // what a tall wall shows, too, as far as it has room

const pause = (ms, signal) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve(undefined)), { once: true });
  });

/** The expert that most tokens choose in the layer that is shown; read from the recorded or routed trace. */
export function busiest({ facts, arrays, layer }) {
  const { layers, tokens, experts, rule } = facts;
  const each = tokens * rule.top_k;
  const start = arrays.byteOffset + arrays.byteLength - 2 * layers.length * each + 2 * layers.indexOf(layer) * each;
  const chosen = new Uint16Array(arrays.buffer.slice(start, start + 2 * each));
  const load = new Array(experts).fill(0);
  for (const expert of chosen) load[expert]++;
  return load.indexOf(Math.max(...load));
}

/**
 * @param {object} parts
 * @param {any} parts.model the RouterView's
 * @param {HTMLElement} parts.root where it stands
 * @param {string[]} parts.prompts
 * @param {ReturnType<typeof import("./typing.js").makeTyping>} parts.typing
 */
export function makePlay({ model, root, prompts, typing }) {
  /** @type {AbortController | undefined} */
  let running;
  const put = (changes) => {
    for (const [name, value] of Object.entries(changes)) model.set(name, value);
    model.save_changes();
  };
  const button = () => /** @type {HTMLButtonElement | null} */ (root.querySelector("button.moe-play"));
  const plays = () => Boolean(button()?.dataset.plays);

  /** Let the tokens fall through the first layer alone. */
  const once = () => {
    const [, second] = model.get("facts").layers;
    // Not at once: the film changes the layer in the middle of a step.
    const rest = () => model.get("layer") === second && setTimeout(() => plays() && button().click());
    button()?.click();
    model.on("change:layer", rest);
    // The next press, this one's or the hand's, ends it: a film that somebody starts goes on to its end.
    button()?.addEventListener("click", () => model.off("change:layer", rest), { once: true });
  };

  /** Let the tokens fall, layer after layer; a view without a film steps through its layers. */
  const fall = async (signal) => {
    if (button()) {
      if (!plays()) button().click();
      for (let waited = 0; waited < FALL && plays() && !signal.aborted; waited += 100) await pause(100, signal);
      if (plays()) button().click();
      return;
    }
    for (const layer of model.get("facts").layers) {
      if (signal.aborted) return;
      put({ layer });
      await pause(LOOK, signal);
    }
  };

  /** Close the last panels until nothing is below the edge: here nobody scrolls. */
  const fit = async (signal) => {
    while (changed && !signal.aborted && document.body.scrollHeight > innerHeight && model.get("panels").length) {
      put({ panels: model.get("panels").slice(0, -1) });
      await pause(100, signal); // a view draws in its next frame
    }
  };

  const loop = async (signal) => {
    for (let turn = 0; !signal.aborted; turn++) {
      typing.choose(prompts[turn % prompts.length]);
      await pause(100, signal);
      await fit(signal);
      await pause(LOOK, signal);
      if (typing.isAwake() && !signal.aborted) await typing.write(NEW, SLOW);
      await fit(signal);
      await pause(LOOK, signal);
      await fall(signal);
      const [facts, arrays, layer] = ["facts", "arrays", "layer"].map(model.get);
      if (signal.aborted) return;
      const off = [busiest({ facts, arrays, layer })];
      if (typing.isAwake())
        typing.message({ apply: { off } }); // the loss answers
      else put({ off });
      await pause(2 * LOOK, signal);
      put({ off: [] });
      await pause(LOOK, signal);
    }
  };

  let lock;
  let [before, changed] = [[], false];
  const open = async () => {
    if (running) return;
    running = new AbortController();
    const { signal } = running;
    document.body.classList.add("playing");
    try {
      await document.documentElement.requestFullscreen();
      lock = await navigator.wakeLock?.request("screen"); // so that a projector does not go dark
    } catch {} // a frame or a browser may refuse: then the page alone is all that is filled
    if (signal.aborted) return;
    // A tall wall has room for more than the flow.
    if (innerHeight > TALL && model.get("panels")) [before, changed] = [model.get("panels"), true];
    if (changed) put({ panels: PANELS });
    loop(signal);
  };
  const close = () => {
    running?.abort();
    running = undefined;
    typing.stop();
    document.body.classList.remove("playing");
    lock?.release().catch(() => {});
    if (plays()) button().click();
    put({ off: [], ...(changed && { panels: before }) });
    changed = false;
    if (document.fullscreenElement) document.exitFullscreen().catch(() => {});
  };
  document.addEventListener("fullscreenchange", () => document.fullscreenElement || !running || close());
  document.addEventListener("keydown", (event) => event.key === "Escape" && running && close(), true);
  return { once, open, close, toggle: () => (running ? close() : open()) };
}
