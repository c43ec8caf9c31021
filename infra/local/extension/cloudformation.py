"""CloudFormation: resource types and properties that the emulator does not know, so that templates need no exception.

A handler gets the resolved properties and gives the physical id and the attributes; ValueError fails the resource.
"""

import json
from collections.abc import Callable
from typing import Any

from ministack.services import dynamodb, ecs, kinesis
from ministack.services.cloudformation import provisioners

from infra.local.extension.kinesis import Response, open_shards

Properties = dict[str, Any]
Made = tuple[str, dict[str, Any]]
Handlers = dict[str, Any]


def install() -> None:
    """Adds the types, and puts ours around handlers that fall short; to be called after resharding.install()."""
    known: dict[str, Handlers] = provisioners._RESOURCE_HANDLERS
    known["AWS::Kinesis::StreamConsumer"] = {"create": make_consumer, "delete": remove_consumer}
    provisioners._REPLACING_PROPERTIES["AWS::Kinesis::StreamConsumer"] = ("StreamARN", "ConsumerName")
    service = known["AWS::ECS::Service"]
    service["create"], service["update"] = _made(service["create"]), _updated(service["update"])
    table = known["AWS::DynamoDB::Table"]
    table["create"] = _indexed(table["create"])
    stream = known["AWS::Kinesis::Stream"]
    stream["update"] = _resharded(stream["update"])
    provisioners._cw_metric_alarm_record = _with_metrics(provisioners._cw_metric_alarm_record)


def _answer(response: Response) -> dict[str, Any]:
    status, _, body = response
    answer: dict[str, Any] = json.loads(body) if body else {}
    if status != 200:
        raise ValueError(answer.get("message") or answer.get("Message") or str(answer))
    return answer


# ---- a stream's consumer ----------------------------------------


def make_consumer(_: str, props: Properties, __: str) -> Made:
    """Registers it as RegisterStreamConsumer does: the KCL can subscribe with it."""
    request = {name: props.get(name) for name in ("StreamARN", "ConsumerName")}
    made = _answer(kinesis._register_consumer(request))["Consumer"]
    attributes = {f"Consumer{name}": made[f"Consumer{name}"] for name in ("ARN", "Name", "Status", "CreationTimestamp")}
    return made["ConsumerARN"], attributes | {"StreamARN": props["StreamARN"]}


def remove_consumer(arn: str, _: Properties) -> None:
    """Harmless when the stream has gone with it."""
    if kinesis._consumer_from_arn(arn):
        _answer(kinesis._deregister_consumer({"ConsumerARN": arn}))


# ---- what the emulator's own handlers leave out ----------------------------------------


def _indexed(create: Callable[..., Made]) -> Callable[..., Made]:
    """A new table's indexes are in use, as those of CreateTable; the KCL makes an index that has no status again."""

    def made(logical_id: str, props: Properties, stack: str) -> Made:
        name, attributes = create(logical_id, props, stack)
        for index in dynamodb._tables[name]["GlobalSecondaryIndexes"]:
            index.setdefault("IndexStatus", "ACTIVE")
        return name, attributes

    return made


def _typed(props: Properties) -> Properties:
    """A parameter of type Number arrives as text."""
    return {**props, "DesiredCount": int(props["DesiredCount"])} if "DesiredCount" in props else props


def _record(made: Made, props: Properties) -> Made:
    """Properties of an ECS service that no handler writes down."""
    service = ecs._services["/".join(made[0].rsplit("/", 2)[1:])]
    service["serviceRegistries"] = provisioners._pascal_to_camel(props.get("ServiceRegistries") or [])
    service["propagateTags"] = props.get("PropagateTags", "NONE")
    service["enableECSManagedTags"] = bool(props.get("EnableECSManagedTags"))
    return made


def _made(create: Callable[..., Made]) -> Callable[..., Made]:
    return lambda logical_id, props, stack: _record(create(logical_id, _typed(props), stack), props)


def _updated(update: Callable[..., Made]) -> Callable[..., Made]:
    return lambda arn, old, new, stack: _record(update(arn, _typed(old), _typed(new), stack), new)


def _resharded(update: Callable[..., Made]) -> Callable[..., Made]:
    """The emulator's handler keeps the shards whatever the template says."""

    def updated(name: str, old: Properties, new: Properties, stack: str) -> Made:
        made = update(name, old, new, stack)
        wanted = int(new.get("ShardCount") or 0)
        if wanted and wanted != len(open_shards(kinesis._streams[made[0]])):
            _answer(kinesis._update_shard_count({"StreamName": made[0], "TargetShardCount": wanted}))
        return made

    return updated


def _with_metrics(record: Callable[[str, Properties], Properties]) -> Callable[[str, Properties], Properties]:
    """An alarm on an expression is kept, and stays at INSUFFICIENT_DATA: expressions are not computed here."""

    def recorded(name: str, props: Properties) -> Properties:
        if not props.get("Metrics"):
            return record(name, props)
        plain = {key: value for key, value in props.items() if key != "Metrics"}
        alarm = record(name, plain | {"MetricName": "Expression", "Namespace": "Expression"})
        return {**alarm, "MetricName": "", "Namespace": "", "Metrics": props["Metrics"]}

    return recorded
