"""A month's bill: quantities times prices."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from producer.plan.designs import DESIGNS
from producer.plan.inputs import Inputs
from producer.plan.prices import PRICES, REGIONS, seen
from producer.plan.quantities import Quantity
from producer.plan.size import size


@dataclass(frozen=True, slots=True)
class Item:
    """One line. `seen` says where its price was found (prices.seen)."""

    service: str
    name: str
    price: str
    amount: float
    usd: float
    seen: str


@dataclass(frozen=True, slots=True)
class Bill:
    """Of a month, in dollars."""

    items: tuple[Item, ...]

    @property
    def total(self) -> float:
        return sum(item.usd for item in self.items)

    def services(self) -> dict[str, float]:
        """Dollars by service, in the order of the items."""
        return _summed((item.service, item.usd) for item in self.items)

    def seen(self) -> dict[str, float]:
        """Dollars by where their prices were found."""
        return _summed((item.seen, item.usd) for item in self.items)

    def as_json(self) -> dict[str, Any]:
        items = [asdict(item) for item in self.items]
        return {"total": self.total, "services": self.services(), "seen": self.seen(), "items": items}


def bill(inputs: Inputs) -> Bill:
    """Of a deployment that has run for as long as its rows and its archive are kept."""
    found = DESIGNS[inputs.design](inputs, size(inputs))
    factor = REGIONS[inputs.region]
    return Bill(tuple(_item(quantity, factor) for quantity in found if quantity.amount > 0))


def _item(quantity: Quantity, factor: float) -> Item:
    usd = quantity.amount * PRICES[quantity.price] * factor
    return Item(quantity.service, quantity.name, quantity.price, quantity.amount, usd, seen(quantity.price))


def _summed(pairs: Iterable[tuple[str, float]]) -> dict[str, float]:
    sums: dict[str, float] = {}
    for name, usd in pairs:
        sums[name] = sums.get(name, 0.0) + usd
    return sums
