"""The templates with their artifacts, for those who deploy by CloudFormation's console or the AWS command line."""

import hashlib
import re
from pathlib import Path

import boto3
from botocore.exceptions import ClientError

from infra.deploy.artifacts import package
from infra.deploy.cloudformation import InputError
from infra.deploy.deployment import DATA, NETWORK, SERVICE
from infra.deploy.templates import outputs, parameters
from producer.aws.errors import explain

FILES = {DATA.name, NETWORK.name, SERVICE.name, "deploy.sh", "functions.zip"}
"""Whatever a package can hold."""
SCRIPT = """\
#!/usr/bin/env bash
# Deploys the templates beside it as `make deploy` does, with the AWS command line alone; may be repeated.
#
#   STACK=name IMAGE=reference [EMAIL=address] ./deploy.sh
#
# DATA_PARAMS="ShardCount=4", NETWORK_PARAMS and SERVICE_PARAMS change parameters of the three; VPC_ID and
# SUBNET_IDS=a,b name a network that is there; ROLE is the role that CloudFormation acts in. IMAGE
# is needed once the repository is there: push the image to it.
set -euo pipefail
cd "$(dirname "$0")"
: "${{STACK:?name of the deployment}}"

deploy() {{ # suffix, template, parameters...
  aws cloudformation deploy --stack-name "$STACK$1" --template-file "$2" --capabilities CAPABILITY_IAM \\
    --no-fail-on-empty-changeset --s3-bucket "$BUCKET" --tags sensorstream:stack="$STACK" \\
    ${{ROLE:+--role-arn "$ROLE"}} ${{3:+--parameter-overrides "${{@:3}}"}}
}}

output() {{ # suffix, name; nothing where there is none
  aws cloudformation describe-stacks --stack-name "$STACK$1" --output text \\
    --query "Stacks[0].Outputs[?OutputKey=='$2'].OutputValue"
}}

{upload}
# On purpose without quotes: each word is a parameter.
deploy "" {data} ArtifactBucket="$BUCKET" FunctionsKey={key} \\
  ${{ROLE:+"ServiceRoleArn=$ROLE"}} ${{EMAIL:+"SNSEmail=$EMAIL"}} ${{DATA_PARAMS:-}}

if [ -z "${{VPC_ID:-}}" ]; then
  deploy -network {network} ${{NETWORK_PARAMS:-}}
{network_outputs}
fi

if [ -z "${{IMAGE:-}}" ]; then
  echo "push the image to $(output "" RepositoryUri), then once more with IMAGE=..." >&2
  exit 2
fi
deploy -service {service} \\
{service_parameters}
  ${{SERVICE_PARAMS:-}}
"""
UPLOAD = """\
: "${{BUCKET:?bucket in the region of the deployment, for the code of the functions}}"
aws s3 cp --no-progress functions.zip "s3://$BUCKET/{key}"
"""


def build(folder: Path, session: boto3.Session | None, bucket: str | None) -> list[str]:
    """Fill `folder`; returns lines for a person. InputError when it holds anything that is not of an earlier package.

    With a bucket the artifacts are uploaded to it and the data stack's template knows them by default. Without one
    they lie beside the templates, and no session is needed.
    """
    code = package()
    key = f"functions/{hashlib.sha256(code).hexdigest()}.zip"
    paths = [path for path in (DATA, NETWORK, SERVICE) if path.exists()]
    texts = {path.name: path.read_text() for path in paths}
    if bucket:
        texts[DATA.name] = _with_defaults(texts[DATA.name], {"ArtifactBucket": bucket, "FunctionsKey": key})
    _make_way(folder)
    for name, text in texts.items():
        (folder / name).write_text(text)
    script = folder / "deploy.sh"
    script.write_text(_script(bucket, key))
    script.chmod(0o755)
    if not (bucket and session):
        (folder / "functions.zip").write_bytes(code)
        return [f"{folder}: templates, functions.zip and deploy.sh; BUCKET=... names where deploy.sh puts the code"]
    urls = _upload(session, bucket, {key: code, **{f"templates/{name}": text.encode() for name, text in texts.items()}})
    return [
        f"{folder}: templates and deploy.sh; for the console:",
        *(f"  {url}" for url in urls if "/templates/" in url),
    ]


def _make_way(folder: Path) -> None:
    """An empty folder. Only files of an earlier package are deleted: FOLDER may name any folder."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        others = sorted(path.name for path in folder.iterdir() if path.name not in FILES or not path.is_file())
        if others:
            raise InputError(f"FOLDER={folder} holds {others[0]}, which no package made; name a new or an empty folder")
        for path in folder.iterdir():
            path.unlink()
    except OSError as error:
        raise InputError(f"FOLDER={folder}: {error.strerror}; name a folder that can be made and written to") from None


def _upload(session: boto3.Session, bucket: str, contents: dict[str, bytes]) -> list[str]:
    """URLs of what was uploaded. InputError when the bucket is not there, or in another region than the functions."""
    s3 = session.client("s3")
    try:
        where = s3.get_bucket_location(Bucket=bucket).get("LocationConstraint") or "us-east-1"
    except ClientError as error:
        raise InputError(f"bucket {bucket}: {explain(error)}") from None
    if where != session.region_name:
        raise InputError(f"bucket {bucket} is in {where}; functions of {session.region_name} need one there")
    for key, content in contents.items():
        s3.put_object(Bucket=bucket, Key=key, Body=content)
    return [f"{s3.meta.endpoint_url}/{bucket}/{key}" for key in contents]


def _with_defaults(template: str, defaults: dict[str, str]) -> str:
    """The template's text with defaults for parameters that have none."""
    for name, value in defaults.items():
        template, count = re.subn(rf"(?m)^(  {name}:\n    Type: String\n)", rf"\g<1>    Default: {value}\n", template)
        if count != 1:
            raise AssertionError(f"{DATA.name}: parameter {name} is not declared as expected")
    return template


def _script(bucket: str | None, key: str) -> str:
    """The commands that bring the stacks up, in which outputs of one become parameters of the next."""
    made, networks = outputs(DATA), sorted(outputs(NETWORK))
    shell = {name: re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper() for name in networks}
    values = {"DataStack": "$STACK", "Image": "$IMAGE"}
    values |= {name: f'$(output "" {name})' for name in made}
    values |= {name: f"${{{variable}:-}}" for name, variable in shell.items()}
    given = [f'  {name}="{values[name]}" \\' for name in parameters(SERVICE) if name in values]
    return SCRIPT.format(
        upload=UPLOAD.format(key=key) if bucket is None else f"BUCKET={bucket}\n",
        key=key,
        data=DATA.name,
        network=NETWORK.name,
        network_outputs="\n".join(f"  {shell[name]}=$(output -network {name})" for name in networks),
        service=SERVICE.name,
        service_parameters="\n".join(given),
    )
