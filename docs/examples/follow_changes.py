"""Keeps the newest values of a feed, and every change from now on, in a SQLite file.

    python follow_changes.py BOOTSTRAP [--prefix P] [--file F] [--history] [--until-end]

Needs `confluent-kafka`. It can be killed at any moment and started again: positions stand in
the file, in the transaction of what was read up to there, so nothing is missed or repeated.
`--history` begins a new file with the oldest change that is kept instead of with the table.
"""

import argparse
import hashlib
import json
import sqlite3
import sys

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

TABLES = """
CREATE TABLE IF NOT EXISTS feed (identity TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS positions (
    part INTEGER PRIMARY KEY, next INTEGER NOT NULL, last INTEGER, digest TEXT);
CREATE TABLE IF NOT EXISTS newest (
    key TEXT PRIMARY KEY, value TEXT, "commit" INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS changes (
    part INTEGER, "offset" INTEGER, key TEXT NOT NULL, value TEXT, PRIMARY KEY (part, "offset"));
"""
# A withdrawn value stays as NULL, so that it is known which commit withdrew it.
PUT = """
INSERT INTO newest VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE
SET value = excluded.value, "commit" = excluded."commit"
WHERE excluded."commit" >= newest."commit"
"""
VALUES = (b"price:", b"token:", b"balance:")


def partitions(consumer, topic):
    found = consumer.list_topics(topic, timeout=10).topics[topic]
    if found.error is not None:
        sys.exit(f"{topic}: {found.error}")
    return list(found.partitions)


def batches(consumer, topic, starts, *, until_end):
    """Yield lists of records from these positions on; with `until_end` up to the end."""
    consumer.assign([TopicPartition(topic, part, at) for part, at in starts.items()])
    reading = set(starts)
    while reading or not until_end:
        records = []
        for message in consumer.consume(1_000, timeout=1):
            if message.error() is None:
                reading.add(message.partition())
                records.append(message)
            elif message.error().code() == KafkaError._PARTITION_EOF:
                reading.discard(message.partition())
            else:
                # Retention has passed the position, or the broker lost what was read.
                sys.exit(f"{topic}: {message.error()}; delete the file to begin again")
        yield records


def identity_of(consumer, prefix):
    """Return which log this is: a log that was made anew counts its offsets anew."""
    topic = prefix + "latest"
    for records in batches(consumer, topic, {0: OFFSET_BEGINNING}, until_end=True):
        for record in records:
            if record.key() == b"log:identity":
                return json.loads(record.value())["id"]
    sys.exit(f"{topic} holds no identity of a log")


def begin(consumer, prefix, db, *, history):
    """Fill a new file with the table, and note from where changes are to be read."""
    topic = prefix + "changes"
    for part in partitions(consumer, topic):
        # Asked before the table is read: what is in both is applied twice, in order.
        oldest, end = consumer.get_watermark_offsets(TopicPartition(topic, part))
        start = oldest if history else end
        db.execute("INSERT INTO positions (part, next) VALUES (?, ?)", (part, start))
    if history:
        return
    topic = prefix + "latest"
    starts = dict.fromkeys(partitions(consumer, topic), OFFSET_BEGINNING)
    for records in batches(consumer, topic, starts, until_end=True):
        rows = map(row_of, filter(is_value, records))
        db.executemany("INSERT OR REPLACE INTO newest VALUES (?, ?, ?)", rows)
    db.execute("DELETE FROM newest WHERE value IS NULL")


def is_value(record):
    """Tell whether a record is a value; others are of the feed itself."""
    return record.key().startswith(VALUES)


def row_of(record):
    value = record.value()
    text = None if value is None else value.decode()
    return record.key().decode(), text, commit_of(record)


def commit_of(record):
    """Return the number of the commit that wrote a value; it never falls in a partition."""
    # In `latest` a tombstone that a rebuild of the table has written has none.
    return int(dict(record.headers() or ()).get("commit", 0))


def digest_of(record):
    return hashlib.sha256(record.value() or b"").hexdigest()


def take(db, record, last):
    """Write one change; the first one of a partition is read again, to be compared."""
    part, offset, digest = record.partition(), record.offset(), digest_of(record)
    if part in last:
        if last.pop(part) != (offset, digest):
            sys.exit(
                "the log is not the one that was read; delete the file to begin again"
            )
        return
    row = key, text, _ = row_of(record)
    db.execute(PUT, row)
    db.execute("INSERT INTO changes VALUES (?, ?, ?, ?)", (part, offset, key, text))
    db.execute(
        "UPDATE positions SET next = ?, last = ?, digest = ? WHERE part = ?",
        (offset + 1, offset, digest, part),
    )


def follow(consumer, prefix, db, *, until_end):
    """Write all changes from the noted positions on, with the positions after them."""
    topic, starts, last = prefix + "changes", {}, {}
    for part, position, offset, digest in db.execute("SELECT * FROM positions"):
        oldest, _ = consumer.get_watermark_offsets(TopicPartition(topic, part))
        starts[part] = position
        if offset is not None and offset >= oldest:
            # A log that was put back from a copy has another record there.
            starts[part], last[part] = offset, (offset, digest)
    for records in batches(consumer, topic, starts, until_end=until_end):
        with db:
            for record in records:
                take(db, record, last)
    if last:
        sys.exit("the log ends before what was read; delete the file to begin again")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("bootstrap")
    parser.add_argument("--prefix", default="")
    parser.add_argument("--file", default="feed.sqlite")
    parser.add_argument("--history", action="store_true")
    parser.add_argument("--until-end", action="store_true")
    return parser.parse_args()


def main():
    asked = arguments()
    consumer = Consumer(
        {
            "bootstrap.servers": asked.bootstrap,
            # Demanded by the client and not used: positions stand in the file.
            "group.id": "unused",
            "enable.auto.commit": False,
            # Never go on somewhere else in silence.
            "auto.offset.reset": "error",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
        }
    )
    identity = identity_of(consumer, asked.prefix)
    db = sqlite3.connect(asked.file)
    db.executescript(TABLES)
    known = db.execute("SELECT identity FROM feed").fetchone()
    if known is None:
        with db:
            begin(consumer, asked.prefix, db, history=asked.history)
            db.execute("INSERT INTO feed VALUES (?)", (identity,))
    elif known[0] != identity:
        sys.exit("the file is of another log; delete it to begin again")
    try:
        follow(consumer, asked.prefix, db, until_end=asked.until_end)
    except KeyboardInterrupt:
        pass
    finally:
        consumer.close()
        db.close()


if __name__ == "__main__":
    main()
