"""Reads topics with kcat, as consumers do that see only what is committed.

    topics.py rows BROKERS TOPIC [REGISTRY]   the rows that stand, and how many records say so, as JSON; values are Avro with a registry
    topics.py text BROKERS TOPIC              values that stand as their text, by key
    topics.py judge FILE                      which of the texts in it, base64 a line each, are JSON
    topics.py registry                        serves a schema registry; prints its address; `users` in its path wants user:secret
    topics.py mock                            serves librdkafka's own mock cluster; prints its brokers
"""
import base64
import http.server
import io
import json
import struct
import subprocess
import sys
import urllib.request


def records(brokers, topic):
    """All committed records: partition, offset, key, value or None, headers. A topic that is not there has none."""
    done = subprocess.run(
        ["kcat", "-C", "-b", brokers, "-t", topic, "-o", "beginning", "-e", "-q", "-X", "isolation.level=read_committed"]
        + ["-X", "fetch.wait.max.ms=20", "-f", "%p %o %K %S %h\\n%k%s\\n"],
        capture_output=True, timeout=50)
    if done.returncode != 0 and b"Unknown topic" not in done.stderr:
        raise SystemExit(done.stderr.decode())
    stream = io.BytesIO(done.stdout)
    while line := stream.readline():
        partition, offset, key, value, *headers = line.decode().rstrip("\n").split(" ", 4)
        key = stream.read(int(key))
        value = stream.read(int(value)) if int(value) >= 0 else None
        stream.read(1)
        yield int(partition), int(offset), key, value, dict(item.split("=", 1) for item in (headers or [""])[0].split(",") if item)


def standing(brokers, topic):
    """What a consumer has in the end, by key, and what there is to complain about."""
    rows, faults, counts, places = {}, [], {"insert": 0, "undo": 0}, {}
    for partition, offset, key, value, headers in records(brokers, topic):
        counts[headers["op"]] += 1
        if places.setdefault(key, partition) != partition:
            faults.append(f"{key} stands in two partitions")
        if headers["op"] == "insert":
            if key in rows:
                faults.append(f"{key} is there twice")
            rows[key] = (value, headers)
        elif key not in rows:
            faults.append(f"{key} is taken back, but not there")
        else:
            if value is not None and value != rows[key][0]:
                faults.append(f"{key} is taken back by another row")
            del rows[key]
    return rows, counts, faults


class Avro:
    """A decoder by the specification, of what the sink writes."""

    def __init__(self, registry):
        self.registry, self.schemas, self.named = registry, {}, {}

    def decode(self, framed):
        zero, number = struct.unpack(">bI", framed[:5])
        assert zero == 0
        if number not in self.schemas:
            with urllib.request.urlopen(f"{self.registry}/schemas/ids/{number}") as answer:
                self.schemas[number] = json.loads(json.load(answer)["schema"])
            self.name(self.schemas[number])
        stream = io.BytesIO(framed[5:])
        value = self.value(self.schemas[number], stream)
        assert not stream.read(1), "bytes behind the value"
        return value

    def name(self, schema):
        """Notes the named types of a schema: a row may be the first to have a null where one is declared."""
        if isinstance(schema, list):
            for branch in schema:
                self.name(branch)
        elif isinstance(schema, dict):
            if schema["type"] == "fixed":
                self.named["sluice." + schema["name"]] = schema
            for field in schema.get("fields", []):
                self.name(field["type"])

    def long(self, stream):
        shift = result = 0
        while True:
            byte = stream.read(1)[0]
            result |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return result >> 1 ^ -(result & 1)

    def value(self, schema, stream):
        if isinstance(schema, list):
            return self.value(schema[self.long(stream)], stream)
        kind = schema if isinstance(schema, str) else schema["type"]
        if kind in self.named:
            return self.value(self.named[kind], stream)
        if kind == "null":
            return None
        if kind == "boolean":
            return stream.read(1) == b"\1"
        if kind == "long":
            return self.long(stream)
        if kind == "double":
            return struct.unpack("<d", stream.read(8))[0]
        if kind == "fixed":
            return "0x" + stream.read(schema["size"]).hex()
        if kind == "record":
            return {field["name"]: self.value(field["type"], stream) for field in schema["fields"]}
        data = stream.read(self.long(stream))
        if kind == "string":
            return data.decode()
        assert kind == "bytes"
        if not isinstance(schema, str) and schema.get("logicalType") == "decimal":
            number = int.from_bytes(data, "big", signed=True)
            assert abs(number) < 10 ** schema["precision"]
            return str(number)
        return "0x" + data.hex()


def plain(value):
    """Floats bit by bit, other numbers in their digits, so that nothing is lost on the way to the test."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value if not isinstance(value, bool) else str(value).lower()
    if isinstance(value, float):
        return struct.pack(">d", value).hex()
    if isinstance(value, int):
        return str(value)
    return json.dumps(value)


def rows(brokers, topic, registry=None):
    found, counts, faults = standing(brokers, topic)
    avro = Avro(registry) if registry else None
    out = []
    for key, (value, headers) in found.items():
        row = avro.decode(value) if avro else json.loads(value)
        assert isinstance(json.loads(key), list)
        out.append({"key": key.decode(), "headers": headers, "value": {name: plain(item) for name, item in row.items()}})
    return {"rows": out, "inserts": counts["insert"], "undos": counts["undo"], "faults": faults}


def judge(path):
    def refuse(word):
        raise ValueError(word)

    def is_json(line):
        try:
            json.loads(base64.b64decode(line).decode("utf-8", "strict"), parse_constant=refuse)
            return True
        except (ValueError, RecursionError):
            return False

    with open(path) as lines:
        return [is_json(line) for line in lines.read().split("\n")]


class Registry(http.server.BaseHTTPRequestHandler):
    schemas = []
    subjects = {}

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.answer(200, {"schema": self.schemas[int(self.path.rsplit("/", 1)[1]) - 1]})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        wanted = "Basic " + base64.b64encode(b"user:secret").decode()
        if self.path.startswith("/users") and self.headers.get("Authorization") != wanted:
            return self.answer(401, {"message": "who are you"})
        subject, schema = self.path.split("/subjects/")[1].split("/")[0], body["schema"]
        fields = {field["name"]: field["type"] for field in json.loads(schema)["fields"]}
        for other in self.subjects.get(subject, []):
            if any(name in fields and fields[name] != kind for name, kind in other.items()):
                return self.answer(409, {"message": "incompatible with an earlier schema"})
        if schema not in self.schemas:
            self.schemas.append(schema)
        self.subjects.setdefault(subject, []).append(fields)
        self.answer(200, {"id": self.schemas.index(schema) + 1})

    def answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def registry():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


def mock():
    import ctypes

    library = ctypes.CDLL("librdkafka.so.1")
    library.rd_kafka_new.restype = library.rd_kafka_mock_cluster_new.restype = ctypes.c_void_p
    library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
    words = ctypes.create_string_buffer(512)
    client = ctypes.c_void_p(library.rd_kafka_new(0, None, words, 512))
    cluster = ctypes.c_void_p(library.rd_kafka_mock_cluster_new(client, 3))
    print(library.rd_kafka_mock_cluster_bootstraps(cluster).decode(), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["rows", brokers, topic]:
            print(json.dumps(rows(brokers, topic)))
        case ["rows", brokers, topic, address]:
            print(json.dumps(rows(brokers, topic, address)))
        case ["text", brokers, topic]:
            found, _, _ = standing(brokers, topic)
            print(json.dumps({key.decode(): value.decode() for key, (value, _) in found.items()}))
        case ["judge", path]:
            print(json.dumps(judge(path)))
        case ["registry"]:
            registry()
        case ["mock"]:
            mock()
        case _:
            sys.exit(__doc__)
