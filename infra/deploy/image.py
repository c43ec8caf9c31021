"""The service's image in the deployment's repository: found by the tag of its content, or built and pushed."""

import base64
import hashlib
import os
import platform
import re
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import boto3

from infra.deploy.cloudformation import DeployError, InputError
from infra.deploy.templates import INFRA
from producer.aws.errors import NOT_AWS

ROOT = INFRA.parent
COPY = re.compile(r"^COPY (?!--from)(?:--\S+ )*(.+) \S+$", re.MULTILINE)
ARCHITECTURES = ("ARM64", "X86_64")
Say = Callable[[str], None]


def own_architecture() -> str:
    """This machine's, in the words of the template's parameter Architecture."""
    return "ARM64" if platform.machine() in ("arm64", "aarch64") else "X86_64"


def tag(architecture: str, root: Path = ROOT, target: str = "service") -> str:
    """Version, content, architecture and the Dockerfile's target: the same files give the same tag, wherever built."""
    version = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    digest = hashlib.sha256()
    for source in sources(root):
        for path in sorted(p for p in [root / source, *(root / source).rglob("*")] if p.is_file()):
            if "__pycache__" not in path.parts:
                digest.update(f"{path.relative_to(root).as_posix()}\0{path.stat().st_size}\0".encode())
                digest.update(path.read_bytes())
    return of_target(f"{version}-{digest.hexdigest()[:12]}-{architecture.lower()}", target)


def of_target(name: str, target: str) -> str:
    """The name or tag of the image of the Dockerfile's `target`, from that of the service's."""
    return name if target == "service" else f"{name}-{target}"


def sources(root: Path = ROOT) -> list[str]:
    """Files and folders that the image is made of: the Dockerfile's own and those that it copies."""
    copied = [path for paths in COPY.findall((root / "Dockerfile").read_text()) for path in paths.split()]
    return ["Dockerfile", ".dockerignore", *copied]


def find(session: boto3.Session, repository: str, wanted: str) -> str | None:
    """The image with this tag, by its digest; None when the repository (a URI) lacks it."""
    ecr = session.client("ecr")
    name = repository.partition("/")[2]
    try:
        found = ecr.describe_images(repositoryName=name, imageIds=[{"imageTag": wanted}])["imageDetails"]
    except ecr.exceptions.ImageNotFoundException:
        return None
    return f"{repository}@{found[0]['imageDigest']}" if found else None  # the emulator answers with nothing


def build_and_push(
    session: boto3.Session, repository: str, architecture: str, say: Say, target: str = "service"
) -> str:
    """The image of this checkout by its digest in the repository (a URI), built and pushed unless it is there.

    `target` is the Dockerfile's: `service`, or `tools` for the commands.
    """
    wanted = tag(architecture, target=target)
    if found := find(session, repository, wanted):
        say(f"image {wanted} is in the repository")
        return found
    if os.environ.get("AWS_ENDPOINT_URL"):
        raise InputError("the local stack takes no images: IMAGE=sensorstream:local, as in .local/env")
    say(f"building image sensorstream:{wanted}")
    _run(session, "build.sh", f"sensorstream:{wanted}", architecture, TARGET=target)
    say(f"pushing image sensorstream:{wanted}")
    return push(session, f"sensorstream:{wanted}", repository)


def push(session: boto3.Session, image: str, repository: str) -> str:
    """An image of this machine, by its digest in the repository (a URI)."""
    printed = _run(session, "push.sh", image, repository).split()
    if not printed or not printed[-1].startswith(f"{repository}@"):
        raise DeployError(f"infra/image/push.sh named no digest in {repository}")
    return printed[-1]


def repository(session: boto3.Session, stack: str) -> str:
    """URI of the deployment's repository, as its data stack names it; InputError when there is none."""
    ssm = session.client("ssm")
    try:
        return str(ssm.get_parameter(Name=f"/sensorstream/{stack}/RepositoryUri")["Parameter"]["Value"])
    except ssm.exceptions.ParameterNotFound:
        raise InputError(f"there is no deployment {stack} with a repository in {session.region_name}") from None


def token(session: boto3.Session) -> str:
    """Password of the user AWS for the account's registry, for twelve hours."""
    answer = session.client("ecr").get_authorization_token()
    try:
        [found] = answer["authorizationData"]
    except KeyError as error:
        raise InputError(f"an answer lacks {error}: {NOT_AWS}") from None
    return base64.b64decode(found["authorizationToken"]).decode().partition(":")[2]


def _run(session: boto3.Session, script: str, image: str, *more: str, **variables: str) -> str:
    """What the script printed on stdout; its messages go to this process's stderr."""
    command = [str(ROOT / "infra/image" / script), image, *more]
    env = os.environ | {"AWS_REGION": session.region_name, "AWS_DEFAULT_REGION": session.region_name} | variables
    done = subprocess.run(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise DeployError(f"infra/image/{script} {image} ended with code {done.returncode}; see above")
    return done.stdout
