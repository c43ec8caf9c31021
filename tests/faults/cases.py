"""All fault cases, the quickest first."""

from tests.faults import deploy_cases, fleet_cases, machine_cases, process_cases, read_cases, sink_cases, stream_cases

CASES = (
    *process_cases.CASES,
    *stream_cases.CASES,
    *read_cases.CASES,
    *deploy_cases.CASES,
    *sink_cases.CASES,
    *machine_cases.CASES,
    *fleet_cases.CASES,
)
