"""Starts the emulator with the extension: `.local-aws/bin/python -m infra.local.extension`."""

import sys
from importlib.metadata import PackageNotFoundError, version

PINNED = "1.5.33"


def main() -> int:
    """Run the emulator until it is stopped; 2 when its version is not the pinned one."""
    try:
        found = version("ministack")
    except PackageNotFoundError:
        found = "none"
    if found != PINNED:
        print(
            f"local AWS: ministack {PINNED} is needed, found {found}; remove .local-aws and run make again",
            file=sys.stderr,
        )
        return 2

    import hypercorn.config
    from ministack.app import main as serve

    from infra.local.extension import (
        cbor,
        cloudformation,
        devices,
        fanout,
        functions,
        kinesis,
        replacing,
        requests,
        resharding,
        roles,
        rules,
        scaling,
        task,
        tls,
    )

    for part in (
        cbor,
        kinesis,
        resharding,
        cloudformation,
        scaling,
        fanout,
        roles,
        requests,
        functions,
        rules,
        devices,
        task,
        tls,
        replacing,
    ):
        part.install()
    # Else a connection ends after a thousand requests, and the KCL's client waits for seconds for the one under way.
    hypercorn.config.Config.keep_alive_max_requests = sys.maxsize
    serve()
    return 0


if __name__ == "__main__":
    sys.argv = ["ministack"]
    sys.exit(main())
