"""A deployment's image repository: `python -m infra.deploy.registry push|token`, for make push and infra/image/push.sh.

Exit codes: 0 done, 1 it failed, 2 a user error.
"""

import base64
import os
import sys
from collections.abc import Mapping, Sequence

import boto3

from infra.deploy import container, exits
from infra.deploy.cloudformation import DeployError, InputError
from infra.deploy.deployment import require_name
from producer.aws.errors import NOT_AWS, told

USAGE = "usage: python -m infra.deploy.registry push | token REGION"


def main(argv: Sequence[str]) -> int:
    try:
        match argv:
            case ["push"]:
                print(push(os.environ))
            case ["token", region]:
                print(token(boto3.Session(region_name=region)))
            case _:
                raise InputError(USAGE)
    except InputError as error:
        return _fail(str(error), 2)
    except DeployError as error:
        return _fail(str(error), 1)
    except Exception as error:
        line = told(error)
        if line is None and isinstance(error, KeyError):
            line = f"an answer lacks {error}: {NOT_AWS}"
        if line is None:
            raise
        return _fail(line, 2)
    return 0


def push(environ: Mapping[str, str]) -> str:
    """Pushes IMAGE, else that of this checkout, built first, unless it is there; returns the reference by digest."""
    if not (stack := environ.get("STACK")):
        raise InputError("STACK= names no deployment; such as make push STACK=sensorstream")
    require_name(stack)
    architecture = environ.get("ARCH") or container.own_architecture()
    if architecture not in container.ARCHITECTURES:
        raise InputError(f"ARCH={architecture} must be one of {', '.join(container.ARCHITECTURES)}")
    session = boto3.Session(region_name=environ.get("REGION") or environ.get("AWS_REGION"))
    uri = repository(session, stack)
    if image := environ.get("IMAGE"):
        return container.push(session, image, uri)
    wanted = container.tag(architecture)
    found = container.find(session, uri, wanted)
    return found or container.build_and_push(session, uri, wanted, architecture, _say)


def repository(session: boto3.Session, stack: str) -> str:
    """URI of the deployment's repository, of which its data stack tells."""
    ssm = session.client("ssm")
    try:
        return str(ssm.get_parameter(Name=f"/sensorstream/{stack}/RepositoryUri")["Parameter"]["Value"])
    except ssm.exceptions.ParameterNotFound:
        raise InputError(f"there is no deployment {stack} with a repository in {session.region_name}") from None


def token(session: boto3.Session) -> str:
    """Password of the user AWS for the account's registry, for twelve hours."""
    [found] = session.client("ecr").get_authorization_token()["authorizationData"]
    return base64.b64decode(found["authorizationToken"]).decode().partition(":")[2]


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def _fail(line: str, code: int) -> int:
    print(f"push: {line}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(exits.told(main(sys.argv[1:]), exits.PUSH))
