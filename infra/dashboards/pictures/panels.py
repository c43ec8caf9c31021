"""One panel in its box: its kinds as Grafana draws them, as far as our dashboards use them."""

from infra.dashboards.pictures.ask import Series
from infra.dashboards.pictures.lines import lines
from infra.dashboards.pictures.panel import DIM, EDGE, FRONT, INK, Panel, axis_of_time, places, runs
from infra.dashboards.pictures.svg import Box, Canvas, shortened, width_of


def draw(canvas: Canvas, panel: Panel, box: Box) -> None:
    """The frame with its title, and what is in it."""
    canvas.rect(box, FRONT, 3, EDGE)
    title = shortened(panel.document["title"], 13, box.width - 20)
    canvas.words(box.x + 10, box.y + 20, title, INK, 13, weight=600)
    inner = box.inside(10, 30, 10, 8)
    if not panel.series and (quiet := panel.defaults.get("noValue")):
        canvas.words(inner.x + inner.width / 2, inner.y + inner.height / 2, quiet, DIM, 14, anchor="middle")
        return
    match panel.document["type"]:
        case "stat":
            _stat(canvas, panel, inner)
        case "timeseries":
            lines(canvas, panel, inner)
        case "state-timeline":
            _states(canvas, panel, inner)


def _stat(canvas: Canvas, panel: Panel, box: Box) -> None:
    share = box.width / max(1, len(panel.series))
    for number, series in enumerate(panel.series):
        part = Box(box.x + number * share, box.y, share, box.height)
        last = series.last
        colour = panel.threshold(last or 0)
        if panel.document["options"]["graphMode"] == "area":
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
    for run in runs(places(panel, box), series.values):
        points = [(x, box.bottom - (value - least) / height * box.height) for x, value in run]
        canvas.area(points, [(x, box.bottom) for x, _ in points], colour, 0.13)
        canvas.curve(points, colour, 1)


def _states(canvas: Canvas, panel: Panel, box: Box) -> None:
    left = min(260.0, box.width / 2, 14 + max((width_of(each.name, 12) for each in panel.series), default=0))
    plot = box.inside(left, 0, 0, 20)
    row = plot.height / max(1, len(panel.series))
    bar = min(row * 0.8, 34)
    xs = places(panel, plot)
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
    axis_of_time(canvas, panel, plot, grid=False)
