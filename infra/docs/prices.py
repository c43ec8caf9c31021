"""Prices as texts have them: in the templates' metadata and in the pages."""

from producer.plan.prices import HOURS, PRICES


def filled(text: str) -> str:
    """A text with each {name} replaced by that price, as people write it. Raises KeyError for a price that is none."""
    made = {
        "task_month": _task_month(0.5, 1),
        "task_x86_month": _task_month(0.5, 1, "x86"),
        "simulator_month": _task_month(0.25, 0.5),
        "address_month": PRICES["address_hour"] * HOURS,
        "two_alarms_month": 2 * PRICES["alarm_month"],
    }
    monthly = {name: f"{value:.0f}" if value >= 5 else f"{value:.2f}" for name, value in made.items()}
    return text.format_map({name: written(value) for name, value in PRICES.items()} | monthly)


def _task_month(vcpu: float, gb: float, processor: str = "arm") -> float:
    """Dollars a month of a Fargate task that runs all the time."""
    hour = vcpu * PRICES[f"fargate_{processor}_vcpu_hour"] + gb * PRICES[f"fargate_{processor}_gb_hour"]
    return hour * HOURS


def written(dollars: float) -> str:
    """At least two digits after the point, and as many as the price has: 1.00, 0.023, 0.0000133334."""
    text = f"{dollars:.10f}".rstrip("0")
    whole, _, rest = text.partition(".")
    return f"{whole}.{rest:0<2}"
