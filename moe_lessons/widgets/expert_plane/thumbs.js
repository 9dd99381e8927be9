// ExpertPlane's small pictures, one for each run: they are the choice of the run, too.

import { element } from "../shared/common.js";
import { walkRadios } from "../shared/habits.js";
import { t } from "../shared/language.js";
import { expertPixels, survey } from "./rule.js";

const SMALL = 52; // squares along one side

export function makeThumbs({ model, runs, rgb, extent, put }) {
  const root = element("div", {
    class: "moe-runs",
    role: "radiogroup",
    "aria-label": t("Runs"),
    hidden: runs.length < 2 && "",
  });
  const thumbs = runs.map((one, i) => {
    const canvas = element("canvas", { width: SMALL, height: SMALL });
    const loss = element("small");
    const pick = element(
      "button",
      { type: "button", role: "radio", onclick: () => put("run", i) },
      canvas,
      element("span", {}, one.name),
      loss,
    );
    return { canvas, loss, pick, image: new ImageData(SMALL, SMALL) };
  });
  root.append(...thumbs.map((thumb) => thumb.pick));
  walkRadios(
    root,
    thumbs.map((thumb) => thumb.pick),
    () => model.get("run"),
    (i) => put("run", i),
  );

  const paint = (moment) =>
    thumbs.forEach(({ canvas, loss, pick, image }, i) => {
      expertPixels(survey(runs[i], moment, SMALL, extent), rgb, image.data);
      canvas.getContext("2d").putImageData(image, 0, 0);
      loss.textContent = t("loss {loss}", { loss: runs[i].loss[moment].toFixed(2) });
      pick.setAttribute("aria-checked", String(i === model.get("run")));
      pick.tabIndex = i === model.get("run") ? 0 : -1;
    });
  return { root, paint };
}
