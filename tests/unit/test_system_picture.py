"""docs/system.svg: every part of the system is on it, and no text crosses the edge of a box."""

import xml.etree.ElementTree as ElementTree

from infra.local.process import ROOT

SPACE = "{http://www.w3.org/2000/svg}"
SIZES = {"t": 14, "s": 12, "l": 12}
DRAWN = ElementTree.fromstring((ROOT / "docs/system.svg").read_text())  # noqa: S314 - our own

Extent = tuple[float, float, float, float]


def width_of(text: str, size: float) -> float:
    """About how wide a text is."""
    narrow = sum(letter in "iljtfrI.,:;'|!() " for letter in text)
    return size * (0.58 * (len(text) - narrow) + 0.32 * narrow)


def boxes() -> list[Extent]:
    """Left, top, right and bottom of each box."""
    found = [[float(each.get(key, 0)) for key in ("x", "y", "width", "height")] for each in DRAWN.iter(f"{SPACE}rect")]
    return [(x, y, x + width, y + height) for x, y, width, height in found[1:]]  # the first is the ground


def extent(text: ElementTree.Element) -> Extent:
    """Of a text, in letters that are wider than most."""
    size = SIZES[text.get("class", "")]
    width = 1.1 * width_of(text.text or "", size)
    anchor = text.get("text-anchor", "middle")
    left = float(text.get("x", 0)) - {"start": 0.0, "middle": width / 2, "end": width}[anchor]
    bottom = float(text.get("y", 0))
    return left, bottom - size, left + width, bottom + 3


def test_no_text_crosses_the_edge_of_a_box() -> None:
    for text in DRAWN.iter(f"{SPACE}text"):
        left, top, right, bottom = extent(text)
        for x, y, end, floor in boxes():
            apart = right < x or left > end or bottom < y or top > floor
            inside = x < left and right < end and y < top and bottom < floor
            assert apart or inside, (text.text, x, y)


def test_every_part_is_on_it() -> None:
    names = {text.text for text in DRAWN.iter(f"{SPACE}text")}
    assert names >= {"Devices", "IoT Core", "Kinesis stream", "KCL daemon", "consumer", "lease table", "alert function"}
    assert names >= {"SensorDataTable", "ArchiveBucket", "SNS topic", "queue", "query function", "clients"}
