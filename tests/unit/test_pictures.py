"""The pictures of the dashboards: numbers as people read them, whatever the data, and the committed ones complete."""

import copy
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest

from infra.dashboards.pictures.ask import STEPS, Asker, Series, Window
from infra.dashboards.pictures.board import ORIGIN, WIDTH, picture
from infra.dashboards.pictures.svg import shortened, width_of
from infra.dashboards.pictures.units import ticks, written
from infra.local.process import ROOT
from tests.grafana import BOARDS, panels

PICTURES = ROOT / "docs/pictures"


@pytest.mark.parametrize(
    ("value", "unit", "decimals", "text"),
    [
        (0, "s", None, "0 s"),
        (0.0123, "s", None, "12.3 ms"),
        (0.9999, "s", None, "1 s"),
        (150, "s", None, "2.5 min"),
        (1234, "short", None, "1.23K"),
        (2, "short", 0, "2"),
        (0.0521, "percentunit", None, "5.21%"),
        (7.3e6, "bytes", None, "6.96 MiB"),
        (7.3e6, "decbytes", None, "7.3 MB"),
        (2500, "Bps", None, "2.5 kB/s"),
        (300, "si:/s", None, "300 /s"),
        (1234.5, "currencyUSD", 0, "$1,234"),
        (3.14, "suffix: x", 1, "3.1 x"),
    ],
)
def test_a_number_is_written_in_its_unit(value: float, unit: str, decimals: int | None, text: str) -> None:
    assert written(value, unit, decimals) == text


@pytest.mark.parametrize("unit", ["short", "s", "bytes", "percentunit"])
@pytest.mark.parametrize("top", [1e-4, 0.3, 1, 7, 99, 100, 3000, 2.5e8])
def test_the_axis_reaches_the_highest_value_in_few_steps(unit: str, top: float) -> None:
    marks = ticks(top, unit)
    assert marks[0] == 0
    assert marks[-1] >= top * 0.999
    if unit != "s" or top < 86400:
        assert 2 <= len(marks) <= 6


def test_a_text_that_is_too_long_is_cut_to_fit() -> None:
    text = "shardId-000000000001: records"
    assert shortened(text, 12, 500) == text
    cut = shortened(text, 12, 80)
    assert cut.endswith("…")
    assert width_of(cut, 12) <= 80


class Canned(Asker):
    """Gives each panel these series."""

    def __init__(self, *series: Series) -> None:
        super().__init__("", Window(1_800_000_000, 1_800_000_420), "15s")
        self._canned = list(series)

    def panel(self, panel: dict[str, Any], board: dict[str, Any]) -> list[Series]:
        return self._canned


GAP: list[float | None] = [None if 50 < number < 70 else 1.0 + number % 7 for number in range(STEPS + 1)]


@pytest.mark.parametrize(("name", "board"), BOARDS.items(), ids=BOARDS)
@pytest.mark.parametrize("series", [[], [Series("a<b", GAP)], [Series("a", GAP), Series("b", [None] * (STEPS + 1))]])
def test_every_panel_is_drawn_whatever_the_data(name: str, board: dict[str, Any], series: list[Series]) -> None:
    drawn = parsed(picture(copy.deepcopy(board), Canned(*series), "a note"))
    assert {panel.title for panel in panels(board)} <= texts(drawn)
    assert ORIGIN in texts(drawn)


@pytest.mark.parametrize(("name", "board"), BOARDS.items(), ids=BOARDS)
def test_the_committed_picture_is_of_the_present_dashboard(name: str, board: dict[str, Any]) -> None:
    path = (PICTURES / name).with_suffix(".svg")
    drawn = parsed(path.read_text())
    assert drawn.get("width") == str(WIDTH)
    assert {panel.title for panel in panels(board)} <= texts(drawn)
    assert "no data" not in texts(drawn)
    assert path.stat().st_size < 400_000


def parsed(picture: str) -> ElementTree.Element:
    return ElementTree.fromstring(picture)  # noqa: S314 - our own


def texts(drawn: ElementTree.Element) -> set[str]:
    return {each.text or "" for each in drawn.iter("{http://www.w3.org/2000/svg}text")}
