// Episodes of alerts, from the history that a stack with an AlertPolicy keeps: of all devices, or of one.
import { html, useEffect, useMemo, useRef, useState } from "./vendor/htm-preact.js";
import { get } from "./api.js";
import { Empty, Trouble, When, clock, deviceAddress, plural, useNow } from "./ui.js";

const LOOK_MS = 5_000;
const OVERLAP_MS = 60_000; // what is written meanwhile may have an earlier time
const MORE = 100; // rows of the table
const PAGES = 20; // that one look for open episodes reads at most

const timeOf = (id) => Date.parse(id.split(" ")[0]);

// The notices that were read, by their ids, and the place to read on from (`next`, null at the end of the history).
function useNotices(device) {
  const [found, setFound] = useState(null);
  const [problem, setProblem] = useState(null);
  const [reading, setReading] = useState(false);
  const last = useRef(Promise.resolve()), waiting = useRef(0), known = useRef(null), gone = useRef(false);
  const keep = (notices, next) => { known.current = { notices, next }; setFound(known.current); };
  const by = (came) => came.map((each) => [each.id, each]);
  // One after another.
  const alone = (work) => {
    waiting.current += 1;
    last.current = last.current.then(work).then(() => setProblem(null), setProblem).finally(() => { waiting.current -= 1; });
  };
  const newer = () => alone(async () => {
    const newest = [...(known.current?.notices.keys() ?? [])].reduce((most, id) => (id > most ? id : most), "");
    const after = newest && new Date(timeOf(newest) - OVERLAP_MS).toISOString();
    const page = await get("/api/alert-history", { device, after: after || null });
    // If the page does not reach down to what is known, there is something between them that was not read.
    if (!known.current || (newest && page.next && page.next > newest)) keep(new Map(by(page.notices)), page.next);
    else keep(new Map([...known.current.notices, ...by(page.notices)]), known.current.next);
  });
  const older = (pages) => alone(async () => {
    setReading(true);
    try {
      for (let read = 0; read < pages && known.current?.next && !gone.current; read += 1) {
        const page = await get("/api/alert-history", { device, before: known.current.next });
        keep(new Map([...known.current.notices, ...by(page.notices)]), page.next);
      }
    } finally { setReading(false); }
  });
  useEffect(() => {
    newer();
    const timer = setInterval(() => document.hidden || waiting.current || newer(), LOOK_MS);
    return () => { gone.current = true; clearInterval(timer); };
  }, []);
  return { found, problem, reading, older };
}

// By what was written last, newest first. Of an end whose beginning is not read yet that is not known; a beginning without
// an end is open, as its end would be newer.
function episodesOf(notices) {
  const found = new Map();
  for (const each of [...notices.values()].sort((a, b) => (a.id < b.id ? 1 : -1))) {
    found.set(each.episode, { ...found.get(each.episode), [each.state === "recovered" ? "end" : "begin"]: each });
  }
  return [...found.values()];
}

export function Episodes({ device = null }) {
  const { found, problem, reading, older } = useNotices(device);
  const [open, setOpen] = useState(false);
  const [shown, setShown] = useState(MORE);
  const now = useNow();
  const all = useMemo(() => episodesOf(found?.notices ?? new Map()), [found]);
  const still = useMemo(() => all.filter((each) => !each.end), [all]);
  const rows = open ? still : all;
  const only = (on) => { setOpen(on); setShown(MORE); if (on) older(PAGES); };
  const more = () => { setShown(shown + MORE); if (rows.length < shown + MORE) older(open ? PAGES : 1); };
  return html`
    <${Trouble} problem=${problem} />
    ${!found && !problem && html`<p class="loading">Reading the history of alerts</p>`}
    ${found && html`<div class="toolbar">
      <label class="choice"><input type="checkbox" checked=${open} onChange=${(event) => only(event.target.checked)} /><span>only open ones</span></label>
      <span class="hint" role="status"><b>${still.length.toLocaleString("en")} open</b> of ${plural(all.length, "episode")}${found.next && ` since ${clock(timeOf(found.next))}`}</span></div>`}
    ${found && rows.length === 0 && !reading && html`<${Empty} title=${open ? "None is open" : "No episode yet"}>${found.next ? "Older ones are not read yet." : "The history goes back for 90 days."}<//>`}
    ${rows.length > 0 && html`<div class="scroll card" tabindex="0" role="region" aria-label="Table of episodes"><table class="numbers">
      <thead><tr><th>Began</th><th>Ended</th>${device === null && html`<th>Device</th>`}<th>Rule</th><th>Severity</th><th class="right">Value</th></tr></thead>
      <tbody>${rows.slice(0, shown).map((each) => html`<${Line} key=${(each.end ?? each.begin).episode} ...${each} linked=${device === null} now=${now} />`)}</tbody></table></div>`}
    ${found && (rows.length > shown || found.next) && html`<div class="actions more"><button type="button" disabled=${reading} onClick=${more}>${reading ? "Reading" : "Older"}</button></div>`}`;
}

const BADGES = { info: "tag", warning: "badge warn", critical: "badge bad" };

function Line({ begin, end, linked, now }) {
  const { device, rule, severity, limit } = begin ?? end;
  return html`<tr><td>${begin ? html`<${When} ms=${Date.parse(begin.at)} now=${now} />` : "earlier"}</td>
    <td>${end ? html`<${When} ms=${Date.parse(end.at)} now=${now} />${end.value !== null && html` <small>at ${end.value}</small>`}` : html`<b>open</b>`}</td>
    ${linked && html`<td><a href=${deviceAddress(device)}>${device}</a></td>`}<td title=${`limit ${limit}`}>${rule}</td>
    <td><span class=${BADGES[severity]}>${severity}</span></td>
    <td class="right">${begin && (begin.value === null ? html`silent since <${When} ms=${begin.measured} now=${now} />` : html`<b>${begin.value}</b>`)}</td></tr>`;
}
