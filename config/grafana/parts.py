"""Common parts of all dashboards: variables, colours, links, and the kinds of panels.

Every panel has a title, a text that says what it shows, what is normal and what to do otherwise, and, where there is
one, the heading of the runbook (docs/operations.md) for its link.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, statetimeline, timeseries
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models import dashboard as model

DATA_SOURCE = model.DataSourceRef("prometheus", "${datasource}")
JOB = 'job="$job"'
WORKER = f'{JOB},instance=~"$instance"'
SHARD = f'{WORKER},shard=~"$shard"'
TAG = "sensorstream"

BLUE, GREEN, YELLOW, ORANGE, RED, PURPLE, GREY = "blue", "green", "yellow", "orange", "red", "purple", "text"
PER_SECOND = "si:/s"
SMOOTH = "15m"
MAX_SERIES = 10

Steps = Sequence[tuple[float, str]]
P = TypeVar("P", timeseries.Panel, stat.Panel, statetimeline.Panel)


@dataclass(frozen=True)
class Query:
    """A PromQL expression and its series' name; `colour` for a name without {{labels}}, the same on every dashboard."""

    expr: str
    legend: str = ""
    colour: str | None = None
    limit: bool = False
    """Drawn as a dashed line."""


def rate(metric: str, labels: str, by: str = "") -> str:
    """Per second; summed, or summed `by` labels."""
    return f"sum{f' by ({by}) ' if by else ''}(rate({metric}{{{labels}}}[$__rate_interval]))"


def quantile(share: float, metric: str, labels: str, by: str = "") -> str:
    """A quantile of a histogram over all workers."""
    buckets = rate(f"{metric}_bucket", labels, f"le, {by}" if by else "le")
    return f"histogram_quantile({share:g}, {buckets})"


def smooth(metric: str, labels: str) -> str:
    """Rate per second of what happens once per archive object, over SMOOTH instead of Grafana's interval, which may be
    shorter than the window of an object."""
    return f"sum(rate({metric}{{{labels}}}[{SMOOTH}]))"


def highest(expr: str) -> str:
    """The highest MAX_SERIES of possibly hundreds of series."""
    return f"topk({MAX_SERIES}, {expr})"


def stat_panel(
    title: str,
    text: str,
    runbook: str | None,
    unit: str,
    *queries: Query,
    steps: Steps = (),
    width: int = 4,
    decimals: int | None = None,
    course: bool = True,
) -> stat.Panel:
    """One number, with its recent `course`. `steps` are (from, colour); below them it is green, without any blue."""
    panel = (
        stat.Panel()
        .height(4)
        .graph_mode(kinds.BigValueGraphMode.AREA if course else kinds.BigValueGraphMode.NONE)
        .color_mode(kinds.BigValueColorMode.VALUE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .text_mode(kinds.BigValueTextMode.VALUE if len(queries) == 1 else kinds.BigValueTextMode.VALUE_AND_NAME)
        .color_scheme(dashboard.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
        .thresholds(_thresholds(steps, GREEN if steps else BLUE))
    )
    if decimals is not None:
        panel.decimals(decimals)
    return _dress(panel.span(width), title, text, runbook, unit, queries)


def _lines(stacked: bool, bars: bool, table: bool) -> timeseries.Panel:
    """The common look of line panels."""
    legend = common.VizLegendOptions().placement(kinds.LegendPlacement.BOTTOM)
    if table:
        legend.display_mode(kinds.LegendDisplayMode.TABLE).calcs(["lastNotNull", "max"])
        legend.sort_by("Last *").sort_desc(True)
    else:
        legend.display_mode(kinds.LegendDisplayMode.LIST)
    return (
        timeseries.Panel()
        .height(8)
        .min(0)
        .line_width(1.5)
        .fill_opacity(80 if bars else 35 if stacked else 8)
        .draw_style(kinds.GraphDrawStyle.BARS if bars else kinds.GraphDrawStyle.LINE)
        .show_points(kinds.VisibilityMode.NEVER)
        .color_scheme(dashboard.FieldColor().mode(model.FieldColorModeId.PALETTE_CLASSIC))
        .legend(legend.show_legend(True))
        .tooltip(common.VizTooltipOptions().mode(kinds.TooltipDisplayMode.MULTI).sort(kinds.SortOrder.DESCENDING))
    )


def line_panel(
    title: str,
    text: str,
    runbook: str | None,
    unit: str,
    *queries: Query,
    width: int = 8,
    stacked: bool = False,
    bars: bool = False,
    limit: float | None = None,
    top: float | None = None,
    table: bool = False,
    quiet: str = "",
) -> timeseries.Panel:
    """Lines over time from 0 up; `stacked` areas, or `bars` for infrequent events.

    A dashed red line at `limit`; `top` is the minimum upper end of the axis; the legend is a `table` where there may be
    many series. `quiet` is the text that is shown when there are no events, which is not the same as no data.
    """
    panel = _lines(stacked, bars, table)
    if stacked or bars:
        panel.stacking(common.StackingConfig().mode(kinds.StackingMode.NORMAL).group("A"))
    if top is not None:
        panel.axis_soft_max(top)
    if limit is not None:
        style = common.GraphThresholdsStyleConfig().mode(kinds.GraphThresholdsStyleMode.DASHED)
        panel.thresholds(_thresholds([(limit, RED)], "transparent")).thresholds_style(style)
    if quiet:
        panel.no_value(quiet)
    for query in queries:
        if query.colour:
            panel.override_by_name(query.legend, _style(query))
    return _dress(panel.span(width), title, text, runbook, unit, queries)


def state_panel(
    title: str,
    text: str,
    runbook: str | None,
    *queries: Query,
    steps: Steps,
    width: int = 24,
    height: int = 6,
    quiet: str = "",
) -> statetimeline.Panel:
    """A bar per series, coloured by its value: `steps` are (from, colour). `quiet` as for lines."""
    (_, first), *rest = steps
    panel = (
        statetimeline.Panel()
        .height(height)
        .show_value(kinds.VisibilityMode.NEVER)
        .merge_values(True)
        .row_height(0.8)
        .color_scheme(dashboard.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
        .thresholds(_thresholds(rest, first))
        .legend(common.VizLegendOptions().show_legend(False).display_mode(kinds.LegendDisplayMode.HIDDEN))
    )
    if quiet:
        panel.no_value(quiet)
    return _dress(panel.span(width), title, text, runbook, "none", queries)


def _dress(panel: P, title: str, text: str, runbook: str | None, unit: str, queries: Sequence[Query]) -> P:
    panel.title(title).description(text).datasource(DATA_SOURCE).unit(unit)
    for index, query in enumerate(queries):
        target = prometheus.Dataquery().expr(query.expr).legend_format(query.legend).ref_id("ABCDEFGH"[index])
        panel.with_target(target.range().datasource(DATA_SOURCE))
    if runbook:  # documents() adds the address of the page
        link = dashboard.DashboardLink(f"What to do: {runbook}").url(f"#{anchor(runbook)}").target_blank(True)
        panel.links([link])
    return panel


def anchor(heading: str) -> str:
    """A heading's anchor, as the usual viewers of Markdown make it."""
    kept = "".join(letter for letter in heading.lower() if letter.isalnum() or letter in " -_")
    return kept.replace(" ", "-")


def _style(query: Query) -> list[model.DynamicConfigValue]:
    fixed = model.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": query.colour})
    dashes = model.DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [10, 10]})
    return [fixed, dashes, model.DynamicConfigValue("custom.fillOpacity", 0)] if query.limit else [fixed]


def _thresholds(steps: Steps, base: str) -> dashboard.ThresholdsConfig:
    first = model.Threshold(value=None, color=base)
    return (
        dashboard.ThresholdsConfig()
        .mode(model.ThresholdsMode.ABSOLUTE)
        .steps([first, *(model.Threshold(value=value, color=colour) for value, colour in steps)])
    )
