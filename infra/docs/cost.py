"""What docs say of money: an estimate of some fleets by the planner, and the prices that sentences name."""

from collections import defaultdict
from collections.abc import Iterator
from textwrap import fill
from typing import Final

from infra.docs.prices import filled, written
from producer.plan.bill import Bill, bill
from producer.plan.inputs import Inputs
from producer.plan.planner import Plan, plan
from producer.plan.prices import DATA, PRICES
from producer.plan.quantities import SECONDS
from producer.plan.report import matters, needed, untrusted, usd
from producer.plan.size import Size, size

RATES: Final = (100, 1_000, 10_000)  # readings a second, each device a reading a minute
TIERED_KB: Final = 128  # below it S3's lifecycle moves no object to intelligent tiering
REGISTRY_CALLS: Final = 2  # of making a device: its thing, and the certificate's attachment; AWS charges for no others
WIDTH: Final = 120

NOTES: Final = (
    "Gateways that send several readings in one message pay IoT Core once for all of them (up to 5 KB a message)."
    " **They raise alerts only with `AlertSource=consumer`** ([why](iot-rules.md#which-messages-raise-alerts)).",
    "Rows are paid per write. Provisioned or reserved capacity for the table costs less under steady load. "
    "[Rollups](rollups.md), a row per device and window, are written once or twice a window: `TableResolution=1m` "
    "makes a thirtieth of the writes at a reading a second; at a reading a minute only archive objects that last "
    "longer save some (`TableResolution=1h ArchiveMaxSeconds=600`). The archive alone would cost next to nothing.",
    "The list of devices is written at most once in a quarter of an hour and device: a fifteenth of the rows' "
    "writes at a reading a minute. A larger `DevicesSeconds` makes it cheaper, and the list older.",
    "Messages beyond the first thousand million a month cost {iot_million_messages_next}, beyond five thousand "
    "million {iot_million_messages_last} a million.",
    "`RetentionHours=24` saves {kinesis_retention_shard_hour} per hour and shard. An on-demand stream costs "
    "{kinesis_on_demand_hour} an hour, {kinesis_on_demand_gb_in} per GB in and {kinesis_on_demand_gb_out} per GB "
    "out, each record counted as at least 1 KB on its way in.",
    "The archive stays in S3's Standard class in this estimate. S3 moves no object below 128 KB to intelligent "
    "tiering (`ArchiveTransitionDays`), so below some 60 readings per second and shard nothing moves. At a few "
    "hundred KB the monitoring fee ({s3_tiering_thousand_month} per month and thousand objects, "
    "{s3_tiering_thousand_once} once) uses up most of what infrequent access saves. `ArchiveMaxSeconds` and "
    "`ArchiveMaxRecords` make larger objects, which are in the archive later. It is less than 1 % of the bill "
    "either way, unless you keep it for years.",
    "Your own network saves the endpoints, if it has them or NAT already.",
    "Alert mails cost {sns_hundred_thousand_mails} per 100,000: set a threshold that few readings are below.",
)


def fleet_of(rate: int) -> Inputs:
    """A fleet that sends so many readings a second."""
    return Inputs(devices=60 * rate)


def table() -> list[str]:
    """Markdown: a line an item with its prices, a column a rate, and the sums."""
    bills, sizes = [bill(fleet_of(rate)) for rate in RATES], [size(fleet_of(rate)) for rate in RATES]
    lines = [
        f"| $ a month | price | {' | '.join(f'{rate:,}/s' for rate in RATES)} |",
        f"|---|---|{'---:|' * len(RATES)}",
        f"| *shards, tasks* | | {' | '.join(f'*{each.shards}, {each.tasks}*' for each in sizes)} |",
        f"| *KB an archive object; tiered from {TIERED_KB}* | |"
        f" {' | '.join(f'*{object_kb(each):.0f}*' for each in sizes)} |",
    ]
    lines += [_row(f"{service}: {name}", prices, sums) for (service, name), (prices, sums) in _items(bills).items()]
    totals = [made.total for made in bills]
    return [
        *lines,
        _row("**together**", "", totals, "**"),
        _row(
            "a million readings", "", [each / (rate * SECONDS / 1e6) for rate, each in zip(RATES, totals, strict=True)]
        ),
    ]


def object_kb(sized: Size) -> float:
    """KB of an archive object, compressed."""
    return sized.object_bytes / 1024


def _items(bills: list[Bill]) -> dict[tuple[str, str], tuple[str, list[float]]]:
    """By service and name: its prices in words, and what each bill has of it."""
    prices: defaultdict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    sums: defaultdict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0] * len(bills))
    for column, made in enumerate(bills):
        for item in made.items:
            prices[item.service, item.name][item.price] = None
            sums[item.service, item.name][column] += item.usd
    return {key: ("; ".join(map(_priced, prices[key])), sums[key]) for key in prices}


def _priced(price: str) -> str:
    return f"{written(PRICES[price])} {DATA['prices'][price]['unit']}"


def _row(name: str, prices: str, dollars: list[float], mark: str = "") -> str:
    return f"| {name} | {prices} | {' | '.join(f'{mark}{usd(each)}{mark}' for each in dollars)} |"


def fleet() -> str:
    """What 10,000 devices cost beside their readings, in some sentences."""
    devices = 10_000
    made = devices * REGISTRY_CALLS / 1e6 * PRICES["iot_million_registry_calls"]
    inputs = Inputs(devices=devices)
    alerts = size(inputs).readings * inputs.alerts * SECONDS / 1e6
    items = [item for item in bill(inputs).items if item.service == "Alerts"]
    seconds = next(item.amount for item in items if item.price == "lambda_gb_second") / alerts / 1e6
    total = sum(item.usd for item in items)
    return fill(
        f"**{devices:,} devices** cost {made:.3f} once, when they are made: {REGISTRY_CALLS} calls of the registry "
        f"each. With a reading a minute, of which 1 % raises an alert, their {alerts:.1f} million alerts a month cost "
        f"{total:.2f} without the mails, {total / alerts:.2f} a million. The function needs "
        f"{DATA['figures']['alert_cpu_ms']['value']} ms of CPU for an alert (`python -m tests.bench.alert`), of which "
        f"Lambda bills {seconds:.4f} GB seconds with 128 MB.",
        WIDTH,
    )


def notes() -> str:
    """What changes the bill most."""
    return "\n".join(f"- {_wrapped(each, '  ')}" for each in NOTES)


def _wrapped(text: str, indent: str = "") -> str:
    """With the prices that it names, in lines of the pages' width."""
    return fill(filled(text), WIDTH - 2, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def sources() -> str:
    """Where the prices are from, and what of the estimate was not found at AWS itself."""
    rows = [
        f"| {', '.join(f'`{name}`' for name, price in DATA['prices'].items() if price['source'] == source)} |"
        f" <{known['address']}>: {known['what']} | {known['read']} | {SEEN[known['seen']]} |"
        for source, known in DATA["sources"].items()
    ]
    parts = "; ".join(f"{kind}: {share}" for kind, share in untrusted(bill(fleet_of(RATES[1]))))
    return "\n".join(
        (
            "| prices | from | read | found |",
            "|---|---|---|---|",
            *rows,
            "",
            fill(f"At 1,000 readings a second: {parts}.", WIDTH),
        )
    )


SEEN: Final = {"aws": "AWS, or a copy of its price list", "others": "quoted by others", "no": "**not verified**"}


def example() -> str:
    """A plan's first and its last but two paragraphs, and its alternatives as a table."""
    made = plan(fleet_of(RATES[1]))
    command = f"$ .venv/bin/sensorstream plan --devices {made.inputs.devices:.0f}"
    return "\n".join(("```console", command, needed(made), "...", matters(made), "...", "```", "", *_beside(made)))


def _beside(made: Plan) -> Iterator[str]:
    services = list(made.bill.services())
    yield f"| $ a month | {' | '.join(services)} | other | together | change | it means |"
    yield f"|---|{'---:|' * (len(services) + 3)}---|"
    yield _line("**as planned**", made.bill, services, "", "")
    for each in made.others:
        yield _line(each.name, each.bill, services, f"{each.bill.total / made.bill.total - 1:+.1%}", each.note)


def _line(name: str, made: Bill, services: list[str], change: str, note: str) -> str:
    sums = made.services()
    cells = [usd(sums.pop(service, 0.0)) for service in services]
    return f"| {' | '.join((name, *cells, usd(sum(sums.values())), usd(made.total), change, note))} |"


def saved() -> str:
    """What ten readings in a message save of the bill."""
    one, ten = (bill(Inputs(devices=60 * RATES[1], per_record=each)) for each in (1, 10))
    iot = [
        sum(item.usd for item in made.items if item.service == "IoT Core" and item.name != "connections")
        for made in (one, ten)
    ]
    stream = [made.services()["Kinesis"] for made in (one, ten)]
    return fill(
        f"In dollars: of the [estimate](deploy.md#what-it-costs) for 1,000 readings a second, messages with their "
        f"rules are {usd(iot[0])} a month and the stream is {usd(stream[0])}. With ten readings a message they are "
        f"{usd(iot[1])} and {usd(stream[1])}.",
        WIDTH,
    )


INGEST: Final = (
    "**What it saves:** the message itself, {iot_million_messages} USD per million, the largest part of what IoT Core "
    "costs. The rule and its action are paid as before ([costs](deploy.md#what-it-costs))."
)
QUERIES: Final = (
    "A million requests of up to 100 readings: {http_api_million_requests} USD for API Gateway, "
    "{lambda_million_calls} for the calls of the function, some 0.15 for its time, and {dynamodb_million_reads} for "
    "the table, for each 8 KB that a request reads of it. `/readings` and each device of `/latest` are one request to "
    "DynamoDB; a page of `/devices` up to 16; a series up to eight megabytes, a thousand read units."
)


def ingest() -> str:
    """What Basic Ingest saves."""
    return f"- {_wrapped(INGEST, '  ')}"


def queries() -> str:
    """What a request of the query API costs."""
    return _wrapped(QUERIES)
