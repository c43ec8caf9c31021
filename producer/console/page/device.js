// A device: its readings as they come, and of any range.
import { html, useEffect, useMemo, useRef, useState } from "./vendor/htm-preact.js";
import { events, get, Problem } from "./api.js";
import { Chart } from "./chart.js";
import { Empty, Note, State, Trouble, When, clock, deviceAddress, plural, useNow } from "./ui.js";

const RANGES = [["5 min", 300], ["1 h", 3600], ["6 h", 21_600], ["24 h", 86_400], ["7 d", 604_800]];
const KEPT = 5_000; // rows in the page
const SHOWN = 50; // rows of the table

export function Device({ about, argument }) {
  const [name, setName] = useState(argument);
  useEffect(() => setName(argument), [argument]);
  const open = (event) => { event.preventDefault(); if (name.trim()) location.hash = deviceAddress(name.trim()); };
  return html`
    <div class="title"><h1>${argument || "Device"}</h1>
      <form class="inline" onSubmit=${open}><label class="visually-hidden" for="device-name">Device</label>
        <input id="device-name" value=${name} onInput=${(event) => setName(event.target.value)} placeholder="name of a device" spellcheck="false" />
        <button>Open</button></form></div>
    ${argument ? html`<${Readings} key=${argument} about=${about} device=${argument} />`
      : html`<${Empty} title="Which device?">Give the name of a device to see its readings.<//>`}`;
}

const ms = (row) => Date.parse(row.time);

// The rows of a device: those of the range once, and from then on what comes.
function useRows(device, range) {
  const [rows, setRows] = useState(null); // oldest first
  const [more, setMore] = useState(false);
  const [problem, setProblem] = useState(null);
  const [state, setState] = useState("connecting");
  const merge = (came) => setRows((known) => {
    const all = new Map((known ?? []).map((row) => [row.time, row]));
    came.forEach((row) => all.set(row.time, row));
    return [...all.values()].sort((a, b) => (a.time < b.time ? -1 : 1)).slice(-KEPT);
  });
  const path = `/api/devices/${encodeURIComponent(device)}`;
  const load = useRef(null);
  load.current = () => {
    const query = range.live ? { from: Date.now() - range.seconds * 1000 } : { from: range.from, to: range.to };
    return get(`${path}/readings`, query).then((found) => { merge(found.rows); setMore(found.more); setProblem(null); }, setProblem);
  };
  useEffect(() => { setRows(null); load.current(); }, [range]);
  useEffect(() => {
    if (!range.live) { setState("paused"); return undefined; }
    let lost = false;
    return events(`${path}/live`, {
      rows: (came) => { setProblem(null); merge(came); },
      problem: (found) => setProblem(new Problem(found)),
      alive: () => setProblem(null),
    }, (now) => {
      if (now === "live" && lost) load.current(); // what came meanwhile
      lost = now === "lost" || (lost && now !== "live");
      setState(now);
    });
  }, [range.live, path]);
  return { rows, more, problem, state };
}

function Readings({ about, device }) {
  const [range, setRange] = useState({ live: true, seconds: RANGES[0][1] });
  const { rows, more, problem, state } = useRows(device, range);
  const now = useNow();
  const zoom = (from, to) => setRange({ live: false, from: Math.floor(from * 1000), to: Math.ceil(to * 1000) });
  const limits = () => (range.live ? [Date.now() / 1000 - range.seconds, Date.now() / 1000] : [range.from / 1000, range.to / 1000]);
  const last = rows?.at(-1);
  const charts = useMemo(() => seriesOf(rows ?? []), [rows]);
  return html`
    <div class="toolbar">
      <div class="segments" role="group" aria-label="Range">${RANGES.map(([text, seconds]) => html`
        <button type="button" aria-pressed=${range.live && range.seconds === seconds} onClick=${() => setRange({ live: true, seconds })}>${text}</button>`)}
      </div>
      ${!range.live && html`<span class="hint">${clock(range.from)} to ${clock(range.to)}</span>
        <button type="button" onClick=${() => setRange({ live: true, seconds: RANGES[0][1] })}>Back to live</button>`}
      <${State} state=${state} />
      ${last && html`<span class="hint">last reading <${When} ms=${ms(last)} now=${now} /></span>`}
    </div>
    <${Trouble} problem=${problem} needs="client" />
    ${more && html`<${Note} kind="warn">The range has more readings than the newest ${rows.length.toLocaleString("en")}, which are shown. Zoom in by dragging over a chart.<//>`}
    ${!rows && !problem && html`<p class="loading">Loading readings</p>`}
    ${rows?.length === 0 && html`<${Empty} title="No readings in this range">Choose a longer range, or
      <a href="#/publish">publish one</a>. A name that no device has looks the same.<//>`}
    ${rows?.length > 0 && html`
      <p class="hint">Drag over a chart to zoom into its time.</p>
      <div class="charts">${charts.map((each) => html`<${Chart} key=${each.name} ...${each} range=${limits} onZoom=${zoom} when=${about.alert.when}
        limit=${each.name === about.alert.field || (each.name === "value" && charts.length === 1) ? Number(about.alert.threshold) : null} />`)}</div>
      <${Table} rows=${rows} now=${now} />`}`;
}

// One chart for the value and each measure that some row has.
function seriesOf(rows) {
  const found = new Map();
  for (const row of rows) {
    const numbers = row.value === null ? row.measures : { value: row.value, ...row.measures };
    for (const [name, text] of Object.entries(numbers)) {
      if (!found.has(name)) found.set(name, { name, points: [[], []], texts: [] });
      const one = found.get(name);
      one.points[0].push(ms(row) / 1000);
      one.points[1].push(Number(text));
      one.texts.push(text);
    }
  }
  return [...found.values()];
}

function Table({ rows, now }) {
  const newest = rows.slice(-SHOWN).reverse();
  const names = [...new Set(newest.flatMap((row) => Object.keys(row.measures)))];
  const valued = newest.some((row) => row.value !== null);
  return html`<section aria-label="Readings"><h2>Readings</h2>
    <p class="hint">${plural(rows.length, "reading")} in the range${rows.length > SHOWN ? `, the newest ${SHOWN} here` : ""}.</p>
    <div class="scroll" tabindex="0" role="region" aria-label="Table of readings"><table class="numbers">
      <thead><tr><th>Time</th><th>Age</th>${valued && html`<th class="right">value</th>`}${names.map((name) => html`<th class="right">${name}</th>`)}</tr></thead>
      <tbody>${newest.map((row) => html`<tr key=${row.time}><td>${clock(ms(row), true)}${row.arrived && html` <span class="tag" title="The message had no time: it is that of its arrival">arrival</span>`}</td>
        <td><${When} ms=${ms(row)} now=${now} /></td>
        ${valued && html`<td class="right">${row.value ?? ""}</td>`}
        ${names.map((name) => html`<td class="right">${row.measures[name] ?? ""}</td>`)}</tr>`)}</tbody></table></div></section>`;
}
