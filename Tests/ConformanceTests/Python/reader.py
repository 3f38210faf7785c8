"""Reads what sinks have stored, without any code of ours. A line of JSON comes in for each question:

    {"kind": "postgres", "place": {...}, "table": "logs", "chain": 1, "pipeline": "p", "columns": [["log_index", "int64"], ...]}

The answer is a length of four bytes, and `E` with an error's words, or `R` with the values of all rows: `n`, or `t` with a length and a text.
Values are text: numbers in digits, floats as the digits of their bits taken for a signed integer, times in microseconds since 1970, bytes as
0x.., texts as they are, null as null. Rows come in the order in which the store has them, where it has one.
"""
import datetime
import glob
import io
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../KafkaConnectorTests/Python"))


def bits(value):
    return str(struct.unpack(">q", struct.pack(">d", float(value)))[0])


def micros(text):
    parts = re.fullmatch(r"([+-]?\d+)-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)\.(\d{6})Z", text).groups()
    year, month, day, hour, minute, second, rest = map(int, parts)
    # The calendar repeats every 400 years, and Python's begins with the year 1.
    eras, year = divmod(year, 400)
    days = (datetime.date(year + 400, month, day) - datetime.date(1970, 1, 1)).days + (eras - 1) * 146097
    return str(((days * 24 + hour) * 60 + minute) * 60000000 + second * 1000000 + rest)


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


# Text


def csv_rows(text):
    """RFC 4180; nothing is None, quoted nothing is an empty text."""
    row, at = [], 0
    field = re.compile(r'"((?:[^"]|"")*)"|([^",\n]*)')
    while at < len(text):
        match = field.match(text, at)
        whole, bare = match.groups()
        row.append(whole.replace('""', '"') if whole is not None else bare or None)
        at = match.end()
        if text[at] == "\n":
            yield row
            row = []
        elif text[at] != ",":
            raise ValueError(f"a field ends in {text[at:at + 9]!r}")
        at += 1
    if row:
        raise ValueError("the last line has no end")


def shown(row, name, kind):
    value = row.get(name)
    if value is None:
        return None
    if value is True or value is False:
        return str(value).lower()
    if kind == "float64":
        return bits(value)
    if kind == "timestamp":
        return micros(value)
    return value


def lines(data, columns):
    out = []
    for line in data.decode().split("\n"):
        if line:
            row = json.loads(line, parse_float=str, parse_int=str)
            out.append([shown(row, name, kind) for name, kind in columns])
    return out


def files(kind, place, table, chain, columns, pipeline):
    try:
        with open(f"{place['folder']}/_positions/{chain}.json") as text:
            record = json.load(text)
    except FileNotFoundError:
        return []
    if table not in record["order"]:
        return []
    index, out = record["order"].index(table), []
    for part in record["parts"]:
        if "last_block" not in part:
            # It is about to begin, or to go.
            continue
        count = part["bytes"][index]
        found = glob.glob(f"{glob.escape(place['folder'])}/{glob.escape(table)}/chain_id={chain}/*_{part['first_block']:012}.{kind}")
        data = b""
        if count > 0:
            with open(found[0], "rb") as file:
                data = file.read(count)
        if len(data) != count:
            raise ValueError(f"{found}: {len(data)} bytes, the record says {count}")
        if kind == "jsonl":
            out += lines(data, columns)
            continue
        rows = csv_rows(data.decode())
        names = next(rows, [])
        for row in rows:
            cells = dict(zip(names, row))
            out.append([csv_cell(cells.get(name), of) for name, of in columns])
    return out


def csv_cell(text, kind):
    if text is None:
        return None
    return bits(text) if kind == "float64" else micros(text) if kind == "timestamp" else text


def stdout(place, table, chain, columns, pipeline):
    with open(place["file"], "rb") as file:
        rows = [json.loads(line, parse_float=str, parse_int=str) for line in file.read().decode().split("\n") if line]
    rows = [row for row in rows if row["table"] == table and row["chain_id"] == str(chain)]
    return [[shown(row, name, kind) for name, kind in columns] for row in rows]


# Columns


def duckdb_file(place, table, chain, columns, pipeline):
    import duckdb

    # A copy, as a crash would leave it: the file itself is held.
    with tempfile.TemporaryDirectory() as folder:
        for end in ("", ".wal"):
            if os.path.exists(place["file"] + end):
                shutil.copy(place["file"] + end, folder + "/x.duckdb" + end)
        if not os.path.exists(folder + "/x.duckdb"):
            return []
        connection = duckdb.connect(folder + "/x.duckdb")
        try:
            if not connection.execute("SELECT count(*) FROM duckdb_tables() WHERE schema_name = 'main' AND table_name = ?", [table]).fetchone()[0]:
                return []
            form = {"timestamp": "epoch_us({})", "float64": "{}", "bytes": "'0x' || lower(hex({}))"}
            cells = ", ".join(form.get(kind.split("(")[0], "CAST({} AS VARCHAR)").format(quoted(name)) for name, kind in columns)
            rows = connection.execute(f"SELECT {cells} FROM {quoted(table)} WHERE chain_id = {chain}").fetchall()
        finally:
            connection.close()
    return [[None if cell is None else bits(cell) if kind == "float64" else str(cell) for cell, (_, kind) in zip(row, columns)] for row in rows]


def arrow_rows(table, columns):
    import pyarrow

    cells = []
    for name, kind in columns:
        if name not in table.column_names:
            cells.append([None] * table.num_rows)
            continue
        column = table.column(name)
        if pyarrow.types.is_timestamp(column.type):
            column = column.cast("int64")
        values = column.to_pylist()
        if kind == "float64":
            values = [None if value is None else bits(value) for value in values]
        elif kind == "bool":
            values = [None if value is None else str(value).lower() for value in values]
        elif kind.startswith("bytes"):
            values = [None if value is None else "0x" + value.hex() for value in values]
        elif kind == "decimal":
            values = [None if value is None else format(value, "f") for value in values]
        else:
            values = [None if value is None else str(value) for value in values]
        cells.append(values)
    return [list(row) for row in zip(*cells)]


def by_manifests(names, read, table, chain, columns):
    """The rows of the files that manifests name."""
    import pyarrow.parquet

    out = []
    for name in sorted(names):
        manifest = json.loads(read(name))
        if manifest["chain_id"] != chain:
            continue
        for file in manifest["files"]:
            if file["table"] != table:
                continue
            data = read(file["path"])
            if len(data) != file["bytes"]:
                raise ValueError(f"{file['path']}: {len(data)} bytes, the manifest says {file['bytes']}")
            # By the file alone: folders of partitions are no columns here.
            found = pyarrow.parquet.ParquetFile(io.BytesIO(data)).read()
            if found.num_rows != file["rows"]:
                raise ValueError(f"{file['path']}: {found.num_rows} rows, the manifest says {file['rows']}")
            if "chain_id" not in found.column_names:
                found = found.append_column("chain_id", [[chain] * found.num_rows])
            out += arrow_rows(found, columns)
    return out


def parquet(place, table, chain, columns, pipeline):
    folder = place["folder"]

    def read(name):
        with open(f"{folder}/{name}", "rb") as file:
            return file.read()

    names = [os.path.relpath(name, folder) for name in glob.glob(f"{folder}/_manifests/{chain}/*.json")]
    return by_manifests(names, read, table, chain, columns)


clients = {}


def s3(place, table, chain, columns, pipeline):
    import boto3

    key = place["endpoint"]
    if key not in clients:
        clients[key] = boto3.client(
            "s3", endpoint_url=place["endpoint"], region_name="us-east-1", aws_access_key_id=place["key"], aws_secret_access_key=place["secret"])
    client, prefix = clients[key], place["prefix"] + "/"
    names = []
    for page in client.get_paginator("list_objects_v2").paginate(Bucket="sluice", Prefix=f"{prefix}_manifests/{chain}/"):
        names += [item["Key"][len(prefix):] for item in page.get("Contents", []) if item["Key"].endswith(".json")]
    return by_manifests(names, lambda name: client.get_object(Bucket="sluice", Key=prefix + name)["Body"].read(), table, chain, columns)


# Servers


def postgres(place, table, chain, columns, pipeline):
    form = {
        "float64": "('x' || encode(float8send({}), 'hex'))::bit(64)::bigint::text",
        "timestamp": "(('x' || encode(timestamptz_send({}), 'hex'))::bit(64)::bigint + 946684800000000)::text",
        "bytes": "'0x' || encode({}, 'hex')",
    }
    cells = ", ".join(form.get(kind.split("(")[0], "{}::text").format(quoted(name)) for name, kind in columns)
    command = ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", place["url"]]
    schema = place["schema"]
    # No more than a hundred arguments a function.
    script = f"SELECT to_json(ARRAY[{cells}]) FROM {quoted(schema)}.{quoted(table)} WHERE chain_id = {chain}"
    done = subprocess.run(command + ["-c", script], capture_output=True)
    if done.returncode != 0:
        if b"does not exist" in done.stderr:
            return []
        raise ValueError(done.stderr.decode())
    return [json.loads(line) for line in done.stdout.decode().split("\n") if line]


def clickhouse(place, table, chain, columns, pipeline):
    def name_of(name):
        return "`" + name.replace("\\", "\\\\").replace("`", "\\`").replace("\n", "\\n") + "`"

    def ask(sql):
        try:
            with urllib.request.urlopen(urllib.request.Request(place["url"] + "/", data=sql.encode())) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as error:
            text = error.read().decode()
            if "doesn't exist" in text or "does not exist" in text or "UNKNOWN_TABLE" in text or "UNKNOWN_DATABASE" in text:
                return ""
            raise ValueError(text)

    literal = {ord("\\"): "\\\\", ord("'"): "\\'", ord("\n"): "\\n"}
    found = ask(
        "SELECT hex(name), type FROM system.columns WHERE database = '%s' AND table = '%s'" % (place["database"], (table + "_current").translate(literal)))
    types = {bytes.fromhex(name).decode(): kind for name, kind in (line.split("\t") for line in found.split("\n") if line)}
    if not types:
        return []
    cells = []
    for name, kind in columns:
        column, stored = name_of(name), types[name]
        if kind == "float64":
            cell = f"reinterpretAsInt64(reinterpretAsString({column}))"
        elif kind == "bool":
            cell = f"toUInt8({column})"
        elif kind == "timestamp" and "DateTime64" in stored:
            cell = f"toUnixTimestamp64Micro({column})"
        elif kind.startswith("bytes") or "FixedString" in stored:
            cell = f"lower(hex({column}))"
        else:
            cell = column
        cells += [f"isNull({column})", cell]
    text = ask(f"SELECT {', '.join(cells)} FROM `{place['database']}`.{name_of(table + '_current')} WHERE chain_id = {chain} FORMAT TabSeparated")
    out = []
    for line in text.split("\n"):
        if not line:
            continue
        parts, row = line.split("\t"), []
        for index, (name, kind) in enumerate(columns):
            cell = parts[2 * index + 1]
            if parts[2 * index] == "1":
                cell = None
            elif kind in ("string", "json"):
                cell = unescaped(cell)
            elif kind.startswith("bytes"):
                cell = "0x" + cell
            elif "FixedString" in types[name]:
                cell = str(int(cell, 16))
            elif kind == "bool":
                cell = "true" if cell == "1" else "false"
            row.append(cell)
        out.append(row)
    return out


def unescaped(cell):
    """A value of the format TabSeparated."""
    known = {"b": "\b", "f": "\f", "r": "\r", "n": "\n", "t": "\t", "0": "\0"}
    return re.sub(r"\\(.)", lambda match: known.get(match[1], match[1]), cell, flags=re.DOTALL)


def influxdb(place, table, chain, columns, pipeline):
    # Names have percent signs, backslashes and line breaks as in URLs.
    def stored(name):
        return name.replace("%", "%25").replace("\\", "%5C").replace("\n", "%0A")

    def ask(statement):
        query = urllib.parse.urlencode({"db": place["database"], "epoch": "ns", "q": statement})
        with urllib.request.urlopen(f"{place['url']}/query?{query}") as answer:
            result = json.loads(answer.read(), parse_float=str, parse_int=str)["results"][0]
        if "error" in result:
            if "database not found" in result["error"]:
                return []
            raise ValueError(result["error"])
        return result.get("series", [])

    source = '"' + stored(table).replace('"', '\\"') + '"'
    tags = {row[0] for series in ask(f"SHOW TAG KEYS FROM {source}") for row in series["values"]}
    out = []
    for series in ask(f"SELECT * FROM {source}"):
        for cells in series["values"]:
            row = dict(zip(series["columns"], cells))
            if row["chain_id"] == str(chain):
                out.append([influx_cell(row, stored(name), kind, tags) for name, kind in columns])
    return out


def influx_cell(row, name, kind, tags):
    value = row.get(name)
    if value is None:
        value = row.get(name + "_text")
    if value is None:
        return None
    if value is True or value is False:
        return str(value).lower()
    if kind == "float64":
        return bits(value)
    if kind == "string" and name in tags:
        return "" if value == "%" else urllib.parse.unquote(value)
    return value


def kafka(place, table, chain, columns, pipeline):
    import topics

    name = place["topic"].replace("{table}", table).replace("{chain_id}", str(chain))
    rows, _, faults = topics.standing(place["brokers"], name)
    if faults:
        raise ValueError(f"{name}: {faults[:3]}")
    return [kafka_row(value.decode(), columns) for value, _ in rows.values()]


def kafka_row(text, columns):
    """The members of an object; those that are JSON as they stand there."""
    decoder, space = json.JSONDecoder(parse_float=str, parse_int=str), re.compile(r"[ \t\r\n]*")
    row, raw, at = {}, {}, 1
    while text[at] != "}":
        if text[at] == ",":
            at += 1
        name, at = decoder.raw_decode(text, at)
        at += 1
        value, end = decoder.raw_decode(text, space.match(text, at).end())
        end = space.match(text, end).end()
        row[name], raw[name] = value, text[at:end]
        at = end
    out = []
    for name, kind in columns:
        value = row.get(name)
        if kind == "json" and value is not None:
            value = raw[name]
        elif value is True or value is False:
            value = str(value).lower()
        elif kind == "float64" and value is not None:
            value = bits(value)
        out.append(value)
    return out


class Redis:
    """As much of a client as is needed here."""

    def __init__(self, url):
        host, port = url.removeprefix("redis://").split(":")
        self.socket = socket.create_connection((host, int(port)))
        self.file = self.socket.makefile("rb")

    def ask(self, *words):
        parts = [word if isinstance(word, bytes) else word.encode() for word in words]
        self.socket.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))
        return self.answer()

    def answer(self):
        line = self.file.readline()[:-2]
        kind, rest = line[:1], line[1:]
        if kind == b"$":
            return None if rest == b"-1" else self.file.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return [self.answer() for _ in range(int(rest))]
        if kind == b"-":
            raise ValueError(rest.decode())
        return int(rest) if kind == b":" else rest


def redis(place, table, chain, columns, pipeline):
    server = clients.setdefault(place["url"], None) or Redis(place["url"])
    clients[place["url"]] = server
    prefix = place["prefix"]
    if table in place["latest"].split(" "):
        pattern = re.sub(r"([\\*?\[\]])", r"\\\1", f"{prefix}row:{table}:{chain}:") + "*"
        keys = server.ask("KEYS", pattern)
        data = server.ask("MGET", *keys) if keys else []
    else:
        name = table.replace("%", "%25").replace(":", "%3A")
        data = [entry[1][1] for entry in server.ask("XRANGE", f"{prefix}{name}:{chain}", "-", "+")]
    return lines(b"\n".join(data), columns)


READERS = {
    "duckdb": duckdb_file, "parquet": parquet, "s3": s3, "postgres": postgres, "clickhouse": clickhouse, "influxdb": influxdb, "kafka": kafka,
    "redis": redis, "stdout": stdout,
    "csv": lambda *words: files("csv", *words), "jsonl": lambda *words: files("jsonl", *words),
}

if __name__ == "__main__":
    for line in sys.stdin:
        question = json.loads(line)
        try:
            read = READERS[question["kind"]]
            rows = read(question["place"], question["table"], question["chain"], question["columns"], question["pipeline"])
            answer = b"R" + b"".join(b"n" if cell is None else b"t" + struct.pack(">I", len(cell.encode())) + cell.encode() for row in rows for cell in row)
        except Exception as error:
            answer = b"E" + f"{type(error).__name__}: {error}".encode()
        sys.stdout.buffer.write(struct.pack(">I", len(answer)) + answer)
        sys.stdout.buffer.flush()
