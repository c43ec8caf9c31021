"""All rows, the quickest first."""

from tests.faults import process_rows, sink_rows, stream_rows

ROWS = (*process_rows.ROWS, *sink_rows.ROWS, *stream_rows.ROWS)
