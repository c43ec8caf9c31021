-- The comparison of an audit, made when the tables of tables.sql are filled. Every view `found_<kind>` gives one line
-- for people per fault (`place`), every view `count_<name>` one number (`n`).

CREATE INDEX line_position ON line (shard, sequence, sub);
CREATE INDEX dead_position ON dead (shard, sequence, sub);
CREATE INDEX streamed_n ON streamed (n);

-- For each key the readings that were published, the one whose row must be there first (`rank` 1): the one with the
-- highest sequence number; readings of an acknowledged message that the archive does not hold have none.
CREATE TABLE ranked AS
  SELECT e.device, e.time, e.value, s.n, l.shard, l.sequence,
         row_number() OVER (PARTITION BY e.device, e.time ORDER BY l.sequence DESC, l.sub DESC, e.i DESC) AS rank
  FROM expected e JOIN sent s ON s.n = e.n LEFT JOIN line l ON l.n = e.n
  WHERE s.ack OR l.n IS NOT NULL;

-- Records of the published messages, each once.
CREATE TABLE archived AS
  SELECT DISTINCT l.shard, l.sequence, l.sub, l.n, s.rejects AS expected FROM line l JOIN sent s ON s.n = l.n;

CREATE VIEW found_archive_missing AS
  SELECT 'message ' || n || ' of ' || device || ' was acknowledged and is in neither stream nor archive' AS place
  FROM sent
  WHERE ack AND NOT EXISTS (SELECT * FROM line l WHERE l.n = sent.n)
    AND NOT EXISTS (SELECT * FROM streamed r WHERE r.n = sent.n)
  UNION ALL
  SELECT r.shard || ' ' || ltrim(r.sequence, '0') || '.' || r.sub || ' (message ' || r.n
         || ') is in the stream, not in the archive'
  FROM streamed r JOIN sent s ON s.n = r.n
  LEFT JOIN line l ON l.shard = r.shard AND l.sequence = r.sequence AND l.sub = r.sub
  WHERE l.shard IS NULL;

CREATE VIEW found_archive_duplicates AS
  SELECT shard || ' ' || ltrim(sequence, '0') || '.' || sub || ' stands in ' || group_concat(object, ' and in ') AS place
  FROM line GROUP BY shard, sequence, sub HAVING count(*) > 1;

-- Byte for byte, or as JSON when an IoT rule has re-encoded it.
CREATE VIEW found_archive_different AS
  SELECT l.shard || ' ' || ltrim(l.sequence, '0') || ' (message ' || l.n || ') is not what was published; it is in '
         || l.object AS place
  FROM line l JOIN sent s ON s.n = l.n
  WHERE CASE WHEN s.crc IS NOT NULL THEN s.crc <> l.crc ELSE s.rejects = '' AND s.document IS NOT NULL AND s.document IS NOT l.document END;

CREATE VIEW found_row_missing AS
  SELECT k.device || ' ' || k.time || ' = ' || k.value || ' (message ' || k.n || ')' AS place
  FROM ranked k LEFT JOIN row r ON r.device = k.device AND r.time = k.time
  WHERE k.rank = 1 AND r.device IS NULL;

CREATE VIEW found_row_different AS
  SELECT k.device || ' ' || k.time || ' is ' || r.value || ', the latest is ' || k.value || ' (message ' || k.n || ', '
         || k.shard || ' ' || ltrim(k.sequence, '0') || ')' AS place
  FROM ranked k JOIN row r ON r.device = k.device AND r.time = k.time
  WHERE k.rank = 1 AND k.sequence IS NOT NULL AND r.value <> k.value;

CREATE VIEW found_reject_different AS
  SELECT l.shard || ' ' || ltrim(l.sequence, '0') || ' (message ' || l.n || ') rejected as [' || l.rejects
         || '], expected [' || s.rejects || ']' AS place
  FROM line l JOIN sent s ON s.n = l.n WHERE l.rejects <> s.rejects;

CREATE VIEW found_dead_letter_missing AS
  SELECT l.shard || ' ' || ltrim(l.sequence, '0') || '.' || l.sub || ' [' || l.rejects || '] of ' || l.object AS place
  FROM line l LEFT JOIN dead d ON d.shard = l.shard AND d.sequence = l.sequence AND d.sub = l.sub
  WHERE l.rejects <> '' AND d.shard IS NULL;

CREATE VIEW found_dead_letter_unexpected AS
  SELECT d.shard || ' ' || ltrim(d.sequence, '0') || '.' || d.sub || ' in ' || d.object AS place
  FROM dead d LEFT JOIN line l ON l.shard = d.shard AND l.sequence = d.sequence AND l.sub = d.sub
  WHERE l.rejects IS NULL OR l.rejects = '';

CREATE VIEW found_dead_letter_duplicates AS
  SELECT shard || ' ' || ltrim(sequence, '0') || '.' || sub || ' stands in ' || group_concat(object, ' and in ') AS place
  FROM dead GROUP BY shard, sequence, sub HAVING count(*) > 1;

CREATE VIEW found_alert_missing AS
  SELECT e.device || ' value ' || e.value || ': ' || e.want || ' expected, ' || coalesce(a.got, 0) || ' received'
         AS place
  FROM (SELECT e.device, e.value, count(*) AS want
        FROM alerting e JOIN sent s ON s.n = e.n WHERE s.ack GROUP BY 1, 2) e
  LEFT JOIN (SELECT device, value, count(*) AS got FROM alert GROUP BY 1, 2) a
    ON a.device = e.device AND a.value = e.value
  WHERE coalesce(a.got, 0) < e.want;

CREATE VIEW count_published AS SELECT count(*) AS n FROM sent WHERE ack;
CREATE VIEW count_uncertain AS SELECT count(*) AS n FROM sent WHERE NOT ack;
CREATE VIEW count_stream_records AS SELECT count(*) AS n FROM streamed r JOIN sent s ON s.n = r.n;
CREATE VIEW count_archived AS SELECT count(*) AS n FROM archived;
-- Messages that stand in the stream more than once: an answer was lost and the publish repeated. Allowed.
CREATE VIEW count_republished AS SELECT count(*) - count(DISTINCT n) AS n FROM archived;
CREATE VIEW count_rows_expected AS SELECT count(*) AS n FROM ranked WHERE rank = 1;
CREATE VIEW count_rows AS
  SELECT count(*) AS n FROM ranked k JOIN row r ON r.device = k.device AND r.time = k.time WHERE k.rank = 1;
CREATE VIEW count_superseded AS SELECT count(*) AS n FROM ranked WHERE rank > 1;
CREATE VIEW count_dead_letters_expected AS
  SELECT (SELECT count(*) FROM archived WHERE expected <> '')
       + (SELECT count(*) FROM sent s
          WHERE ack AND rejects <> '' AND NOT EXISTS (SELECT * FROM line l WHERE l.n = s.n)) AS n;
CREATE VIEW count_dead_letters AS
  SELECT count(*) AS n FROM (SELECT DISTINCT d.shard, d.sequence, d.sub FROM dead d JOIN sent s ON s.n = d.n);
CREATE VIEW count_alerts_expected AS SELECT count(*) AS n FROM alerting e JOIN sent s ON s.n = e.n WHERE s.ack;
CREATE VIEW count_alerts AS
  SELECT count(*) AS n FROM alert
  WHERE (device, value) IN (SELECT device, value FROM alerting);
CREATE VIEW count_lines AS SELECT count(*) AS n FROM line;
