/** Media of an item: a picture, or a player that can be sent to a second. One plays at a time. */

import { api } from "./api.js";
import { h, icon } from "./dom.js";

/** @typedef {{id: string, has_media: boolean, has_thumbnail: boolean, streams: Record<string, {codes: number[][]}>,
 *   duration_seconds: number | null}} Playable */

/** @type {HTMLMediaElement | null} */
let playing = null;

/**
 * Return the player of an item of the index.
 * @param {Playable} item
 * @param {{name: string, onTime?: (second: number) => void}} options
 */
export function itemPlayer(item, { name, onTime }) {
  const thumbnail = item.has_thumbnail ? api.thumbnailAddress(item.id) : null;
  if (!item.has_media) return still(
    thumbnail,
    name,
    item.streams.text ? "words" : item.streams.video ? "seen" : "heard",
  );
  return player(
    api.mediaAddress(item.id),
    { name, thumbnail, isVideo: Boolean(item.streams.video), duration: item.duration_seconds, onTime },
  );
}

/**
 * Return the player of a file that was dropped.
 * @param {File} file
 */
export function filePlayer(file) {
  const url = URL.createObjectURL(file);
  const kind = file.type.split("/")[0];
  return player(
    url,
    { name: file.name, thumbnail: null, isVideo: kind !== "audio", duration: kind === "image" ? null : 1 },
  );
}

/** @param {string | null} thumbnail @param {string} name @param {"seen" | "heard" | "words"} kind */
function still(thumbnail, name, kind) {
  const inside = thumbnail ? h("img", { src: thumbnail, alt: name, loading: "lazy", decoding: "async" }) : icon(kind);
  return {
    element: h("div", { class: "media" }, inside),
    canPlay: false,
    seek: (/** @type {number} */ _second) => {},
  };
}

/**
 * @param {string} url
 * @param {{name: string, thumbnail: string | null, isVideo: boolean, duration: number | null,
 *   onTime?: (second: number) => void}} options
 */
function player(url, { name, thumbnail, isVideo, duration, onTime }) {
  if (duration === null) return still(thumbnail ?? url, name, "seen");
  const frame = h("div", { class: isVideo ? "media" : "media sound" });
  /** @type {HTMLMediaElement | null} */
  let media = null;

  function open() {
    if (media) return media;
    media = /** @type {HTMLMediaElement} */ (
      h(
        isVideo ? "video" : "audio",
        { src: url, controls: true, playsinline: true, preload: "metadata", "aria-label": name, poster: thumbnail },
      )
    );
    media.addEventListener("play", () => {
      if (playing && playing !== media) playing.pause();
      playing = media;
    });
    if (onTime) media.addEventListener("timeupdate", () => onTime(media?.currentTime ?? 0));
    media.addEventListener("error", () => {
      frame.replaceChildren(
        h(
          "p",
          { class: "media-note" },
          "This browser cannot play this file. ",
          h("a", { href: url, download: name }, "Download"),
        ),
      );
    });
    frame.replaceChildren(media);
    return media;
  }

  const cover = h(
    "button",
    { type: "button", class: "cover", "aria-label": `Play ${name}`, onclick: () => seek(0) },
    thumbnail ? h(
      "img",
      { src: thumbnail, alt: "", loading: "lazy", decoding: "async" },
    ) : icon(isVideo ? "seen" : "heard"),
    h("span", { class: "cover-play" }, icon("play")),
  );
  frame.append(cover);

  /** Play from a second. @param {number} second */
  function seek(second) {
    const opened = open();
    opened.currentTime = second;
    opened.play().catch(() => {}); // not allowed without a click, or broken: its own event says so
    opened.focus({ preventScroll: true });
  }
  return { element: frame, canPlay: true, seek };
}
