"""How many tasks can have work: the KCL reads a shard in one task at a time, so never more than there are shards."""

from collections.abc import Mapping

import boto3

from infra.deploy.cloudformation import InputError, State

ON_DEMAND = 4  # shards that an on-demand stream begins with


def fit_tasks(
    session: boto3.Session,
    parameters: Mapping[str, str],
    data: State | None,
    service: State | None,
    defaults: Mapping[str, str],
) -> dict[str, str]:
    """Parameters that were not asked for but follow from the number of shards.

    InputError when MinTasks or MaxTasks was asked for and is above it, or the first would be above the
    second. `data` and `service` are the stacks as they are, None where they are not there yet.
    """
    shards = open_shards(session, parameters, data, defaults)
    now = service.parameters if service else {}
    fitted, tasks = {}, {}
    for name in ("MinTasks", "MaxTasks"):
        tasks[name] = value = parameters.get(name) or now.get(name) or defaults.get(name, "")
        if shards is None or not value.isdecimal() or int(value) <= shards:
            continue
        if name in parameters:
            raise InputError(
                f"{name}={value} is more than the {shards} shards of the stream, and a shard is read by one task at a "
                f"time; give {name}={shards} or a greater ShardCount"
            )
        fitted[name] = tasks[name] = str(shards)
    least, most = tasks["MinTasks"], tasks["MaxTasks"]
    if least.isdecimal() and most.isdecimal() and int(least) > int(most):
        raise InputError(f"MinTasks={least} is more than MaxTasks={most}; give both")
    return fitted


def open_shards(
    session: boto3.Session, parameters: Mapping[str, str], data: State | None, defaults: Mapping[str, str]
) -> int | None:
    """Shards of the stream after this deployment; None when that is not a number."""
    now = data.parameters if data else {}
    wanted = parameters.get("ShardCount") or now.get("ShardCount") or defaults.get("ShardCount", "")
    if not wanted.isdecimal():
        return None
    if "ShardCount" in parameters and int(wanted) > 0:
        return int(wanted)
    stream = data.outputs.get("StreamName") if data else None
    if stream is None:
        return int(wanted) or ON_DEMAND
    kinesis = session.client("kinesis")
    summary = kinesis.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]
    return int(max(summary["OpenShardCount"], 0 if int(wanted) else ON_DEMAND))
