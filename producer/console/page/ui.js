// Small parts that every page uses.
import { html, useEffect, useState } from "./vendor/htm-preact.js";

const pad = (number, width = 2) => String(number).padStart(width, "0");

// A time as people read it: 14:03:07.250 today, with the day before it otherwise.
export function clock(ms, fraction = false) {
  const at = new Date(ms);
  const day = at.toDateString() === new Date().toDateString() ? "" : `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())} `;
  return `${day}${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}${fraction ? `.${pad(at.getMilliseconds(), 3)}` : ""}`;
}

const UNITS = [[86_400, "d"], [3_600, "h"], [60, "min"]];

export function duration(seconds) {
  const [size, unit] = UNITS.find(([size]) => seconds >= size) ?? [1, "s"];
  return `${unit === "s" ? (seconds < 9.95 ? seconds.toFixed(1) : Math.round(seconds)) : Math.floor(seconds / size)} ${unit}`;
}

export function ago(ms, now = Date.now()) {
  const seconds = (now - ms) / 1000;
  if (seconds < -1) return `in ${duration(-seconds)}`;
  return seconds < 1 ? "now" : `${duration(seconds)} ago`;
}

// Renders again every `period` ms.
export function useNow(period = 1000) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), period);
    return () => clearInterval(timer);
  }, [period]);
  return now;
}

// Relative, with the absolute time on hover.
export function When({ ms, now }) {
  const iso = new Date(ms).toISOString();
  return html`<time dateTime=${iso} title=${`${clock(ms, true)} (${iso})`}>${ago(ms, now)}</time>`;
}

export function Note({ kind = "info", title, children }) {
  return html`<div class="note ${kind}" role=${kind === "bad" ? "alert" : "status"}>
    ${title && html`<strong>${title}</strong>`}<span>${children}</span></div>`;
}

// What went wrong; a refusal says which role may.
export function Trouble({ problem, needs = "operator" }) {
  if (!problem) return null;
  return problem.refused
    ? html`<${Note} kind="warn" title=${`This needs the ${needs}'s role.`}>${problem.message}<//>`
    : html`<${Note} kind="bad" title="That did not work.">${problem.message}<//>`;
}

const SAID = { connecting: "connecting", live: "live", lost: "connection lost, trying again", paused: "paused" };

export function State({ state }) {
  return html`<span class="link-state ${state}" role="status"><i aria-hidden="true"></i>${SAID[state]}</span>`;
}

export function Empty({ title, children }) {
  return html`<div class="empty"><h2>${title}</h2><p>${children}</p></div>`;
}

export const deviceAddress = (name) => `#/device/${encodeURIComponent(name)}`;
export const plural = (count, one, many = `${one}s`) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
