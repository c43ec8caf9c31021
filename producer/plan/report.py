"""A plan as people read it in a terminal."""

from collections.abc import Iterator
from typing import Final

from producer.plan.bill import Bill
from producer.plan.inputs import RANGES
from producer.plan.planner import Plan
from producer.plan.prices import DATA
from producer.plan.quotas import NEAR
from producer.terminal import table

COLUMNS: Final = ("IoT Core", "Kinesis", "DynamoDB", "S3")
"""Services with a column of their own beside the alternatives."""
SHOWN: Final = 3  # of what matters most


def text(plan: Plan) -> str:
    """Several paragraphs; numbers of a table are dollars a month."""
    parts = (needed(plan), _bill(plan.bill), _alternatives(plan), matters(plan), _quotas(plan), _trust(plan))
    return "\n\n".join(parts)


def usd(amount: float) -> str:
    """Dollars: whole ones from ten on."""
    return f"{amount:,.0f}" if abs(amount) >= 10 else f"{amount:.2f}"


def count(number: float) -> str:
    """Whole from a hundred on."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def needed(plan: Plan) -> str:
    """Stream, tasks, table and archive: a line each."""
    sized, inputs = plan.size, plan.inputs
    lines = [
        f"{inputs.devices:,.0f} devices, a reading every {inputs.interval:g} s of {inputs.payload:,.0f} bytes,"
        f" {inputs.per_record:,.0f} in a message:"
        f" {count(sized.readings)} readings and {count(sized.records)} records a second"
    ]
    if sized.shards:
        kept = " (as many as it would have)" if inputs.stream != "provisioned" else ""
        lines.append(f"stream   {inputs.stream}, shards {sized.shards}{kept}, {inputs.retention:,.0f} hours kept")
    if sized.tasks:
        lines.append(f"tasks    {sized.tasks} of {sized.vcpu:g} vCPU and {sized.memory} GB, {inputs.processor}")
    lines += [
        f"{rows.name:8} {count(rows.units)} write units a second, provisioned {rows.capacity:,};"
        f" {rows.gb:,.1f} GB after {rows.days:,.0f} days"
        for rows in sized.tables
    ]
    lines.append(f"archive  grows by {plan.archive_gb:,.1f} GB a month")
    return "\n".join(lines)


def _bill(made: Bill) -> str:
    lines: dict[tuple[str, str], float] = {}
    for item in made.items:
        lines[item.service, item.name] = lines.get((item.service, item.name), 0.0) + item.usd
    rows = [(service, name, usd(amount)) for (service, name), amount in lines.items()]
    return table(("service", "what", "USD"), [*rows, ("together", "", usd(made.total))], ("USD",))


def _alternatives(plan: Plan) -> str:
    def row(name: str, made: Bill, note: str) -> list[str]:
        sums = made.services()
        named = [sums.pop(column, 0.0) for column in COLUMNS]
        change = "" if made is plan.bill else f"{made.total / plan.bill.total - 1:+.1%}"
        return [name, *map(usd, named), usd(sum(sums.values())), usd(made.total), change, note]

    rows = [row("as planned", plan.bill, ""), *(row(each.name, each.bill, each.note) for each in plan.others)]
    numbers = (*COLUMNS, "other", "USD", "change")
    return table(("instead", *numbers, "it means"), rows, numbers)


def matters(plan: Plan) -> str:
    """Which numbers the bill depends on most."""

    def each() -> Iterator[str]:
        for name, change in list(plan.sensitivity.items())[:SHOWN]:
            yield f"  {RANGES[name].text}: {change:+.0%}"

    return "\n".join(("what moves the bill most, if it doubles:", *each()))


def _quotas(plan: Plan) -> str:
    near = [quota for quota in plan.quotas if quota.used > NEAR]
    if not near:
        return f"quotas: none that is more than {NEAR:.0%} used"
    rows = [
        (
            "HIT" if quota.used > 1 else "near",
            f"{quota.what}{'' if quota.verified else ' (limit not verified)'}",
            count(quota.planned),
            f"{quota.limit:,}",
            quota.advice,
        )
        for quota in near
    ]
    return table(("quota", "", "planned", "limit", ""), rows, ("planned", "limit"))


def _trust(plan: Plan) -> str:
    dated = f"Prices of {DATA['region']} of {DATA['as_of']}, {DATA['currency']}"
    lines = [f"{dated}; sources in producer/plan/prices.json."]
    region = DATA["regions"][plan.inputs.region]
    if not region["verified"]:
        taken = f"{plan.inputs.region} is taken as {region['factor']:g} times these"
        lines.append(f"{taken}, NOT VERIFIED: {region['what']}.")
    lines += [f"{kind}: {share}." for kind, share in untrusted(plan.bill)]
    return "\n".join(lines)


def untrusted(made: Bill) -> Iterator[tuple[str, str]]:
    """What of a bill has prices that were not found at AWS itself: its share, and the services with their items."""
    for seen, kind in (("others", "Quoted by others"), ("no", "NOT VERIFIED")):
        services: dict[str, dict[str, None]] = {}
        for item in made.items:
            if item.seen == seen:
                services.setdefault(item.service, {})[item.name] = None
        if services:
            names = "; ".join(f"{service} ({', '.join(items)})" for service, items in services.items())
            yield kind, f"{made.seen()[seen] / made.total:.0%} of the bill, {names}"
