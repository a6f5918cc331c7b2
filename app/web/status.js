/** What is served and whether it is ready, in the corner of the page. */

import { api, Problem } from "./api.js";
import { count, fill, h } from "./dom.js";

const EVERY_SECONDS = 15;
const ANSWER_SECONDS = 5; // a server that hangs says nothing

/** Keep the line up to date. @param {(model: import("./api.js").Model) => void} onModel called with what is served */
export function watchStatus(onModel) {
  const place = /** @type {HTMLElement} */ (document.getElementById("status"));
  let fingerprint = "";
  let said = "";

  async function look() {
    try {
      const model = await api.model(ANSWER_SECONDS);
      if (model.fingerprint !== fingerprint) onModel(model);
      fingerprint = model.fingerprint;
      await api.ready(ANSWER_SECONDS);
      tell("good", "ready", model);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      tell("bad", error.title.toLowerCase(), null, error.message);
    }
  }

  /** @param {string} kind @param {string} word @param {import("./api.js").Model | null} model @param {string} [detail] */
  function tell(kind, word, model, detail) {
    const line = `${word}${model ? ` · ${count(model.num_items, "item")}` : ""}`;
    if (line === said) return; // a screen reader would say it again
    said = line;
    place.title = detail ?? `${model?.checkpoint}, fingerprint ${model?.fingerprint}`;
    const which = model ? h(
      "span",
      { class: "mono fingerprint" },
      `${model.checkpoint.split("/").at(-1)} ${model.fingerprint.slice(0, 6)}`,
    ) : null;
    fill(place, h("span", { class: `dot ${kind}`, "aria-hidden": "true" }), h("span", {}, line), which);
  }

  setInterval(() => document.visibilityState === "visible" && look(), 1000 * EVERY_SECONDS);
  addEventListener("srcid:items", look); // some were added or deleted
  addEventListener("srcid:lost", look); // a call had no answer
  return look();
}
