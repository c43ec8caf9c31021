"""All rows, the quickest first."""

from tests.faults import deploy_rows, fleet_rows, machine_rows, process_rows, read_rows, sink_rows, stream_rows

ROWS = (
    *process_rows.ROWS,
    *stream_rows.ROWS,
    *read_rows.ROWS,
    *deploy_rows.ROWS,
    *sink_rows.ROWS,
    *machine_rows.ROWS,
    *fleet_rows.ROWS,
)
