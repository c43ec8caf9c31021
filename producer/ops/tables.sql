-- What an audit gathers. Sequence numbers are text of 56 digits, so that they sort as the numbers they are; values are
-- written in one normal form; `n` is the number of the message that the bytes came from, null for one that is not in the ledger.

CREATE TABLE sent (
  n INTEGER PRIMARY KEY, device TEXT, at INTEGER, ack INTEGER, rejects TEXT,
  crc INTEGER, document INTEGER
);
CREATE TABLE alerting (n INTEGER, i INTEGER, device TEXT, value TEXT, PRIMARY KEY (n, i)) WITHOUT ROWID;
CREATE TABLE expected (n INTEGER, i INTEGER, device TEXT, time TEXT, value TEXT);
CREATE TABLE streamed (shard TEXT, sequence TEXT, sub INTEGER, n INTEGER);
CREATE TABLE line (
  shard TEXT, sequence TEXT, sub INTEGER, n INTEGER, rejects TEXT, crc INTEGER, document INTEGER, object TEXT,
  arrival TEXT
);
CREATE TABLE dead (shard TEXT, sequence TEXT, sub INTEGER, n INTEGER, object TEXT);
CREATE TABLE row (device TEXT, time TEXT, value TEXT, PRIMARY KEY (device, time)) WITHOUT ROWID;
CREATE TABLE alert (device TEXT, value TEXT);
