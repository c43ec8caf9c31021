"""The one place that knows a price: prices.json, with its day, where each price is from and whether it was seen there.

The file also holds the measured figures and the quotas that a plan is made of, each with its source: a wheel has
neither tests/bench nor docs.
"""

import json
from importlib.resources import files
from typing import Any, Final

HOURS: Final = 730
"""Of a month."""
GB: Final = 2**30
"""Bytes, as AWS counts them."""

DATA: Final[dict[str, Any]] = json.loads(files(__package__).joinpath("prices.json").read_text())
PRICES: Final[dict[str, float]] = {name: float(price["usd"]) for name, price in DATA["prices"].items()}
"""Dollars by name, in the file's own region; the name says for how much of what."""
FIGURES: Final[dict[str, float]] = {name: float(figure["value"]) for name, figure in DATA["figures"].items()}
"""What the bench has measured."""
REGIONS: Final[dict[str, float]] = {name: float(region["factor"]) for name, region in DATA["regions"].items()}
"""What a region's prices are, as a multiple of those of the file."""


def seen(price: str) -> str:
    """Where a price was found: "aws" (a page or a copy of the price list of AWS's), "others" (public texts that quote
    it), or "no" (nowhere: it could not be verified). Raises KeyError for a price that is none."""
    return str(DATA["sources"][DATA["prices"][price]["source"]]["seen"])
