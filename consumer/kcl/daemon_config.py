"""The KCL daemon's properties file and its command line, from the settings."""

from importlib.util import find_spec
from pathlib import Path
from string import Template

from consumer.settings import Settings

HERE = Path(__file__).parent
CONFIG = next(folder for folder in (HERE.parent / "config", HERE.parents[1] / "config") if folder.is_dir())
"""The folder of the configuration files, in a wheel or in a checkout."""
PROPERTIES = "kcl.properties"
CONNECTOR = "connector.sh"
OWN_CLASSES = HERE / "classes.jar"
"""What stands before the KCL's classes; its sources are in the folder `classes`. Made by `infra/classes.sh`."""


def kcl_properties(settings: Settings) -> str:
    """The daemon's properties file: config/kcl.properties with the settings filled in."""
    start = settings.initial_position
    extra: dict[str, object] = {}
    if settings.fast_start:
        # Shortens loops that wait for each other while the first leases are assigned; they go on costing requests.
        extra["leaseAssignmentIntervalMillis"] = 1000
        extra["inMemoryWorkerMetricsCaptureFrequencyMillis"] = 250
        extra["parentShardPollIntervalMillis"] = 1000
    if settings.retrieval_mode == "FANOUT":
        extra["fanoutConfig.consumerName"] = settings.stream_consumer
    if endpoint := settings.endpoint("kinesis"):
        extra["kinesisEndpoint"] = endpoint
    if endpoint := settings.endpoint("dynamodb"):
        extra["dynamoDBEndpoint"] = endpoint
    values: dict[str, object] = {
        # Relative to RUN_DIR, the daemon's working directory: the KCL splits the command at every space.
        "executable": f"/bin/sh ./{CONNECTOR}",
        "stream_name": settings.stream_name,
        "application_name": settings.application_name,
        "region": settings.aws_region,
        "worker_id": settings.worker_id,
        "initial_position": (
            f"initialPositionInStreamExtended = {int(start.timestamp())}"
            if start
            else "initialPositionInStream = TRIM_HORIZON"
        ),
        "retrieval_mode": settings.retrieval_mode,
        "max_records": settings.max_records,
        "poll_millis": settings.poll_millis,
        "failover_millis": settings.failover_seconds * 1000,
        "shutdown_grace_millis": settings.shutdown_seconds * 1000,
        "extra": "\n".join(f"{name} = {value}" for name, value in extra.items()),
    }
    return Template((CONFIG / PROPERTIES).read_text()).substitute(values)


def java_command(java: Path, heap_mb: int) -> list[str]:
    """The daemon's command line; its working directory must be RUN_DIR."""
    return [
        str(java),
        f"-Xmx{heap_mb}m",
        "-XX:+UseSerialGC",
        # C1 compiler only: two thirds of the CPU time until the first record, half of it when idle. C2 makes a record
        # cheaper, but only after some 100,000 of them (decision 27).
        "-XX:TieredStopAtLevel=1",
        # What runs 40 times is compiled, not what runs 200 times: an idle daemon does little, but for ever.
        "-XX:CompileThresholdScaling=0.2",
        # The KCL catches Throwable in places where continuing would lose records.
        "-XX:+ExitOnOutOfMemoryError",
        # Its messages are written in the platform's encoding, which LC_ALL=C would make ASCII.
        "-Dfile.encoding=UTF-8",
        f"-Dlogback.configurationFile={CONFIG / 'logback.xml'}",
        "-cp",
        f"{OWN_CLASSES}:{jars()}/*",
        "software.amazon.kinesis.multilang.MultiLangDaemon",
        "--properties-file",
        PROPERTIES,
    ]


def jars() -> Path:
    package = find_spec("amazon_kclpy")
    if package is None or package.origin is None:
        raise FileNotFoundError("amazon_kclpy is not installed; see requirements/")
    return Path(package.origin).parent / "jars"
