/** What went wrong, in the words of the service. */

import { Problem } from "./api.js";
import { announce, h } from "./dom.js";

/** Return a note about an error; other mistakes than the service's are ours, and shown as such. @param {unknown} error */
export function problemNote(error) {
  if (!(error instanceof Problem)) throw error;
  announce(`${error.title}. ${error.message}`);
  const again = error.status === 401 ? h(
    "button",
    { type: "button", onclick: () => location.reload() },
    "Enter API key",
  ) : null;
  return h("div", { class: "notice bad" }, h("h2", {}, error.title), h("p", {}, error.message), again);
}
