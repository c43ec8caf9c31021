"""The check of `sensorstream doctor` on the scheduled compaction."""

import time
from collections.abc import Iterator, Mapping

from botocore.exceptions import ClientError

from producer.aws.stack import Stack
from producer.compact.run import Run
from producer.ops.archive_index import Span
from producer.ops.contract import consumer_settings
from producer.ops.doctor import Check

HOUR_MS = 3_600_000
LATE_HOURS = 26
"""After its end and 65 minutes an hour is compacted: as the alarm CompactionMissing has it."""
REMEDY = "look into the log of the tasks (docs/operations.md, compaction fails), compact by hand"


def compaction(stack: Stack) -> Iterator[Check]:
    """How many finished hours the schedule has still to compact, of those that a run looks at."""
    given = _parameters(stack)
    if not given.get("CompactionSchedule"):
        yield Check("compaction", "skipped", "there is no schedule (CompactionSchedule)")
        return
    contracts = consumer_settings(stack, None, {"reading_contracts": given["ReadingContracts"]}).reading_contracts
    now = int(time.time() * 1000)
    looked_at = Span(now - int(given["RetentionHours"]) * HOUR_MS)
    missing = Run(stack, contracts, dry=True).span(looked_at).missing
    late = sum(hour.finished_ms < now - LATE_HOURS * HOUR_MS for hour in missing)
    detail = f"{len(missing)} of the finished hours of the last {given['RetentionHours']} are not compacted"
    if late:
        yield Check("compaction", "finding", f"{detail}, {late} of them for more than {LATE_HOURS} hours", REMEDY)
    else:
        yield Check("compaction", "ok", detail)


def _parameters(stack: Stack) -> Mapping[str, str]:
    """Of the service's stack; none where there is no such stack."""
    try:
        [found] = stack.session.client("cloudformation").describe_stacks(StackName=f"{stack.name}-service")["Stacks"]
    except ClientError as error:
        if "does not exist" not in str(error):
            raise
        return {}
    return {each["ParameterKey"]: each["ParameterValue"] for each in found.get("Parameters", [])}
