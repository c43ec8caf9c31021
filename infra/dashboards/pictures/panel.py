"""A panel with its data: what its JSON says of colours and numbers, and its axis of time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from infra.dashboards.pictures.ask import Series, Window
from infra.dashboards.pictures.svg import Box, Canvas, Point
from infra.dashboards.pictures.units import written

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
PALETTE = (
    *("#73bf69", "#f2cc0c", "#5794f2", "#ff9830", "#b877d9", "#6ed0e0", "#f2495c", "#ff85b8"),
    *("#c8f2c2", "#ffee99", "#1f60c4", "#c4612d", "#8f3bb8", "#117a8b", "#8e1b2b", "#a05195"),
)


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

    def style(self, series: Series) -> dict[str, Any]:
        """What the panel says of this series alone."""
        for override in self.document["fieldConfig"]["overrides"]:
            if override["matcher"]["options"] == series.name:
                return {each["id"]: each["value"] for each in override["properties"]}
        return {}

    def colours(self) -> list[str]:
        """Of each series: its own, or one of the palette by the order of the names."""
        fixed = {each.name: style["color"]["fixedColor"] for each in self.series if (style := self.style(each))}
        free = sorted({series.name for series in self.series} - set(fixed))
        palette = {name: PALETTE[number % len(PALETTE)] for number, name in enumerate(free)}
        return [
            COLOURS.get(fixed[each.name], fixed[each.name]) if each.name in fixed else palette[each.name]
            for each in self.series
        ]


def places(panel: Panel, box: Box) -> list[float]:
    """Where each time of the window stands."""
    last = len(panel.window.times) - 1
    return [box.x + box.width * number / last for number in range(last + 1)]


def runs(xs: Sequence[float], values: Sequence[float | None]) -> list[list[Point]]:
    """The stretches without a gap."""
    runs: list[list[Point]] = [[]]
    for x, value in zip(xs, values, strict=True):
        if value is None:
            runs.append([])
        else:
            runs[-1].append((x, value))
    return [run for run in runs if run]


def axis_of_time(canvas: Canvas, panel: Panel, plot: Box, grid: bool = True) -> None:
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
