-- The rows of curated objects: the schema, and how DuckDB makes them of archive lines. Names in <> are filled in.

-- The archive line of a row with reading 0, from its columns; NULL or another text where they do not suffice.
CREATE OR REPLACE MACRO restored(shard, sequence_number, sub, partition_key, arrival, rejected, rejects, data, payload) AS
    concat(
        '{"shard":"', shard, '","sequenceNumber":"', sequence_number, '","subSequenceNumber":', sub,
        ',"partitionKey":', to_json(partition_key), ',"arrival":', epoch_ms(arrival),
        CASE WHEN rejected > 0 THEN concat(',"rejected":', rejected, ',"rejects":', rejects) END,
        CASE WHEN data IS NOT NULL THEN concat(',"data":"', to_base64(data), '"') END,
        ',"payload":', payload, '}'
    );

CREATE OR REPLACE VIEW lines AS
SELECT line, strpos(line, '"payload":') AS at_payload
FROM read_csv(
    '<folder>/*.ndjson.*',
    columns = {'line': 'VARCHAR'}, header = false, auto_detect = false, delim = E'\x01', quote = '', escape = '',
    new_line = '\n', strict_mode = false, max_line_size = 33554432, buffer_size = 33554432
);

CREATE OR REPLACE VIEW fields AS
SELECT
    line, at_payload, substr(line, at_payload + 10, length(line) - at_payload - 10) AS payload,
    CAST(json_extract(line, [
        '$.shard', '$.sequenceNumber', '$.subSequenceNumber', '$.partitionKey', '$.arrival', '$.rejected', '$.data',
        '$.payload."<device>"', '$.payload."<time>"', '$.payload."<value>"'
    ]) AS VARCHAR[]) AS f, -- each as JSON
    TRY_CAST(left(f[5], 15) AS BIGINT) AS arrival, TRY_CAST(left(f[9], 15) AS BIGINT) AS ms,
    TRY_CAST(f[10] AS DOUBLE) AS number
FROM lines;

-- The usual line: nothing was rejected, its payload is one flat object of plain characters that has each key once,
-- with text, a number of milliseconds and a number. What consumer/payload/shortcut.py reads; all others are unusual.
-- The first condition on length says that before the payload there is nothing but these fields.
CREATE OR REPLACE VIEW checked AS
SELECT
    *,
    coalesce(
        <usual>
        AND f[6] IS NULL AND f[7] IS NULL
        AND at_payload = 77 + strlen(f[1]) + strlen(f[2]) + strlen(f[3]) + strlen(f[4]) + strlen(f[5])
        AND strpos(line, '\') = 0 AND strlen(line) = length(line)
        AND starts_with(f[4], '"') AND starts_with(payload, '{') AND strpos(payload, '[') = 0 AND strpos(substr(payload, 2), '{') = 0
        AND starts_with(f[8], '"') AND strlen(f[8]) BETWEEN 3 AND <longest>
        AND strlen(f[9]) BETWEEN 12 AND 13 AND ms BETWEEN <first> AND <last> AND ms - arrival <= <ahead>
        AND NOT starts_with(f[10], '"') AND number IS NOT NULL
        AND strlen(replace(payload, '"<device>"', '')) = strlen(payload) - strlen('"<device>"')
        AND strlen(replace(payload, '"<time>"', '')) = strlen(payload) - strlen('"<time>"')
        AND strlen(replace(payload, '"<value>"', '')) = strlen(payload) - strlen('"<value>"'),
        false
    ) AS usual
FROM fields;

CREATE OR REPLACE VIEW usual_rows AS
SELECT
    substr(f[8], 2, length(f[8]) - 2) AS device,
    CASE WHEN usual THEN make_timestamp_ms(ms) END AS measured,
    number AS value,
    CAST(NULL AS MAP(VARCHAR, DOUBLE)) AS measures,
    CAST(0 AS INTEGER) AS reading,
    substr(f[1], 2, length(f[1]) - 2) AS shard,
    substr(f[2], 2, length(f[2]) - 2) AS sequence_number,
    TRY_CAST(f[3] AS BIGINT) AS sub_sequence_number,
    substr(f[4], 2, length(f[4]) - 2) AS partition_key,
    CASE WHEN usual THEN make_timestamp_ms(arrival) END AS arrival,
    CAST(0 AS INTEGER) AS rejected,
    CAST(NULL AS VARCHAR) AS rejects,
    CAST(NULL AS BLOB) AS data,
    payload,
    CASE WHEN NOT usual THEN line END AS line
FROM checked;

CREATE OR REPLACE VIEW usual_sorted AS
SELECT * FROM usual_rows
ORDER BY device, measured, shard, sequence_number, sub_sequence_number, reading;

-- The lines that Python has read (unusual.py), a JSON object for each row.
CREATE OR REPLACE MACRO unusual_rows(file) AS TABLE
SELECT * EXCLUDE (raw), CASE WHEN reading = 0 AND raw IS DISTINCT FROM restored(
    shard, sequence_number, sub_sequence_number, partition_key, arrival, rejected, rejects, data, payload
) THEN raw END AS line
FROM (
    SELECT
        device, make_timestamp_ms(measured) AS measured, value, measures, reading, shard, sequence_number,
        sub_sequence_number, partition_key, make_timestamp_ms(arrival) AS arrival, rejected, rejects,
        from_base64(data) AS data, payload, raw
    FROM read_json(
        file, format = 'newline_delimited', maximum_object_size = 134217728, columns = {
            device: 'VARCHAR', measured: 'BIGINT', value: 'DOUBLE', measures: 'MAP(VARCHAR, DOUBLE)',
            reading: 'INTEGER', shard: 'VARCHAR', sequence_number: 'VARCHAR', sub_sequence_number: 'BIGINT',
            partition_key: 'VARCHAR', arrival: 'BIGINT', rejected: 'INTEGER', rejects: 'VARCHAR', data: 'VARCHAR',
            payload: 'VARCHAR', raw: 'VARCHAR'
        }
    )
);

CREATE OR REPLACE MACRO all_sorted(usual, unusual) AS TABLE
SELECT * FROM read_parquet(usual) WHERE line IS NULL
UNION ALL BY NAME
SELECT * FROM unusual_rows(unusual)
ORDER BY device, measured, shard, sequence_number, sub_sequence_number, reading;

-- The archive lines that a curated object holds, in the order of the archive: shard by shard, in each by position.
CREATE OR REPLACE MACRO archive_lines(file) AS TABLE
SELECT encode(CASE
    WHEN line IS NULL THEN restored(
        shard, sequence_number, sub_sequence_number, partition_key, arrival, rejected, rejects, data, payload
    )
    WHEN ends_with(line, concat('"payload":', payload, '}')) THEN line
END) AS line
FROM read_parquet(file)
WHERE reading = 0
ORDER BY shard, lpad(sequence_number, 56, '0'), sub_sequence_number;
