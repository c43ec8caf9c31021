// The pipeline at work: a picture with live numbers on its edges, and a row for each shard.
import { html, useEffect, useRef, useState } from "./vendor/htm-preact.js";
import { events } from "./api.js";
import { Empty, Note, State, Trouble, duration } from "./ui.js";

const SPAN_MS = 15_000; // that rates are taken over

const rounded = (number) => (number === null || number === undefined ? "–" : number >= 100 ? Math.round(number).toLocaleString("en") : number >= 10 ? number.toFixed(1) : number.toFixed(2).replace(/\.?0+$/, "") || "0");
const bytes = (number) => (number >= 1 << 30 ? `${(number / (1 << 30)).toFixed(1)} GiB` : number >= 1 << 20 ? `${(number / (1 << 20)).toFixed(0)} MiB` : `${(number / 1024).toFixed(0)} KiB`);

function usePipeline() {
  const [last, setLast] = useState(null);
  const [state, setState] = useState("connecting");
  const samples = useRef([]);
  useEffect(() => events("/api/pipeline", {
    pipeline: (found) => {
      if (found.worker) {
        const before = samples.current.at(-1)?.worker.counters.records ?? 0;
        if (found.worker.counters.records < before) samples.current = []; // the consumer has started anew
        samples.current = [...samples.current.filter((each) => found.at - each.at <= SPAN_MS), found];
      }
      setLast(found);
    },
  }, setState), []);
  return { last, state, samples: samples.current };
}

// Of a counter, per second: over the last seconds of the worker, or CloudWatch's last whole minute.
function rates(last, samples) {
  if (last.worker) {
    const first = samples[0], seconds = (last.at - first.at) / 1000;
    return (name) => (seconds > 0 ? (last.worker.counters[name] - first.worker.counters[name]) / seconds : null);
  }
  return (name) => { const points = last.minutes?.[name]; return points?.length ? points.at(-1).value / 60 : null; };
}

export function Pipeline({ about }) {
  const { last, state, samples } = usePipeline();
  if (!last) return html`<h1>Pipeline</h1><p class="loading">Looking at the pipeline</p>`;
  const { worker, problems } = last;
  const refused = Object.values(problems).find((each) => each.refused);
  return html`
    <div class="title"><h1>Pipeline</h1><${State} state=${state} /></div>
    <${Trouble} problem=${refused && { ...refused, message: refused.detail }} />
    ${Object.values(problems).filter((each) => !each.refused).map((each) => html`<${Note} kind="bad">${each.detail}<//>`)}
    ${worker && !worker.healthy && html`<${Note} kind="bad" title="The worker is not healthy:">${worker.why}<//>`}
    <${Picture} about=${about} last=${last} per=${rates(last, samples)} />
    ${!worker && last.minutes && html`<p class="hint">Numbers are those of CloudWatch's last minute: tasks of a deployment cannot be asked from here.
      Where one can be reached, CONSUMER_URL names it.</p>`}
    <${Shards} last=${last} samples=${samples} />
    ${worker && html`<${Worker} worker=${worker} />`}`;
}

function Shards({ last, samples }) {
  const own = Object.fromEntries((last.worker?.shards ?? []).map((each) => [each.shard, each]));
  const names = [...new Set([...Object.keys(last.shards), ...Object.keys(own)])].sort();
  if (names.length === 0) return html`<${Empty} title="No shard is known">The lease table has no rows that may be read: the consumer has not started yet, or this role may not look.<//>`;
  const seconds = samples.length > 1 ? (last.at - samples[0].at) / 1000 : 0;
  const rate = (name) => (seconds ? (last.worker.shardRecords[name] - (samples[0].worker.shardRecords[name] ?? 0)) / seconds : null);
  return html`<section aria-label="Shards"><h2>Shards</h2><div class="scroll card" tabindex="0" role="region" aria-label="Table of shards"><table class="numbers">
    <thead><tr><th>Shard</th><th>Owner</th>${last.worker && html`<th class="right">Lag</th><th class="right">Stored</th><th class="right">Open records</th><th class="right">Open for</th><th class="right">Last read</th>`}<th>Checkpoint</th></tr></thead>
    <tbody>${names.map((name) => { const each = own[name], lease = last.shards[name]; return html`<tr key=${name}>
      <th scope="row">${name}</th><td>${lease?.owner ?? (lease?.checkpoint === "shard ended" ? "" : html`<span class="badge warn">none</span>`)}</td>
      ${last.worker && (each ? html`<td class="right">${duration(each.lagSeconds)}</td>
        <td class="right">${rounded(rate(name))} /s</td><td class="right">${each.openRecords.toLocaleString("en")}</td>
        <td class="right">${each.openRecords ? duration(last.worker.openSeconds[name] ?? 0) : ""}</td>
        <td class="right">${each.cannotBeRead ? html`<span class="badge bad">${each.cannotBeRead}</span>` : duration(each.readAgeSeconds)}</td>`
        : html`<td colspan="5" class="hint">read by another worker</td>`)}
      <td class="mono" title=${lease?.checkpoint}>${lease?.checkpoint?.length > 24 ? `…${lease.checkpoint.slice(-16)}` : lease?.checkpoint}</td></tr>`; })}</tbody></table></div>
    <p class="hint">Lag is the age of the oldest record that is not stored for good: up to the window of an archive object, and a little, in normal operation. Stored: records that are in the table and in an archive object.</p></section>`;
}

function Worker({ worker }) {
  const labelled = (name) => Object.entries(worker.labelled[name] ?? {});
  const facts = [
    ["Worker", `${worker.worker}, version ${worker.version}`],
    ["Daemon", worker.gauges.daemon_up ? `running${worker.gauges.daemon_resident_memory_bytes ? `, ${bytes(worker.gauges.daemon_resident_memory_bytes)}` : ""}` : "not running"],
    ["Daemon restarts", labelled("daemon_restarts").map(([why, count]) => `${count} ${why}`).join(", ") || "none"],
    ["Throttles", labelled("throttles").map(([sink, count]) => `${count} ${sink}`).join(", ") || "none"],
    ["Repeated requests", labelled("retries").map(([why, count]) => `${count} ${why}`).join(", ") || "none"],
    ["Checkpoints", worker.counters.checkpoints.toLocaleString("en")],
    ["Archive objects", `${worker.counters.archive_objects.toLocaleString("en")}, ${bytes(worker.counters.archive_bytes)}`],
  ];
  return html`<section aria-label="Worker"><h2>Worker</h2><dl class="facts card">${facts.map(([name, fact]) => html`<div><dt>${name}</dt><dd>${fact}</dd></div>`)}</dl></section>`;
}

const BOXES = {
  devices: [10, 95], iot: [175, 95], stream: [340, 95], consumer: [535, 95],
  table: [770, 10], archive: [770, 95], letters: [770, 180], alerts: [340, 215],
};
const WIDTH = 130, HEIGHT = 64;

function Picture({ about, last, per }) {
  const { worker } = last;
  const minute = (name) => { const rate = per(name); return rate === null ? null : rate * 60; };
  const shards = Object.values(last.shards).filter((each) => each.checkpoint !== "shard ended");
  const lag = worker ? Math.max(0, ...worker.shards.map((each) => each.lagSeconds)) : last.minutes?.lag?.at(-1)?.value;
  const open = worker?.shards.reduce((sum, each) => sum + each.openRecords, 0);
  const owners = new Set(shards.map((each) => each.owner).filter(Boolean)).size;
  const byConsumer = about.alert.source === "consumer";
  const alerts = byConsumer || !worker ? minute("alerts_sent") : null;
  const boxes = {
    devices: ["Devices", worker ? `${worker.gauges.devices.toLocaleString("en")} in a minute` : ""],
    iot: ["IoT Core", "rules"],
    stream: ["Stream", `${shards.length} shards`],
    consumer: ["Consumer", `${owners} worker${owners === 1 ? "" : "s"}`, lag === undefined ? "" : `lag ${duration(lag)}`],
    table: ["Table", "rows"],
    archive: ["Archive", open === undefined ? "objects" : `${open.toLocaleString("en")} open records`],
    letters: ["Dead letters", worker ? `${worker.counters.dead_letter_records.toLocaleString("en")} since its start` : ""],
    alerts: ["Alerts", `${about.alert.field} ${about.alert.when} ${about.alert.threshold}`],
  };
  const edges = [
    ["devices", "iot", ""], ["iot", "stream", ""],
    ["stream", "consumer", `${rounded(per("records"))}/s`],
    ["consumer", "table", `${rounded(per("rows_written"))}/s`],
    ["consumer", "archive", `${rounded(minute("archive_objects"))}/min`],
    ["consumer", "letters", `${rounded(minute("dead_letter_records"))}/min`],
    [byConsumer ? "consumer" : "iot", "alerts", alerts === null ? "" : `${rounded(alerts)}/min`],
  ];
  const said = edges.filter(([, , label]) => label).map(([from, to, label]) => `${boxes[from][0]} to ${boxes[to][0]} ${label}`).join(", ");
  return html`<div class="picture card" tabindex="0" role="region" aria-label="The system"><svg viewBox="0 0 910 290" role="img" aria-label=${said}>
    <defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" /></marker></defs>
    ${edges.map(([from, to, label]) => html`<${Edge} from=${BOXES[from]} to=${BOXES[to]} label=${label} busy=${label && !label.startsWith("0/") && !label.startsWith("–")} />`)}
    ${Object.entries(boxes).map(([name, [title, ...lines]]) => html`<g transform=${`translate(${BOXES[name]})`}>
      <rect width=${WIDTH} height=${HEIGHT} rx="8" /><text class="box-title" x="12" y="24">${title}</text>
      ${lines.filter(Boolean).map((text, index) => html`<text x="12" y=${41 + index * 15}>${text}</text>`)}</g>`)}
  </svg></div>`;
}

function Edge({ from, to, label, busy }) {
  const down = to[1] > from[1] + HEIGHT && to[0] < from[0] + WIDTH + 60;
  const [x1, y1] = down ? [from[0] + WIDTH / 2, from[1] + HEIGHT] : [from[0] + WIDTH, from[1] + HEIGHT / 2];
  const [x2, y2] = down ? [to[0] + (to[0] > from[0] ? 0 : WIDTH), to[1] + HEIGHT / 2] : [to[0], to[1] + HEIGHT / 2];
  const path = down ? `M${x1} ${y1}V${y2}H${x2 + (to[0] > from[0] ? -2 : 2)}` : y1 === y2 ? `M${x1} ${y1}H${x2 - 2}` : `M${x1} ${y1}C${x1 + 30} ${y1} ${x1 + 10} ${y2} ${x1 + 45} ${y2}H${x2 - 2}`;
  const [lx, ly] = down ? [(x1 + x2) / 2, y2 - 7] : [x2 - 12, y2 > y1 ? y2 + 15 : y2 - 8];
  return html`<g class=${busy ? "edge busy" : "edge"}><path d=${path} marker-end="url(#arrow)" />
    ${label && html`<text x=${lx} y=${ly} text-anchor=${down ? "middle" : "end"}>${label}</text>`}</g>`;
}
