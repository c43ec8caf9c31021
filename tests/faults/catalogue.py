"""All rows, the quickest first."""

from tests.faults import process_rows

ROWS = (*process_rows.ROWS,)
