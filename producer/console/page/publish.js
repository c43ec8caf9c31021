// Publish for one or several devices, and watch each message on its way.
import { html, useEffect, useRef, useState } from "./vendor/htm-preact.js";
import { get, post, lines } from "./api.js";
import { Note, Trouble, clock, deviceAddress, duration, plural } from "./ui.js";

const KEPT = 20;
const STAGES = [["published", "Published"], ["stream", "In the stream"], ["row", "Row in the table"], ["archived", "Archived"]];
// Outlives a change of the page.
const kept = { form: null, sent: [], next: 1 };

const namesOf = (text) => [...new Set(text.split(/[\s,]+/).filter(Boolean))];

export function Publish() {
  const [offer, setOffer] = useState(null);
  const [problem, setProblem] = useState(null);
  const [form, setForm] = useState(kept.form);
  const [sent, setSent] = useState(kept.sent);
  const [busy, setBusy] = useState(false);
  kept.form = form;
  useEffect(() => {
    get("/api/kinds").then((found) => {
      setOffer(found);
      setForm((form) => form ?? {
        devices: found.certificates[0] ?? "soilSensor1", kind: found.kinds[0].name, example: 0,
        payload: found.kinds[0].examples[0].payload, via: "kinesis",
      });
    }, setProblem);
  }, []);
  if (!offer || !form) return html`<h1>Publish</h1><${Trouble} problem=${problem} />${!problem && html`<p class="loading">Loading</p>`}`;

  const order = { ...form, devices: namesOf(form.devices) };
  const missing = form.via === "mqtt" ? order.devices.filter((name) => !offer.certificates.includes(name)) : [];

  const publish = async (event) => {
    event.preventDefault();
    setProblem(null);
    setBusy(true);
    const batch = order.devices.map((device) => ({ id: kept.next++, device, via: form.via, kind: form.kind, steps: {} }));
    const update = () => setSent((kept.sent = [...kept.sent]));
    const failed = (error) => {
      kept.sent = kept.sent.filter((each) => !batch.includes(each) || each.steps.published);
      batch.forEach((each) => { each.lost = error.message; });
      setProblem(error);
      update();
    };
    kept.sent = [...batch, ...kept.sent].slice(0, KEPT);
    update();
    try {
      await lines("/api/publish", order, (line) => {
        setBusy(false);
        if (line.problem && !line.stage) return failed(Object.assign(new Error(line.problem.detail), line.problem));
        const one = batch.find((each) => each.device === line.device);
        one.steps = { ...one.steps, [line.stage]: line };
        update();
      });
    } catch (error) { failed(error); }
    setBusy(false);
  };
  const certify = () => post("/api/certificates", { ...order, devices: missing })
    .then(({ certificates }) => { setProblem(null); setOffer({ ...offer, certificates }); }, (error) => { error.needs = "deployer"; setProblem(error); });

  return html`
    <h1>Publish</h1>
    <div class="columns">
      <${Form} ...${{ offer, form, setForm, order, missing, certify, publish, busy, problem }} />
      <section aria-label="On its way" class="journeys">
        <h2>On its way</h2>
        ${sent.length === 0 && html`<p class="hint">Nothing was published here yet. Each message will be followed from its
          acknowledgement to the archive object that holds it.</p>`}
        <ol class="plain">${sent.map((each) => html`<${Journey} key=${each.id} message=${each} />`)}</ol>
      </section>
    </div>`;
}

function Form({ offer, form, setForm, order, missing, certify, publish, busy, problem }) {
  const kind = offer.kinds.find((each) => each.name === form.kind);
  const change = (name) => (event) => setForm({ ...form, [name]: event.target.value });
  const choose = (name, example) => {
    const chosen = offer.kinds.find((each) => each.name === name);
    setForm({ ...form, kind: name, example, payload: chosen.examples[example].payload });
  };
  const keys = (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) event.currentTarget.requestSubmit(); };
  return html`<form class="card" onSubmit=${publish} onKeyDown=${keys}>
    <label>Devices<input id="devices" required value=${form.devices} onInput=${change("devices")} list="known" spellcheck="false" autocomplete="off" aria-describedby="devices-hint" /></label>
    <datalist id="known">${offer.certificates.map((name) => html`<option value=${name} />`)}</datalist>
    <p class="hint" id="devices-hint">One name, or several with commas: each gets its own message.</p>
    <div class="pair">
      <label>Kind of device<select value=${form.kind} onChange=${(event) => choose(event.target.value, 0)}>
        ${offer.kinds.map((each) => html`<option value=${each.name}>${each.title}</option>`)}</select></label>
      ${kind.examples.length > 1 && html`<label>Message<select value=${form.example} onChange=${(event) => choose(form.kind, Number(event.target.value))}>
        ${kind.examples.map((each, index) => html`<option value=${index}>example ${index + 1}</option>`)}</select></label>`}
    </div>
    <label>Payload<textarea rows="8" spellcheck="false" value=${form.payload} onInput=${change("payload")} aria-describedby="payload-hint"></textarea></label>
    <p class="hint" id="payload-hint">Change what you like. The example's device and times become yours and now.</p>
    <${Preview} order=${order} kind=${kind} />
    <fieldset><legend>Way in</legend>
      <label class="choice"><input type="radio" name="via" value="kinesis" checked=${form.via === "kinesis"} onChange=${change("via")} />
        <span>Straight into the stream<small>with your own permissions</small></span></label>
      <label class="choice"><input type="radio" name="via" value="mqtt" checked=${form.via === "mqtt"} onChange=${change("via")} />
        <span>MQTT through IoT Core<small>with each device's certificate on this machine</small></span></label>
    </fieldset>
    ${missing.length > 0 && html`<${Note} kind="warn" title="No certificate here:">${missing.join(", ")}.
      <button type="button" class="link" onClick=${certify}>Make ${missing.length === 1 ? "one" : "them"}</button> (needs the deployer's role)<//>`}
    <${Trouble} problem=${problem} needs=${problem?.needs} />
    <div class="actions"><button class="primary" disabled=${busy || order.devices.length === 0 || missing.length > 0}>
      ${busy ? "Publishing" : `Publish ${order.devices.length > 1 ? plural(order.devices.length, "message") : ""}`}</button>
      <span class="hint">Ctrl+Enter</span></div>
  </form>`;
}

// What the contract makes of the message, before it is sent.
function Preview({ order, kind }) {
  const [preview, setPreview] = useState(null);
  const latest = useRef(0);
  useEffect(() => {
    if (order.devices.length === 0) return undefined;
    const mine = ++latest.current;
    const timer = setTimeout(() => post("/api/preview", order)
      .then((found) => mine === latest.current && setPreview(found), (problem) => mine === latest.current && setPreview({ problem })), 200);
    return () => clearTimeout(timer);
  }, [JSON.stringify(order)]);
  if (!preview) return html`<div class="preview"></div>`;
  if (preview.problem) return html`<div class="preview"><p class="hint bad-text">${preview.problem.message}</p></div>`;
  return html`<div class="preview" aria-live="polite">
    ${preview.rejects.map((each) => html`<p class="bad-text"><strong>Will be a dead letter:</strong> ${each.reason}, ${each.detail}</p>`)}
    ${preview.readings.length > 0 && html`<p class="hint">Read by ${kind.title} as</p>
      <table class="numbers"><thead><tr><th>Device</th><th>Numbers</th></tr></thead>
        <tbody>${preview.readings.map((each) => html`<tr><td>${each.device}</td>
          <td>${Object.entries(each.numbers).map(([name, number]) => html`<span class="measure">${name} <b>${number}</b></span>`)}</td></tr>`)}</tbody></table>`}
    <details><summary>As it will be sent</summary><pre tabindex="0">${preview.payload}</pre></details>
  </div>`;
}

function Journey({ message }) {
  const start = message.steps.published?.at;
  const archived = message.steps.archived?.record;
  return html`<li class="card journey">
    <div class="journey-head"><a href=${deviceAddress(message.steps.row?.rows?.[0]?.device ?? message.device)}>${message.device}</a>
      <span class="hint">${message.via === "mqtt" ? "MQTT" : "stream"} · ${message.kind}</span></div>
    <ol class="track">${STAGES.map(([stage, title]) => html`<${Stage} stage=${stage} title=${title} step=${message.steps[stage]} start=${start} lost=${message.lost} />`)}</ol>
    ${message.steps.stream?.sequence && html`<p class="hint mono">${message.steps.stream.shard} ${message.steps.stream.sequence}</p>`}
    ${archived?.rejected > 0 && html`<${Note} kind="bad" title="Dead letter:">${archived.rejects.map((each) => `${each.reason}, ${each.detail}`).join("; ")}<//>`}
    ${archived && html`<p class="hint mono">${archived.key}</p>`}
  </li>`;
}

function Stage({ stage, title, step, start, lost }) {
  const state = !step ? (lost ? "unknown" : "waiting") : step.problem ? (step.refused || step.expected ? "skipped" : "failed") : "done";
  const said = { waiting: "waiting", unknown: "not seen", skipped: step?.problem, failed: step?.problem };
  return html`<li class=${state} data-stage=${stage}><i aria-hidden="true"></i><span class="stage-title">${title}</span>
    ${state === "done"
      ? html`<span class="at" title=${new Date(step.at).toISOString()}>${clock(step.at, true)}</span>
        <span class="after">${step.at > start ? `+${duration((step.at - start) / 1000)}` : ""}</span>`
      : html`<span class="at">${said[state]}</span>`}</li>`;
}
