"""The sinks, made as the settings ask for them; service.py wires them to the rest."""

from consumer.aws.clients import Clients
from consumer.settings import Settings
from consumer.sinks.alert_condition import Condition
from consumer.sinks.alerts import Alerts
from consumer.sinks.device_list import DeviceList
from consumer.sinks.rollups import RollupTable
from consumer.sinks.table import Table
from consumer.telemetry.metrics import Metrics


def table(settings: Settings, clients: Clients, metrics: Metrics) -> Table:
    """Of a row per reading, if TABLE_RESOLUTION asks for them, and of devices."""
    name = settings.sensor_table if settings.table_resolution.readings else None
    devices = DeviceList(settings.devices_table, settings.devices_seconds) if settings.devices_table else None
    limit = settings.table_concurrency
    return Table(clients.batch_write.send, name, settings.row_ttl_days, limit, metrics, devices)


def rollups(settings: Settings, clients: Clients, metrics: Metrics) -> RollupTable | None:
    """Also where TABLE_RESOLUTION asks for none: an earlier owner may have begun to count an archive object."""
    if settings.rollup_table is None:
        return None
    send, limit = clients.put_item.send, settings.table_concurrency
    return RollupTable(send, settings.rollup_table, settings.rollup_ttl_days, limit, metrics)


def alerts(settings: Settings, clients: Clients, metrics: Metrics) -> Alerts | None:
    if settings.alert_function is None:
        return None
    condition = Condition(settings.alert_field, settings.alert_when, settings.alert_threshold, settings.alert_max_age)
    return Alerts(clients.functions, settings.alert_function, condition, metrics)
