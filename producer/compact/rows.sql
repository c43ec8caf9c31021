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

CREATE OR REPLACE MACRO lines(files) AS TABLE
SELECT line
FROM read_csv(
    files,
    columns = {'line': 'VARCHAR'}, header = false, auto_detect = false, delim = E'\x01', quote = '', escape = '',
    new_line = '\n', strict_mode = false, max_line_size = 33554432, buffer_size = 33554432
);

-- `rest` is what follows the fields before the payload, if there is nothing but these: their names take 82 characters.
-- The payload of a line with other characters than plain ones, or with other fields, is not looked at.
CREATE OR REPLACE MACRO fields(files) AS TABLE
SELECT
    line, shard, sequence_number, sub, partition_key,
    CASE WHEN strlen(line) = length(line) AND strpos(line, '\') = 0 AND starts_with(rest, '"payload":{')
        THEN substr(rest, 11, strlen(rest) - 11) END AS payload,
    CAST(json_extract(payload, ['$."<device>"', '$."<time>"', '$."<value>"']) AS VARCHAR[]) AS p, -- each as JSON
    TRY_CAST(arrived AS BIGINT) AS arrival, TRY_CAST(left(p[2], 15) AS BIGINT) AS ms, TRY_CAST(p[3] AS DOUBLE) AS number
FROM (
    SELECT
        line, f[1] AS shard, f[2] AS sequence_number, f[3] AS sub, f[4] AS partition_key, f[5] AS arrived,
        substr(line, 83 + strlen(shard) + strlen(sequence_number) + strlen(sub) + strlen(partition_key) + strlen(arrived)) AS rest
    FROM (
        SELECT line, json_extract_string(
            line, ['$.shard', '$.sequenceNumber', '$.subSequenceNumber', '$.partitionKey', '$.arrival']
        ) AS f
        FROM lines(files)
    )
);

-- The usual line: nothing was rejected, its payload is one flat object of plain characters that has each key once,
-- with text, a number of milliseconds and a number. What consumer/payload/shortcut.py reads; all others are unusual.
CREATE OR REPLACE MACRO checked(files) AS TABLE
SELECT
    *,
    coalesce(
        <usual>
        AND strpos(payload, '[') = 0 AND strpos(substr(payload, 2), '{') = 0
        AND starts_with(p[1], '"') AND strlen(p[1]) BETWEEN 3 AND <longest>
        AND strlen(p[2]) BETWEEN 12 AND 13 AND ms BETWEEN <first> AND <last> AND ms - arrival <= <ahead>
        AND NOT starts_with(p[3], '"') AND number IS NOT NULL
        AND payload NOT LIKE '%"<device>"%"<device>"%'
        AND payload NOT LIKE '%"<time>"%"<time>"%'
        AND payload NOT LIKE '%"<value>"%"<value>"%',
        false
    ) AS usual
FROM fields(files);

-- A row for each line; an unusual one has no `reading`, but `line`.
CREATE OR REPLACE MACRO usual_rows(files) AS TABLE
SELECT
    substr(p[1], 2, strlen(p[1]) - 2) AS device,
    CASE WHEN usual THEN make_timestamp_ms(ms) END AS measured,
    number AS value,
    CAST(NULL AS MAP(VARCHAR, DOUBLE)) AS measures,
    CASE WHEN usual THEN CAST(0 AS INTEGER) END AS reading,
    shard,
    sequence_number,
    TRY_CAST(sub AS BIGINT) AS sub_sequence_number,
    partition_key,
    CASE WHEN usual THEN make_timestamp_ms(arrival) END AS arrival,
    CAST(0 AS INTEGER) AS rejected,
    CAST(NULL AS VARCHAR) AS rejects,
    CAST(NULL AS BLOB) AS data,
    payload,
    CASE WHEN NOT usual THEN line END AS line
FROM checked(files);

CREATE OR REPLACE MACRO usual_sorted(files) AS TABLE
SELECT * FROM usual_rows(files)
ORDER BY device, measured, shard, sequence_number, sub_sequence_number, reading;

-- The rows that Python has made of unusual lines (unusual.py), a JSON object each, of at most `longest` bytes.
CREATE OR REPLACE MACRO unusual_sorted(file, longest) AS TABLE
SELECT * EXCLUDE (raw), CASE WHEN reading = 0 AND raw IS DISTINCT FROM restored(
    shard, sequence_number, sub_sequence_number, partition_key, arrival, rejected, rejects, data, payload
) THEN raw END AS line
FROM (
    SELECT
        device, make_timestamp_ms(measured) AS measured, value, measures, reading, shard, sequence_number,
        sub_sequence_number, partition_key, make_timestamp_ms(arrival) AS arrival, rejected, rejects,
        from_base64(data) AS data, payload, raw
    FROM read_json(
        file, format = 'newline_delimited', maximum_object_size = longest, columns = {
            device: 'VARCHAR', measured: 'BIGINT', value: 'DOUBLE', measures: 'MAP(VARCHAR, DOUBLE)',
            reading: 'INTEGER', shard: 'VARCHAR', sequence_number: 'VARCHAR', sub_sequence_number: 'BIGINT',
            partition_key: 'VARCHAR', arrival: 'BIGINT', rejected: 'INTEGER', rejects: 'VARCHAR', data: 'VARCHAR',
            payload: 'VARCHAR', raw: 'VARCHAR'
        }
    )
)
ORDER BY device, measured, shard, sequence_number, sub_sequence_number, reading;

-- All rows of files that are sorted each, without the lines that were left out.
CREATE OR REPLACE MACRO merged(files) AS TABLE
SELECT * FROM read_parquet(files)
WHERE reading IS NOT NULL
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
