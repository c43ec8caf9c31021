// A device: its readings as they come, and of any range.
import { html, useEffect, useMemo, useRef, useState } from "./vendor/htm-preact.js";
import { events, get, Problem } from "./api.js";
import { Chart } from "./chart.js";
import { Episodes } from "./episodes.js";
import { Empty, Note, State, Trouble, When, clock, deviceAddress, plural, useNow } from "./ui.js";

const RANGES = [["1 min", 60], ["5 min", 300], ["1 h", 3600], ["6 h", 21_600], ["24 h", 86_400], ["7 d", 604_800]];
const USUAL = 300;
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
  const [series, setSeries] = useState({}); // by the name of the number
  const [rolled, setRolled] = useState(null); // seconds of the rollups that the series are made of
  const merge = (came) => setRows((known) => {
    const all = new Map((known ?? []).map((row) => [row.time, row]));
    came.forEach((row) => all.set(row.time, row));
    return [...all.values()].sort((a, b) => (a.time < b.time ? -1 : 1)).slice(-KEPT);
  });
  const path = `/api/devices/${encodeURIComponent(device)}`;
  const load = useRef(null);
  load.current = () => {
    const query = range.live ? { from: Date.now() - range.seconds * 1000 } : { from: range.from, to: range.to };
    return get(`${path}/readings`, query).then(async (found) => {
      merge(found.rows);
      setMore(found.more);
      setProblem(null);
      const whole = { from: query.from, to: query.to ?? Date.now() };
      const rollups = found.more || found.rows.length === 0 ? await get(`${path}/rollups`, whole) : null;
      setRolled(rollups?.seconds ?? null);
      if (rollups) return setSeries(rollups.series);
      if (!found.more) return setSeries({});
      // Too many to show each: put together by the query function.
      const names = seriesOf(found.rows).map((each) => each.name);
      return setSeries(Object.fromEntries(await Promise.all(names.map(async (name) =>
        [name, await get(`${path}/series`, { ...whole, measure: name === "value" ? null : name })]))));
    }).catch(setProblem);
  };
  useEffect(() => { setRows(null); setSeries({}); setRolled(null); load.current(); }, [range]);
  useEffect(() => { // rollups do not come by themselves
    if (!range.live || !rolled) return undefined;
    const again = setInterval(() => load.current(), Math.max(10, rolled) * 1000);
    return () => clearInterval(again);
  }, [range, rolled]);
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
  return { rows, more, series, rolled, problem, state };
}

function Readings({ about, device }) {
  const [range, setRange] = useState({ live: true, seconds: USUAL });
  const { rows: all, more, series, rolled, problem, state } = useRows(device, range);
  const now = useNow();
  // What was in a range that moves on leaves it.
  const rows = useMemo(() => (range.live ? all?.filter((row) => ms(row) >= now - range.seconds * 1000) : all), [all, range, now]);
  const zoom = (from, to) => setRange({ live: false, from: Math.floor(from * 1000), to: Math.ceil(to * 1000) });
  const limits = () => (range.live ? [Date.now() / 1000 - range.seconds, Date.now() / 1000] : [range.from / 1000, range.to / 1000]);
  const last = all?.at(-1);
  const charts = useMemo(() => {
    const found = seriesOf(rows ?? []), known = new Set(found.map((each) => each.name));
    return [...found, ...Object.keys(series).filter((name) => !known.has(name)).map((name) => ({ name, points: [[], []], texts: [] }))];
  }, [rows, series]);
  return html`
    <div class="toolbar">
      <div class="segments" role="group" aria-label="Range">${RANGES.map(([text, seconds]) => html`
        <button type="button" aria-pressed=${range.live && range.seconds === seconds} onClick=${() => setRange({ live: true, seconds })}>${text}</button>`)}
      </div>
      ${!range.live && html`<span class="hint">${clock(range.from)} to ${clock(range.to)}</span>
        <button type="button" onClick=${() => setRange({ live: true, seconds: USUAL })}>Back to live</button>`}
      <${Range} setRange=${setRange} />
      <${State} state=${state} />
      ${last && html`<span class="hint">last reading <${When} ms=${ms(last)} now=${now} /></span>`}
    </div>
    <${Trouble} problem=${problem} needs="client" />
    ${rolled && html`<${Note}>The charts show rollups of ${plural(rolled, "second")}: mean, lowest and highest. Readings are in them once their archive object is stored.
      ${Object.values(series).some((each) => each.more) && " The end of the range is missing: zoom in."}<//>`}
    ${more && rows && !rolled && html`<${Note}>The range has more than ${rows.length.toLocaleString("en")} readings. ${Object.keys(series).length === 0
      ? "The newest are shown until all are put together." : "The charts show mean, lowest and highest of each part of it."}
      ${Object.values(series).some((each) => each.more) && " Its end is missing: zoom in."}<//>`}
    ${!rows && !problem && html`<p class="loading">Loading readings</p>`}
    ${rows?.length === 0 && !rolled && html`<${Empty} title="No readings in this range">Choose a longer range, or
      <a href="#/publish">publish one</a>. A name that no device has looks the same.<//>`}
    ${charts.length > 0 && html`
      <p class="hint">Drag over a chart to zoom into its time.</p>
      <div class="charts">${charts.map((each) => html`<${Chart} key=${each.name} ...${each} series=${series[each.name]} range=${limits} onZoom=${zoom} when=${about.alert.when}
        limit=${each.name === about.alert.field || (each.name === "value" && charts.length === 1) ? Number(about.alert.threshold) : null} />`)}</div>
      ${rows?.length > 0 && html`<${Table} rows=${rows} now=${now} />`}`}
    ${about.alert.policy && html`<section aria-label="Alerts"><h2>Alerts</h2><${Episodes} device=${device} /></section>`}
    <${Archived} device=${device} />`;
}

// Its records as they stand in the archive, when somebody asks for them.
function Archived({ device }) {
  const [found, setFound] = useState(null);
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  const load = (before) => {
    setBusy(true);
    get(`/api/devices/${encodeURIComponent(device)}/archived`, { before }).then((came) => {
      setFound((known) => ({ objects: came.objects, records: before ? [...known.records, ...came.records] : came.records, end: came.records.length === 0 }));
      setProblem(null);
    }, setProblem).finally(() => setBusy(false));
  };
  const oldest = found?.records.at(-1)?.arrival;
  return html`<section aria-label="Archive"><h2>In the archive</h2>
    <p class="hint">The records under this partition key, byte for byte, with their sequence numbers;
      ${" and "}<a href=${`#/letters/${encodeURIComponent(device)}`}>its dead letters</a>.</p>
    <${Trouble} problem=${problem} />
    ${found?.records.length === 0 && html`<p class="hint">None in the ${plural(found.objects, "archive object")} of this hour and the one before.</p>`}
    <ul class="plain">${found?.records.map((each) => html`<li class="card record" key=${each.position}>
      <div class="letter-head"><b>${clock(Date.parse(each.arrival), true)}</b><span class="mono">${each.shard} ${each.position}</span>
        ${each.rejected > 0 && html`<span class="badge bad" title=${each.rejects.map((it) => `${it.reason}, ${it.detail}`).join("\n")}>${each.rejects[0]?.reason ?? "rejected"}</span>`}</div>
      <pre tabindex="0">${each.text ?? each.base64}</pre><p class="hint mono">${each.key}</p></li>`)}</ul>
    <div class="actions more"><button type="button" disabled=${busy} onClick=${() => load(null)}>${busy ? "Reading" : found ? "Read again" : "Read the archive"}</button>
      ${oldest && !found.end && html`<button type="button" disabled=${busy} onClick=${() => load(Date.parse(oldest))}>Older</button>`}</div></section>`;
}

// A range by its two times, in this machine's zone.
function Range({ setRange }) {
  const local = (ms) => new Date(ms - new Date(ms).getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
  const [from, setFrom] = useState(local(Date.now() - 3_600_000));
  const [to, setTo] = useState(local(Date.now()));
  const show = (event) => { event.preventDefault(); setRange({ live: false, from: Date.parse(from), to: Date.parse(to) }); };
  return html`<details class="own-range"><summary>From … to</summary><form class="inline" onSubmit=${show}>
    <label>From<input type="datetime-local" required value=${from} max=${to} onInput=${(event) => setFrom(event.target.value)} /></label>
    <label>To<input type="datetime-local" required value=${to} min=${from} onInput=${(event) => setTo(event.target.value)} /></label>
    <button>Show</button></form></details>`;
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
