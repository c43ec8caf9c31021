import re

import pytest

from tests.faults.view import View


def test_what_is_waited_for_is_one_readable_line(capsys: pytest.CaptureFixture[str]) -> None:
    View().live("waiting for: rows (0 s)")
    assert re.fullmatch(r"\d\d:\d\d  waiting for: rows \(0 s\)\n", capsys.readouterr().err)
