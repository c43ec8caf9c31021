"""What lies between a process and a service: requests that are refused, slow, answered too late or not at all."""

import asyncio
import random
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from botocore.exceptions import ClientError, ConnectionClosedError, EndpointConnectionError, ReadTimeoutError

from tests.simulation.clock import PROCESS, Clock, Process

if TYPE_CHECKING:
    from tests.simulation.pipe import Pipe

T = TypeVar("T")

READ_TIMEOUT: Final = 30.0
"""As in consumer/aws/clients.py."""
MAX_DELAY: Final = 35.0
"""Seconds after which every request has taken effect, if it ever does."""

CONVERSATION: "ContextVar[Pipe]" = ContextVar("conversation")
"""On whose behalf the product's code runs."""

REFUSALS: Final = {
    "s3": ("SlowDown", "InternalError", "ServiceUnavailable", "RequestTimeout"),
    "table": ("ProvisionedThroughputExceededException", "ThrottlingException", "InternalServerError", "503"),
    "stream": ("LimitExceededException", "AccessDeniedException", "InternalFailure", "ResourceNotFoundException"),
    "rollups": ("ProvisionedThroughputExceededException", "ThrottlingException", "InternalServerError", "503"),
    "leases": ("ThrottlingException", "InternalServerError", "ProvisionedThroughputExceededException"),
}


def refusal(code: str, operation: str = "Operation") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": code}}, operation)


@dataclass(frozen=True, slots=True)
class NetworkConditions:
    """Probabilities, per request, of what can go wrong with one service."""

    refused: float = 0.0
    lost: float = 0.0
    """It takes effect, but the answer does not come back."""
    slow: float = 0.0
    """It takes effect now and is answered late, perhaps after the client's timeout."""
    late: float = 0.0
    """It takes effect late, perhaps when its sender has given it up."""
    fatal: float = 0.0
    """It is refused with what no retry cures (but the next daemon's life may)."""


@dataclass(slots=True)
class Request:
    """A request under way. `talk` sent it; `future` is done when its sender waits no more."""

    talk: "Pipe | None"
    process: Process
    service: str
    future: asyncio.Future[Any]

    @property
    def abandoned(self) -> bool:
        return self.future.done() or not self.process.running


class Network:
    """Carries every request of a schedule. `conditions` are replaced by faultless ones when the faults are over."""

    def __init__(
        self,
        clock: Clock,
        rng: random.Random,
        conditions: dict[str, NetworkConditions],
        inject: Callable[[Process, str], None],
    ) -> None:
        """`inject` may hit a process that is about to send a request, or whose request has just taken effect."""
        self._clock = clock
        self._rng = rng
        self.conditions = conditions
        self.pending = 0
        self._inject = inject

    async def call(self, service: str, effect: Callable[[Request], T]) -> T:
        """Has `effect` take place at the service, once or not at all. Raises what botocore would."""
        process = PROCESS.get()
        self._inject(process, service)
        await asyncio.sleep(0)  # signing, a connection from the pool: the process may stop here, and send it later
        future: asyncio.Future[T] = self._clock.create_future()
        request = Request(CONVERSATION.get(None), process, service, future)
        rng, conditions = self._rng, self.conditions[service]
        way = rng.random() * 0.02
        fate = rng.random()
        if (fate := fate - conditions.refused) < 0:
            self._clock.later(way, self._refuse, future, self._refusal(service))
        elif (fate := fate - conditions.fatal) < 0:
            self._clock.later(way, self._refuse, future, refusal("ValidationException"))
        elif (fate := fate - conditions.lost) < 0:
            wait = rng.choice((way, READ_TIMEOUT))
            self._clock.later(wait, self._refuse, future, ConnectionClosedError(endpoint_url=service))
            self._send(way * rng.random(), request, effect, None)
        elif (fate := fate - conditions.slow) < 0:
            self._clock.later(READ_TIMEOUT, self._refuse, future, ReadTimeoutError(endpoint_url=service))
            self._send(way, request, effect, rng.uniform(0.5, READ_TIMEOUT * 1.2))
        elif (fate := fate - conditions.late) < 0:
            self._clock.later(READ_TIMEOUT, self._refuse, future, ReadTimeoutError(endpoint_url=service))
            self._send(rng.uniform(0.5, MAX_DELAY), request, effect, 0.0)
        else:
            self._send(way, request, effect, 0.0)
        return await future

    async def land(self, effect: Callable[[], T], delay: float) -> T:
        """A request of the KCL's: it arrives, whatever happens to the sender meanwhile."""
        future: asyncio.Future[T] = self._clock.create_future()
        self._send(delay, Request(None, PROCESS.get(), "checkpoint", future), lambda _: effect(), 0.0)
        return await future

    def _send(self, delay: float, request: Request, effect: Callable[[Request], Any], answer: float | None) -> None:
        self.pending += 1
        self._clock.later(delay, self._arrive, request, effect, answer)

    def _arrive(self, request: Request, effect: Callable[[Request], Any], answer: float | None) -> None:
        self.pending -= 1
        error: ClientError | None = None
        result = None
        try:
            result = effect(request)
        except ClientError as refused:
            error = refused
        self._inject(request.process, request.service)
        if answer is None:
            return
        if answer:
            self._clock.later(answer, self._answer, request.future, result, error)
        else:
            self._answer(request.future, result, error)

    @staticmethod
    def _answer(future: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
        if future.done():
            return
        if error:
            future.set_exception(error)
        else:
            future.set_result(result)

    @staticmethod
    def _refuse(future: asyncio.Future[Any], error: Exception) -> None:
        if not future.done():
            future.set_exception(error)

    def _refusal(self, service: str) -> Exception:
        if self._rng.random() < 0.3:
            return EndpointConnectionError(endpoint_url=service)
        return refusal(self._rng.choice(REFUSALS[service]))
