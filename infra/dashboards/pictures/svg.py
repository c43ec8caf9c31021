"""The few shapes that a picture is made of, as SVG."""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

FONT = "Inter, 'Helvetica Neue', Helvetica, Arial, sans-serif"
Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels; `right` and `bottom` are its far sides."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def bottom(self) -> float:
        return self.y + self.height

    def inside(self, left: float, top: float, right: float, bottom: float) -> "Box":
        """What is left of it within margins."""
        return Box(self.x + left, self.y + top, self.width - left - right, self.height - top - bottom)


class Canvas:
    """Shapes in the order they are drawn; `text()` is the file."""

    def __init__(self, width: int, height: int, background: str) -> None:
        self._size = (width, height)
        self._parts: list[str] = []
        self.rect(Box(0, 0, width, height), background)

    def rect(self, box: Box, fill: str, radius: float = 0, stroke: str = "none") -> None:
        place = f'x="{box.x:g}" y="{box.y:g}" width="{box.width:g}" height="{box.height:g}"'
        self._parts.append(f'<rect {place} rx="{radius:g}" fill="{fill}" stroke="{stroke}"/>')

    def words(
        self, x: float, y: float, text: str, fill: str, size: float = 12, *, anchor: str = "start", weight: int = 400
    ) -> None:
        """`y` is the line the letters stand on; `anchor` start, middle or end says what `x` is of them."""
        how = f'font-size="{size:g}" font-weight="{weight}" text-anchor="{anchor}" fill="{fill}"'
        self._parts.append(f'<text x="{x:.1f}" y="{y:.1f}" {how}>{escape(text)}</text>')

    def line(self, start: Point, end: Point, colour: str, width: float = 1, dashes: str = "") -> None:
        style = f' stroke-dasharray="{dashes}"' if dashes else ""
        ends = f'x1="{start[0]:.1f}" y1="{start[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}"'
        self._parts.append(f'<line {ends} stroke="{colour}" stroke-width="{width:g}"{style}/>')

    def curve(self, points: Sequence[Point], colour: str, width: float = 1.5, dashes: str = "") -> None:
        style = f' stroke-dasharray="{dashes}"' if dashes else ""
        path = f'd="{_path(points)}" stroke-width="{width:g}" stroke-linejoin="round"{style}'
        self._parts.append(f'<path {path} fill="none" stroke="{colour}"/>')

    def area(self, upper: Sequence[Point], lower: Sequence[Point], colour: str, opacity: float) -> None:
        """What lies between two courses over the same times."""
        outline = _path([*upper, *reversed(lower)])
        self._parts.append(f'<path d="{outline}Z" fill="{colour}" fill-opacity="{opacity:g}"/>')

    def text(self, title: str) -> str:
        width, height = self._size
        size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
        head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family={quoteattr(FONT)} role="img">'
        return "\n".join([head, f"<title>{escape(title)}</title>", *self._parts, "</svg>\n"])


def _path(points: Sequence[Point]) -> str:
    """Without the points in the middle of a level stretch."""
    bends = [
        point
        for before, point, after in zip([points[0], *points], points, [*points[1:], points[-1]], strict=False)
        if not before[1] == point[1] == after[1] or point in (points[0], points[-1])
    ]
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in bends)


def width_of(text: str, size: float) -> float:
    """About how wide a text is."""
    narrow = sum(letter in "iljtfrI.,:;'|!() " for letter in text)
    return size * (0.58 * (len(text) - narrow) + 0.32 * narrow)


def shortened(text: str, size: float, width: float) -> str:
    """A text that fits, with an ellipsis if it had to be cut."""
    if width_of(text, size) <= width:
        return text
    while text and width_of(text + "…", size) > width:
        text = text[:-1]
    return text + "…"
