"""All rows, the quickest first."""

from tests.faults import deploy_cases, fleet_cases, machine_cases, process_cases, read_cases, sink_cases, stream_cases

ROWS = (
    *process_cases.ROWS,
    *stream_cases.ROWS,
    *read_cases.ROWS,
    *deploy_cases.ROWS,
    *sink_cases.ROWS,
    *machine_cases.ROWS,
    *fleet_cases.ROWS,
)
