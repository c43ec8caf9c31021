"""Starts the emulator with the extension, in this folder's parent: `python -m emulator_extension`."""

import sys
from importlib import import_module

from emulator_extension.upstream import misfit

# In this order: what a later one extends may be what an earlier one has replaced.
PARTS = (
    *("cbor", "shards", "resharding", "enhanced_fanout", "cloudformation", "change_sets", "scaling"),
    *("roles", "authorization", "task_credentials", "tls", "function_bytes", "http_apis", "iot_rules", "iot_devices"),
)


def main() -> int:
    """Run the emulator until it is stopped; 2 and a line on stderr when it is not the one that the extension fits."""
    if why := misfit():
        print(f"local AWS: {why}; remove .local-aws and run make again", file=sys.stderr)
        return 2
    for part in PARTS:
        import_module(f"emulator_extension.{part}")

    import hypercorn.config
    from ministack.app import main as serve

    # Otherwise a connection ends after a thousand requests, and the KCL's client waits seconds for the one in flight.
    hypercorn.config.Config.keep_alive_max_requests = sys.maxsize
    serve()
    return 0


if __name__ == "__main__":
    sys.argv = ["ministack"]
    sys.exit(main())
