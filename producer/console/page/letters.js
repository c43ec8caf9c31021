// Dead letters: sums, single ones with payload and reasons, and sending them again after a dry run.
import { html, useEffect, useState } from "./vendor/htm-preact.js";
import { get, post } from "./api.js";
import { Empty, Note, Trouble, clock, deviceAddress, plural } from "./ui.js";

const SPANS = [["1 h", 3600], ["24 h", 86_400], ["7 d", 604_800], ["30 d", 2_592_000]];
const STATES = { new: "", redriven: "sent again", uncertain: "perhaps sent again", undeliverable: "cannot be sent" };

export function Letters({ argument }) {
  const [seconds, setSeconds] = useState(SPANS[1][1]);
  const [reason, setReason] = useState("");
  const [found, setFound] = useState(null);
  const [problem, setProblem] = useState(null);
  const start = () => Date.now() - seconds * 1000;
  const load = () => { setFound(null); get("/api/dead-letters", { from: start(), device: argument || null }).then((it) => { setFound(it); setProblem(null); }, setProblem); };
  useEffect(load, [seconds, argument]);
  const shown = found?.letters.filter((each) => !reason || each.rejects.some((reject) => reject.reason === reason)) ?? [];
  return html`
    <h1>Dead letters${argument && html` of ${argument}`}</h1>
    <div class="toolbar"><div class="segments" role="group" aria-label="Range">${SPANS.map(([text, each]) => html`
      <button type="button" aria-pressed=${seconds === each} onClick=${() => setSeconds(each)}>${text}</button>`)}</div>
      <button type="button" onClick=${load}>Look again</button>
      ${argument && html`<a href="#/letters">All devices</a>`}
      ${found && html`<span class="hint">as of ${clock(found.at)}</span>`}</div>
    <${Trouble} problem=${problem} />
    ${!found && !problem && html`<p class="loading">Reading the dead letters of the archive</p>`}
    ${found?.count === 0 && html`<${Empty} title="No dead letters in this range">Every record that arrived was read whole.<//>`}
    ${found?.more && html`<${Note} kind="warn">There are more than the ${found.count.toLocaleString("en")} that were counted. Choose a shorter range.<//>`}
    ${found?.count > 0 && html`
      <div class="columns even">
        <${Groups} title="By reason" name="Reason" groups=${found.reasons} chosen=${reason} choose=${setReason} />
        <${Groups} title="By device" name="Device" groups=${found.devices} link />
      </div>
      ${!argument && html`<${Redrive} key=${reason} reason=${reason} start=${start} done=${load} />`}
      <section aria-label="Letters"><h2>${reason || "All reasons"}, newest first</h2>
        <ul class="plain">${shown.map((each) => html`<${Letter} key=${`${each.object} ${each.position}`} letter=${each} />`)}</ul>
        ${found.count > found.letters.length && html`<p class="hint">The newest ${found.letters.length} of ${found.count.toLocaleString("en")}.</p>`}</section>`}`;
}

function Groups({ title, name, groups, chosen, choose, link }) {
  const rows = Object.entries(groups).sort((a, b) => b[1].records - a[1].records).slice(0, 12);
  return html`<section class="card scroll" tabindex="0" aria-label=${title}><h2>${title}</h2><table class="numbers">
    <thead><tr><th>${name}</th><th class="right">Records</th><th class="right">Not sent again</th><th class="right">Readable now</th></tr></thead>
    <tbody>${rows.map(([each, group]) => html`<tr><td>${link ? html`<a href=${`#/letters/${encodeURIComponent(each)}`}>${each}</a>`
      : html`<button type="button" class="link" aria-pressed=${chosen === each} onClick=${() => choose(chosen === each ? "" : each)}>${each}</button>`}</td>
      <td class="right">${group.records}</td><td class="right">${group.new}</td><td class="right">${group.readable}</td></tr>`)}</tbody></table></section>`;
}

export function Letter({ letter }) {
  return html`<li class="card"><details><summary><span class="letter-head"><b>${letter.partitionKey ?? "undeliverable"}</b>
    <span>${[...new Set(letter.rejects.map((each) => each.reason))].join(", ")}</span>
    ${letter.arrival && html`<time dateTime=${letter.arrival} title=${letter.arrival}>${clock(Date.parse(letter.arrival))}</time>`}
    ${STATES[letter.state] && html`<span class="tag">${STATES[letter.state]}</span>`}${letter.readable && html`<span class="badge ok">readable now</span>`}</span></summary>
    <ul>${letter.rejects.map((each) => html`<li>reading ${each.index}: <b>${each.reason}</b>, ${each.detail}</li>`)}</ul>
    <pre tabindex="0">${letter.text ?? letter.base64}</pre>
    <p class="hint">${plural(letter.bytes, "byte")}${letter.base64 === undefined ? "" : ", in base64"}${letter.partitionKey && html`, <a href=${deviceAddress(letter.partitionKey)}>device</a>`}</p>
    <p class="hint mono">${letter.shard} ${letter.position}<br />${letter.object}</p></details></li>`;
}

// Sending again: first what would be sent, then the button that sends it.
function Redrive({ reason, start, done }) {
  const [readable, setReadable] = useState(true);
  const [dry, setDry] = useState(null);
  const [sent, setSent] = useState(null);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState(null);
  const ask = async (send) => {
    setBusy(true);
    setProblem(null);
    const order = send ? dry.order : { start: Math.floor(start()), reasons: reason ? [reason] : [], readable };
    try {
      const answer = await post("/api/dead-letters/redrive", { ...order, send });
      if (send) { setSent(answer); setDry(null); done(); } else { setDry({ ...answer, order }); setSent(null); }
    } catch (error) { setProblem(error); }
    setBusy(false);
  };
  return html`<section class="card" aria-label="Send again"><h2>Send again</h2>
    <p class="hint">A dead letter that is sent again is a new record of the stream. Do it after the consumer has learned to read it.</p>
    <div class="toolbar"><label class="choice"><input type="checkbox" checked=${readable} onChange=${(event) => { setReadable(event.target.checked); setDry(null); }} />
      <span>only what can be read now</span></label>
      <button type="button" disabled=${busy} onClick=${() => ask(false)}>Dry run: ${reason || "all reasons"}</button></div>
    <${Trouble} problem=${problem} />
    ${dry && html`<${Note} kind=${dry.new ? "warn" : "info"} title=${`${plural(dry.new, "record")} would be sent.`}>
      ${[dry.redriven && `${dry.redriven} were sent before`, dry.uncertain && `${dry.uncertain} perhaps`, dry.undeliverable && `${dry.undeliverable} cannot be`].filter(Boolean).join(", ")}
      ${dry.new > 0 && html`<button type="button" class="primary" disabled=${busy} onClick=${() => ask(true)}>Send ${plural(dry.new, "record")}</button>`}<//>`}
    ${sent && html`<${Note} kind="ok" title=${`${plural(sent.sent, "record")} sent.`}>They are in stream ${sent.stream}; what is rejected again becomes a new dead letter.<//>`}
  </section>`;
}
