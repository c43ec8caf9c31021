"""One panel in its box: its kinds as Grafana draws them, as far as our dashboards use them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from infra.dashboards.pictures.ask import Series, Window
from infra.dashboards.pictures.svg import Box, Canvas, Point, shortened, width_of
from infra.dashboards.pictures.units import ticks, written

BACK, FRONT, EDGE, GRID, INK, DIM = "#111217", "#181b1f", "#25282d", "#2a2d33", "#ccccdc", "#8e8f9a"
COLOURS = {
    "blue": "#5794f2",
    "green": "#73bf69",
    "yellow": "#f2cc0c",
    "orange": "#ff9830",
    "red": "#f2495c",
    "purple": "#b877d9",
    "transparent": "none",
}
PALETTE = ("#73bf69", "#f2cc0c", "#5794f2", "#ff9830", "#b877d9", "#6ed0e0", "#f2495c", "#ff85b8")
LEGEND_LINE = 17


@dataclass(frozen=True)
class Panel:
    """A panel's JSON with the series that it shows."""

    document: dict[str, Any]
    series: list[Series]
    window: Window

    @property
    def defaults(self) -> dict[str, Any]:
        found: dict[str, Any] = self.document["fieldConfig"]["defaults"]
        return found

    def write(self, value: float) -> str:
        return written(value, self.defaults["unit"], self.defaults.get("decimals"))

    def threshold(self, value: float) -> str:
        """The colour of the last step that the value reaches."""
        steps = self.defaults["thresholds"]["steps"]
        reached: list[str] = [step["color"] for step in steps if step["value"] is None or value >= step["value"]]
        return COLOURS.get(reached[-1], reached[-1])

    def colours(self) -> list[str]:
        """Of each series: its own, or one of the palette by the order of the names."""
        fixed = {
            override["matcher"]["options"]: override["properties"][0]["value"]["fixedColor"]
            for override in self.document["fieldConfig"]["overrides"]
        }
        free = sorted({series.name for series in self.series} - set(fixed))
        palette = {name: PALETTE[number % len(PALETTE)] for number, name in enumerate(free)}
        return [
            COLOURS.get(fixed[each.name], fixed[each.name]) if each.name in fixed else palette[each.name]
            for each in self.series
        ]


def draw(canvas: Canvas, panel: Panel, box: Box) -> None:
    """The frame with its title, and what is in it."""
    canvas.rect(box, FRONT, 3, EDGE)
    title = shortened(panel.document["title"], 13, box.width - 20)
    canvas.words(box.x + 10, box.y + 20, title, INK, 13, weight=600)
    inner = box.inside(10, 30, 10, 8)
    match panel.document["type"]:
        case "stat":
            _stat(canvas, panel, inner)
        case "timeseries":
            _lines(canvas, panel, inner)
        case "state-timeline":
            _states(canvas, panel, inner)


def _x(panel: Panel, box: Box) -> list[float]:
    """Where each time of the window stands."""
    last = len(panel.window.times) - 1
    return [box.x + box.width * number / last for number in range(last + 1)]


def _runs(xs: Sequence[float], values: Sequence[float | None]) -> list[list[Point]]:
    """The stretches without a gap."""
    runs: list[list[Point]] = [[]]
    for x, value in zip(xs, values, strict=True):
        if value is None:
            runs.append([])
        else:
            runs[-1].append((x, value))
    return [run for run in runs if run]


def _stat(canvas: Canvas, panel: Panel, box: Box) -> None:
    share = box.width / max(1, len(panel.series))
    for number, series in enumerate(panel.series):
        part = Box(box.x + number * share, box.y, share, box.height)
        last = series.last
        colour = panel.threshold(last or 0)
        _spark(canvas, panel, Box(part.x, part.bottom - 34, part.width, 34), series, colour)
        text = "no data" if last is None else panel.write(last)
        canvas.words(part.x + part.width / 2, part.y + 46, text, colour, 30, anchor="middle", weight=600)
        if len(panel.series) > 1:
            canvas.words(part.x + part.width / 2, part.y + 12, series.name, INK, 12, anchor="middle")


def _spark(canvas: Canvas, panel: Panel, box: Box, series: Series, colour: str) -> None:
    known = [value for value in series.values if value is not None]
    if not known:
        return
    least, most = min(known), max(known)
    height = (most - least) or 1.0
    for run in _runs(_x(panel, box), series.values):
        points = [(x, box.bottom - (value - least) / height * box.height) for x, value in run]
        canvas.area(points, [(x, box.bottom) for x, _ in points], colour, 0.13)
        canvas.curve(points, colour, 1)


def _states(canvas: Canvas, panel: Panel, box: Box) -> None:
    left = min(260.0, box.width / 2, 14 + max((width_of(each.name, 12) for each in panel.series), default=0))
    plot = box.inside(left, 0, 0, 20)
    row = plot.height / max(1, len(panel.series))
    bar = min(row * 0.8, 34)
    xs = _x(panel, plot)
    for number, series in enumerate(panel.series):
        middle = plot.y + row * (number + 0.5)
        canvas.words(plot.x - 8, middle + 4, shortened(series.name, 12, left - 10), INK, 12, anchor="end")
        start = 0
        for index in range(1, len(xs) + 1):
            here = series.values[start]
            if index < len(xs) and series.values[index] == here:
                continue
            if here is not None:
                end = xs[min(index, len(xs) - 1)]
                canvas.rect(Box(xs[start], middle - bar / 2, end - xs[start], bar), panel.threshold(here), 1)
            start = index
    _times(canvas, panel, plot, grid=False)


def _times(canvas: Canvas, panel: Panel, plot: Box, grid: bool = True) -> None:
    """The axis of time, in UTC."""
    window, length = panel.window, panel.window.end - panel.window.start
    step = next(each for each in (60, 120, 300, 600, 3600) if length / each * 48 <= plot.width or each == 3600)
    time = window.start - window.start % step + step
    while time < window.end:
        x = plot.x + plot.width * (time - window.start) / length
        if grid:
            canvas.line((x, plot.y), (x, plot.bottom), GRID)
        if plot.x + 14 < x < plot.right - 14:
            label = datetime.fromtimestamp(time, UTC).strftime("%H:%M")
            canvas.words(x, plot.bottom + 15, label, DIM, 11, anchor="middle")
        time += step


def _lines(canvas: Canvas, panel: Panel, box: Box) -> None:
    custom = panel.defaults["custom"]
    stacked = custom.get("stacking", {}).get("mode") == "normal"
    curves = _stacked(panel.series) if stacked else [(None, series.values) for series in panel.series]
    rows = _legend(canvas, panel, box)
    highest = max((value for _, values in curves for value in values if value is not None), default=0)
    marks = ticks(max(highest, custom.get("axisSoftMax") or 0) or 1, panel.defaults["unit"])
    labels = [written(mark, panel.defaults["unit"]) for mark in marks]
    plot = box.inside(10 + max(width_of(label, 11) for label in labels), 4, 4, 22 + rows * LEGEND_LINE)
    for mark, label in zip(marks, labels, strict=True):
        y = plot.bottom - plot.height * mark / marks[-1]
        canvas.line((plot.x, y), (plot.right, y), GRID)
        canvas.words(plot.x - 6, y + 4, label, DIM, 11, anchor="end")
    _times(canvas, panel, plot)
    opacity = custom["fillOpacity"] / 100
    for (below, values), colour in zip(curves, panel.colours(), strict=True):
        _curve(canvas, panel, plot, marks[-1], values, below, colour, opacity)
    if custom.get("thresholdsStyle", {}).get("mode") == "dashed":
        limit = panel.defaults["thresholds"]["steps"][-1]
        y = plot.bottom - plot.height * limit["value"] / marks[-1]
        canvas.line((plot.x, y), (plot.right, y), COLOURS[limit["color"]], 1, "8 6")


def _curve(
    canvas: Canvas,
    panel: Panel,
    plot: Box,
    top: float,
    values: Sequence[float | None],
    below: Sequence[float] | None,
    colour: str,
    opacity: float,
) -> None:
    xs = _x(panel, plot)
    floor = dict(zip(xs, below or [0.0] * len(xs), strict=True))
    for run in _runs(xs, values):
        upper = [(x, plot.bottom - plot.height * value / top) for x, value in run]
        lower = [(x, plot.bottom - plot.height * floor[x] / top) for x, _ in run]
        canvas.area(upper, lower, colour, opacity)
        canvas.curve(upper, colour)


def _stacked(series: Sequence[Series]) -> list[tuple[list[float] | None, list[float | None]]]:
    """Each series upon those before it: what is below it, and its upper edge."""
    found: list[tuple[list[float] | None, list[float | None]]] = []
    sums = [0.0] * (len(series[0].values) if series else 0)
    for each in series:
        below = sums
        sums = [low + (value or 0.0) for low, value in zip(below, each.values, strict=True)]
        edge = [None if value is None else high for high, value in zip(sums, each.values, strict=True)]
        found.append((below, edge))
    return found


def _legend(canvas: Canvas, panel: Panel, box: Box) -> int:
    """Names below the plot, in as many lines as they need; returns how many."""
    lines: list[list[tuple[float, str, str]]] = [[]]
    x = 0.0
    for series, colour in zip(panel.series, panel.colours(), strict=True):
        name = shortened(series.name, 12, box.width - 24)
        wide = 24 + width_of(name, 12)
        if lines[-1] and x + wide > box.width:
            lines.append([])
            x = 0.0
        lines[-1].append((x, name, colour))
        x += wide + 8
    for number, entries in enumerate(lines):
        y = box.bottom - (len(lines) - 1 - number) * LEGEND_LINE - 2
        for place, name, colour in entries:
            canvas.rect(Box(box.x + place, y - 6, 14, 4), colour, 2)
            canvas.words(box.x + place + 19, y, name, INK, 12)
    return len(lines)
