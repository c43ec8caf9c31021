// Alerts and alarms as the topic sends them, since the console began to listen.
import { html, useEffect, useState } from "./vendor/htm-preact.js";
import { Problem, events } from "./api.js";
import { Empty, State, Trouble, When, deviceAddress, useNow } from "./ui.js";

const KEPT = 500;

export function Alerts({ about }) {
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
    <div class="title"><h1>Alerts</h1><${State} state=${state} /></div>
    <p class="hint">Readings with ${about.alert.field} ${about.alert.when} ${about.alert.threshold}, and CloudWatch's alarms, as the alert topic sends them
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
