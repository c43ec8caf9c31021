// The fleet: every device that was seen, the silent ones first. Only rows in sight are drawn, and ask for details.
import { html, useEffect, useMemo, useRef, useState } from "./vendor/htm-preact.js";
import { alerting, shownNumbers } from "./alert.js";
import { Problem, lines, post } from "./api.js";
import { Empty, Note, State, Trouble, When, deviceAddress, plural, useNow } from "./ui.js";

const ROW = 44; // px
const AROUND = 6; // rows that are drawn beyond those in sight
const MOST = 50, SPARKS = 10; // devices in a request
const LIST_MS = 30_000, LATEST_MS = 2_000;
export const SILENT_MS = 10 * 60_000;
const BEHIND_MS = 15 * 60_000; // that the list may be (DEVICES_SECONDS); a device's newest row is not

const COLUMNS = [["device", "Device"], ["value", "Last value"], ["spark", "Recent"], ["seen", "Last seen"], ["condition", "State"]];
const kept = { search: "", sort: "condition", down: false, top: 0 };

// Asks again and again; what it has stays while it fails.
function useFleet() {
  const [list, setList] = useState(null);
  const [complete, setComplete] = useState(false);
  const [problem, setProblem] = useState(null);
  useEffect(() => {
    let busy = false, whole = false;
    const load = async () => {
      if (busy) return;
      busy = true;
      const all = new Map();
      try {
        await lines("/api/fleet", null, (line) => {
          if (line.problem) throw new Problem(line.problem);
          line.devices.forEach((each) => all.set(each.device, each));
          setProblem(null);
          if (line.complete || !whole) setList([...all.values()]); // the first time as it comes
          if (line.complete) { whole = true; setComplete(true); }
        });
      } catch (error) { setProblem(error); }
      busy = false;
    };
    load();
    const timer = setInterval(() => document.hidden || load(), LIST_MS);
    return () => clearInterval(timer);
  }, []);
  return [list, complete, problem];
}

// Details of the devices in sight: their newest reading again and again, their small lines once and then grown by it.
function useDetails(names) {
  const [latest, setLatest] = useState({});
  const [sparks, setSparks] = useState({});
  const [state, setState] = useState("connecting");
  const asked = useRef(new Set());
  const shown = useRef(names);
  shown.current = names;
  useEffect(() => {
    const timer = setTimeout(async () => {
      for (;;) {
        const missing = shown.current.filter((name) => !asked.current.has(name)).slice(0, SPARKS);
        if (missing.length === 0) return;
        missing.forEach((name) => asked.current.add(name));
        try {
          const { sparks } = await post("/api/sparks", { devices: missing });
          setSparks((known) => ({ ...known, ...sparks }));
        } catch { missing.forEach((name) => asked.current.delete(name)); return; }
      }
    }, 150);
    return () => clearTimeout(timer);
  }, [names.join("\n")]);
  useEffect(() => {
    let ended = false, timer;
    const look = async () => {
      const wanted = shown.current.slice(0, MOST);
      if (!document.hidden && wanted.length) {
        try {
          const found = (await post("/api/latest", { devices: wanted })).latest;
          setLatest((known) => ({ ...known, ...found }));
          setSparks((known) => grown(known, found));
          setState("live");
        } catch { setState("lost"); }
      }
      if (!ended) timer = setTimeout(look, LATEST_MS);
    };
    look();
    return () => { ended = true; clearTimeout(timer); };
  }, []);
  return { latest, sparks, state };
}

function grown(sparks, latest) {
  const next = { ...sparks };
  for (const [name, row] of Object.entries(latest)) {
    if (next[name] && next[name][0]?.time !== row.time) next[name] = [row, ...next[name]].slice(0, 30);
  }
  return next;
}

const newer = (entry, row) => (row && row.time > entry.time ? { ...entry, ...row, seen: row.time > entry.seen ? row.time : entry.seen } : entry);

function ordered(list, alert, { search, sort, down }, now) {
  const wanted = search.trim().toLowerCase();
  const rows = list.filter((each) => each.device.toLowerCase().includes(wanted)).map((each) => {
    const seen = Date.parse(each.seen);
    return { ...each, at: seen, silent: now - seen > SILENT_MS + BEHIND_MS, alerts: alerting(alert, each) };
  });
  const by = {
    device: (a, b) => (a.device < b.device ? -1 : 1),
    value: (a, b) => Number(shownNumbers(a)[0]?.[1] ?? NaN) - Number(shownNumbers(b)[0]?.[1] ?? NaN),
    seen: (a, b) => b.at - a.at,
    condition: (a, b) => b.silent - a.silent || (a.silent ? a.at - b.at : b.alerts - a.alerts) || (a.device < b.device ? -1 : 1),
  }[sort];
  rows.sort(by);
  return down ? rows.reverse() : rows;
}

export function Fleet({ about }) {
  const [list, complete, problem] = useFleet();
  const [look, setLook] = useState(kept);
  Object.assign(kept, look);
  const minute = useNow(15_000);
  const rows = useMemo(() => (list ? ordered(list, about.alert, look, minute) : []), [list, look, minute]);
  if (!list) return html`<h1>Fleet</h1><${Trouble} problem=${problem} needs="client" />${!problem && html`<p class="loading">Loading the devices</p>`}`;
  if (list.length === 0 && complete) return html`<h1>Fleet</h1><${Trouble} problem=${problem} /><${Empty} title="No device was seen yet">
    A device appears here when its first reading is in the table. <a href="#/publish">Publish one</a>.<//>`;
  const silent = rows.filter((each) => each.silent).length, alerts = rows.filter((each) => each.alerts && !each.silent).length;
  return html`
    <h1>Fleet</h1>
    <${Trouble} problem=${problem} needs="client" />
    ${problem && html`<${Note} kind="warn">The list below is as it was before.<//>`}
    <div class="toolbar">
      <label class="visually-hidden" for="search">Search</label>
      <input id="search" type="search" placeholder="Search devices" value=${look.search} onInput=${(event) => setLook({ ...look, search: event.target.value })} />
      <span class="hint" role="status"><b>${rows.length === list.length ? "" : `${rows.length.toLocaleString("en")} of `}${plural(list.length, "device")}</b>${complete ? "" : " so far, loading"}${" · "}${silent.toLocaleString("en")} silent for 10 min · ${alerts.toLocaleString("en")} ${about.alert.field} ${about.alert.when} ${about.alert.threshold}</span>
    </div>
    <${Rows} rows=${rows} about=${about} look=${look} setLook=${setLook} />
    ${rows.length === 0 && html`<p class="hint">No device has “${look.search}” in its name.</p>`}`;
}

function Rows({ rows, about, look, setLook }) {
  const place = useRef(null);
  const [view, setView] = useState({ top: kept.top, height: 600 });
  const now = useNow();
  useEffect(() => {
    const node = place.current;
    node.scrollTop = kept.top;
    const measure = () => { kept.top = node.scrollTop; setView({ top: node.scrollTop, height: node.clientHeight }); };
    const resized = new ResizeObserver(measure);
    resized.observe(node);
    node.addEventListener("scroll", measure, { passive: true });
    return () => { resized.disconnect(); node.removeEventListener("scroll", measure); };
  }, []);
  const first = Math.max(0, Math.min(rows.length - 1, Math.floor(view.top / ROW)) - AROUND);
  const last = Math.min(rows.length, Math.ceil((view.top + view.height) / ROW) + AROUND);
  const drawn = rows.slice(first, last);
  const { latest, sparks, state } = useDetails(drawn.map((each) => each.device));
  const sortBy = (name) => setLook({ ...look, sort: name, down: look.sort === name && !look.down });
  const sorted = (name) => (look.sort !== name ? "none" : look.down ? "descending" : "ascending");
  return html`<div class="fleet" ref=${place} tabindex="0" role="region" aria-label="All devices">
    <table aria-rowcount=${rows.length + 1}>
      <thead><tr aria-rowindex="1">${COLUMNS.map(([name, text]) => html`<th class=${name} aria-sort=${name === "spark" ? null : sorted(name)}>
        ${name === "spark" ? text : html`<button type="button" onClick=${() => sortBy(name)}>${text}<i aria-hidden="true">${{ none: "", ascending: "↑", descending: "↓" }[sorted(name)]}</i></button>`}
        ${name === "condition" && html`<${State} state=${state} />`}</th>`)}</tr></thead>
      <tbody>
        ${first > 0 && html`<tr aria-hidden="true"><td colspan="5" class="space" style=${{ height: `${first * ROW}px` }}></td></tr>`}
        ${drawn.map((each, index) => html`<${Line} key=${each.device} row=${newer(each, latest[each.device])} exact=${each.device in latest} spark=${sparks[each.device]} about=${about} now=${now} index=${first + index + 2} />`)}
        ${last < rows.length && html`<tr aria-hidden="true"><td colspan="5" class="space" style=${{ height: `${(rows.length - last) * ROW}px` }}></td></tr>`}
      </tbody></table></div>`;
}

function Line({ row, exact, spark, about, now, index }) {
  const at = Date.parse(row.seen);
  const silent = now - at > SILENT_MS + (exact ? 0 : BEHIND_MS), alerts = alerting(about.alert, row);
  const [[name, value] = ["", ""], ...others] = shownNumbers(row);
  return html`<tr aria-rowindex=${index}>
    <td class="device"><a href=${deviceAddress(row.device)}>${row.device}</a></td>
    <td class="value" title=${others.map(([name, number]) => `${name} ${number}`).join("\n")}><b>${value}</b>${name && html` <small>${name}</small>`}
      ${others.length > 0 && html` <small>+${others.length}</small>`}</td>
    <td class="spark">${spark?.length > 1 && html`<${Spark} rows=${spark} name=${name} />`}</td>
    <td class="seen"><${When} ms=${at} now=${now} /></td>
    <td class="condition">${silent ? html`<span class="badge warn">silent</span>` : alerts ? html`<span class="badge bad">alert</span>` : html`<span class="badge ok">ok</span>`}</td></tr>`;
}

function Spark({ rows, name }) {
  const numbers = rows.map((row) => Number(name ? row.measures[name] : row.value)).filter(Number.isFinite).reverse();
  const low = Math.min(...numbers), high = Math.max(...numbers), span = high - low || 1;
  const points = numbers.map((number, index) => `${(index / (numbers.length - 1 || 1)) * 96 + 2},${22 - ((number - low) / span) * 18}`).join(" ");
  return html`<svg width="100" height="24" viewBox="0 0 100 24" role="img" aria-label=${`the last ${numbers.length}: ${low} to ${high}`}><title>${low} to ${high}</title><polyline points=${points} /></svg>`;
}
