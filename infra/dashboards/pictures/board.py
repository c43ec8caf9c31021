"""A whole dashboard: the heading, and every panel where Grafana's grid puts it."""

from datetime import UTC, datetime
from typing import Any

from infra.dashboards.pictures.ask import Asker
from infra.dashboards.pictures.panel import BACK, DIM, GRID, INK, Panel
from infra.dashboards.pictures.panels import draw
from infra.dashboards.pictures.svg import Box, Canvas, width_of

WIDTH = 1440
MARGIN, HEAD, CHIP, ROW, GAP = 16, 98, 27, 38, 8  # pixels; a unit of the grid's height with its gap is ROW
ORIGIN = "Drawn from the dashboard's own queries by `make pictures`, not by Grafana."


def picture(board: dict[str, Any], asker: Asker, note: str) -> str:
    """The SVG of a dashboard over the asker's window; `note` tells what there was to be seen."""
    bottom = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in board["panels"])
    chips = _chips(board)
    head = HEAD + CHIP * (len(chips) - 1)
    canvas = Canvas(WIDTH, head + bottom * ROW + MARGIN, BACK)
    _head(canvas, board, asker)
    for number, line in enumerate(chips):
        for x, width, label, value in line:
            _chip(canvas, Box(x, 48 + CHIP * number, width, 22), label, value)
    canvas.words(MARGIN, head - 10, note, DIM, 12)
    for panel in board["panels"]:
        box = _place(panel["gridPos"], head)
        if panel["type"] == "row":
            canvas.words(box.x + 4, box.y + 21, f"⌄  {panel['title']}", INK, 14, weight=600)
        else:
            draw(canvas, Panel(panel, asker.panel(panel, board), asker.window), box)
    return canvas.text(f"{board['title']}. {ORIGIN}")


def _place(place: dict[str, int], head: int) -> Box:
    column = (WIDTH - 2 * MARGIN + GAP) / 24
    x, y = MARGIN + place["x"] * column, head + place["y"] * ROW
    return Box(round(x, 1), y, round(place["w"] * column - GAP, 1), place["h"] * ROW - GAP)


def _head(canvas: Canvas, board: dict[str, Any], asker: Asker) -> None:
    start, end = (datetime.fromtimestamp(each, UTC) for each in (asker.window.start, asker.window.end))
    canvas.words(MARGIN, 30, board["title"], INK, 20, weight=600)
    canvas.words(WIDTH - MARGIN, 20, f"{start:%Y-%m-%d %H:%M} to {end:%H:%M} UTC", INK, 12, anchor="end")
    canvas.words(WIDTH - MARGIN, 37, ORIGIN, DIM, 12, anchor="end")


def _chips(board: dict[str, Any]) -> list[list[tuple[float, float, str, str]]]:
    """The variables that a reader sees, in lines: where each begins, how wide it is, its label and value."""
    lines: list[list[tuple[float, float, str, str]]] = [[]]
    x = float(MARGIN)
    for variable in board["templating"]["list"]:
        if variable["type"] not in ("query", "textbox"):
            continue
        chosen = "All" if variable.get("multi") else "sensorstream"
        label, value = variable["label"], variable["query"] if variable["type"] == "textbox" else chosen
        width = round(width_of(label, 11) + width_of(value, 11) + 24, 1)
        if x + width > WIDTH - MARGIN:
            lines.append([])
            x = float(MARGIN)
        lines[-1].append((round(x, 1), width, label, value))
        x += width + 6
    return lines


def _chip(canvas: Canvas, box: Box, label: str, value: str) -> None:
    canvas.rect(box, "none", 3, GRID)
    canvas.words(box.x + 7, box.y + 15, label, DIM, 11)
    canvas.words(box.right - 7, box.y + 15, value, INK, 11, anchor="end")
