// A line over time with uPlot: drag to zoom, the alert's threshold as a line, colours of the theme.
import { html, useEffect, useRef, useState } from "./vendor/htm-preact.js";

const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const dark = matchMedia("(prefers-color-scheme: dark)");

function threshold(limit) {
  return (plot) => {
    const y = plot.valToPos(limit, "y", true);
    const { left, top, width, height } = plot.bbox;
    if (!(y >= top && y <= top + height)) return;
    const { ctx } = plot;
    ctx.save();
    ctx.strokeStyle = style("--bad");
    ctx.setLineDash([6, 4]);
    ctx.beginPath();
    ctx.moveTo(left, y);
    ctx.lineTo(left + width, y);
    ctx.stroke();
    ctx.restore();
  };
}

const pad = (number) => String(number).padStart(2, "0");

// Times on the axis: with seconds, minutes or days, as far apart as they stand.
function times(plot, splits, axis, space, step) {
  return splits.map((seconds) => {
    const at = new Date(seconds * 1000);
    if (step >= 86_400) return `${pad(at.getMonth() + 1)}-${pad(at.getDate())}`;
    return `${pad(at.getHours())}:${pad(at.getMinutes())}${step < 60 ? `:${pad(at.getSeconds())}` : ""}`;
  });
}

// The values with some room; a single one in the middle.
function room(plot, min, max) {
  if (min === null) return [0, 1];
  const margin = max > min ? (max - min) * 0.1 : Math.abs(max) * 0.1 || 1;
  return [min - margin, max + margin];
}

function options({ width, height, limit, range, onZoom, onPoint, count, banded }) {
  const axis = { stroke: style("--muted"), grid: { stroke: style("--grid"), width: 1 }, ticks: { stroke: style("--grid") }, font: "12px system-ui" };
  return {
    width, height,
    legend: { show: false },
    padding: [8, 24, 0, 0],
    cursor: { sync: { key: "device" }, drag: { x: true, y: false, setScale: false }, points: { size: 7 } },
    scales: { x: { time: true, range: () => range() }, y: { range: room } },
    axes: [{ ...axis, values: times }, { ...axis, size: 58 }],
    series: banded
      ? [{}, { stroke: style("--accent"), width: 1.6, points: { show: false } }, { width: 0, points: { show: false } }, { width: 0, points: { show: false } }]
      : [{}, { stroke: style("--accent"), width: 1.6, fill: style("--accent-fill"), points: { show: count < 60, size: 5 } }],
    bands: banded ? [{ series: [3, 2], fill: style("--accent-band") }] : [],
    hooks: {
      draw: limit === null ? [] : [threshold(limit)],
      setCursor: [(plot) => onPoint(plot.cursor.idx ?? null)],
      setSelect: [(plot) => {
        if (plot.select.width < 4) return;
        onZoom(plot.posToVal(plot.select.left, "x"), plot.posToVal(plot.select.left + plot.select.width, "x"));
        plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
      }],
    },
  };
}

// Mean, lowest and highest of each part of a range, and its text.
const put = ({ buckets }) => ({
  points: [buckets.map((each) => Date.parse(each[0]) / 1000), ...[4, 2, 3].map((at) => buckets.map((each) => Number(each[at])))],
  texts: buckets.map(([, count, min, max, mean]) => (count === 1 ? mean : `${Number(mean).toPrecision(6)} (${min} to ${max}, ${count} readings)`)),
});

// `points`: [[seconds...], [numbers...]]; `texts`: the numbers as they were sent; `range()`: seconds from and to. With a
// `series` that is drawn instead.
export function Chart({ name, series, range, limit, when, onZoom, height = 170, ...single }) {
  const { points, texts } = series ? put(series) : single;
  const banded = Boolean(series);
  const place = useRef(null), plot = useRef(null), zoom = useRef(onZoom), ranged = useRef(range);
  const [index, setIndex] = useState(null);
  zoom.current = onZoom;
  ranged.current = range;
  const few = points[0].length < 60;
  useEffect(() => {
    const make = () => {
      plot.current?.destroy();
      plot.current = new uPlot(options({
        width: place.current.clientWidth, height, limit, banded, count: few ? 0 : 60,
        range: () => ranged.current(), onZoom: (from, to) => zoom.current(from, to), onPoint: setIndex,
      }), points, place.current);
    };
    make();
    const resized = new ResizeObserver(() => plot.current.setSize({ width: place.current.clientWidth, height }));
    resized.observe(place.current);
    dark.addEventListener("change", make);
    return () => { resized.disconnect(); dark.removeEventListener("change", make); plot.current.destroy(); plot.current = null; };
  }, [limit, height, few, banded]);
  useEffect(() => { plot.current?.setData(points); });
  const shown = index !== null && index < texts.length ? index : texts.length - 1;
  return html`<figure class="chart">
    <figcaption><span>${name}</span><b>${texts[shown] ?? ""}</b>
      ${limit !== null && html`<span class="limit">alert ${when} ${limit}</span>`}
      ${index !== null && points[0][shown] !== undefined && html`<span class="hint">${new Date(points[0][shown] * 1000).toLocaleString()}</span>`}</figcaption>
    <div ref=${place} role="img" aria-label=${`${name}: ${texts.length} ${banded ? "parts" : "readings"}, the last one ${texts.at(-1) ?? "none"}`}></div>
  </figure>`;
}
