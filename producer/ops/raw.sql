-- One row for each record of the stream, its columns as the Glue table `raw` has them (infra/data.yaml): lines are read
-- as text, as docs/archive.md says, and only what the consumer itself has written is taken for JSON.
SELECT
    head ->> '$.shard' AS shard,
    head ->> '$.sequenceNumber' AS sequence_number,
    CAST(head ->> '$.subSequenceNumber' AS BIGINT) AS sub_sequence_number,
    substr(key, 2, length(key) - 2) AS partition_key,
    CAST(head ->> '$.arrival' AS BIGINT) AS arrival_ms,
    CAST(head ->> '$.rejected' AS BIGINT) AS rejected,
    CAST(head -> '$.rejects' AS VARCHAR) AS rejects,
    head ->> '$.data' AS data,
    payload, date, hour
FROM (
    SELECT
        date, hour, head, CAST(head -> '$.partitionKey' AS VARCHAR) AS key, payload
    FROM (
        SELECT
            date, hour,
            CAST(substr(line, 1, strpos(line, '"payload":') - 2) || '}' AS JSON) AS head,
            substr(line, strpos(line, '"payload":') + 10, length(line) - strpos(line, '"payload":') - 10) AS payload
        FROM {lines}
    )
)
