"""The dashboard for who looks after the devices: what arrives, how old it is, what is wrong with it."""

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
    "Readings taken from the stream per second. Far from the usual: devices are off, or the IoT rule fails.",
    "Undelivered messages",
    PER_SECOND,
    Query(ACCEPTED),
    width=3,
)
DEVICES = stat_panel(
    "Devices",
    "Different devices heard of in the last minute, within a few per cent. Fewer than usual: compare with the "
    "devices that you have switched on.",
    None,
    "short",
    Query(f"sum(sensorstream_devices{{{WORKER}}})"),
    decimals=0,
    width=3,
)
MEDIAN_AGE = stat_panel(
    "Age when stored, p50",
    "Median: half of the readings have their row sooner after their measurement than this. Usually below a second. "
    "Grows for all alike: the service lags, see the dashboard Service.",
    "LagGrowing",
    "s",
    Query(quantile(0.5, AGE, WORKER)),
    steps=[(5, YELLOW), (60, RED)],
    width=3,
)
HIGH_AGE = stat_panel(
    "Age when stored, p99",
    "All but one in a hundred have their row sooner than this. High while the median is low: some devices send late "
    "or their clocks are wrong.",
    "LagGrowing",
    "s",
    Query(quantile(0.99, AGE, WORKER)),
    steps=[(30, YELLOW), (300, RED)],
    width=3,
)
SHARE = stat_panel(
    "Rejected",
    "Share of readings that cannot be read. A little is malformed payloads from the field and stops nothing; nearly "
    "all means "
    "a wrong deploy of devices or settings.",
    "DeadLetterRatio",
    "percentunit",
    Query(f"{REJECTED} / ({ACCEPTED} + {REJECTED})"),
    steps=[(0.05, YELLOW), (0.25, RED)],
    width=3,
)
OLDEST = stat_panel(
    "Oldest unwritten",
    "Age of the oldest record that is not durable, in hand or still in the stream. Up to the archive object's window "
    "and a "
    "little more, when all is well.",
    "LagGrowing",
    "s",
    Query(f"max(sensorstream_lag_seconds{{{WORKER}}})"),
    steps=[(180, YELLOW), (600, RED)],
    width=3,
    decimals=0,
)
CRITICAL = stat_panel(
    "Critical alerts",
    "Alerts that fire now and cannot wait: records wait, or no one looks after them. The panel below names them.",
    "Alarms and symptoms",
    "short",
    Query(f'count({FIRING},severity="critical"}}) or vector(0)'),
    steps=[(1, RED)],
    width=3,
    decimals=0,
)
WARNINGS = stat_panel(
    "Warnings",
    "Alerts that fire now and can wait for the morning. The panel below names them.",
    "Alarms and symptoms",
    "short",
    Query(f'count({FIRING},severity="warning"}}) or vector(0)'),
    steps=[(1, YELLOW)],
    width=3,
    decimals=0,
)
ALERT_TIMES = state_panel(
    "Alerts",
    "Which alert fired when: yellow a warning, red a critical one. Look it up in the runbook by its name.",
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
    "Readings with a row (accepted) and without one (rejected: in the archive and the dead letters). A gap is a "
    "restart or a quiet fleet; a wave after it is the service catching up.",
    "LagGrowing",
    PER_SECOND,
    Query(ACCEPTED, "accepted", BLUE),
    Query(REJECTED, "rejected", RED),
    width=12,
)
AGES = line_panel(
    "Age of readings when stored",
    "From the device's own time of measurement to the durable row. Clocks that are wrong and devices that send in "
    "arrears are in it, so compare with the lag on the dashboard Service.",
    "LagGrowing",
    "s",
    Query(quantile(0.5, AGE, WORKER), "p50", GREEN),
    Query(quantile(0.9, AGE, WORKER), "p90", YELLOW),
    Query(quantile(0.99, AGE, WORKER), "p99", ORANGE),
    width=12,
)
DEVICE_COUNT = line_panel(
    "Devices heard of",
    "Different devices within the last minute, within a few per cent. A step down is a gateway or a network, a "
    "slope is batteries.",
    None,
    "short",
    Query(f"sum(sensorstream_devices{{{WORKER}}})", "devices", BLUE),
)
REASONS = line_panel(
    "Rejected by reason",
    "Readings per second that became dead letters. `redrive --by key` names the devices that send them; "
    "nothing is lost, and they can be sent again when the service can read them.",
    "DeadLetters",
    PER_SECOND,
    Query(f"{rate('sensorstream_readings_rejected_total', WORKER, 'reason')} > 0", "{{reason}}"),
    bars=True,
    quiet="none is rejected",
)
ROWS = line_panel(
    "Rows",
    "Rows written per second, and readings whose row a later one of the same device and millisecond took "
    "(superseded; both are in the archive). Many superseded: devices measure more often than once in a millisecond, "
    "or send twice.",
    None,
    PER_SECOND,
    Query(rate("sensorstream_rows_written_total", WORKER), "written", BLUE),
    Query(rate("sensorstream_rows_superseded_total", WORKER), "superseded", PURPLE),
)


def fleet() -> dashboard.Dashboard:
    """Readings, devices, their age, dead letters, alerts."""
    return frame(
        "Fleet",
        "What the devices send: how much, how old it is, and what cannot be read.",
        [
            ("", [OLDEST, READINGS, DEVICES, MEDIAN_AGE, HIGH_AGE, SHARE, CRITICAL, WARNINGS]),
            ("", [READING_RATES, AGES]),
            ("", [DEVICE_COUNT, REASONS, ROWS]),
            ("", [ALERT_TIMES]),
        ],
        since="now-6h",
    )
