"""What a deployment uploads into a bucket of its own: the functions' code, and templates too long for a request."""

import hashlib
import io
import json
import time
import zipfile
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError

from infra.deploy.cloudformation import DeployError
from infra.deploy.templates import INFRA

MAX_BODY = 51_200  # bytes of a template within a request to CloudFormation
NAME_SECONDS, AGAIN_SECONDS = 120.0, 5.0  # how long, and how often, a name is asked for that S3 has not let go of


def package() -> bytes:
    """The functions' code as a zip file; the same code gives the same bytes."""
    root, buffer = INFRA / "functions", io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(path for path in root.rglob("*") if path.suffix in (".py", ".json")):
            entry = zipfile.ZipInfo(path.relative_to(root).as_posix(), date_time=(1980, 1, 1, 0, 0, 0))
            entry.external_attr, entry.compress_type = 0o644 << 16, zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes())
    return buffer.getvalue()


def functions_key(code: bytes) -> str:
    """Key of the functions' code, which follows from its content."""
    return f"functions/{hashlib.sha256(code).hexdigest()}.zip"


class Artifacts:
    """The bucket of one deployment's artifacts, made by the first upload; equal content is uploaded once. `key` is that
    of the functions' code."""

    def __init__(self, session: boto3.Session, stack: str) -> None:
        self._session, self._stack = session, stack
        self._s3 = session.client("s3")
        self._code = package()
        self.key = functions_key(self._code)

    @cached_property
    def bucket(self) -> str:
        return bucket_name(self._session, self._stack)

    def upload_functions(self) -> None:
        self._upload(self.key, self._code)

    def template(self, path: Path) -> dict[str, str]:
        """The template as CloudFormation's requests take it: in full, or where it is."""
        body = path.read_bytes()
        if len(body) <= MAX_BODY:
            return {"TemplateBody": body.decode()}
        key = f"templates/{hashlib.sha256(body).hexdigest()}.yaml"
        self._upload(key, body)
        return {"TemplateURL": f"{self._s3.meta.endpoint_url}/{self.bucket}/{key}"}

    def _upload(self, key: str, content: bytes) -> None:
        bucket = self.bucket
        if not _exists(lambda: self._s3.head_bucket(Bucket=bucket)):
            self._make(bucket)
        if not _exists(lambda: self._s3.head_object(Bucket=bucket, Key=key)):
            self._s3.put_object(Bucket=bucket, Key=key, Body=content)

    def _make(self, bucket: str) -> None:
        self._create(bucket)
        blocks: Any = dict.fromkeys(
            ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), True
        )
        self._s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=blocks)
        arn = f"arn:{self._s3.meta.partition}:s3:::{bucket}"
        only_tls = {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [arn, f"{arn}/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
        policy = {"Version": "2012-10-17", "Statement": [only_tls]}
        self._s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))

    def _create(self, bucket: str) -> None:
        """The bucket alone. After destroy S3 may hold on to its name, mostly for seconds; DeployError after minutes."""
        region = self._session.region_name
        where: Any = {"CreateBucketConfiguration": {"LocationConstraint": region}} if region != "us-east-1" else {}
        deadline = time.monotonic() + NAME_SECONDS
        while True:
            try:
                self._s3.create_bucket(Bucket=bucket, **where)
                return
            except ClientError as error:
                if error.response["Error"]["Code"] != "OperationAborted":
                    raise
                if time.monotonic() > deadline:
                    raise DeployError(
                        f"S3 still holds on to the name of bucket {bucket}, which was deleted a short while ago; "
                        "the same command again in some minutes, at most an hour"
                    ) from error
            time.sleep(AGAIN_SECONDS)


def bucket_name(session: boto3.Session, stack: str) -> str:
    """Name of the bucket of a deployment's artifacts, whether it exists or not."""
    account = session.client("sts").get_caller_identity()["Account"]
    return f"{stack.lower()}-artifacts-{account}-{session.region_name}"


def _exists(head: Callable[[], object]) -> bool:
    try:
        head()
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            return False
        raise
    return True
