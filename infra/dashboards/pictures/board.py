"""A whole dashboard: the heading, and every panel where Grafana's grid puts it."""

from datetime import UTC, datetime
from typing import Any

from infra.dashboards.pictures.ask import Asker
from infra.dashboards.pictures.panels import BACK, DIM, GRID, INK, Panel, draw
from infra.dashboards.pictures.svg import Box, Canvas, width_of

WIDTH = 1440
MARGIN, HEAD, ROW, GAP = 16, 92, 38, 8  # pixels; a unit of the grid's height with its gap is ROW
ORIGIN = "Drawn from the dashboard's own queries by `make pictures`, not by Grafana."


def picture(board: dict[str, Any], asker: Asker, note: str) -> str:
    """The SVG of a dashboard over the asker's window; `note` tells what there was to be seen."""
    bottom = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in board["panels"])
    canvas = Canvas(WIDTH, HEAD + bottom * ROW + MARGIN, BACK)
    _head(canvas, board, asker, note)
    for panel in board["panels"]:
        box = _place(panel["gridPos"])
        if panel["type"] == "row":
            canvas.words(box.x + 4, box.y + 21, f"⌄  {panel['title']}", INK, 14, weight=600)
        else:
            draw(canvas, Panel(panel, asker.panel(panel, board), asker.window), box)
    return canvas.text(f"{board['title']}. {ORIGIN}")


def _place(place: dict[str, int]) -> Box:
    column = (WIDTH - 2 * MARGIN + GAP) / 24
    x, y = MARGIN + place["x"] * column, HEAD + place["y"] * ROW
    return Box(round(x, 1), y, round(place["w"] * column - GAP, 1), place["h"] * ROW - GAP)


def _head(canvas: Canvas, board: dict[str, Any], asker: Asker, note: str) -> None:
    start, end = (datetime.fromtimestamp(each, UTC) for each in (asker.window.start, asker.window.end))
    canvas.words(MARGIN, 30, board["title"], INK, 20, weight=600)
    canvas.words(WIDTH - MARGIN, 22, f"{start:%Y-%m-%d %H:%M} to {end:%H:%M} UTC", INK, 12, anchor="end")
    canvas.words(WIDTH - MARGIN, 39, ORIGIN, DIM, 12, anchor="end")
    x = float(MARGIN)
    for variable in board["templating"]["list"]:
        if variable["type"] not in ("query", "textbox"):
            continue
        label = variable["label"]
        value = (
            variable["query"] if variable["type"] == "textbox" else "All" if variable.get("multi") else "sensorstream"
        )
        wide = width_of(label, 11) + width_of(value, 11) + 22
        canvas.rect(Box(x, 48, wide, 22), "none", 3, GRID)
        canvas.words(x + 7, 63, label, DIM, 11)
        canvas.words(x + wide - 7, 63, value, INK, 11, anchor="end")
        x += wide + 6
    canvas.words(MARGIN, 85, note, DIM, 12)
