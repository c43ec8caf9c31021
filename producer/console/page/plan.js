// What a fleet would need and cost: sliders, and the server's plan of them beside alternatives.
import { html, useEffect, useState } from "./vendor/htm-preact.js";
import { get } from "./api.js";
import { Note, Trouble, plural } from "./ui.js";

const NAMES = {
  devices: "Devices", interval: "Seconds between readings", payload: "Bytes of a reading", per_record: "Readings in a message",
  alerts: "Share that raises an alert", retention: "Hours in the stream", row_days: "Days in the table", rollup_days: "Days of rollups",
  object_seconds: "Seconds of an archive object", object_records: "Records of an archive object", archive_months: "Months of archive",
  region: "Region", design: "System", intake: "Way in", stream: "Stream", fan_out: "Enhanced fan-out", table: "Table's writes",
  table_class: "Tables' class", resolution: "Rows", processor: "Processor", spot: "Fargate Spot",
};
const STEPS = 1000; // of a slider that moves by factors
const NEAR = 0.5; // share of a quota from which on it is shown
// Outlives a change of the page; null: the server's own.
const kept = { inputs: null };

const usd = (amount) => amount.toLocaleString("en", { maximumFractionDigits: Math.abs(amount) < 10 ? 2 : 0 });
const count = (number) => number.toLocaleString("en", number < 100 ? { maximumSignificantDigits: 3 } : { maximumFractionDigits: 0 });
const change = (share) => `${share < 0 ? "−" : "+"}${Math.abs(share * 100).toFixed(1)} %`;

// A slider's place for a number and back; between the bounds numbers have two digits, as people would choose them.
const place = ({ low, high, step }, number) => step ? number : Math.round(STEPS * Math.log(number / low) / Math.log(high / low));
function number({ low, high, step, whole }, place) {
  if (step) return Number(place.toFixed(3));
  const exact = low * (high / low) ** (place / STEPS);
  const rounded = Number(exact.toPrecision(2));
  return Math.min(high, Math.max(low, whole ? Math.round(rounded) : rounded));
}

export function Plan() {
  const [inputs, setInputs] = useState(kept.inputs);
  const [plan, setPlan] = useState(null);
  const [problem, setProblem] = useState(null);
  kept.inputs = inputs;
  useEffect(() => {
    const asked = new AbortController();
    get("/api/plan", inputs ?? {}, asked.signal).then(
      (found) => { setPlan(found); setProblem(null); },
      (error) => { if (error.name !== "AbortError") setProblem(error); });
    return () => asked.abort();
  }, [inputs]);
  if (!plan) return html`<h1>Plan</h1><${Trouble} problem=${problem} />${!problem && html`<p class="loading">Loading</p>`}`;
  const chosen = inputs ?? plan.inputs;
  return html`
    <div class="title"><h1>Plan</h1><p class="hint">What a fleet needs and costs. Nothing is changed, and AWS is not asked.</p></div>
    <div class="columns">
      <form class="card" aria-label="The fleet" onSubmit=${(event) => event.preventDefault()}>
        ${Object.entries(plan.ranges).map(([name, range]) => html`<${Slider} key=${name} ...${{ name, range, value: chosen[name] }}
          set=${(value) => setInputs({ ...chosen, [name]: value })} />`)}
        <div class="pair">${Object.entries(plan.choices).map(([name, { values, text }]) => html`<label key=${name} title=${text}>${NAMES[name]}
          <select value=${chosen[name]} onChange=${(event) => setInputs({ ...chosen, [name]: event.target.value })}>
            ${values.map((each) => html`<option value=${each}>${name === "resolution" ? each.replace(/^0/, "every reading") : each}</option>`)}</select></label>`)}</div>
      </form>
      <div><${Trouble} problem=${problem} /><${Bill} plan=${plan} /><${Needed} plan=${plan} /></div>
    </div>
    <${Others} plan=${plan} choose=${setInputs} />`;
}

function Slider({ name, range, value, set }) {
  const shown = name === "alerts" ? `${(value * 100).toFixed(1)} %` : count(value);
  return html`<div class="slider" title=${range.text}><label for=${`plan-${name}`}>${NAMES[name]}</label><span aria-hidden="true">${shown}</span>
    <input type="range" id=${`plan-${name}`} min=${range.step ? range.low : 0} max=${range.step ? range.high : STEPS} step=${range.step ?? 1}
      value=${place(range, value)} aria-valuetext=${shown} onInput=${(event) => set(number(range, Number(event.target.value)))} /></div>`;
}

function Bill({ plan: { bill, prices, region, inputs, untrusted } }) {
  return html`<section class="card scroll" tabindex="0" aria-label="Bill"><h2>A month in ${inputs.region}</h2>
    <p class="sum" role="status" aria-label="Together">${usd(bill.total)} <small>USD</small></p>
    <table><thead class="visually-hidden"><tr><th>Service</th><th>Share</th><th>USD</th></tr></thead>
      <tbody>${Object.entries(bill.services).map(([service, amount]) => html`<tr key=${service}><td>${service}</td>
        <td class="bar"><svg viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true"><rect width=${100 * amount / bill.total} height="6" /></svg></td>
        <td class="right">${usd(amount)}</td></tr>`)}</tbody></table>
    <p class="hint">Prices of ${prices.region} of ${prices.as_of}, ${prices.currency}.
      ${!region.verified && ` ${inputs.region} is taken as ${region.factor} times these, not verified.`}</p>
    <details><summary>How far these prices were verified</summary><ul>${Object.entries(untrusted).map(([kind, share]) => html`<li>${kind}: ${share}</li>`)}</ul></details></section>`;
}

function Needed({ plan: { size, inputs, quotas, sensitivity } }) {
  const facts = [
    ["Readings", `${count(size.readings)} a second`],
    size.shards > 0 && ["Stream", `${plural(size.shards, "shard")}, ${inputs.stream}`],
    size.tasks > 0 && ["Tasks", `${size.tasks} of ${size.vcpu} vCPU and ${size.memory} GB`],
    ["Table", `${count(size.row_units)} writes a second, ${count(size.table_gb)} GB`],
    ["Archive", `${count(size.archive_gb)} GB more a month`],
    ["What moves the bill most, doubled", Object.entries(sensitivity).slice(0, 3).map(([name, share]) => `${NAMES[name].toLowerCase()} ${change(share)}`).join("; ")],
  ];
  return html`<section class="card" aria-label="What it needs"><h2>What it needs</h2>
    <dl class="facts">${facts.filter(Boolean).map(([name, text]) => html`<div key=${name}><dt>${name}</dt><dd>${text}</dd></div>`)}</dl></section>
    ${quotas.filter((each) => each.used > NEAR).map((each) => html`<${Note} key=${each.name} kind=${each.hit ? "warn" : "info"} title=${each.hit ? "Quota hit." : "Quota near."}>
      ${each.what}: ${count(each.planned)} of ${count(each.limit)}; ${each.advice}.<//>`)}`;
}

function Others({ plan, choose }) {
  const services = Object.keys(plan.bill.services);
  const rest = (sums) => Object.entries(sums).reduce((sum, [name, amount]) => sum + (services.includes(name) ? 0 : amount), 0);
  const row = (name, each) => html`<tr key=${each.name ?? ""}><td>${name}${each.note && html`<div class="hint">${each.note}</div>`}</td>
    <td class="right"><b>${usd(each.total)}</b></td><td class="right">${each.name && change(each.total / plan.bill.total - 1)}</td>
    ${services.map((service) => html`<td class="right">${usd(each.services[service] ?? 0)}</td>`)}<td class="right">${usd(rest(each.services))}</td></tr>`;
  return html`<section class="card scroll" tabindex="0" aria-label="Alternatives"><h2>Instead</h2><table>
    <thead><tr><th>One thing changed</th><th class="right">together</th><th class="right">change</th>${services.map((each) => html`<th class="right">${each}</th>`)}<th class="right">other</th></tr></thead>
    <tbody>${row("as planned", plan.bill)}
      ${plan.alternatives.map((each) => row(html`<button type="button" class="link" onClick=${() => choose(each.inputs)}>${each.name}</button>`, each))}</tbody></table></section>`;
}
