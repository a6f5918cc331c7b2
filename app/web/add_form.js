/** Adding to the index: files that are dropped or chosen, or a sentence. */

import { api, Problem } from "./api.js";
import { complain, fill, h, toast } from "./dom.js";

const ACCEPT = "audio/*,video/*,image/*";

/** Return the form. @param {{onAdded: (item: import("./api.js").Item) => void}} options */
export function addForm({ onAdded }) {
  const id = h("input", { name: "id", autocomplete: "off", placeholder: "the file's name", maxlength: 255 });
  const text = h("input", { name: "text", autocomplete: "off", placeholder: "waves break on a beach" });
  const metadata = h(
    "textarea",
    { name: "metadata", rows: 2, spellcheck: "false", placeholder: '{"title": "My dog", "album": "farm"}' },
  );
  const files = h(
    "input",
    {
      type: "file",
      multiple: true,
      accept: ACCEPT,
      "aria-label": "Files to add",
      onchange: () => take([...files.files]),
    },
  );
  const doing = h("ul", { class: "doing", "aria-live": "polite" });
  const element = h(
    "form",
    { class: "panel add", onsubmit: submit },
    h(
      "label",
      { class: "drop-place" },
      h("b", {}, "Drop files here"),
      h("span", { class: "soft" }, "or choose clips, sounds or pictures"),
      files,
    ),
    h(
      "div",
      { class: "fields" },
      h("label", {}, h("span", {}, "A sentence instead"), text),
      h("label", {}, h("span", {}, "Id"), id),
      h("label", { class: "wide" }, h("span", {}, "Metadata, as JSON"), metadata),
      h("button", { type: "submit", class: "primary" }, "Add sentence"),
    ),
    doing,
  );

  /** @param {Event} event */
  function submit(event) {
    event.preventDefault();
    const sentence = text.value.trim();
    if (!sentence) return complain(text, "Enter a sentence, or choose files");
    add(id.value.trim() || sentence.replaceAll(/[/\\]/g, "-").slice(0, 255), { text: sentence });
  }

  /** @param {File[]} given */
  async function take(given) {
    const own = given.length === 1 ? id.value.trim() : "";
    for (const file of given) await add(own || file.name.replace(/\.[^.]+$/, ""), { file });
    files.value = "";
  }

  /** @param {string} name @param {{file?: File, text?: string}} what */
  async function add(name, what, replace = false) {
    const given = metadataOf(metadata);
    if (!given) return;
    const line = h("li", {}, h("span", { class: "spinner", "aria-hidden": "true" }), `Adding ${name} …`);
    doing.append(line);
    try {
      const item = await api.add(name, { ...what, metadata: given, replace });
      line.remove();
      id.value = text.value = "";
      toast(`Added ${name}`);
      onAdded(item);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      const again = error.status === 409 ? h(
        "button",
        { type: "button", class: "small", onclick: () => (line.remove(), add(name, what, true)) },
        "Replace",
      ) : null;
      fill(
        line,
        h("span", { class: "bad-text" }, `${name}: ${error.message}`),
        again,
        h("button", { type: "button", class: "small", onclick: () => line.remove() }, "Dismiss"),
      );
    }
  }
  return { element, take };
}

/** Return the object in a field, {} where it is empty; null where it is none, which the field then says.
 * @param {HTMLTextAreaElement} field @returns {Record<string, unknown> | null} */
function metadataOf(field) {
  field.setCustomValidity("");
  try {
    const value = JSON.parse(field.value.trim() || "{}");
    if (value && typeof value === "object" && !Array.isArray(value)) return value;
  } catch {
    // said below
  }
  complain(field, 'Enter a JSON object, such as {"album": "farm"}');
  return null;
}
