"""moto's server with one request at a time: its tables check a condition and write without a lock in between, where
DynamoDB's are atomic.

    python -m tests.component.moto_server HOST PORT
"""

import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple


def main(host: str, port: str) -> None:
    """Serves until it is killed."""
    app, lock = DomainDispatcherApplication(create_backend_app), threading.Lock()

    def one_at_a_time(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        with lock:
            return list(app(environ, start_response))

    run_simple(host, int(port), one_at_a_time, threaded=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
