/** Asks for an API key, where the service wants one. */

import { useKey } from "./api.js";
import { h } from "./dom.js";

/** @type {Promise<boolean> | null} */
let asking = null;
let isRefused = false; // then a note offers to give one after all

/** Ask once, however many calls need it. @param {import("./api.js").Problem} problem @returns {Promise<boolean>} */
export function askForKey(problem) {
  if (isRefused) return Promise.resolve(false);
  asking ??= ask(problem).finally(() => (asking = null));
  return asking;
}

/** @param {import("./api.js").Problem} problem @returns {Promise<boolean>} whether a key was given */
function ask(problem) {
  return new Promise((resolve) => {
    const input = h("input", { type: "password", name: "key", required: true, autocomplete: "current-password" });
    const dialog = h(
      "dialog",
      { class: "ask", "aria-labelledby": "key-title" },
      h(
        "form",
        {
          method: "dialog",
          onsubmit: () => {
            useKey(input.value.trim());
            dialog.returnValue = "given";
          },
        },
        h("h2", { id: "key-title" }, "API key"),
        h("p", { class: "soft" }, problem.message),
        h("label", {}, h("span", {}, "Key"), input),
        h("p", { class: "soft" }, "Kept until you close the browser."),
        h(
          "div",
          { class: "actions" },
          h("button", { class: "primary", value: "given" }, "Use key"),
          h("button", { type: "button", onclick: () => dialog.close("") }, "Not now"),
        ),
      ),
    );
    dialog.addEventListener("close", () => {
      isRefused = dialog.returnValue !== "given";
      resolve(!isRefused);
      dialog.remove();
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
