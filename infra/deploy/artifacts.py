"""What a deployment uploads into a bucket of its own: the functions' code, and templates too long for a request."""

import hashlib
import io
import json
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError

from infra.deploy.cloudformation import DeployError

INFRA = Path(__file__).resolve().parent.parent
LONGEST_BODY = 51_200  # bytes of a template within a request to CloudFormation
NAME_SECONDS, AGAIN_SECONDS = 120.0, 5.0  # how long, and how often, a name is asked for that S3 has not let go of


def package() -> bytes:
    """The functions' code as a zip file; the same code gives the same bytes."""
    root, buffer = INFRA / "functions", io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(root.rglob("*.py")):
            entry = zipfile.ZipInfo(path.relative_to(root).as_posix(), date_time=(1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes())
    return buffer.getvalue()


class Artifacts:
    """The bucket of one deployment's artifacts. It is made by the first upload; equal content is uploaded once."""

    def __init__(self, session: boto3.Session, stack: str) -> None:
        self._s3 = session.client("s3")
        self._region = session.region_name
        self.bucket = bucket_name(session, stack)
        self._made = False

    def functions(self, upload: bool = True) -> str:
        """Key of the functions' code, which follows from its content."""
        code = package()
        key = f"functions/{hashlib.sha256(code).hexdigest()}.zip"
        return self._upload(key, code) if upload else key

    def template(self, path: Path) -> dict[str, str]:
        """The template as CloudFormation's requests take it: in full, or where it is."""
        body = path.read_bytes()
        if len(body) <= LONGEST_BODY:
            return {"TemplateBody": body.decode()}
        key = self._upload(f"templates/{hashlib.sha256(body).hexdigest()}.yaml", body)
        return {"TemplateURL": f"{self._s3.meta.endpoint_url}/{self.bucket}/{key}"}

    def _upload(self, key: str, content: bytes) -> str:
        if not self._made:
            self._make()
            self._made = True
        if not _exists(lambda: self._s3.head_object(Bucket=self.bucket, Key=key)):
            self._s3.put_object(Bucket=self.bucket, Key=key, Body=content)
        return key

    def _make(self) -> None:
        if _exists(lambda: self._s3.head_bucket(Bucket=self.bucket)):
            return
        self._create()
        self._s3.put_public_access_block(
            Bucket=self.bucket,
            PublicAccessBlockConfiguration={
                "BlockPublicAcls": True,
                "BlockPublicPolicy": True,
                "IgnorePublicAcls": True,
                "RestrictPublicBuckets": True,
            },
        )
        arn = f"arn:{self._s3.meta.partition}:s3:::{self.bucket}"
        only_tls = {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [arn, f"{arn}/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
        policy = {"Version": "2012-10-17", "Statement": [only_tls]}
        self._s3.put_bucket_policy(Bucket=self.bucket, Policy=json.dumps(policy))

    def _create(self) -> None:
        """The bucket alone. After destroy S3 may hold on to its name, mostly for seconds; DeployError after minutes."""
        where: Any = {"CreateBucketConfiguration": {"LocationConstraint": self._region}}
        deadline = time.monotonic() + NAME_SECONDS
        while True:
            try:
                self._s3.create_bucket(Bucket=self.bucket, **({} if self._region == "us-east-1" else where))
                return
            except ClientError as error:
                if error.response["Error"]["Code"] != "OperationAborted":
                    raise
                if time.monotonic() > deadline:
                    raise DeployError(
                        f"S3 still holds on to the name of bucket {self.bucket}, which was deleted a short while ago; "
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
