"""Virtual time, and processes that can be killed or frozen between any two of their steps.

`Clock` is an event loop without a selector: when nothing is ready, time jumps to the next timer. Each callback belongs
to the process in whose context it was scheduled (tasks and timers inherit their context). A frozen process's callbacks
are kept until it is thawed, in their order; a dead one's are kept until the schedule is over, so that not even a
`finally` of it runs.
"""

import asyncio
import contextvars
import heapq
import time
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Final, TypeVar

T = TypeVar("T")

EPOCH: Final = 1_767_268_800.0
"""What the wall clock shows when a schedule begins: 2026-01-01T12:00:00Z."""


class Process:
    """What runs in one process's context."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.running = True
        self.dead = False
        self.held: list[asyncio.Handle] = []
        self.skew = 0.0
        """Seconds by which its wall clock is wrong."""
        self.unseen = 0.0
        """Seconds of suspension that its CLOCK_BOOTTIME did not count."""
        self.overslept = False
        """It stood still longer than a lease lasts, and can know it; until its daemon is started again."""
        self.context = contextvars.Context()
        self.context.run(PROCESS.set, self)

    def die(self) -> None:
        self.dead, self.running = True, False


PROCESS: contextvars.ContextVar[Process] = contextvars.ContextVar("process")
"""The process whose code runs; the world itself (networks, services) is none."""


class _Step(asyncio.Handle):
    """A handle that is made in half the time: it has no debug mode to ask for."""

    def __init__(
        self,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: "Clock",
        context: contextvars.Context | None,
    ) -> None:
        self._context = contextvars.copy_context() if context is None else context
        self._loop = loop
        self._callback = callback
        self._args = args
        self._cancelled = False
        self._repr = None


class _Timer(_Step, asyncio.TimerHandle):
    def __init__(self, when: float, *step: Any) -> None:
        _Step.__init__(self, *step)
        self._when = when
        self._scheduled = False


class Clock(asyncio.BaseEventLoop):
    """An event loop in virtual time. After `countdown` steps of processes, `inject` is called before the next one:
    it may kill or freeze the process, and restarts the countdown."""

    def __init__(self, inject: Callable[[Process], None]) -> None:
        super().__init__()
        self.now = 0.0
        self.steps = 0
        self.countdown = 0
        self.clearing = False
        """At the end of a schedule: everything runs, whether its process is dead or not."""
        self.errors: list[str] = []
        self.tasks: list[asyncio.Task[Any]] = []
        self._inject = inject
        self._timers: list[tuple[float, int, asyncio.TimerHandle | asyncio.Future[None]]] = []
        self._world = contextvars.Context()
        self.set_exception_handler(self._complain)
        self.set_task_factory(self._task)

    def time(self) -> float:
        return self.now

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        handle = _Step(callback, args, self, context)
        self._ready.append(handle)  # type: ignore[attr-defined]
        return handle

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self.now + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        timer = _Timer(when, callback, args, self, context)
        self.steps += 1
        heapq.heappush(self._timers, (when, self.steps, timer))
        return timer

    async def sleep(self, delay: float, result: Any = None) -> Any:
        """asyncio.sleep in a third of its time."""
        future = self.create_future()
        self.steps += 1
        heapq.heappush(self._timers, (self.now + max(0.0, delay), self.steps, future))
        await future
        return result

    def later(self, delay: float, callback: Callable[..., object], *args: Any) -> None:
        """Calls back in the world's own context: whatever happens to the process that asks for it."""
        self.call_at(self.now + delay, callback, *args, context=self._world)

    def spawn(self, process: Process, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Starts a task of a process."""
        return self.create_task(work, context=process.context.copy())

    def thaw(self, process: Process) -> None:
        """Lets go on what stood still since its `running` was false."""
        process.running = not process.dead
        self._ready.extend(process.held)  # type: ignore[attr-defined]
        process.held.clear()

    def _task(
        self,
        loop: asyncio.AbstractEventLoop,
        work: Coroutine[Any, Any, T] | Generator[Any, None, T],
        context: contextvars.Context | None = None,
    ) -> asyncio.Task[T]:
        task = asyncio.Task(work, loop=loop, context=context)
        self.tasks.append(task)
        return task

    async def sock_accept(self, sock: Any) -> Any:
        """The door of a simulated worker in place of a Unix socket."""
        return await sock.get(), None

    def _run_once(self) -> None:
        ready = self._ready  # type: ignore[attr-defined]
        timers, clearing = self._timers, self.clearing
        if not ready:
            if not timers:
                self.errors.append("nothing is left to happen")
                self.stop()
                return
            self.now = max(self.now, timers[0][0])
        while timers and timers[0][0] <= self.now:
            due = heapq.heappop(timers)[2]
            if isinstance(due, asyncio.Handle):
                ready.append(due)
            elif not due.done():
                due.set_result(None)
        for _ in range(len(ready)):
            handle = ready.popleft()
            if handle._cancelled:
                continue
            process = handle._context.get(PROCESS)
            if process is not None and not clearing:
                if process.running:
                    self.countdown -= 1
                    if self.countdown == 0:
                        self._inject(process)
                if not process.running:
                    process.held.append(handle)
                    continue
            self.steps += 1
            handle._run()
            if self._stopping:  # type: ignore[attr-defined]
                return

    def _complain(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if "Task" not in context["message"]:  # a task's exception is reported by its owner
            self.errors.append(f"{context['message']}: {error!r}")

    def _process_events(self, event_list: object) -> None:
        raise NotImplementedError

    def _write_to_self(self) -> None:
        raise NotImplementedError


class Time:
    """Stands in for the functions of the module `time`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def monotonic(self) -> float:
        return self._clock.now

    def time(self) -> float:
        return EPOCH + self._clock.now + PROCESS.get().skew

    def time_ns(self) -> int:
        return int(self.time() * 1_000_000_000)

    def clock_gettime(self, clock: int) -> float:
        assert clock == time.CLOCK_BOOTTIME
        return self._clock.now - PROCESS.get().unseen
