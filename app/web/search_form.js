/** The form of the search view: the sentence, the clip, and options that are tucked away. */

import { h, icon } from "./dom.js";
import { knownLayers } from "./timeline.js";

const ACCEPT = "audio/*,video/*,image/*";

/**
 * Return the form, filled with what the address says.
 * @param {URLSearchParams} params
 * @param {{isAboutMedia: boolean}} options whether the query is a clip or an item: no sentence is needed
 */
export function searchForm(params, { isAboutMedia }) {
  const targets = params.getAll("targets");
  const touched = ["layers", "score", "k", "threshold"].some((name) => params.has(name));
  return h(
    "form",
    { class: "search", role: "search", novalidate: true },
    h(
      "div",
      { class: "search-bar" },
      icon("search"),
      h("label", { class: "unseen", for: "q" }, "Search query"),
      h("input", {
        id: "q",
        name: "q",
        type: "search",
        autocomplete: "off",
        enterkeyhint: "search",
        placeholder: isAboutMedia ? "Search by a sentence instead" : "a dog barks by the sea",
        value: params.get("q") ?? "",
      }),
      h(
        "label",
        { class: "button quiet file", title: "Search by clip, sound or picture" },
        icon("clip"),
        h("span", {}, "Clip"),
        h(
          "input",
          { type: "file", name: "file", accept: ACCEPT, "aria-label": "Search by clip, sound or picture" },
        ),
      ),
      h("button", { type: "submit", class: "primary" }, "Search"),
    ),
    h(
      "div",
      { class: "search-line" },
      h(
        "fieldset",
        { class: "segments" },
        h("legend", { class: "unseen" }, "What to find"),
        choice("video", "Video", targets),
        choice("audio", "Sound", targets),
        choice("text", "Text", targets),
      ),
      h(
        "label",
        { class: "without" },
        h("span", {}, "without"),
        h(
          "input",
          { name: "without", autocomplete: "off", placeholder: "a sentence", value: params.get("without") ?? "" },
        ),
      ),
    ),
    h(
      "details",
      { class: "options", open: touched },
      h("summary", {}, "More options"),
      h(
        "div",
        { class: "fields" },
        select(
          "score",
          "Compare by",
          params.get("score"),
          [["mean", "mean of all seconds"], ["max", "best second"], ["window", "best three seconds"]],
        ),
        knownLayers().length > 1 && select("layers", "Layers", params.get("layers"), [
          ["both", "both"],
          .../** @type {[string, string][]} */ (knownLayers().map((layer) => [String(layer), `layer ${layer} only`])),
        ]),
        select("k", "Max results", params.get("k"), [["10", "10"], ["20", "20"], ["50", "50"]]),
        h(
          "label",
          {},
          h("span", {}, "Minimum score"),
          h(
            "input",
            {
              name: "threshold",
              type: "number",
              min: -1,
              max: 1,
              step: 0.05,
              placeholder: "any",
              value: params.get("threshold") ?? "",
            },
          ),
        ),
      ),
    ),
  );
}

/** @param {string} value @param {string} text @param {string[]} chosen */
function choice(value, text, chosen) {
  return h(
    "label",
    {},
    h("input", { type: "checkbox", name: "targets", value, checked: chosen.includes(value) }),
    h("span", {}, text),
  );
}

/** @param {string} name @param {string} text @param {string | null} chosen @param {[string, string][]} values */
function select(name, text, chosen, values) {
  const options = values.map(([value, shown]) => h("option", { value, selected: value === chosen }, shown));
  return h("label", {}, h("span", {}, text), h("select", { name }, options));
}

/**
 * @param {HTMLFormElement} form
 * @param {{onSubmit: (fields: Record<string, string | string[]>) => void, onFile: (file: File) => void}} listeners
 */
export function listenToForm(form, { onSubmit, onFile }) {
  const submit = () => onSubmit(fieldsOf(form));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  form.addEventListener("change", (event) => {
    const { target } = event;
    if (target instanceof HTMLInputElement && target.type === "file") {
      if (target.files?.[0]) onFile(target.files[0]);
    } else if (target instanceof HTMLSelectElement || (target instanceof HTMLInputElement && target.type === "checkbox")) {
      submit();
    }
  });
}

/** Return what the form says, without what is so anyway. @param {HTMLFormElement} form */
function fieldsOf(form) {
  const data = new FormData(form);
  const usual = { layers: "both", score: "mean", k: "10" };
  /** @type {Record<string, string | string[]>} */
  const fields = { q: String(data.get("q")).trim(), targets: data.getAll("targets").map(String) };
  for (const name of ["without", "layers", "score", "k", "threshold"]) {
    const asUsual = usual[/** @type {keyof typeof usual} */ (name)];
    const value = String(data.get(name) ?? asUsual).trim(); // a checkpoint of one layer has no choice of them
    if (value !== asUsual) fields[name] = value;
  }
  return fields;
}
