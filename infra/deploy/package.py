"""The templates with their artifacts, for those who deploy by CloudFormation's console or the AWS command line."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError

from infra.deploy.artifacts import functions_key, package
from infra.deploy.cloudformation import InputError
from infra.deploy.templates import DATA, TEMPLATES
from producer.aws.errors import explain

GUIDE = Path(__file__).with_name("package.md")
"""README.md of each package: the commands that deploy it."""
OURS = re.compile(r"(data|network|service)\.yaml|README\.md|functions-[0-9a-f]{64}\.zip")
"""Whatever a package can hold."""


@dataclass(frozen=True, slots=True)
class Package:
    """`urls` are those of the uploaded templates, if a bucket was named."""

    folder: Path
    urls: list[str]

    def as_json(self) -> dict[str, Any]:
        return {"folder": str(self.folder), "urls": self.urls}

    def as_text(self) -> str:
        if not self.urls:
            return f"{self.folder}: templates, the functions' code, and README.md with the commands that deploy them"
        return "\n".join([f"{self.folder}: templates and README.md; for the console:", *(f"  {u}" for u in self.urls)])


def build(folder: Path, session: boto3.Session | None, bucket: str | None) -> Package:
    """Fill `folder`. InputError when it holds anything that is not of an earlier package.

    With a bucket the artifacts are uploaded to it and the data stack's template knows them by default. Without one
    they lie beside the templates, and no session is needed.
    """
    code = package()
    key = functions_key(code)
    files = {path.name: path.read_bytes() for path in (*TEMPLATES, GUIDE)}
    files["README.md"] = files.pop(GUIDE.name)
    if bucket:
        files[DATA.name] = _with_defaults(files[DATA.name].decode(), ArtifactBucket=bucket, FunctionsKey=key).encode()
    else:
        files[key.replace("/", "-")] = code
    _write(folder, files)
    if not (bucket and session):
        return Package(folder, [])
    templates = {f"templates/{path.name}": files[path.name] for path in TEMPLATES}
    _, *urls = _upload(session, bucket, {key: code, **templates})
    return Package(folder, urls)


def _write(folder: Path, files: dict[str, bytes]) -> None:
    """The folder with these files. Only files of an earlier package are deleted: FOLDER may name any folder."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        others = sorted(path.name for path in folder.iterdir() if not OURS.fullmatch(path.name) or not path.is_file())
        if others:
            raise InputError(f"FOLDER={folder} holds {others[0]}, which no package made; name a new or an empty folder")
        for path in folder.iterdir():
            path.unlink()
        for name, content in files.items():
            (folder / name).write_bytes(content)
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


def _with_defaults(template: str, **defaults: str) -> str:
    """The template's text with defaults for parameters that have none."""
    for name, value in defaults.items():
        template, count = re.subn(rf"(?m)^(  {name}:\n    Type: String\n)", rf"\g<1>    Default: {value}\n", template)
        if count != 1:
            raise AssertionError(f"{DATA.name}: parameter {name} is not declared as expected")
    return template
