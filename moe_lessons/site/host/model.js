// A widget's model on a page without a kernel: the six calls of anywidget's protocol that front ends may use.

/**
 * What stands in for the kernel. Both may be left out.
 * @typedef {object} Kernel
 * @property {(content: any) => void} [message] the front end sent this
 * @property {(names: string[]) => void} [saved] the front end saved these traits
 */

/** Whether two traits are the same to a listener; bytes are compared by identity, everything else is JSON. */
function same(a, b) {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || !a || !b || ArrayBuffer.isView(a) || ArrayBuffer.isView(b))
    return Number.isNaN(a) && Number.isNaN(b);
  return JSON.stringify(a) === JSON.stringify(b);
}

/**
 * A model that holds these traits. `receive` is the kernel's side: it changes traits as a message of the kernel does,
 * all of them before the first listener hears of one.
 * @param {Record<string, any>} traits
 * @param {Kernel} kernel
 */
export function makeModel(traits, kernel = {}) {
  const values = { ...traits };
  const unsaved = new Set();
  /** @type {Map<string, Set<Function>>} */
  const listeners = new Map();
  const emit = (event, ...facts) => {
    for (const handler of [...(listeners.get(event) ?? [])]) {
      try {
        handler(...facts);
      } catch (error) {
        console.error(error); // one listener's mistake must not keep the others from hearing
      }
    }
  };

  const model = {
    get: (name) => values[name],
    set(name, value) {
      if (same(values[name], value)) return;
      values[name] = value;
      unsaved.add(name);
      emit(`change:${name}`, model, value);
      emit("change", model);
    },
    save_changes() {
      const names = [...unsaved];
      unsaved.clear();
      if (names.length) kernel.saved?.(names);
    },
    on(event, handler) {
      for (const name of event.split(" ")) listeners.set(name, (listeners.get(name) ?? new Set()).add(handler));
    },
    /** Without a handler, all of the event's; without an event, all there are. */
    off(event, handler) {
      if (!event) listeners.clear();
      else for (const name of event.split(" ")) handler ? listeners.get(name)?.delete(handler) : listeners.delete(name);
    },
    // As a kernel does, it answers when the sender has gone on: who waits for an answer notes so after sending.
    send: (content) => queueMicrotask(() => kernel.message?.(content)),
    receive(changes) {
      const news = Object.entries(changes).filter(([name, value]) => !same(values[name], value));
      for (const [name, value] of news) values[name] = value;
      for (const [name, value] of news) emit(`change:${name}`, model, value);
      if (news.length) emit("change", model);
    },
  };
  return model;
}
