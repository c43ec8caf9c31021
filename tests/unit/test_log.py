"""One event a line, whatever is in it."""

import json
import logging
from collections.abc import Iterator

import pytest

from consumer.telemetry import log


@pytest.fixture(autouse=True)
def _root_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    out, err = capsys.readouterr()
    assert out == ""
    return err.splitlines()


def test_json_has_a_line_an_event_with_its_extra_fields(capsys: pytest.CaptureFixture[str]) -> None:
    log.setup("INFO", "json")
    logging.getLogger("consumer.archive.store").info(
        "stored %s", "a\nb", extra={"records": 12, "level": "mine", "path": object}
    )
    [line] = lines(capsys)
    event = json.loads(line)
    assert list(event)[:4] == ["time", "level", "logger", "message"]
    assert event["time"].endswith("Z")
    assert (event["level"], event["logger"], event["message"]) == ("INFO", "consumer.archive.store", "stored a\nb")
    assert event["records"] == 12
    assert event["path"] == "<class 'object'>"


def test_json_holds_the_exception_in_the_same_line(capsys: pytest.CaptureFixture[str]) -> None:
    log.setup("INFO", "json")
    try:
        raise LookupError("where \ud800")
    except LookupError:
        logging.getLogger("consumer").exception("lost", stack_info=True)
    [line] = lines(capsys)
    exception = json.loads(line)["exception"]
    assert exception.startswith("Traceback")
    assert "LookupError: where" in exception
    assert "Stack (most recent call last)" in exception


def test_text_is_readable(capsys: pytest.CaptureFixture[str]) -> None:
    log.setup("INFO", "text")
    logging.getLogger("kcl").warning("slow", extra={"shard": "shardId-1"})
    [line] = lines(capsys)
    assert line.endswith("WARNING kcl: slow  shard=shardId-1")
    try:
        raise LookupError("where")
    except LookupError:
        logging.getLogger("kcl").exception("lost")
    assert lines(capsys)[-1] == "LookupError: where"


def test_auto_is_json_where_no_terminal_is(capsys: pytest.CaptureFixture[str]) -> None:
    log.setup("INFO", "auto")
    logging.getLogger().info("hello")
    assert json.loads(lines(capsys)[0])["message"] == "hello"


def test_the_level_holds_and_libraries_are_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    log.setup("DEBUG", "text")
    logging.getLogger("botocore.endpoint").info("a request")
    logging.getLogger("consumer").debug("seen")
    log.setup("WARNING", "text")
    logging.getLogger("consumer").info("not seen")
    [line] = lines(capsys)
    assert line.endswith("seen")
