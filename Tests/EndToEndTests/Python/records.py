"""Fills topics, and holds what a store has of their records against the topics themselves.

    records.py produce BROKERS TOPIC FIRST COUNT [KEYS]       records whose values count from FIRST on, under KEYS keys in turn
    records.py transaction BROKERS TOPIC FIRST COUNT commit|abort   the same in one transaction
    records.py odd BROKERS TOPIC                              records that are no text, no JSON, have no value, headers of all kinds
    records.py compare BROKERS TOPIC KIND PLACE CHAIN_IDS     what is missing, doubled, wrong or out of order in a store, as JSON

The records of a topic are read by kcat, which reads what is committed; stores are read by their own programs. Positions in groups and rows in
stores are compared by the tests themselves.
"""
import json
import subprocess
import sys
import time


def kcat(*arguments, stdin=None, fails=False):
    done = subprocess.run(["kcat", *arguments], input=stdin, capture_output=True, timeout=110)
    if done.returncode != 0 and not fails:
        raise SystemExit(f"kcat {arguments}: {done.stderr.decode()}")
    return done.stdout


def values(first, count, keys):
    for number in range(first, first + count):
        yield f"key-{number % keys}", json.dumps({"number": number, "text": "x" * (number % 50)}, separators=(",", ":"))


def produce(brokers, topic, first, count, keys=17):
    text = "".join(f"{key}\t{value}\n" for key, value in values(int(first), int(count), int(keys)))
    kcat("-P", "-b", brokers, "-t", topic, "-K", "\t", "-X", "linger.ms=1", "-X", "partitioner=murmur2_random", stdin=text.encode())


def transaction(brokers, topic, first, count, how):
    text = "".join(f"{key}\t{value}\n" for key, value in values(int(first), int(count), 17)).encode()
    settings = ["-P", "-b", brokers, "-t", topic, "-K", "\t", "-X", "transactional.id=of-tests", "-X", "partitioner=murmur2_random"]
    if how == "commit":
        kcat(*settings, stdin=text)
        return
    # Ended before the transaction is; the next one of the name aborts what it has left.
    child = subprocess.Popen(["kcat", *settings], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    child.stdin.write(text)
    child.stdin.flush()
    until = time.monotonic() + 20
    while time.monotonic() < until and not ends_beyond(brokers, topic):
        time.sleep(0.05)
    child.kill()
    child.wait()


def ends_beyond(brokers, topic):
    """Whether there is anything in the topic that is not committed."""
    said = kcat("-C", "-b", brokers, "-t", topic, "-o", "beginning", "-e", "-q", "-X", "isolation.level=read_uncommitted", "-f", "%o\n")
    seen = kcat("-C", "-b", brokers, "-t", topic, "-o", "beginning", "-e", "-q", "-X", "isolation.level=read_committed", "-f", "%o\n")
    return len(said) > len(seen)


def odd(brokers, topic):
    def one(value, *more):
        kcat("-P", "-b", brokers, "-t", topic, "-p", "0", *more, stdin=value)

    one(b"plain text", "-k", "k", "-H", "a=1", "-H", "a=2", "-H", "\xc3\xa4=\xc3\xbc", "-D", "\x01")
    one(b'{"a": [1, 2.50, {"b": null}], "a": "\\u00e9"}', "-k", "k", "-D", "\x01")
    one(b"\xff\xfe\x00\x80", "-k", "k", "-D", "\x01")
    one(b"zero \x00 inside", "-k", "k", "-D", "\x01")
    one(b'"\\u0000"', "-k", "k", "-D", "\x01")
    kcat("-P", "-b", brokers, "-t", topic, "-p", "0", "-K", ":", "-Z", stdin=b"gone:\n")


def records(brokers, topic):
    """All committed records by partition: offset, key, value, time."""
    said = kcat(
        "-C", "-b", brokers, "-t", topic, "-o", "beginning", "-e", "-q", "-X", "isolation.level=read_committed", "-f", "%p %o %T %K %S\n%k%s\n")
    found, at = {}, 0
    while at < len(said):
        end = said.index(b"\n", at)
        partition, offset, when, key, size = (int(word) for word in said[at:end].split())
        at = end + 1
        name = said[at : at + key] if key >= 0 else None
        at += max(0, key)
        value = said[at : at + size] if size >= 0 else None
        at += max(0, size) + 1
        found.setdefault(partition, []).append((offset, name, value, when))
    return {partition: sorted(rows) for partition, rows in found.items()}


def duckdb_rows(place):
    import duckdb

    base = duckdb.connect(place, read_only=True)
    rows = base.execute(
        "SELECT chain_id, topic, \"partition\", record_offset, key, value, epoch_ms(\"timestamp\"), value_json, value_text "
        "FROM kafka_records ORDER BY rowid").fetchall()
    held = base.execute("SELECT chain_id, first, number FROM sluice.segments").fetchall()
    return rows, held


def postgres_rows(place):
    url, schema = place.split("#")
    script = (
        f"SELECT chain_id, topic, partition, record_offset, encode(key, 'hex'), encode(value, 'hex'), "
        f"round(extract(epoch FROM timestamp) * 1000), '', '' FROM {schema}.kafka_records ORDER BY xmin::text::bigint, record_offset;")

    def ask(text):
        done = subprocess.run(["psql", url, "-At", "-F", "\t", "-P", "null=NULL", "-c", text], capture_output=True, text=True, timeout=110)
        if done.returncode != 0:
            raise SystemExit(done.stderr)
        return [line.split("\t") for line in done.stdout.splitlines()]
    def bytes_of(text):
        return None if text == "NULL" else bytes.fromhex(text)
    rows = [
        (int(c), t, int(p), int(o), bytes_of(k), bytes_of(v), int(float(w)), None, None) for c, t, p, o, k, v, w, _, _ in ask(script)]
    held = [tuple(int(x) for x in row) for row in ask(f"SELECT chain_id, first, number FROM sluice.segments WHERE tables_in = '{schema}'")]
    return rows, held


def compare(brokers, topic, kind, place):
    rows, held = {"duckdb": duckdb_rows, "postgres": postgres_rows}[kind](place)
    expected = records(brokers, topic)
    faults = []
    seen, orders = {}, {}
    for chain, name, partition, offset, key, value, when, as_json, as_text in rows:
        if name != topic:
            faults.append(f"a row of topic {name}")
        if (partition, offset) in seen:
            faults.append(f"{partition}/{offset} is there twice")
        seen[partition, offset] = (chain, key, value, when)
        # In the order in which they were written (in PostgreSQL by transactions, whose rows are there at once), each key's records ascend.
        if orders.get((partition, key), -1) > offset:
            faults.append(f"{partition}/{offset} stands behind a later record of its key")
        orders[partition, key] = offset
    for partition, wanted in expected.items():
        for offset, key, value, when in wanted:
            row = seen.pop((partition, offset), None)
            if row is None:
                faults.append(f"{partition}/{offset} is missing")
            elif (row[1] or b"", row[2], row[3]) != (key or b"", value, when):
                faults.append(f"{partition}/{offset}: {row[1:]} is not {(key, value, when)}")
    faults += [f"{partition}/{offset} was never committed" for partition, offset in seen]
    return {
        "rows": len(rows), "records": sum(len(wanted) for wanted in expected.values()), "faults": faults[:20],
        "partitions": len({row[2] for row in rows}), "segments": len(held)}


def held(kind, place):
    """How far a store holds each partition, by its number: the offset behind the last row."""
    rows, _ = {"duckdb": duckdb_rows, "postgres": postgres_rows}[kind](place)
    ends = {}
    for row in rows:
        ends[str(row[2])] = max(ends.get(str(row[2]), 0), row[3] + 1)
    return ends


if __name__ == "__main__":
    result = globals()[sys.argv[1]](*sys.argv[2:])
    print(json.dumps(result))
