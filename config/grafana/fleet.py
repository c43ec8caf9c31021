"""The dashboard for operators of the devices: the readings, their age, and rejected ones."""

from grafana_foundation_sdk.builders import dashboard

from config.grafana.frame import frame
from config.grafana.parts import (
    BLUE,
    GREEN,
    ORANGE,
    PER_SECOND,
    PURPLE,
    RED,
    WORKER,
    YELLOW,
    Query,
    highest,
    line_panel,
    quantile,
    rate,
    stat_panel,
    state_panel,
)

ACCEPTED = rate("sensorstream_readings_decoded_total", WORKER)
REJECTED = f"({rate('sensorstream_readings_rejected_total', WORKER)} or vector(0))"
AGE = "sensorstream_event_age_seconds"
FIRING = 'ALERTS{alertname=~"Sensorstream.*",alertstate="firing",job=~"($job)?"'
SEVERITY = {"warning": 1, "critical": 2}

READINGS = stat_panel(
    "Readings",
    "Readings decoded per second. Far below normal: devices are off, or the IoT rule fails.",
    "Undelivered messages",
    PER_SECOND,
    Query(ACCEPTED),
    width=3,
)
DEVICES = stat_panel(
    "Devices",
    "Different devices with a reading in the last minute, accurate within a few percent. Fewer than usual: compare "
    "with the devices that should be on.",
    None,
    "short",
    Query(f"sum(sensorstream_devices{{{WORKER}}})"),
    decimals=0,
    width=3,
)
MEDIAN_AGE = stat_panel(
    "Age when stored, p50",
    "Median time from a reading's measurement to its durable row. Normal: below a second. Growing: the service lags, "
    "see the dashboard Service.",
    "LagGrowing",
    "s",
    Query(quantile(0.5, AGE, WORKER)),
    steps=[(5, YELLOW), (60, RED)],
    width=3,
)
HIGH_AGE = stat_panel(
    "Age when stored, p99",
    "99 % of the readings have their row sooner. High with a low median: some devices send late, or their clocks are "
    "wrong.",
    "LagGrowing",
    "s",
    Query(quantile(0.99, AGE, WORKER)),
    steps=[(30, YELLOW), (300, RED)],
    width=3,
)
SHARE = stat_panel(
    "Rejected",
    "Share of readings that are invalid. A few malformed payloads are normal and need no action; nearly all: the "
    "devices or the settings were changed wrongly.",
    "DeadLetterRatio",
    "percentunit",
    Query(f"{REJECTED} / ({ACCEPTED} + {REJECTED})"),
    steps=[(0.05, YELLOW), (0.25, RED)],
    width=3,
)
OLDEST = stat_panel(
    "Oldest unwritten",
    "Age of the oldest record that is not durable: in processing or still in the stream. Normal: up to a little more "
    "than the archive object's window.",
    "LagGrowing",
    "s",
    Query(f"max(sensorstream_lag_seconds{{{WORKER}}})"),
    steps=[(180, YELLOW), (600, RED)],
    width=3,
    decimals=0,
)
CRITICAL = stat_panel(
    "Critical alerts",
    "Firing alerts that need action now: records wait, or no worker processes them. The panel below lists them.",
    "Alarms and symptoms",
    "short",
    Query(f'count({FIRING},severity="critical"}}) or vector(0)'),
    steps=[(1, RED)],
    width=3,
    decimals=0,
)
WARNINGS = stat_panel(
    "Warnings",
    "Firing alerts that can wait for working hours. The panel below lists them.",
    "Alarms and symptoms",
    "short",
    Query(f'count({FIRING},severity="warning"}}) or vector(0)'),
    steps=[(1, YELLOW)],
    width=3,
    decimals=0,
)
ALERT_TIMES = state_panel(
    "Alerts",
    "Alerts over time: yellow for warning, red for critical. The runbook has a section for each.",
    "Alarms and symptoms",
    *(
        Query(f'{worth} * max by (alertname) ({FIRING},severity="{severity}"}})', "{{alertname}}")
        for severity, worth in SEVERITY.items()
    ),
    steps=[(0, GREEN), (1, YELLOW), (2, RED)],
    height=5,
    quiet="no alert has fired",
)
READING_RATES = line_panel(
    "Readings per second",
    "Readings with a row (accepted) and without one (rejected: in the archive and the dead letters). A gap: a restart, "
    "or the devices sent nothing. A peak after a gap: the service catches up.",
    "LagGrowing",
    PER_SECOND,
    Query(ACCEPTED, "accepted", BLUE),
    Query(REJECTED, "rejected", RED),
    width=12,
)
AGES = line_panel(
    "Age of readings when stored",
    "Time from the measurement, by the device's clock, to the durable row. It includes wrong clocks and devices that "
    "send late, so compare it with the lag on the dashboard Service.",
    "LagGrowing",
    "s",
    Query(quantile(0.5, AGE, WORKER), "p50", GREEN),
    Query(quantile(0.9, AGE, WORKER), "p90", YELLOW),
    Query(quantile(0.99, AGE, WORKER), "p99", ORANGE),
    width=12,
)
DEVICE_COUNT = line_panel(
    "Active devices",
    "Different devices with a reading in the last minute, accurate within a few percent. A sudden drop: a gateway or a "
    "network failed. A slow decline: empty batteries.",
    None,
    "short",
    Query(f"sum(sensorstream_devices{{{WORKER}}})", "devices", BLUE),
)
REASONS = line_panel(
    "Rejected by reason",
    "Rejected readings per second. `redrive --by key` lists the devices that send them. Nothing is lost: they are kept "
    "as dead letters, and can be redriven once the service can read them.",
    "DeadLetters",
    PER_SECOND,
    Query(f"{rate('sensorstream_readings_rejected_total', WORKER, 'reason')} > 0", "{{reason}}"),
    bars=True,
    quiet="no reading is rejected",
)
ROWS = line_panel(
    "Rows",
    "Rows written per second, and readings replaced by a later one of the same device and millisecond (superseded; "
    "both are in the archive). Many superseded: devices measure more than once per millisecond, or send twice.",
    None,
    PER_SECOND,
    Query(rate("sensorstream_rows_written_total", WORKER), "written", BLUE),
    Query(rate("sensorstream_rows_superseded_total", WORKER), "superseded", PURPLE),
)

CONTRACTS = line_panel(
    "Messages by contract",
    "Messages, or readings within them, per second, by the contract that reads them. One at 0: its devices are off, or "
    "it does not fit what they send.",
    "ContractUnused",
    PER_SECOND,
    Query(highest(rate("sensorstream_contract_messages_total", WORKER, "contract")), "{{contract}}"),
    table=True,
)
LACKING = line_panel(
    "Messages without a contract, by what they lack",
    "Messages per second that no contract reads, by the contract that comes nearest and the path that they lack. They "
    "are kept as dead letters, and can be redriven once a contract reads them.",
    "MessagesWithoutContract",
    PER_SECOND,
    Query(
        f"{highest(rate('sensorstream_contract_lacking_total', WORKER, 'contract, path'))} > 0",
        "{{contract}}: {{path}}",
    ),
    bars=True,
    table=True,
    quiet="each message has a contract",
)
WITHOUT_NUMBER = line_panel(
    "Measures left out",
    "Measures and sensors per second that were missing in a message of their contract, or no number there. As many as "
    "the messages of the contract: the path never fits.",
    "ContractPathMissing",
    PER_SECOND,
    Query(
        f"{highest(rate('sensorstream_contract_missing_total', WORKER, 'contract, path'))} > 0",
        "missing: {{contract}}: {{path}}",
    ),
    Query(
        f"{highest(rate('sensorstream_contract_unusable_total', WORKER, 'contract, path'))} > 0",
        "no number: {{contract}}: {{path}}",
    ),
    table=True,
    quiet="none is left out",
)


def fleet() -> dashboard.Dashboard:
    """Readings, devices, their age, dead letters, alerts."""
    return frame(
        "Fleet",
        "The readings of the devices: rate, age, and rejected ones.",
        [
            ("", [OLDEST, READINGS, DEVICES, MEDIAN_AGE, HIGH_AGE, SHARE, CRITICAL, WARNINGS]),
            ("", [READING_RATES, AGES]),
            ("", [DEVICE_COUNT, REASONS, ROWS]),
            ("Contracts", [CONTRACTS, LACKING, WITHOUT_NUMBER]),
            ("", [ALERT_TIMES]),
        ],
        since="now-6h",
    )
