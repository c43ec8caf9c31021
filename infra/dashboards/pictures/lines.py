"""Curves over time: lines, stacked areas, stacked bars; with axes, a limit and a legend."""

from dataclasses import dataclass

from infra.dashboards.pictures.panel import COLOURS, DIM, GRID, INK, Panel, axis_of_time, places, runs
from infra.dashboards.pictures.svg import Box, Canvas, shortened, width_of
from infra.dashboards.pictures.units import ticks, written

LEGEND_LINE = 17


@dataclass(frozen=True)
class Curve:
    """A series where it is drawn: its upper edge, what is below it, and how it looks."""

    edge: list[float | None]
    below: list[float]
    colour: str
    opacity: float
    dashes: str


def lines(canvas: Canvas, panel: Panel, box: Box) -> None:
    """The whole inside of a panel of the kind `timeseries`."""
    custom, unit = panel.defaults["custom"], panel.defaults["unit"]
    curves = _curves(panel, stacked=custom.get("stacking", {}).get("mode") == "normal")
    rows = _legend(canvas, panel, box)
    highest = max((value for curve in curves for value in curve.edge if value is not None), default=0)
    marks = ticks(max(highest, custom.get("axisSoftMax") or 0) or 1, unit)
    labels = [written(mark, unit) for mark in marks]
    plot = box.inside(10 + max(width_of(label, 11) for label in labels), 4, 4, 22 + rows * LEGEND_LINE)
    for mark, label in zip(marks, labels, strict=True):
        y = plot.bottom - plot.height * mark / marks[-1]
        canvas.line((plot.x, y), (plot.right, y), GRID)
        canvas.words(plot.x - 6, y + 4, label, DIM, 11, anchor="end")
    axis_of_time(canvas, panel, plot)
    shape = _bars if custom["drawStyle"] == "bars" else _line
    for curve in curves:
        shape(canvas, panel, plot, marks[-1], curve)
    if custom.get("thresholdsStyle", {}).get("mode") == "dashed":
        limit = panel.defaults["thresholds"]["steps"][-1]
        y = plot.bottom - plot.height * limit["value"] / marks[-1]
        canvas.line((plot.x, y), (plot.right, y), COLOURS[limit["color"]], 1, "8 6")


def _line(canvas: Canvas, panel: Panel, plot: Box, top: float, curve: Curve) -> None:
    xs = places(panel, plot)
    floor = dict(zip(xs, curve.below, strict=True))
    for run in runs(xs, curve.edge):
        upper = [(x, plot.bottom - plot.height * value / top) for x, value in run]
        lower = [(x, plot.bottom - plot.height * floor[x] / top) for x, _ in run]
        if curve.opacity:
            canvas.area(upper, lower, curve.colour, curve.opacity)
        canvas.curve(upper, curve.colour, dashes=curve.dashes)


def _bars(canvas: Canvas, panel: Panel, plot: Box, top: float, curve: Curve) -> None:
    xs = places(panel, plot)
    width = 0.8 * (xs[1] - xs[0])
    for x, low, high in zip(xs, curve.below, curve.edge, strict=True):
        if high is not None and high > low:
            y, height = plot.bottom - plot.height * high / top, plot.height * (high - low) / top
            canvas.rect(Box(round(x - width / 2, 1), round(y, 1), round(width, 1), round(height, 1)), curve.colour)


def _curves(panel: Panel, stacked: bool) -> list[Curve]:
    """Each series from 0 up, or upon those before it."""
    found: list[Curve] = []
    floor = [0.0] * len(panel.window.times)
    for series, colour in zip(panel.series, panel.colours(), strict=True):
        tops = [low + (value or 0.0) for low, value in zip(floor, series.values, strict=True)]
        edge = [None if value is None else high for high, value in zip(tops, series.values, strict=True)]
        style = panel.style(series)
        opacity = style.get("custom.fillOpacity", panel.defaults["custom"]["fillOpacity"]) / 100
        found.append(Curve(edge, floor, colour, opacity, "6 4" if "custom.lineStyle" in style else ""))
        floor = tops if stacked else floor
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
