"""What an older version's deployment must do before it takes this version's templates."""

import boto3

from infra.deploy.cloudformation import DeployError, State

RUNNING = "consumer"
"""Name of the ECS service; the cluster has the deployment's."""


def require_free_consumer(session: boto3.Session, stack: str, data: State | None) -> None:
    """DeployError while tasks read through a registered consumer of the data stack's stack.

    It belongs to the service's stack now. The update of the data stack, which goes first, would take it from under the
    tasks, and the consumer of such an old version takes that for the end of every shard.
    """
    if data is None or data.outputs.get("StreamConsumerArn", "none") == "none":
        return
    found = session.client("ecs").describe_services(cluster=stack, services=[RUNNING])["services"]
    if any(service["status"] == "ACTIVE" and service["desiredCount"] + service["runningCount"] for service in found):
        raise DeployError(
            f"stack {stack}: its tasks read through the stream's registered consumer, which this version moves to the"
            f" stack {stack}-service; stop them first (the stream keeps what comes meanwhile): aws ecs update-service"
            f" --cluster {stack} --service {RUNNING} --desired-count 0; when none runs, deploy with PARAMS=FanOut=true"
        )
