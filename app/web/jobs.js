/** The jobs view: folders of the server that are indexed in the background. */

import { api } from "./api.js";
import { announce, clock, count, fill, h, toast } from "./dom.js";
import { problemNote } from "./problem.js";

/** @typedef {import("./api.js").Job} Job */

const RUNNING = ["queued", "running"];

/** What tells how running jobs go on, by their ids. @type {Map<string, EventSource>} */
const watched = new Map();

/** Listen to no job any more. */
export function stopWatching() {
  for (const events of watched.values()) events.close();
  watched.clear();
}

/** Show the view. @param {Element} main */
export async function showJobs(main) {
  const list = h("ul", { class: "jobs", "aria-label": "Jobs" }, h("li", { class: "bone" }));
  const said = h("div", {});
  const form = h(
    "form",
    { class: "panel job-form", onsubmit: (/** @type {Event} */ event) => start(event, form, { list, said }) },
    h(
      "p",
      { class: "soft" },
      "Index a folder below the server's media root in the background. Unchanged files are skipped.",
    ),
    h(
      "div",
      { class: "fields" },
      h(
        "label",
        {},
        h("span", {}, "Folder"),
        h("input", { name: "folder", autocomplete: "off", placeholder: "whole media root" }),
      ),
      h(
        "label",
        {},
        h("span", {}, "Or manifest"),
        h("input", { name: "manifest", autocomplete: "off", placeholder: "clips.csv" }),
      ),
      h("button", { type: "submit", class: "primary" }, "Start indexing"),
    ),
    said,
  );
  fill(main, h("h1", {}, "Jobs"), form, list);
  try {
    if (!(await api.model()).takes_jobs) form.replaceWith(off());
    const { jobs } = await api.jobs();
    fill(list, jobs.length ? jobs.map((job) => watch(h("li", {}), job)) : h("li", { class: "empty" }, "No jobs yet."));
  } catch (error) {
    fill(list, h("li", {}, problemNote(error)));
  }
}

/** Return why no job can be started. */
const off = () =>
  h(
    "div",
    { class: "notice warn" },
    h("h2", {}, "Jobs are off"),
    h("p", {}, "Start the server with SRCID_MEDIA_ROOT set to the folder that jobs may read."),
  );

/** @param {Event} event @param {HTMLFormElement} form @param {{list: HTMLElement, said: HTMLElement}} places */
async function start(event, form, { list, said }) {
  event.preventDefault();
  const data = new FormData(form);
  const manifest = String(data.get("manifest")).trim();
  fill(said);
  try {
    const job = await api.startJob(manifest ? { manifest } : { folder: String(data.get("folder")).trim() });
    list.querySelector(".empty")?.remove();
    list.prepend(watch(h("li", {}), job));
  } catch (error) {
    fill(said, problemNote(error));
  }
}

/** Keep `row` up to date with a job. @param {HTMLElement} row @param {Job} job */
function watch(row, job) {
  show(row, job);
  if (!RUNNING.includes(job.state)) return row;
  const events = api.watchJob(job.id);
  watched.set(job.id, events);
  events.addEventListener("message", ({ data }) => {
    const now = /** @type {Job} */ (JSON.parse(data));
    show(row, now);
    if (RUNNING.includes(now.state)) return;
    events.close(); // else the browser asks again
    watched.delete(job.id);
    announce(`Job ${now.state}: ${summary(now)}`);
    dispatchEvent(new Event("srcid:items"));
  });
  return row;
}

/** @param {Job} job */
const doneOf = (job) => job.indexed + job.unchanged + job.failed;

/** @param {Job} job */
function summary(job) {
  const parts = [`${job.indexed} indexed`];
  if (job.unchanged) parts.push(`${job.unchanged} unchanged`);
  if (job.failed) parts.push(`${job.failed} failed`);
  return parts.join(", ");
}

/** @param {HTMLElement} row @param {Job} job */
function show(row, job) {
  const isRunning = RUNNING.includes(job.state);
  const was = /** @type {HTMLDetailsElement | null} */ (row.querySelector("details"));
  const hadFocus = row.contains(document.activeElement);
  row.className = "panel job";
  row.dataset.state = job.state;
  const name = job.request.manifest ?? (job.request.folder || "the whole media root");
  const button = h(
    "button",
    { type: "button", class: "small", onclick: () => cancel(row, job) },
    isRunning ? "Cancel" : "Remove",
  );
  fill(
    row,
    h("header", {}, h("h2", {}, name), h("span", { class: `badge ${job.state}` }, job.state), button),
    h(
      "progress",
      {
        "aria-label": `Progress of ${name}`,
        max: Math.max(1, job.total ?? 1),
        value: isRunning && job.total === null ? null : doneOf(job) || (isRunning ? 0 : 1),
      },
    ),
    h(
      "p",
      { class: "soft" },
      [
        job.total === null ? "counting files" : `${doneOf(job)} of ${count(job.total, "file")}: ${summary(job)}`,
        ...(isRunning ? pace(job) : []),
      ].join(" · "),
    ),
    job.detail ? h("p", { class: "bad-text" }, job.detail) : null,
    job.failures.length ? h(
      "details",
      { open: was?.open ?? false },
      h("summary", {}, count(job.failed, "failure")),
      h(
        "ul",
        { class: "failures" },
        job.failures.map(
          (own) => h("li", {}, h("span", { class: "mono" }, own.path), " ", h("span", { class: "soft" }, own.detail)),
        ),
      ),
    ) : null,
  );
  if (hadFocus) button.focus();
}

/** @param {Job} job */
function pace(job) {
  const parts = [];
  if (job.files_per_second !== null) parts.push(`${job.files_per_second.toFixed(1)} files/s`);
  if (job.seconds_left !== null) parts.push(`${clock(job.seconds_left)} left`);
  return parts;
}

/** @param {HTMLElement} row @param {Job} job */
async function cancel(row, job) {
  try {
    await api.cancelJob(job.id);
    if (!RUNNING.includes(job.state)) row.remove();
  } catch (error) {
    toast(error instanceof Error ? error.message : String(error), "bad");
  }
}
