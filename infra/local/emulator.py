"""The emulator of AWS as a child process: a fixed account, one region, loopback only, nothing kept.

With `enforce_iam` it is as strict as it can be: roles and policies are in force, and its endpoint speaks TLS, since the
stack's bucket refuses everything else.
"""

import os
import shutil
import socket
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import boto3
import botocore.session
from botocore.credentials import CredentialProvider, CredentialResolver

from infra.local.process import LOCAL, ROOT, Child, LocalError, Running

EXTENSION = ROOT / "infra/local/emulator-extension"
HOST = "127.0.0.1"
ACCESS_KEY = "test"
TRUST_STORE_PASSWORD = "changeit"  # noqa: S105 - what it protects is public
SECRET_KEY = "test"  # noqa: S105 - the key of the account itself, where the emulator enforces IAM
Keys = tuple[str, str, str | None]
"""Access key, secret key and session token."""


def free_port() -> int:
    """A port that is free at this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def require_free(port: int, variable: str) -> None:
    """LocalError naming the variable that moves the port, when it is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise LocalError(
                f"port {port} cannot be used ({error.strerror}); choose another: {variable}=..."
            ) from error


class LocalSession(boto3.Session):
    """boto3 takes an endpoint for a client, or from the environment of the whole process, but not for a session."""

    def __init__(self, endpoint: str, region: str, ca_file: Path | None, **who: Any) -> None:
        super().__init__(region_name=region, **who)
        self._options: dict[str, Any] = {"endpoint_url": endpoint}
        if ca_file:
            self._options["verify"] = str(ca_file)

    def client(self, *names: Any, **options: Any) -> Any:
        return super().client(*names, **(self._options | options))


class Emulator(Running):
    """Started by `start()`, or as a context manager; all state is in its memory and in a folder that goes with it."""

    def __init__(
        self,
        aws_port: int = 0,
        mqtt_port: int = 0,
        region: str = "eu-central-1",
        log: Path = LOCAL / "log/emulator.log",
        enforce_iam: bool = False,
    ) -> None:
        """A port of 0 becomes a free one. Roles and policies need `enforce_iam`; device policies are always in force.

        `plain_endpoint` is the same emulator over plain HTTP.
        """
        self.aws_port = aws_port or free_port()
        self.mqtt_port = mqtt_port or free_port()
        self.region = region
        self.endpoint = f"{'https' if enforce_iam else 'http'}://{HOST}:{self.aws_port}"
        self.plain_endpoint = f"http://{HOST}:{free_port()}" if enforce_iam else self.endpoint
        self._log = log
        self._enforce_iam = enforce_iam
        self._state: Path | None = None
        self._child: Child | None = None

    def start(self) -> None:
        """Returns when HTTP and MQTT answer; LocalError when a port is taken or the emulator ends."""
        require_free(self.aws_port, "AWS_PORT")
        require_free(self.mqtt_port, "MQTT_PORT")
        python = Path(os.environ.get("LOCAL_AWS") or ROOT / ".local-aws") / "bin/python"
        if not python.exists():
            raise LocalError(f"{python} is missing; run make setup")
        self._state = Path(tempfile.mkdtemp(prefix="sensorstream-"))
        command = [str(python), "-m", "emulator_extension"]
        self._child = Child("the emulator", command, self._environment(self._state), self._log, EXTENSION)
        self._child.wait_until(self._is_ready, 60)

    def _environment(self, state: Path) -> dict[str, str]:
        """Nothing is inherited but what processes need: no credentials, proxies or Docker of the user."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
        strict = {"AUTH": "true", "TLS_DIR": str(state), "PLAIN_PORT": self.plain_endpoint.rpartition(":")[2]}
        return {
            **kept,
            **(strict if self._enforce_iam else {"AUTH": "false"}),
            "HOME": str(state),
            "TMPDIR": str(state),
            "STATE_DIR": str(state / "state"),
            "S3_DATA_DIR": str(state / "s3"),
            "DOCKER_HOST": f"unix://{state}/no-docker.sock",  # else it stops containers of its own kind at start
            "GATEWAY_PORT": str(self.aws_port),
            "BIND_HOST": HOST,
            "IOT_MTLS_PORT": str(self.mqtt_port),
            "SFTP_ENABLED": "0",
            "MINISTACK_REGION": self.region,
            "LOG_LEVEL": "WARNING",
            "PYTHONUNBUFFERED": "1",
        }

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.plain_endpoint}/_ministack/ready", timeout=5):  # noqa: S310 - own address
                pass
            with socket.create_connection((HOST, self.mqtt_port), timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            return False

    def variables(self) -> dict[str, str]:
        """Environment that points any AWS SDK or the aws CLI here, with the keys of the account itself."""
        return self.place() | {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}

    def place(self) -> dict[str, str]:
        """Environment that says where AWS is, and nothing of who asks."""
        where = {"AWS_ENDPOINT_URL": self.endpoint, "AWS_REGION": self.region, "AWS_DEFAULT_REGION": self.region}
        return where | ({"AWS_CA_BUNDLE": str(self.ca_file)} if self.ca_file else {})

    @property
    def ca_file(self) -> Path | None:
        """The authority of the endpoint's certificate; None where it speaks plain HTTP."""
        return self._state / "ca.pem" if self._enforce_iam and self._state else None

    @property
    def java_options(self) -> str:
        """What a Java process needs to trust that authority, as JAVA_TOOL_OPTIONS."""
        if not self.ca_file:
            return ""
        store = self.ca_file.with_name("truststore.p12")
        return f"-Djavax.net.ssl.trustStore={store} -Djavax.net.ssl.trustStorePassword={TRUST_STORE_PASSWORD}"

    def session(self, keys: Keys = (ACCESS_KEY, SECRET_KEY, None)) -> boto3.Session:
        """A session whose clients all talk to this emulator, whatever the environment says."""
        names = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
        return LocalSession(self.endpoint, self.region, self.ca_file, **dict(zip(names, keys, strict=True)))

    def renewing(self, provider: CredentialProvider) -> boto3.Session:
        """Such a session with credentials that `provider` gives, again and again where they expire."""
        core = botocore.session.Session()
        core.register_component("credential_provider", CredentialResolver([provider]))
        return LocalSession(self.endpoint, self.region, self.ca_file, botocore_session=core)

    def role(self, arn: str, name: str = "local") -> Keys:
        """Keys of a role that the account may assume, for an hour."""
        made = self.session().client("sts").assume_role(RoleArn=arn, RoleSessionName=name)["Credentials"]
        return made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"]

    def ca(self) -> str:
        """PEM of the authority that signs the MQTT listener's certificate."""
        with urllib.request.urlopen(f"{self.plain_endpoint}/_ministack/iot/ca.pem", timeout=10) as answer:  # noqa: S310
            return str(answer.read().decode())

    def exit_code(self) -> int | None:
        """None while it runs (or was never started)."""
        return self._child.exit_code() if self._child else None

    def stop(self) -> None:
        """Stops it with everything it started; harmless when it does not run."""
        if self._child:
            self._child.stop(3)
            self._child = None
        if self._state:
            shutil.rmtree(self._state, ignore_errors=True)
            self._state = None
