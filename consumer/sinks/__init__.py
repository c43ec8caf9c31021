"""The sinks of readings and records. The contract between the hot path (pipeline/shard.py) and a lossless sink:

- **Durable at return.** `await put(...)` returns when everything is stored, or raises; nothing is left for later in
  memory or in a task. The delivery is answered after that, so the sink's speed is the backpressure.
- **Idempotent.** After a restart everything since the checkpoint is delivered again, byte for byte, in the same order,
  perhaps in other batches, perhaps while a request of an earlier owner is still in progress. Keys are derived from the
  record (device and time; shard and position), never from the clock or a batch.
- **Guarded.** It calls `guard` before every try of a write, and passes on what that raises: another worker may own the
  shard by now. It awaits the requests in progress before it raises, since they may still take effect.
- **Retrying.** Failures that may pass with time (throttling, an outage, missing permissions) are retried without limit
  by `aws/retry.until_done`, which also counts them under the sink's name. Others are raised: the daemon is then
  restarted from the checkpoint. An invalid record is not a failure: rejects have been separated before.
- **Bounded.** It holds no more than the delivery and a fixed number of requests, whatever the number of shards.

`table.py` and `archive/store.py` fulfil it. `cloudwatch.py` is a best-effort sink: its sums may be lost, it never
raises and never delays a delivery.

To add a sink: a module here, the only one that knows its system; a client in `aws/clients.py`; a field of
`pipeline/components.py`, filled in `service.py`; one line in `Shard._store`;
its name in `telemetry/metrics.py` (SINKS), its settings in `settings.py`, its permissions in `infra/service.yaml`. Show
in `tests/simulation`, by a mutant that leaves it out, that no checkpoint passes it.
"""
