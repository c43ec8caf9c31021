"""What is told apart, and what is the same, when a message or a row is compared."""

import pytest

from producer.fleet.normal import document_crc, row_text

SENT = b'{"n": 5, "t": 21.50, "of": ["a", 1e3], "ok": true}'


@pytest.mark.parametrize(
    "same",
    [b'{"ok":true,"of":["a",1000],"t":21.5,"n":5}', b'\n{"n": 5.0, "t": 2150e-2, "of": ["a", 1000.0],"ok":true}'],
)
def test_another_spelling_is_the_same_document(same: bytes) -> None:
    assert document_crc(same) == document_crc(SENT)


@pytest.mark.parametrize(
    "other",
    [
        b'{"n": 5, "t": 21.51, "of": ["a", 1e3], "ok": true}',
        b'{"n": 5, "t": "21.50", "of": ["a", 1e3], "ok": true}',
        b'{"n": 5, "t": 21.50, "of": [1e3, "a"], "ok": true}',
        b'{"n": 5, "t": 21.50, "of": ["a", 1e3], "ok": 1}',
        b'{"n": 5, "t": 21.50, "of": ["a", 1e3]}',
        SENT + b"\n" + SENT,
        b"soil is wet",
        b"\xff",
    ],
)
def test_another_document_is_another(other: bytes) -> None:
    assert document_crc(other) != document_crc(SENT)


def test_lines_are_documents_and_text_is_none() -> None:
    assert document_crc(SENT + b"\n\n" + SENT) == document_crc(SENT + b"\n" + SENT) is not None
    assert document_crc(b"soil is wet") is None


@pytest.mark.parametrize(
    ("value", "measures", "text"),
    [
        ("41.30", {}, "41.3"),
        ("20", {"u": "7.0", "t": "1e1"}, "20 t=10 u=7"),
        ("", {"t": "0.0"}, "t=0"),
    ],
)
def test_a_row_is_its_value_and_its_measures_in_order(value: str, measures: dict[str, str], text: str) -> None:
    assert row_text(value, measures) == text
