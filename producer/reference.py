"""What the help of a command says last: its guide, and the permissions that it needs. docs/commands.md shows the same.

Every command that knows a stack also needs ssm:GetParametersByPath on /sensorstream/<stack>.
"""

from typing import Final, NamedTuple

EXIT_CODES: Final = {
    0: "done, no findings; what runs until Ctrl-C was ended by it",
    1: "there are findings, messages are uncertain, or devices remain",
    2: "wrong input, credentials or permissions, or no AWS, explained in one line",
    3: "the audit had nothing to compare",
    130: "interrupted before there was a result",
    141: "nobody reads the output any more",
}


class Reference(NamedTuple):
    """`guide` is a page of the repository; without `needs` a command needs no permissions."""

    guide: str
    needs: str = ""

    def __str__(self) -> str:
        return f"Permissions: {self.needs}.\n\nGuide: {self.guide}" if self.needs else f"Guide: {self.guide}"


DEVICES = (
    "iot:AttachPolicy, iot:AttachThingPrincipal, iot:CreateKeysAndCertificate, iot:CreateThing, iot:DeleteCertificate, "
    "iot:DeleteThing, iot:DescribeCertificate, iot:DescribeThing, iot:DetachPolicy, iot:DetachThingPrincipal, "
    "iot:ListAttachedPolicies, iot:ListTargetsForPolicy, iot:ListThingPrincipals, iot:ListThings, "
    "iot:UpdateCertificate"
)
EXAMINE = (
    "cloudformation:DescribeStacks, cloudwatch:DescribeAlarms, cloudwatch:ListMetrics, dynamodb:DescribeTable, "
    "dynamodb:Scan of the lease table, ecs:DescribeServices, execute-api:Invoke, kinesis:DescribeLimits, "
    "kinesis:DescribeStreamSummary, lambda:GetAccountSettings, lambda:InvokeFunction of the query function, "
    "s3:GetObject below curated/, s3:ListBucket, sns:ListSubscriptionsByTopic, sqs:GetQueueAttributes, sqs:GetQueueUrl"
)
REFERENCES: Final = {
    "alerts": Reference(
        "docs/alerts.md#the-history", "dynamodb:Query on the partitions history#... of the table of alerts"
    ),
    "audit": Reference(
        "docs/audit.md",
        "s3:GetLifecycleConfiguration, s3:GetObject, s3:ListBucket; without --no-stream also "
        "kinesis:DescribeStreamSummary, kinesis:GetRecords, kinesis:GetShardIterator, kinesis:ListShards; with "
        "--ledger also dynamodb:Query, and on the queue STACK-audit sqs:DeleteMessage, sqs:GetQueueUrl, "
        "sqs:ReceiveMessage",
    ),
    "bug-report": Reference("docs/commands.md#report-a-defect", "those of doctor, and logs:FilterLogEvents"),
    "compact": Reference("docs/compaction.md", "s3:GetObject, s3:ListBucket, and s3:PutObject below curated/"),
    "completion": Reference("docs/commands.md"),
    "console": Reference(
        "docs/console.md",
        "execute-api:Invoke, kinesis:PutRecords; for the operator's pages also those of "
        "alerts, audit, redrive and doctor, cloudwatch:GetMetricData, sns:Subscribe, and on queues STACK-console-... "
        "sqs:CreateQueue, sqs:DeleteMessage, sqs:DeleteQueue, sqs:GetQueueAttributes, sqs:ReceiveMessage, "
        "sqs:SetQueueAttributes",
    ),
    "contract": Reference("docs/contracts.md"),
    "deprovision": Reference(
        "docs/deploy.md",
        "those of provision, and sns:ListSubscriptionsByTopic, sns:Unsubscribe, sqs:DeleteQueue, "
        "sqs:GetQueueAttributes, sqs:GetQueueUrl",
    ),
    "doctor": Reference(
        "docs/operations.md#examine-a-deployment",
        f"{EXAMINE}; with --probe also iot:Publish as the device STACK-probe",
    ),
    "plan": Reference("docs/planner.md"),
    "provision": Reference("docs/deploy.md", DEVICES),
    "publish": Reference("docs/tutorial.md", "kinesis:PutRecords"),
    "query": Reference("docs/query.md", "execute-api:Invoke"),
    "redrive": Reference(
        "docs/redrive.md",
        "s3:GetObject, s3:ListBucket; with --send also kinesis:PutRecords, and s3:PutObject below redriven/; with "
        "--undelivered sqs:ChangeMessageVisibility, sqs:GetQueueAttributes, sqs:GetQueueUrl, sqs:ReceiveMessage, and "
        "to send also kinesis:PutRecords, lambda:InvokeFunction of the alert function, sqs:DeleteMessage",
    ),
    "replay": Reference(
        "docs/replay.md",
        "s3:GetObject, s3:ListBucket; into the table dynamodb:BatchWriteItem, dynamodb:DescribeTable; "
        "into rollups dynamodb:DescribeTable, dynamodb:PutItem; into a stream "
        "kinesis:DescribeStreamSummary, kinesis:PutRecords",
    ),
    "simulate": Reference(
        "docs/tutorial.md",
        "none over MQTT, where devices have certificates; with --via kinesis kinesis:PutRecords, and with --aggregate "
        "kinesis:ListShards; with --provision those of provision; with --ledger and the alerts sns:Subscribe, and on "
        "the queue STACK-audit sqs:CreateQueue, sqs:GetQueueAttributes, sqs:SetQueueAttributes",
    ),
    "sql": Reference("docs/analytics.md", "s3:GetObject, s3:ListBucket"),
    "watch": Reference("docs/commands.md#watch", "those of provision, for a device of its own"),
}
