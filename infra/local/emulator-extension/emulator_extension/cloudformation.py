"""CloudFormation: resource types and properties that the emulator does not know, so that templates need no exception.

A handler gets the resolved properties and gives the physical id and the attributes; ValueError fails the resource.
"""

import functools
import json
from collections.abc import Callable
from typing import Any

from ministack.services import athena, dynamodb, ecs, kinesis
from ministack.services.cloudformation import changesets, engine, handlers, provisioners, stacks

from emulator_extension.shards import open_shards
from emulator_extension.upstream import F, Json, Response, extends

Made = tuple[str, Json]
Create = Callable[[str, Json, str], Made]
Update = Callable[[str, Json, Json, str], Made]
CONSUMER = "AWS::Kinesis::StreamConsumer"
NAMED_QUERY = "AWS::Athena::NamedQuery"
SERVICE = "AWS::ECS::Service"

provisioners._REPLACING_PROPERTIES[CONSUMER] = ("StreamARN", "ConsumerName")
provisioners._REPLACING_PROPERTIES[NAMED_QUERY] = ("Name", "Database", "WorkGroup", "QueryString", "Description")


OF_TEXT = {"Fn::Join", "Fn::Select", "Fn::Split", "Fn::Sub"}


@extends(changesets, "_evaluate_conditions")
@extends(handlers, "_evaluate_conditions")
@extends(stacks, "_evaluate_conditions")
def conditions(original: Callable[[Json, Json], dict[str, bool]], template: Json, parameters: Json) -> dict[str, bool]:
    """The template's conditions, those that compute with text, too; the emulator's own know Ref and Fn::Select."""

    def computed(value: Any) -> Any:
        if isinstance(value, dict):
            if value.keys() & OF_TEXT:
                return engine._resolve_refs(value, {}, parameters, {}, template.get("Mappings", {}), "", "")
            return {key: computed(each) for key, each in value.items()}
        return [computed(each) for each in value] if isinstance(value, list) else value

    return original({**template, "Conditions": computed(template.get("Conditions", {}))}, parameters)


def handles(kind: str, action: str) -> Callable[[F], F]:
    """Decorates what creates, updates or deletes resources of a type, instead of the emulator's handler, if any.

    That one, if there is one, becomes its first argument.
    """

    def decorate(function: F) -> F:
        known = provisioners._RESOURCE_HANDLERS.setdefault(kind, {})
        original = known.get(action)
        known[action] = functools.partial(function, original) if original else function
        return function

    return decorate


def _body(response: Response) -> Json:
    status, _, body = response
    answer: Json = json.loads(body) if body else {}
    if status != 200:
        raise ValueError(answer.get("message") or answer.get("Message") or str(answer))
    return answer


@handles(CONSUMER, "create")
def make_consumer(_: str, props: Json, __: str) -> Made:
    """Registers it as RegisterStreamConsumer does: the KCL can subscribe with it."""
    request = {name: props.get(name) for name in ("StreamARN", "ConsumerName")}
    made = _body(kinesis._register_consumer(request))["Consumer"]
    attributes = {f"Consumer{name}": made[f"Consumer{name}"] for name in ("ARN", "Name", "Status", "CreationTimestamp")}
    return made["ConsumerARN"], attributes | {"StreamARN": props["StreamARN"]}


@handles(CONSUMER, "delete")
def remove_consumer(arn: str, _: Json) -> None:
    """Harmless when the stream has gone with it."""
    if kinesis._consumer_from_arn(arn):
        _body(kinesis._deregister_consumer({"ConsumerARN": arn}))


@handles("AWS::DynamoDB::Table", "create")
def make_table(original: Create, logical_id: str, props: Json, stack: str) -> Made:
    """A new table's indexes are active, as those of CreateTable; the KCL makes an index that has no status again."""
    name, attributes = original(logical_id, props, stack)
    for index in dynamodb._tables[name]["GlobalSecondaryIndexes"]:
        index.setdefault("IndexStatus", "ACTIVE")
    return name, attributes


@handles(SERVICE, "create")
def make_service(original: Create, logical_id: str, props: Json, stack: str) -> Made:
    """With what _recorded adds."""
    return _recorded(original(logical_id, _typed(props), stack), props)


@handles(SERVICE, "update")
def update_service(original: Update, arn: str, old: Json, new: Json, stack: str) -> Made:
    """With what _recorded adds."""
    return _recorded(original(arn, _typed(old), _typed(new), stack), new)


def _typed(props: Json) -> Json:
    """A parameter of type Number arrives as text."""
    return {**props, "DesiredCount": int(props["DesiredCount"])} if "DesiredCount" in props else props


def _recorded(made: Made, props: Json) -> Made:
    """Properties of an ECS service that the emulator's handlers leave out."""
    service = ecs._services["/".join(made[0].rsplit("/", 2)[1:])]
    service["serviceRegistries"] = provisioners._pascal_to_camel(props.get("ServiceRegistries") or [])
    service["propagateTags"] = props.get("PropagateTags", "NONE")
    service["enableECSManagedTags"] = bool(props.get("EnableECSManagedTags"))
    return made


@handles("AWS::Kinesis::Stream", "update")
def update_stream(original: Update, name: str, old: Json, new: Json, stack: str) -> Made:
    """The emulator's handler keeps the shards whatever the template says."""
    made = original(name, old, new, stack)
    wanted = int(new.get("ShardCount") or 0)
    if wanted and wanted != len(open_shards(kinesis._streams[made[0]])):
        _body(kinesis._update_shard_count({"StreamName": made[0], "TargetShardCount": wanted}))
    return made


@extends(provisioners, "_cw_metric_alarm_record")
def alarm_record(original: Callable[[str, Json], Json], name: str, props: Json) -> Json:
    """An alarm on an expression is kept, and stays at INSUFFICIENT_DATA: expressions are not computed here."""
    if not props.get("Metrics"):
        return original(name, props)
    plain = {key: value for key, value in props.items() if key != "Metrics"}
    alarm = original(name, plain | {"MetricName": "Expression", "Namespace": "Expression"})
    return {**alarm, "MetricName": "", "Namespace": "", "Metrics": props["Metrics"]}


@handles(NAMED_QUERY, "create")
def make_named_query(_: str, props: Json, __: str) -> Made:
    """Saves it; its id is made with it."""
    made = _body(athena._create_named_query(props))["NamedQueryId"]
    return made, {"NamedQueryId": made}


@handles(NAMED_QUERY, "delete")
def remove_named_query(query_id: str, _: Json) -> None:
    """Harmless when its workgroup has gone with it."""
    _body(athena._delete_named_query({"NamedQueryId": query_id}))
