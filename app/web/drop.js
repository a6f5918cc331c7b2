/** Files that are dropped anywhere on the page, or pasted. */

/** @type {((files: File[]) => void) | null} */
let take = null;
let words = "";

/** Say what becomes of dropped files. @param {string} sentence @param {(files: File[]) => void} taker */
export function onDrop(sentence, taker) {
  take = taker;
  words = sentence;
}

/** Refuse dropped files. */
export function noDrop() {
  take = null;
}

/** Begin to listen. */
export function listenForDrops() {
  const veil = document.getElementById("drop-veil");
  const show = (/** @type {boolean} */ shown) => {
    veil?.classList.toggle("shown", shown && take !== null);
    const line = veil?.querySelector("p");
    if (line) line.textContent = words;
  };
  const hasFiles = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes("Files") ?? false;
  addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault(); // else the browser opens the file in place of the page
    show(true);
  });
  addEventListener("dragleave", (event) => event.relatedTarget ?? show(false));
  addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    show(false);
    give([...(event.dataTransfer?.files ?? [])]);
  });
  addEventListener("paste", (event) => give([...(event.clipboardData?.files ?? [])]));
}

/** @param {File[]} files */
function give(files) {
  if (files.length && take) take(files);
}
