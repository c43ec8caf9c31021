"""How many tasks can have work: the KCL reads a shard in one task at a time, so never more than there are shards."""

from collections.abc import Mapping

import boto3

from infra.deploy.cloudformation import InputError, State
from infra.deploy.templates import DATA, SERVICE, parameters

ON_DEMAND = 4  # shards that an on-demand stream begins with


def fit_tasks(
    session: boto3.Session, given: Mapping[str, str], data: State | None, service: State | None
) -> dict[str, str]:
    """MinTasks and MaxTasks, where they were not given but follow from the number of shards.

    InputError when one was given and is above that number, or the first would be above the second. `data` and
    `service` are the stacks as they are, None where they are not there yet.
    """
    defaults = {name: str(each.get("Default", "")) for name, each in (parameters(DATA) | parameters(SERVICE)).items()}
    known = defaults | dict(data.parameters if data else {}) | dict(service.parameters if service else {}) | dict(given)
    shards = open_shards(session, given, known.get("ShardCount", ""), data)
    fitted = {}
    for name in ("MinTasks", "MaxTasks"):
        value = known[name]
        if shards is None or not value.isdecimal() or int(value) <= shards:
            continue
        if name in given:
            raise InputError(
                f"{name}={value} is more than the {shards} shards of the stream, and a shard is read by one task at a "
                f"time; give {name}={shards} or a greater ShardCount"
            )
        fitted[name] = str(shards)
    least, most = ({**known, **fitted}[name] for name in ("MinTasks", "MaxTasks"))
    if least.isdecimal() and most.isdecimal() and int(least) > int(most):
        raise InputError(f"MinTasks={least} is more than MaxTasks={most}; give both")
    return fitted


def open_shards(session: boto3.Session, given: Mapping[str, str], wanted: str, data: State | None) -> int | None:
    """Shards of the stream after this deployment; None when that is not a number."""
    if not wanted.isdecimal():
        return None
    if "ShardCount" in given and int(wanted) > 0:
        return int(wanted)
    stream = data.outputs.get("StreamName") if data else None
    if stream is None:
        return int(wanted) or ON_DEMAND
    found = session.client("kinesis").describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]
    return int(max(found["OpenShardCount"], 0 if int(wanted) else ON_DEMAND))
