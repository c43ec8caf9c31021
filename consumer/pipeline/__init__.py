"""From the daemon's delivery to the checkpoint.

The path of one record, file by file:

1. `kcl/connector.py`         is started by the daemon for a shard, and hands its pipes to the service;
2. `pipeline/listener.py`     takes them in, and runs a `Shard`;
3. `kcl/protocol.py`          reads the delivery;
4. `pipeline/shard.py`        takes the records after the last one, and calls what follows, from top to bottom;
5. `payload/decode.py`        decodes the record into readings, and rejects with their reasons,
6. `payload/values.py`        field by field;
7. `sinks/table.py`           writes the readings' rows,
8. `aws/retry.py`             as often as it takes, as long as `pipeline/ownership.py` (9) lets it: so does all below;
10. `archive/writer.py`       appends the record to the open archive object,
11. `archive/format.py`       as a compressed line; and says when the object is full;
12. `archive/store.py`        commits the full object,
13. `archive/fence.py`        which decides what to do if the object exists already;
14. `pipeline/checkpoint.py`  checkpoints its last record, and `shard.py` answers the delivery.

Calls go in this direction only. A failure that retries cannot cure leaves `Shard.run` as an exception; the daemon is
then restarted from the checkpoint.
"""
