"""Opens what Sluice has written with other readers: duckdb for a database file, pyarrow for a folder of Parquet files,
psql for a schema of a PostgreSQL database (URL#SCHEMA), duckdb's readers of text for a folder of CSV or of JSON lines,
duckdb for what ClickHouse writes as Parquet (URL#DATABASE), InfluxQL for an InfluxDB (URL#DATABASE), boto3 for a bucket (URL#KEY#SECRET#PREFIX).

    stores.py summary duckdb FILE        rows, keys, holes and a digest of the ordered rows of every table, as JSON
    stores.py summary parquet FOLDER     the same; also that manifests and files agree
    stores.py summary postgres URL#NAME  the same; so for clickhouse, influxdb and s3
    stores.py summary kafka BROKERS#NAME the same of what consumers of committed records have in the end; also that the position agrees
    stores.py summary csv|jsonl FOLDER   the same; also that the record and the files agree
    stores.py sums duckdb|parquet PATH   exact sums to be compared with those of the recorded JSON
    stores.py listed FOLDER TABLE        rows and distinct keys of a table, of whatever files are there: also while they are written
    stores.py hold FILE                  keeps a database file open until standard input ends
"""
import glob
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request

import duckdb

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../KafkaConnectorTests/Python"))
import topics

KEYS = {
    "blocks": ["hash"],
    "transactions": ["block_hash", "transaction_index"],
    "logs": ["block_hash", "log_index"],
    "withdrawals": ["block_hash", "index"],
    "erc20_transfers": ["block_hash", "log_index"],
    "erc721_transfers": ["block_hash", "log_index"],
    "erc1155_transfers": ["block_hash", "log_index", "batch_index"],
    "event_logs": ["block_hash", "log_index"],
}


def parquet_files(folder):
    """The files of each table, after a look at what the manifests say about them."""
    import pyarrow.parquet

    files = sorted(glob.glob(folder + "/*/chain_id=*/date=*/*.parquet"))
    named, spans = {}, []
    for path in sorted(glob.glob(folder + "/_manifests/*/*.json")):
        with open(path) as text:
            manifest = json.load(text)
        spans.append((manifest["first_block"], manifest["last_block"]))
        for file in manifest["files"]:
            name = os.path.join(folder, file["path"])
            if name in named:
                raise SystemExit(f"{name} is named by two manifests")
            named[name] = file
    if set(named) != set(files):
        raise SystemExit(f"manifests and files differ: {sorted(set(named) ^ set(files))[:4]}")
    for name, file in named.items():
        rows = pyarrow.parquet.ParquetFile(name).metadata.num_rows
        if rows != file["rows"] or os.path.getsize(name) != file["bytes"]:
            raise SystemExit(f"{name}: the manifest says {file['rows']} rows, the file holds {rows}")
    spans.sort()
    for (_, last), (first, _) in zip(spans, spans[1:]):
        if first <= last:
            raise SystemExit(f"two manifests hold block {first}")
    tables = {}
    for name in files:
        tables.setdefault(os.path.relpath(name, folder).split("/")[0], []).append(name)
    return tables


def text_files(folder, kind):
    """For each table the query that reads its files, after a look at what the record says about them."""
    queries = {}
    for path in sorted(glob.glob(folder + "/_positions/*.json")):
        with open(path) as text:
            record = json.load(text)
        for place, table in enumerate(record["order"]):
            files = sorted(glob.glob(f"{folder}/{table}/chain_id={record['chain_id']}/*"))
            sizes = {f"{part['first_block']:012}": part["bytes"][place] for part in record["parts"]}
            if {name.rsplit("_", 1)[1].split(".")[0]: os.path.getsize(name) for name in files} != sizes:
                raise SystemExit(f"record and files of {table} differ")
            if not files:
                continue
            names = [column.split(" ")[0] for column in record["tables"][table]]
            columns = {name: "BIGINT" if name == height(table) else "VARCHAR" for name in names}
            how = "header = true, quote = '\"', escape = '\"', strict_mode = true, allow_quoted_nulls = false" if kind == "csv" else "format = 'newline_delimited'"
            queries[table] = f"SELECT * FROM read_{'csv' if kind == 'csv' else 'json'}({files}, columns = {columns}, {how})"
    return queries


class Psql:
    """As much of a connection as is needed here, by way of psql."""

    def __init__(self, place):
        self.url, self.schema = place.rsplit("#", 1)

    def run(self, sql):
        command = ["psql", "-X", "-q", "-A", "-t", "-F", "\x1f", "-v", "ON_ERROR_STOP=1", self.url]
        script = f'SET search_path TO "{self.schema}"; {sql}'
        done = subprocess.run(command + ["-c", script], capture_output=True)
        if done.returncode != 0:
            raise SystemExit(done.stderr.decode())
        return done.stdout

    def execute(self, sql):
        # DuckDB may leave SELECT out.
        text = self.run(sql.replace("(FROM ", "(SELECT 1 FROM ")).decode()
        self.rows = [tuple(number(cell) for cell in line.split("\x1f")) for line in text.splitlines()]
        return self

    def fetchone(self):
        return self.rows[0]

    def fetchall(self):
        return self.rows


def points(place):
    """What is in a database of InfluxDB, in tables of a DuckDB in memory: every field and tag as text."""
    url, database = place.rsplit("#", 1)

    def ask(statement):
        query = urllib.parse.urlencode({"db": database, "q": statement, "epoch": "ns"})
        with urllib.request.urlopen(f"{url}/query?{query}") as answer:
            result = json.load(answer)["results"][0]
        if "error" in result and "database not found" not in result["error"]:
            raise SystemExit(result["error"])
        return result.get("series", [])

    connection = duckdb.connect()
    names = [row[0] for series in ask("SHOW MEASUREMENTS") for row in series["values"]]
    for name in names:
        series = ask(f'SELECT * FROM "{name}"')[0]
        columns = series["columns"]
        numbers = ("number", "block_number", "time", "log_index", "transaction_index", "batch_index", "index")
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            for row in series["values"]:
                cells = {key: None if cell is None else cell if key in numbers else str(cell) for key, cell in zip(columns, row)}
                file.write(json.dumps(cells) + "\n")
            file.flush()
            shape = ", ".join(f"'{key}': '{'BIGINT' if key in numbers else 'VARCHAR'}'" for key in columns)
            connection.execute(f"CREATE TABLE \"{name}\" AS SELECT * FROM read_json('{file.name}', columns = {{{shape}}}, format = 'newline_delimited', maximum_object_size = 100000000)")
    return connection, [name for name in names if name in KEYS]


def fetched(place):
    """A folder with what is in a bucket."""
    import boto3

    url, key, secret, prefix = place.split("#")
    client = boto3.client("s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id=key, aws_secret_access_key=secret)
    folder = tempfile.mkdtemp(prefix="bucket-", dir=".")
    for page in client.get_paginator("list_objects_v2").paginate(Bucket="sluice", Prefix=prefix + "/"):
        for item in page.get("Contents", []):
            path = os.path.join(folder, item["Key"][len(prefix) + 1 :])
            os.makedirs(os.path.dirname(path), exist_ok=True)
            client.download_file("sluice", item["Key"], path)
    return folder


def standing(place):
    """A connection with what stands in topics."""
    brokers, name = place.rsplit("#", 1)
    listed = json.loads(subprocess.run(["kcat", "-L", "-J", "-b", brokers], capture_output=True, check=True).stdout)["topics"]
    there = {topic["topic"] for topic in listed}
    connection = duckdb.connect()
    tables = [table for table in KEYS if f"{name}.{table}" in there]
    for table in tables:
        rows, _, faults = topics.standing(brokers, f"{name}.{table}")
        if faults:
            raise SystemExit(f"{table}: {faults[:3]}")
        names = sorted({key for value, _ in list(rows.values())[:1] for key in json.loads(value)} | {height(table), *KEYS[table]})
        whole = {"number", "block_number", "log_index", "transaction_index", "batch_index", "index"}
        columns = ", ".join(f"'{column}': '{'BIGINT' if column in whole else 'VARCHAR'}'" for column in names)
        with tempfile.NamedTemporaryFile("wb", suffix=".json") as file:
            for value, _ in rows.values():
                file.write(value + b"\n")
            file.flush()
            connection.execute(f"CREATE TABLE {table} AS SELECT * FROM read_json('{file.name}', format = 'newline_delimited', columns = {{{columns}}})")
    blocks = [number for (number,) in connection.execute("SELECT number FROM blocks ORDER BY number").fetchall()] if "blocks" in tables else []
    records = [json.loads(value) for _, _, _, value, _ in topics.records(brokers, f"{name}.positions")]
    said = [number for segment in records[-1]["segments"] for number in range(segment["first"], segment["last"] + 1)] if records else []
    if blocks != said:
        raise SystemExit(f"the position says {len(said)} blocks, the topic has {len(blocks)}: {sorted(set(said) ^ set(blocks))[:4]}")
    return connection, tables


def number(cell):
    return int(cell) if cell.lstrip("-").isdigit() else (cell or None)


def clickhouse(place):
    """A connection to what the server says of the rows that count, table by table."""
    url, database = place.rsplit("#", 1)

    def ask(sql):
        with urllib.request.urlopen(urllib.request.Request(url + "/", data=sql.encode())) as answer:
            return answer.read()

    connection, tables = duckdb.connect(), []
    for name in KEYS:
        found = ask(f"SELECT name, type FROM system.columns WHERE database = '{database}' AND table = '{name}_current' ORDER BY position").decode()
        if not found:
            continue
        columns = []
        for column, kind in (line.replace("\\'", "'").split("\t") for line in found.splitlines()):
            if "String" in kind:
                columns.append(f"hex({column}) AS {column}")
            elif "256" in kind or "Decimal" in kind:
                columns.append(f"toString({column}) AS {column}")
            elif "DateTime64" in kind:
                columns.append(f"toUnixTimestamp64Micro({column}) AS {column}")
            else:
                columns.append(column)
        with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
            file.write(ask(f"SELECT {', '.join(columns)} FROM `{database}`.{name}_current FORMAT Parquet"))
            file.flush()
            connection.execute(f"CREATE TABLE {name} AS FROM read_parquet('{file.name}')")
        tables.append(name)
    return connection, tables


def opened(kind, path):
    """A connection in which every table has its plain name."""
    if kind == "kafka":
        return standing(path)
    if kind == "clickhouse":
        return clickhouse(path)
    if kind == "influxdb":
        return points(path)
    if kind == "s3":
        path = fetched(path)
    if kind == "postgres":
        connection = Psql(path)
        tables = f"SELECT tablename FROM pg_tables WHERE schemaname = '{connection.schema}'"
        return connection, [name for (name,) in connection.execute(tables).fetchall() if name in KEYS]
    if kind == "duckdb":
        connection = duckdb.connect(path, read_only=True)
        names = [row[0] for row in connection.execute("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'main'").fetchall()]
        return connection, [name for name in names if name in KEYS]
    connection = duckdb.connect()
    if kind in ("csv", "jsonl"):
        queries = text_files(path, kind)
        for name, query in queries.items():
            connection.execute(f"CREATE VIEW {name} AS {query}")
        return connection, list(queries)
    tables = parquet_files(path)
    for name, files in tables.items():
        listed = ", ".join("'" + file + "'" for file in files)
        connection.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet([{listed}], hive_partitioning = false)")
    return connection, list(tables)


def digest(connection, table):
    order = ", ".join('"' + key + '"' for key in [height(table)] + KEYS[table])
    if isinstance(connection, Psql):
        return hashlib.sha256(connection.run(f"COPY (SELECT * FROM {table} ORDER BY {order}) TO STDOUT")).hexdigest()
    with tempfile.TemporaryDirectory() as folder:
        name = folder + "/rows.csv"
        connection.execute(f"COPY (SELECT * FROM {table} ORDER BY {order}) TO '{name}' (FORMAT csv, HEADER, NULLSTR '\\N')")
        with open(name, "rb") as file:
            content = file.read()
    if not content:
        raise SystemExit(f"the dump of {table} is empty")
    return hashlib.sha256(content).hexdigest()


def height(table):
    return "number" if table == "blocks" else "block_number"


def summary(kind, path):
    if kind in ("duckdb", "parquet", "csv", "jsonl") and not os.path.exists(path):
        return {}
    connection, tables = opened(kind, path)
    result = {}
    for table in tables:
        keys = ", ".join('"' + key + '"' for key in KEYS[table])
        rows, distinct, first, last, numbers = connection.execute(
            f"SELECT count(*), count(DISTINCT ({keys})), min({height(table)}), max({height(table)}), count(DISTINCT {height(table)}) FROM {table}"
        ).fetchone()
        entry = {"rows": rows, "distinct": distinct, "blocks": numbers, "digest": digest(connection, table)}
        entry["first"], entry["last"] = first or 0, last or 0
        if table == "blocks":
            # A block whose number follows another's must name it as its parent.
            entry["astray"] = connection.execute(
                "SELECT count(*) FROM blocks a JOIN blocks b ON b.number = a.number + 1 WHERE b.parent_hash <> a.hash"
            ).fetchone()[0]
        elif "blocks" in tables:
            entry["astray"] = connection.execute(
                f"SELECT count(*) FROM {table} t WHERE NOT EXISTS (FROM blocks b WHERE b.hash = t.block_hash AND b.number = t.block_number)"
            ).fetchone()[0]
        else:
            entry["astray"] = 0
        result[table] = entry
    return result


def sums(kind, path):
    connection, tables = opened(kind, path)

    def total(table, column):
        if table not in tables:
            return "0"
        values = connection.execute(f"SELECT CAST({column} AS VARCHAR) FROM {table} WHERE {column} IS NOT NULL").fetchall()
        return str(sum(int(value) for (value,) in values))

    def rows(table):
        return str(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]) if table in tables else "0"

    result = {"rows." + table: rows(table) for table in KEYS if table != "event_logs"}
    for name, table, column in [
        ("block_gas_used", "blocks", "gas_used"),
        ("block_transactions", "blocks", "transaction_count"),
        ("value", "transactions", "value"),
        ("gas", "transactions", "gas"),
        ("gas_used", "transactions", "receipt_gas_used"),
        ("withdrawn", "withdrawals", "amount"),
        ("erc20_value", "erc20_transfers", "value"),
        ("erc721_ids", "erc721_transfers", "token_id"),
        ("erc1155_ids", "erc1155_transfers", "token_id"),
        ("erc1155_value", "erc1155_transfers", "value"),
    ]:
        result[name] = total(table, column)
    return result


def listed(folder, table):
    files = glob.glob(f"{folder}/{table}/**/*.parquet", recursive=True)
    if not files:
        return [0, 0]
    keys = ", ".join('"' + key + '"' for key in KEYS[table])
    return duckdb.connect().execute(
        f"SELECT count(*), count(DISTINCT ({keys})) FROM read_parquet('{folder}/{table}/**/*.parquet', hive_partitioning = false)"
    ).fetchone()


def hold(path):
    connection = duckdb.connect(path)
    print("held", flush=True)
    sys.stdin.read()
    connection.close()


if __name__ == "__main__":
    if sys.argv[1] == "hold":
        hold(sys.argv[2])
    else:
        print(json.dumps({"summary": summary, "sums": sums, "listed": listed}[sys.argv[1]](sys.argv[2], sys.argv[3])))
