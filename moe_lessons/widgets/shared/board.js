// What the boards beside a training loop share in the browser.

import { listen } from "./common.js";

/**
 * A board's front end. One store for each model holds its runs; it listens from the start, also before a view is on the
 * page. `read` makes the runs of a whole history, `merge` adds what one run gained to them and says whether it did,
 * `render` draws; the store's `version` grows with each message.
 */
export function board(read, merge, render) {
  return () => {
    const store = { runs: [], views: new Set(), version: 0 };
    const redraw = () => (store.version++, store.views.forEach((draw) => draw()));
    return {
      initialize({ model }) {
        const whole = () => ((store.runs = read(model.get("history"))), redraw());
        whole();
        return listen(model, {
          "change:history": whole,
          "change:news": () => merge(store.runs, model.get("news")) && redraw(),
        });
      },
      render: (context) => render(context, store),
    };
  };
}
