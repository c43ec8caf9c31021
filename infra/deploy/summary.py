"""What a deployment says at its end: who gets the alerts, what to do next, and the outputs."""

from collections.abc import Iterator, Mapping

import boto3

CONFIRM = 'confirm it: the link in the mail "AWS Notification - Subscription Confirmation"'


def summary(session: boto3.Session, stack: str, outputs: Mapping[str, str]) -> Iterator[str]:
    """Lines for a person."""
    yield ""
    yield "Alerts"
    yield from (f"  {line}" for line in alerts(session, stack, outputs["AlertTopicArn"]))
    yield ""
    yield "Next"
    if boto3.Session().region_name != session.region_name:
        yield f"  export AWS_REGION={session.region_name} AWS_DEFAULT_REGION={session.region_name}"
    producer = ".venv/bin/sensorstream"
    for command, what in (
        (f"{producer} provision --stack {stack} --devices 3", "make three devices with certificates"),
        (f"{producer} simulate --stack {stack} --devices 3 --rate 10 --for 60", "let them publish"),
        (f"{producer} query --stack {stack} soilSensor1", "see what has arrived"),
        (f"make plan STACK={stack}", "what a change would do"),
        (f"make destroy STACK={stack}", "take everything away"),
    ):
        yield f"  {command}"
        yield f"      {what}"
    yield ""
    yield "Outputs"
    width = max(map(len, outputs))
    yield from (f"  {name:<{width}}  {value}" for name, value in sorted(outputs.items()))


def alerts(session: boto3.Session, stack: str, topic: str) -> list[str]:
    """Each e-mail address of the topic with its state, and how to begin or end it."""
    sns = session.client("sns")
    pages = sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic)
    mails = [found for page in pages for found in page["Subscriptions"] if found.get("Protocol") == "email"]
    if not mails:
        return [f"no e-mail subscription; to add one: make deploy STACK={stack} EMAIL=you@example.com"]
    lines = []
    for found in mails:
        pending = not found.get("SubscriptionArn", "").startswith("arn:")
        lines.append(f"{found.get('Endpoint')}: {f'PendingConfirmation; {CONFIRM}' if pending else 'confirmed'}")
    return [*lines, f"to end them: the link in each mail, or make deploy STACK={stack} PARAMS=SNSEmail="]
