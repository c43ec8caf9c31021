"""A dashboard around its panels: variables at the top, links to the other dashboards, sections, stable ids."""

from collections.abc import Sequence
from typing import Protocol

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as model

from config.grafana.parts import DATA_SOURCE, JOB, TAG, WORKER

BUILD = "sensorstream_build_info"
STARTED = f"(time() - process_start_time_seconds{{{JOB}}}) < 60"
VERSIONS = f"count by (version) ({BUILD}{{{JOB}}})"
VERSIONS_BEFORE = f"count by (version) ({BUILD}{{{JOB}}} offset 2m)"
EVENTS = (
    ("New version", f"{VERSIONS} unless on (version) {VERSIONS_BEFORE}", "purple"),
    ("Worker started", STARTED, "blue"),
    (
        "Daemon restarted",
        f"sum by (instance, reason) (increase(sensorstream_daemon_restarts_total{{{JOB}}}[1m])) > 0",
        "orange",
    ),
)
"""Annotations on every panel: name, query, colour. Grafana shows the labels."""
Field = tuple[str, str, str, str]


class Panel(Protocol):
    """What the builders of all kinds of panels have in common."""

    def id(self, id_val: int) -> Builder[model.Panel]: ...


def frame(
    name: str,
    description: str,
    sections: Sequence[tuple[str, Sequence[Panel]]],
    *,
    since: str,
    shards: bool = False,
    fields: Sequence[Field] = (),
) -> dashboard.Dashboard:
    """`sections` are (heading or "", panels). `fields` are values that the user may change: (name, label, value, text).
    With `shards` there is a variable to select shards. `since` is the default time range."""
    made = (
        dashboard.Dashboard(f"Sensorstream: {name}")
        .uid(f"sensorstream-{name.split()[0].lower()}")
        .description(description)
        .tags([TAG])
        .time(since, "now")
        .refresh("30s")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .editable()
        .link(_others())
        .variables(_variables(shards, fields))
        .annotations([_event(*event) for event in EVENTS])
    )
    number = 0
    for heading, panels in sections:
        if heading:
            number += 1
            made.with_row(dashboard.Row(heading).id(number))
        for panel in panels:
            number += 1
            made.with_panel(panel.id(number))
    return made


def _event(name: str, expr: str, colour: str) -> dashboard.AnnotationQuery:
    return dashboard.AnnotationQuery().name(name).datasource(DATA_SOURCE).enable(True).icon_color(colour).expr(expr)


def _others() -> dashboard.DashboardLink:
    link = dashboard.DashboardLink("Other dashboards").type(model.DashboardLinkType.DASHBOARDS).tags([TAG])
    return link.include_vars(True).keep_time(True)


def _variables(shards: bool, fields: Sequence[Field]) -> list[Builder[model.VariableModel]]:
    job = _query("job", "Application", f"label_values({BUILD}, job)", "The scrape job: one for each deployed stack.")
    worker = _query("instance", "Worker", f"label_values({BUILD}{{{JOB}}}, instance)", "One container of the service.")
    owned = f"label_values(sensorstream_checkpoint_age_seconds{{{WORKER}}}, shard)"
    shard = _query("shard", "Shard", owned, "A shard of the stream.")
    return [
        dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"),
        job,
        _several(worker),
        *([_several(shard)] if shards else []),
        *(_field(*field) for field in fields),
    ]


def _query(name: str, label: str, query: str, text: str) -> dashboard.QueryVariable:
    variable = dashboard.QueryVariable(name).label(label).description(text).datasource(DATA_SOURCE)
    variable.query({"query": query, "refId": name}).sort(model.VariableSort.NATURAL_ASC)
    return variable.refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)


def _several(variable: dashboard.QueryVariable) -> dashboard.QueryVariable:
    """Any number of values, all of them at first."""
    everything = model.VariableOption(selected=True, text="All", value="$__all")
    return variable.multi(True).include_all(True).all_value(".+").current(everything)


def _field(name: str, label: str, value: str, text: str) -> dashboard.TextBoxVariable:
    current = model.VariableOption(selected=True, text=value, value=value)
    box = dashboard.TextBoxVariable(name).label(label).description(text).default_value(value)
    return box.current(current).options([current])
