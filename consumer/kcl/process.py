"""Memory and CPU of the KCL daemon, read from /proc at each scrape; without /proc (macOS) there are no such metrics."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")


class DaemonProcess(Collector):
    """Memory and CPU of the process that `pid` names; nothing while there is none."""

    def __init__(self, pid: Callable[[], int | None]) -> None:
        self._pid = pid

    def describe(self) -> list[CounterMetricFamily | GaugeMetricFamily]:
        """The metrics without samples, for their registration."""
        return [
            GaugeMetricFamily(
                "sensorstream_daemon_resident_memory_bytes", "Resident memory of the KCL daemon (Linux)."
            ),
            CounterMetricFamily("sensorstream_daemon_cpu_seconds", "CPU time of the running KCL daemon (Linux)."),
        ]

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        pid = self._pid()
        try:
            # After the command's name, which may contain anything: fields 14, 15 (CPU) and 24 (memory) of proc(5).
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended, or there is none
            return
        memory, cpu = self.describe()
        memory.add_metric([], int(fields[21]) * _PAGE)
        cpu.add_metric([], (int(fields[11]) + int(fields[12])) / _TICKS)
        yield memory
        yield cpu
