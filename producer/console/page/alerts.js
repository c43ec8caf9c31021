// Alerts: the episodes of a policy, and what the topic sends since the console began to listen.
import { html, useEffect, useState } from "./vendor/htm-preact.js";
import { Problem, events } from "./api.js";
import { Episodes } from "./episodes.js";
import { Empty, State, Trouble, When, deviceAddress, useNow } from "./ui.js";

const KEPT = 500;

export const Alerts = ({ about, argument }) => html`<${about.alert.policy ? History : Topic} about=${about} argument=${argument} />`;

function History({ about, argument }) {
  const [name, setName] = useState(argument);
  useEffect(() => setName(argument), [argument]);
  const show = (event) => { event.preventDefault(); location.hash = `#/alerts/${encodeURIComponent(name.trim())}`; };
  return html`
    <div class="title"><h1>Alerts${argument && html` of ${argument}`}</h1>
      <form class="inline" onSubmit=${show}><label class="visually-hidden" for="alert-device">Device</label>
        <input id="alert-device" type="search" value=${name} onInput=${(event) => setName(event.target.value)} placeholder="all devices" spellcheck="false" />
        <button>Show</button></form></div>
    <section aria-label="Episodes"><${Episodes} key=${argument} device=${argument || null} /></section>
    ${!argument && html`<${Topic} about=${about} Heading="h2" />`}`;
}

function Topic({ about, Heading = "h1" }) {
  const [alerts, setAlerts] = useState(null);
  const [problem, setProblem] = useState(null);
  const [state, setState] = useState("connecting");
  const now = useNow();
  useEffect(() => events("/api/alerts", {
    alerts: (came) => {
      setProblem(null);
      setAlerts((known) => {
        const all = new Map([...(known ?? []), ...came].map((each) => [each.id, each]));
        return [...all.values()].sort((a, b) => (a.at < b.at ? -1 : 1)).slice(-KEPT);
      });
    },
    problem: (found) => setProblem(new Problem(found)),
  }, setState), []);
  return html`
    <div class="title"><${Heading}>${about.alert.policy ? "What is sent" : "Alerts"}<//><${State} state=${state} /></div>
    <p class="hint">${about.alert.policy ? "Notices" : `Readings with ${about.alert.field} ${about.alert.when} ${about.alert.threshold}`}, and CloudWatch's alarms, as the alert topic sends them
      since this page was first open. Subscribers of the topic get the same.</p>
    <${Trouble} problem=${problem} />
    ${!alerts && !problem && html`<p class="loading">Subscribing to the alert topic</p>`}
    ${alerts?.length === 0 && html`<${Empty} title="No alert yet">They appear here within a second or two.<//>`}
    ${alerts?.length > 0 && html`<div class="scroll card" tabindex="0" role="region" aria-label="Table of alerts"><table class="numbers">
      <thead><tr><th>Sent</th><th>Device or alarm</th><th class="right">Value</th><th>What</th></tr></thead>
      <tbody aria-live="polite">${alerts.toReversed().map((each) => html`<tr key=${each.id}>
        <td><${When} ms=${Date.parse(each.at)} now=${now} /></td>
        <td>${each.device ? html`<a href=${deviceAddress(each.device)}>${each.device}</a>` : each.alarm ? html`${each.alarm} <span class="badge ${each.state === "ALARM" ? "bad" : "ok"}">${each.state}</span>` : ""}</td>
        <td class="right"><b>${each.value ?? ""}</b></td><td>${each.text}</td></tr>`)}</tbody></table></div>`}`;
}
