"""Where readings and records go. What the hot path (pipeline/shard.py) expects of a sink that must not lose any:

- **Durable at return.** `await put(...)` returns when everything is stored, or raises; nothing is left for later in
  memory or in a task. The delivery is answered after that, so the sink's speed is the backpressure.
- **Idempotent.** After a restart everything since the checkpoint comes again, byte for byte, in the same order, perhaps
  in other batches, perhaps while a request of an earlier owner is still under way. Keys are made of the record (device
  and time; shard and position), never of the clock or of a batch.
- **Guarded.** It asks `guard` before every try of a write, and lets what that raises pass: the shard may be another
  worker's by now. It awaits the requests under way before it raises, since they may still take effect.
- **Patient.** What time may cure (throttling, an outage, missing permissions) is tried again without end by
  `aws/retry.until_done`, which also counts it under the sink's name. What no retry can cure is raised: then the daemon
  starts again from the checkpoint. A bad record is no failure, the payload's rejects are dead letters already.
- **Bounded.** It holds no more than the delivery and a fixed number of requests, whatever the number of shards.

`table.py` and `archive/store.py` do so. `cloudwatch.py` is of the other kind: sums that may be lost, which never
raise and never delay a delivery.

To add a sink: a module here, the only one that knows its system; a client in `aws/clients.py`; a field of
`pipeline/components.py`, filled in `service.py`; one line in `Shard._rows` (readings) or `Shard._pack` (records); its
name in `telemetry/metrics.py` (SINKS), its settings in `settings.py`, its permissions in `infra/service.yaml`. Show in
`tests/simulation` that no checkpoint passes it, by a mutant that forgets it.
"""
