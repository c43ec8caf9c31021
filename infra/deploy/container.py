"""The service's image in the deployment's repository: found by the tag of its content, or built and pushed."""

import hashlib
import os
import platform
import re
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import boto3

from infra.deploy.cloudformation import DeployError

ROOT = Path(__file__).resolve().parents[2]
COPY = re.compile(r"^COPY (?!--from)(?:--\S+ )*(.+) \S+$", re.MULTILINE)
ARCHITECTURES = ("ARM64", "X86_64")


def own_architecture() -> str:
    """This machine's, in the words of the template's parameter Architecture."""
    return "ARM64" if platform.machine() in ("arm64", "aarch64") else "X86_64"


def tag(architecture: str, root: Path = ROOT) -> str:
    """Version, content and architecture: the same files give the same tag, whoever builds them."""
    version = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    digest = hashlib.sha256()
    for source in sources(root):
        for path in sorted(p for p in [root / source, *(root / source).rglob("*")] if p.is_file()):
            if "__pycache__" not in path.parts:
                digest.update(f"{path.relative_to(root).as_posix()}\0{path.stat().st_size}\0".encode())
                digest.update(path.read_bytes())
    return f"{version}-{digest.hexdigest()[:12]}-{architecture.lower()}"


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
    session: boto3.Session, repository: str, wanted: str, architecture: str, say: Callable[[str], None]
) -> str:
    """The image of this checkout with the tag `wanted`, by its digest in the repository (a URI)."""
    image = f"sensorstream:{wanted}"
    say(f"building image {image}")
    _run(session, "build.sh", image, architecture)
    say(f"pushing image {image}")
    return push(session, image, repository)


def push(session: boto3.Session, image: str, repository: str) -> str:
    """An image of this machine, by its digest in the repository (a URI)."""
    printed = _run(session, "push.sh", image, repository).split()
    if not printed or not printed[-1].startswith(f"{repository}@"):
        raise DeployError(f"infra/image/push.sh named no digest in {repository}")
    return printed[-1]


def _run(session: boto3.Session, script: str, image: str, *more: str) -> str:
    """What the script printed on stdout; its messages go to this process's stderr."""
    command = [str(ROOT / "infra/image" / script), image, *more]
    env = os.environ | {"AWS_REGION": session.region_name, "AWS_DEFAULT_REGION": session.region_name}
    done = subprocess.run(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise DeployError(f"infra/image/{script} {image} ended with code {done.returncode}; see above")
    return done.stdout
