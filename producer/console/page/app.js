// The shell: which page is open, and what all pages know of the deployment.
import { html, render, useEffect, useState } from "./vendor/htm-preact.js";
import { get } from "./api.js";
import { Alerts } from "./alerts.js";
import { Device } from "./device.js";
import { Fleet } from "./fleet.js";
import { Letters } from "./letters.js";
import { Pipeline } from "./pipeline.js";
import { Plan } from "./plan.js";
import { Publish } from "./publish.js";
import { Trouble } from "./ui.js";

const PAGES = [
  ["fleet", "Fleet", Fleet],
  ["publish", "Publish", Publish],
  ["device", "Device", Device],
  ["pipeline", "Pipeline", Pipeline],
  ["alerts", "Alerts", Alerts],
  ["letters", "Dead letters", Letters],
  ["plan", "Plan", Plan],
];

const route = () => {
  const [name, ...rest] = location.hash.replace(/^#\/?/, "").split("/");
  return { name: name || PAGES[0][0], argument: decodeURIComponent(rest.join("/")) };
};

function App() {
  const [at, setAt] = useState(route());
  const [about, setAbout] = useState(null);
  const [problem, setProblem] = useState(null);
  useEffect(() => {
    const moved = () => { setAt(route()); document.querySelector("main")?.focus(); };
    addEventListener("hashchange", moved);
    get("/api/about").then(setAbout, setProblem);
    return () => removeEventListener("hashchange", moved);
  }, []);
  // Without a stack there is nothing to look at.
  const pages = about?.stack === null ? PAGES.filter(([name]) => name === "plan") : PAGES;
  const [name, title, Page] = pages.find(([name]) => name === at.name) ?? pages[0];
  useEffect(() => { document.title = `${at.argument || title} · Sensorstream`; }, [title, at.argument]);
  return html`
    <a class="skip" href="#main" onClick=${(event) => { event.preventDefault(); document.querySelector("main").focus(); }}>Skip to the page</a>
    <header>
      <a class="brand" href="#/"><img src="/page/icon.svg" alt="" width="24" height="24" />Sensorstream</a>
      <nav aria-label="Pages">${pages.map(([each, text]) =>
        html`<a href="#/${each}" aria-current=${each === name ? "page" : null}>${text}</a>`)}</nav>
      ${about?.stack && html`<dl class="about">
        <div><dt>Stack</dt><dd>${about.stack}</dd></div>
        <div><dt>Region</dt><dd>${about.region}</dd></div>
        <div><dt>You are</dt><dd title=${about.who}>${about.role}</dd></div></dl>`}
    </header>
    <main id="main" tabindex="-1">
      <${Trouble} problem=${problem} />
      ${about && html`<${Page} key=${name} about=${about} argument=${at.argument} />`}
      ${!about && !problem && html`<p class="loading">Loading</p>`}
    </main>`;
}

const place = document.getElementById("app");
place.textContent = "";
render(html`<${App} />`, place);
