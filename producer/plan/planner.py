"""A whole plan: what is needed, what it costs, what else could be chosen, what matters, and which quotas are near."""

from dataclasses import asdict, dataclass
from typing import Any

from producer.plan.alternatives import Other, alternatives, sensitivity
from producer.plan.bill import Bill, bill
from producer.plan.inputs import Inputs
from producer.plan.prices import DATA, GB
from producer.plan.quantities import SECONDS
from producer.plan.quotas import Quota, quotas
from producer.plan.size import Size, size


@dataclass(frozen=True, slots=True)
class Plan:
    """Of some inputs; bills are of a month."""

    inputs: Inputs
    size: Size
    bill: Bill
    others: tuple[Other, ...]
    sensitivity: dict[str, float]
    quotas: list[Quota]

    @property
    def archive_gb(self) -> float:
        """By which the archive grows in a month."""
        return self.size.archive_bytes * SECONDS / GB

    @property
    def table_gb(self) -> float:
        """What the tables have when their first rows expire."""
        return sum(rows.gb for rows in self.size.tables)

    def as_json(self) -> dict[str, Any]:
        sized = asdict(self.size) | {
            "tables": [
                asdict(rows) | {"units": rows.units, "capacity": rows.capacity, "gb": rows.gb}
                for rows in self.size.tables
            ],
            "vcpu": self.size.vcpu,
            "row_units": self.size.row_units,
            "archive_gb": self.archive_gb,
            "table_gb": self.table_gb,
        }
        return {
            "prices": {name: DATA[name] for name in ("region", "as_of", "currency")},
            "region": DATA["regions"][self.inputs.region],
            "inputs": self.inputs.as_json(),
            "size": sized,
            "bill": self.bill.as_json(),
            "alternatives": [
                {
                    "name": each.name,
                    "note": each.note,
                    "inputs": each.inputs.as_json(),
                    "total": each.bill.total,
                    "services": each.bill.services(),
                }
                for each in self.others
            ],
            "sensitivity": self.sensitivity,
            "quotas": [quota.as_json() for quota in self.quotas],
        }

    def as_text(self) -> str:
        from producer.plan.report import text

        return text(self)


def plan(inputs: Inputs) -> Plan:
    """Everything about these inputs, without asking AWS anything."""
    sized = size(inputs)
    others = tuple(alternatives(inputs))
    return Plan(inputs, sized, bill(inputs), others, sensitivity(inputs), quotas(inputs, sized))
