"""Numbers as a dashboard writes them, by the units of Grafana that ours use."""

import math
from collections.abc import Sequence

_SI = [(1e9, "B"), (1e6, "M"), (1e3, "K"), (1, "")]
_BYTES = [(1e12, " TB"), (1e9, " GB"), (1e6, " MB"), (1e3, " kB"), (1, " B")]
_BINARY = [(2.0**40, " TiB"), (2.0**30, " GiB"), (2.0**20, " MiB"), (2.0**10, " KiB"), (1, " B")]
_TIME = [(86400, " d"), (3600, " h"), (60, " min"), (1, " s"), (1e-3, " ms"), (1e-6, " µs")]
_SCALES: dict[str, tuple[Sequence[tuple[float, str]], str]] = {
    "short": (_SI, ""),
    "none": (_SI, ""),
    "si:/s": ([(1e6, " M/s"), (1e3, " k/s"), (1, " /s")], " /s"),
    "s": (_TIME, " s"),
    "bytes": (_BINARY, " B"),
    "decbytes": (_BYTES, " B"),
    "Bps": ([(size, f"{name}/s") for size, name in _BYTES], " B/s"),
}


def written(value: float, unit: str, decimals: int | None = None) -> str:
    """A value in its unit, with three digits if not told how many decimals."""
    match unit:
        case "percentunit":
            return f"{_number(100 * value, decimals)}%"
        case "currencyUSD":
            return f"${_number(value, decimals)}"
        case "suffix: x":
            return f"{_number(value, decimals)} x"
    scale, bare = _SCALES[unit]
    for size, name in scale:
        if abs(value) >= size * 0.9995:
            return _number(value / size, decimals) + name
    size, name = scale[-1]
    return f"0{bare}" if value == 0 else _number(value / size, decimals) + name


def _number(value: float, decimals: int | None) -> str:
    if decimals is None:
        decimals = 0 if value == 0 else max(0, 2 - math.floor(math.log10(abs(value) * 1.0005)))
        return f"{value:.{decimals}f}".rstrip("0").rstrip(".") if decimals else f"{value:.0f}"
    return f"{value:,.{decimals}f}"


def ticks(top: float, unit: str, most: int = 5) -> list[float]:
    """Round values from 0 to `top` or beyond, in `most` steps at most; of bytes powers of two, of seconds a clock's."""
    base = 2.0 if unit == "bytes" else 10.0
    start = base ** math.floor(math.log(max(top, 1e-9) / most, base))
    factors = (1, 2, 4) if unit == "bytes" else (1, 2, 2.5, 5, 10)
    steps = [start * factor for factor in factors]
    if unit == "s" and top > 60:
        steps = [15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400]
    step = next((each for each in steps if each * most >= top * 0.9999), steps[-1])
    return [step * number for number in range(math.ceil(top / step - 1e-9) + 1)]
