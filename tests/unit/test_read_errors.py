"""Why a read failed, in the words of the daemon's log."""

import pytest

from consumer.kcl.read_errors import REASONS, failed_read, reason, summary

SDK = "software.amazon.awssdk."
MODEL = SDK + "services.kinesis.model."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (MODEL + "AccessDeniedException: User: arn:aws:sts::1:assumed-role/r/s is not authorized to perform: "
         "kinesis:GetRecords on resource: x (Service: Kinesis, Status Code: 400, Request ID: 1-2)", "access-denied"),
        (MODEL + "KinesisException: x (Service: Kinesis, Status Code: 403, Request ID: 1-2)", "access-denied"),
        (MODEL + "KmsDisabledException: the key is disabled (Service: Kinesis, Status Code: 400)", "kms"),
        (MODEL + "KmsAccessDeniedException: x is not authorized (Service: Kinesis, Status Code: 400)", "kms"),
        (MODEL + "KmsThrottlingException: x (Service: Kinesis, Status Code: 400)", "kms"),
        (MODEL + "AccessDeniedException: x is not authorized to perform: kms:Decrypt", "kms"),
        (MODEL + "ResourceNotFoundException: Stream x under account 1 not found.", "not-found"),
        (MODEL + "KinesisException: The security token included in the request is expired "
         "(Service: Kinesis, Status Code: 400)", "credentials"),
        (MODEL + "KinesisException: x (Service: Kinesis, Status Code: 400) ExpiredTokenException", "credentials"),
        (SDK + "core.exception.SdkClientException: Unable to load credentials from any of the providers in the chain "
         "AwsCredentialsProviderChain(...): Connection refused", "credentials"),
        (MODEL + "ProvisionedThroughputExceededException: Rate exceeded for shard", "throttled"),
        (MODEL + "LimitExceededException: x", "throttled"),
        (SDK + "core.exception.SdkClientException: Received an UnknownHostException when attempting to interact with "
         "a service.", "network"),
        (SDK + "core.exception.SdkClientException: Unable to execute HTTP request: Connection refused", "network"),
        (SDK + "core.exception.ApiCallTimeoutException: Client execution did not complete", "network"),
        ("java.util.concurrent.TimeoutException", "network"),
        (MODEL + "ExpiredIteratorException: Iterator expired.", "expired-iterator"),
        (MODEL + "InternalFailureException: x (Service: Kinesis, Status Code: 500)", "other"),
        ("", "other"),
    ],
)  # fmt: skip
def test_the_reason_is_one_of_a_fixed_set(text: str, expected: str) -> None:
    assert reason(text) == expected
    assert expected in REASONS


def test_a_failed_read_names_its_shard_where_the_line_does() -> None:
    trace = MODEL + "KmsDisabledException: disabled (Status Code: 400)  at software.amazon.x.Y.z(Y.java:1) at a.b(C:2)"
    where = "retrieval.polling.PrefetchRecordsPublisher"
    message = "stream:shardId-000000000003 :  Exception thrown while fetching records from Kinesis"
    expected = "shardId-000000000003", "kms", "KmsDisabledException: disabled (Status Code: 400)"
    assert failed_read(where, trace, message) == expected
    assert failed_read("lifecycle.InitializeTask", trace, "Caught exception: ") == (None, *expected[1:])


@pytest.mark.parametrize(
    ("logger", "exception", "message"),
    [
        ("lifecycle.ShardConsumerSubscriber", "", "Last request was dispatched at x, but no response"),
        ("retrieval.polling.KinesisDataFetcher", "", "Initializing shard shardId-000000000000 with TRIM_HORIZON"),
        ("coordinator.Scheduler", "java.lang.Error: x", "Worker.run caught exception"),
    ],
)
def test_other_lines_are_no_failed_reads(logger: str, exception: str, message: str) -> None:
    assert failed_read(logger, exception, message) is None


@pytest.mark.parametrize(
    ("logger", "message", "expected"),
    [
        ("KinesisDataFetcher", "Caught ResourceNotFoundException when fetching records for shard {}", "not-found"),
        ("KinesisDataFetcher", "Caught ResourceNotFoundException when getting an iterator for shard {}", "not-found"),
        ("PrefetchRecordsPublisher", "{} :  Timeout occurred while waiting for response from Kinesis.", "network"),
        ("PrefetchRecordsPublisher", "{} :  records threw ExpiredIteratorException - restarting", "expired-iterator"),
        ("PrefetchRecordsPublisher", "{} :  records threw InvalidArgumentException - it", "expired-iterator"),
    ],
)
def test_lines_without_an_exception_that_report_a_failed_read(logger: str, message: str, expected: str) -> None:
    found = failed_read(f"retrieval.polling.{logger}", "", message.format("s:shardId-000000000001"))
    assert found is not None
    assert found[:2] == ("shardId-000000000001", expected)


def test_a_summary_is_bounded() -> None:
    assert summary("a.b.C: " + "x" * 10_000) == "C: " + "x" * 297
    assert summary("a.b.C") == "C"
