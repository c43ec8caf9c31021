"""The seams at which the simulation replaces parts of the product and of Python. All are public names.

| replaced | by | why |
|---|---|---|
| `time.monotonic`, `time`, `time_ns`, `clock_gettime` | `clock.Time` | virtual time, also suspended or wrong |
| `asyncio.sleep`, `asyncio.events.get_running_loop` | the world's `clock` | the event loop of virtual time |
| `random.uniform` | the schedule's generator | the delays of retries are reproducible |
| `service.Metrics` | `schedule._Metrics` | counts only the outcomes of the fence; the metrics have tests of their own |
| `service.Daemon` | `worker.SimDaemon` | a simulated KCL (`kcl.Jvm`) in place of a Java process |
| `service.Listener` | `worker.SimListener` | the real one, which also checks why conversations fail |
| `listener.listen` | the worker's `Door` | connectors come in by a queue in place of a Unix socket |
| `protocol.accept`, `protocol.disconnected` | those of `pipe.py` | pipes in memory in place of file descriptors |
| the `clients` of `Service` | `sinks.py`, `leases.py`, `stream.py` | AWS in memory, with faults by `network.py` |

Everything else is the product's own code: `Service.work` runs as in production. The simulation calls `Service.stop`
where the operating system would send SIGTERM. `schedule.py` replaces what is common to a schedule, `worker.py` what
each worker has for itself. mutants.py replaces source text instead, to show that the simulation notices.
"""

import contextlib
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def replaced(*patches: tuple[Any, str, Any]) -> Iterator[None]:
    """Attributes of modules replaced for a while (as mock.patch does, in a tenth of its time)."""
    before = [(target, name, vars(target)[name]) for target, name, _ in patches]
    try:
        for target, name, instead in patches:
            setattr(target, name, instead)
        yield
    finally:
        for target, name, old in reversed(before):
            setattr(target, name, old)
