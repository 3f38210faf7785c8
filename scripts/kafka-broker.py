#!/usr/bin/env python3
"""A Kafka broker for tests, in memory: what producers of transactions, simple consumers and groups need, as the protocol says it.

    scripts/kafka-broker.py serve          prints `broker=HOST:PORT control=HOST:PORT`, then serves until it is ended
    scripts/kafka-broker.py tell HOST:PORT WORD...

What can be told: `down` (no connection is taken, those that are there end; what is stored stays), `up`, and `fail API CODE COUNT`: the next
COUNT requests of that API are answered with that error, `cut API COUNT`: they are done, but the connection ends before their answers, `limit
TOPIC BYTES`, `refuse TOPIC WORD`: batches that hold the word are (where they are not compressed), `trim TOPIC`: what is there by now is deleted,
`settings TOPIC`, `make TOPIC PARTITIONS`, `expire TOPIC PARTITION OFFSET` (what lies before it is deleted), `end TOPIC PARTITION`, `group GROUP`.
Transactions are real: markers, the last stable offset, lists of what was aborted, epochs that fence. Nothing is compacted. Groups are in `kafka_groups.py`.
"""

import socket
import struct
import sys
import threading
import time

from kafka_groups import Groups

TABLE = []
for number in range(256):
    for _ in range(8):
        number = number >> 1 ^ 0x82F63B78 if number & 1 else number >> 1
    TABLE.append(number)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        value = struct.unpack_from(">" + form, self.data, self.at)[0]
        self.at += struct.calcsize(">" + form)
        return value

    def raw(self, count):
        self.at += count
        return self.data[self.at - count : self.at]

    def text(self):
        count = self.take("h")
        return None if count < 0 else self.raw(count).decode()

    def blob(self):
        count = self.take("i")
        return None if count < 0 else self.raw(count)

    def many(self, item):
        return [item() for _ in range(max(0, self.take("i")))]


class Writer:
    def __init__(self):
        self.parts = []

    def put(self, form, *values):
        self.parts.append(struct.pack(">" + form, *values))
        return self

    def text(self, value):
        if value is None:
            return self.put("h", -1)
        data = value.encode()
        self.put("h", len(data))
        self.parts.append(data)
        return self

    def many(self, items, write):
        items = list(items)
        self.put("i", len(items))
        for item in items:
            write(item)
        return self

    def bytes(self):
        return b"".join(self.parts)


class Batch:
    """A record batch as it lies in a log, of magic 2."""

    def __init__(self, data):
        self.data = bytearray(data)
        (self.attributes, self.last_delta) = struct.unpack_from(">hi", data, 21)
        (self.max_time, self.pid, self.epoch, self.sequence, self.count) = struct.unpack_from(">qqhii", data, 35)
        self.base = 0

    @property
    def last(self):
        return self.base + self.last_delta

    @staticmethod
    def split(data):
        at = 0
        while at < len(data):
            size = 12 + struct.unpack_from(">i", data, at + 8)[0]
            yield Batch(data[at : at + size])
            at += size

    @staticmethod
    def marker(pid, epoch, commits):
        record = struct.pack(">bbbb", 0, 0, 0, 8) + struct.pack(">hh", 0, 1 if commits else 0) + b"\x0c" + struct.pack(">hi", 0, 0) + b"\x00"
        record = bytes([len(record) * 2]) + record
        now = int(time.time() * 1000)
        behind = struct.pack(">hiqqqhii", 0x30, 0, now, now, pid, epoch, -1, 1) + record
        return Batch(struct.pack(">qiibI", 0, len(behind) + 9, 0, 2, crc32c(behind)) + behind)


class Partition:
    def __init__(self):
        self.batches, self.start, self.end = [], 0, 0
        self.open, self.aborted, self.sequences = {}, [], {}

    @property
    def stable(self):
        return min(self.open.values(), default=self.end)

    def append(self, batch):
        batch.base = self.end
        struct.pack_into(">q", batch.data, 0, batch.base)
        self.end = batch.last + 1
        self.batches.append(batch)

    def produce(self, batch):
        """Returns an error and the offset of the first record."""
        if batch.pid >= 0:
            epoch, expected, recent = self.sequences.get(batch.pid, (-1, 0, {}))
            if batch.epoch != epoch:
                expected, recent = 0, {}
            if batch.sequence in recent:
                return 0, recent[batch.sequence]
            if batch.sequence != expected:
                return 45, -1
            recent[batch.sequence] = self.end
            for old in list(recent)[:-5]:
                del recent[old]
            self.sequences[batch.pid] = (batch.epoch, batch.sequence + batch.count, recent)
            if batch.attributes & 0x10:
                self.open.setdefault(batch.pid, self.end)
        self.append(batch)
        return 0, batch.base

    def close(self, pid, epoch, commits):
        first = self.open.pop(pid, None)
        if first is None:
            return
        if not commits:
            self.aborted.append((pid, first, self.end))
        self.append(Batch.marker(pid, epoch, commits))

    def read(self, offset, limit, committed):
        """Batches from an offset on, and what was aborted among them."""
        upper = self.stable if committed else self.end
        low, high = 0, len(self.batches)
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if self.batches[middle].last < offset else (low, middle)
        out, size = [], 0
        for batch in self.batches[low:]:
            if batch.base >= upper or (out and size + len(batch.data) > limit):
                break
            out.append(bytes(batch.data))
            size += len(batch.data)
        aborted = [(pid, first) for pid, first, last in self.aborted if last >= offset and first < upper]
        return b"".join(out), aborted


class Broker:
    VERSIONS = {0: (0, 7), 1: (0, 11), 2: (1, 2), 3: (0, 4), 10: (0, 2), 18: (0, 2), 19: (0, 4), 22: (0, 1), 24: (0, 0), 26: (0, 1)}

    def __init__(self):
        self.changed = threading.Condition()
        self.topics, self.settings, self.producers, self.next_pid, self.failures, self.cuts = {}, {}, {}, 1000, {}, {}
        self.connections, self.listener, self.port, self.refused = set(), None, 0, {}
        self.groups = Groups(self.changed, Writer)
        self.VERSIONS = self.VERSIONS | Groups.VERSIONS
        threading.Thread(target=self.groups.watch, daemon=True).start()

    # The network.

    def up(self):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(64)
        self.listener, self.port = listener, listener.getsockname()[1]
        threading.Thread(target=self.accept, args=(listener,), daemon=True).start()

    def down(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in list(self.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections.add(connection)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        def exactly(count):
            data = bytearray()
            while len(data) < count:
                more = connection.recv(min(1 << 20, count - len(data)))
                if not more:
                    raise EOFError
                data += more
            return bytes(data)

        try:
            while True:
                request = Reader(exactly(struct.unpack(">i", exactly(4))[0]))
                key, version, correlation = request.take("h"), request.take("h"), request.take("i")
                request.text()
                answer = self.answer(key, version, request)
                if self.cuts.get(key, 0):
                    self.cuts[key] -= 1
                    connection.shutdown(socket.SHUT_RDWR)
                    raise EOFError
                if answer is not None:
                    connection.sendall(struct.pack(">ii", len(answer) + 4, correlation) + answer)
        except (EOFError, OSError):
            pass
        finally:
            self.connections.discard(connection)
            connection.close()

    def answer(self, key, version, request):
        if key == 18:
            return self.api_versions(version)
        with self.changed:
            code, count = self.failures.get(key, (0, 0))
            if count:
                self.failures[key] = (code, count - 1)
            handlers = {
                0: self.produce, 1: self.fetch, 2: self.list_offsets, 3: self.metadata, 10: self.coordinator, 19: self.create_topics,
                22: self.init_producer, 24: self.add_partitions, 26: self.end_transaction,
            } | self.groups.handlers()
            return handlers[key](version, request, code if count else 0)

    # The requests, by name.

    def api_versions(self, version):
        known = version <= 2
        out = Writer().put("h", 0 if known else 35)
        out.many(self.VERSIONS.items(), lambda item: out.put("hhh", item[0], *item[1]))
        return (out.put("i", 0) if known and version >= 1 else out).bytes()

    def make(self, name, partitions=4, settings=None):
        self.topics[name] = [Partition() for _ in range(partitions)]
        self.settings[name] = settings or {}

    def metadata(self, version, request, failure):
        count = request.take("i")
        wanted = [request.text() for _ in range(max(0, count))]
        if count < 0 or version == 0 and count == 0:
            wanted = list(self.topics)
        out = Writer()
        if version >= 3:
            out.put("i", 0)
        out.put("ii", 1, 1).text("127.0.0.1").put("i", self.port)
        if version >= 1:
            out.text(None)
        if version >= 2:
            out.text("test")
        if version >= 1:
            out.put("i", 1)

        def topic(name):
            error = failure or (0 if name in self.topics else 3)
            out.put("h", error).text(name)
            if version >= 1:
                out.put("b", 0)
            out.many(range(len(self.topics.get(name, []))), lambda index: out.put("hiiiiii", 0, index, 1, 1, 1, 1, 1))

        return out.many(wanted, topic).bytes()

    def create_topics(self, version, request, failure):
        def one():
            name, partitions, replicas = request.text(), request.take("i"), request.take("h")
            request.many(lambda: (request.take("i"), request.many(lambda: request.take("i"))))
            return name, partitions, replicas, dict(request.many(lambda: (request.text(), request.text())))

        results = []
        for name, partitions, replicas, settings in request.many(one):
            error, words = failure, "told to fail" if failure else None
            if not error and name in self.topics:
                error, words = 36, "there already"
            if not error and replicas > 1:
                error, words = 38, "there is one broker"
            if not error:
                self.make(name, 4 if partitions < 0 else partitions, settings)
            results.append((name, error, words))
        out = Writer()
        if version >= 2:
            out.put("i", 0)

        def write(result):
            out.text(result[0]).put("h", result[1])
            if version >= 1:
                out.text(result[2])

        return out.many(results, write).bytes()

    def coordinator(self, version, request, failure):
        out = Writer()
        if version >= 1:
            out.put("i", 0)
        out.put("h", failure)
        if version >= 1:
            out.text(None)
        return out.put("i", 1).text("127.0.0.1").put("i", self.port).bytes()

    def produce(self, version, request, failure):
        request.text()
        acks, _ = request.take("h"), request.take("i")
        out = Writer()

        def partition():
            index, data = request.take("i"), request.blob()
            return index, data

        def write(item):
            name, index, error, base = item
            out.put("ihq", index, error, base).put("q", -1)
            if version >= 5:
                out.put("q", 0)

        answers = []
        for name, parts in request.many(lambda: (request.text(), request.many(partition))):
            results = []
            for index, data in parts:
                error, base = failure, -1
                if not error and (name not in self.topics or index >= len(self.topics[name])):
                    error = 3
                largest = int(self.settings.get(name, {}).get("max.message.bytes", 1 << 30))
                for batch in [] if error else Batch.split(data):
                    owner = next((p for p in self.producers.values() if p["pid"] == batch.pid), None)
                    if len(batch.data) > largest:
                        error = 10
                    elif any(word in batch.data for word in self.refused.get(name, [])):
                        error = 87
                    elif owner and owner["epoch"] != batch.epoch:
                        error = 47
                    elif batch.attributes & 0x10 and (not owner or (name, index) not in owner["partitions"]):
                        error = 48
                    else:
                        error, first = self.topics[name][index].produce(batch)
                        base = first if base < 0 else base
                    if error:
                        break
                results.append((name, index, error, base))
            answers.append((name, results))
        self.changed.notify_all()
        out.many(answers, lambda answer: out.text(answer[0]).many(answer[1], write))
        return out.put("i", 0).bytes() if acks else None

    def fetch(self, version, request, failure):
        request.take("i")
        wait, least, most, isolation = request.take("i"), request.take("i"), 1 << 30, 0
        if version >= 3:
            most = request.take("i")
        if version >= 4:
            isolation = request.take("b")
        if version >= 7:
            request.take("q")

        def partition():
            index = request.take("i")
            if version >= 9:
                request.take("i")
            offset = request.take("q")
            if version >= 5:
                request.take("q")
            return index, offset, request.take("i")

        wanted = request.many(lambda: (request.text(), request.many(partition)))
        until = time.monotonic() + wait / 1000
        while True:
            answers, size = [], 0
            for name, parts in wanted:
                results = []
                for index, offset, limit in parts:
                    partitions = self.topics.get(name, [])
                    error, data, aborted, end, stable = failure, b"", [], -1, -1
                    if not error and index >= len(partitions):
                        error = 3
                    if not error:
                        log = partitions[index]
                        end, stable = log.end, log.stable
                        if offset > end or offset < log.start:
                            error = 1
                        else:
                            data, aborted = log.read(offset, min(limit, most), isolation == 1)
                    size += len(data)
                    results.append((index, error, end, stable, aborted, data, log.start if not error else 0))
                answers.append((name, results))
            left = until - time.monotonic()
            if size >= least or left <= 0 or any(result[1] for _, results in answers for result in results):
                break
            self.changed.wait(left)
        out = Writer()
        if version >= 1:
            out.put("i", 0)
        if version >= 7:
            out.put("hi", 0, 0)

        def write(result):
            index, error, end, stable, aborted, data, start = result
            out.put("ihq", index, error, end)
            if version >= 4:
                out.put("q", stable)
            if version >= 5:
                out.put("q", start)
            if version >= 4:
                out.many(aborted if isolation == 1 else [], lambda item: out.put("qq", *item))
            if version >= 11:
                out.put("i", -1)
            out.put("i", len(data)).parts.append(data)

        return out.many(answers, lambda answer: out.text(answer[0]).many(answer[1], write)).bytes()

    def list_offsets(self, version, request, failure):
        request.take("i")
        isolation = request.take("b") if version >= 2 else 0
        wanted = request.many(lambda: (request.text(), request.many(lambda: (request.take("i"), request.take("q")))))
        out = Writer()
        if version >= 2:
            out.put("i", 0)

        def write(name, item):
            index, when = item
            partitions = self.topics.get(name, [])
            if failure or index >= len(partitions):
                return out.put("ihqq", index, failure or 3, -1, -1)
            log = partitions[index]
            return out.put("ihqq", index, 0, -1, log.start if when == -2 else log.stable if isolation else log.end)

        return out.many(wanted, lambda entry: out.text(entry[0]).many(entry[1], lambda item: write(entry[0], item))).bytes()

    # Transactions.

    def finish(self, producer, commits):
        for name, index in producer["partitions"]:
            self.topics[name][index].close(producer["pid"], producer["epoch"], commits)
        producer["partitions"] = set()
        self.changed.notify_all()

    def init_producer(self, version, request, failure):
        name, _ = request.text(), request.take("i")
        if failure:
            return Writer().put("ihqh", 0, failure, -1, -1).bytes()
        producer = self.producers.get(name) if name else None
        if producer:
            self.finish(producer, False)
            producer["epoch"] += 1
        else:
            self.next_pid += 1
            producer = {"pid": self.next_pid, "epoch": 0, "partitions": set()}
            self.producers[name or f"\0{self.next_pid}"] = producer
        return Writer().put("ihqh", 0, 0, producer["pid"], producer["epoch"]).bytes()

    def owner(self, request):
        name, pid, epoch = request.text(), request.take("q"), request.take("h")
        producer = self.producers.get(name)
        if not producer or producer["pid"] != pid:
            return None, 49
        return producer, 0 if producer["epoch"] == epoch else 47

    def add_partitions(self, version, request, failure):
        producer, error = self.owner(request)
        error = failure or error
        wanted = request.many(lambda: (request.text(), request.many(lambda: request.take("i"))))
        if not error:
            producer["partitions"] |= {(name, index) for name, parts in wanted for index in parts}
        out = Writer().put("i", 0)
        return out.many(wanted, lambda entry: out.text(entry[0]).many(entry[1], lambda index: out.put("ih", index, error))).bytes()

    def end_transaction(self, version, request, failure):
        producer, error = self.owner(request)
        commits = request.take("b") != 0
        error = failure or error
        if not error:
            self.finish(producer, commits)
        return Writer().put("ih", 0, error).bytes()

    # Being told.

    def tell(self, words):
        if words == ["down"]:
            self.down()
        elif words == ["up"]:
            self.up()
        elif words[0] == "fail":
            with self.changed:
                self.failures[int(words[1])] = (int(words[2]), int(words[3]))
        elif words[0] == "cut":
            self.cuts[int(words[1])] = int(words[2])
        elif words[0] == "refuse":
            self.refused.setdefault(words[1], []).append(words[2].encode())
        elif words[0] == "trim":
            with self.changed:
                for log in self.topics[words[1]]:
                    log.start = log.batches[-1].base if log.batches else 0
        elif words[0] == "limit":
            self.settings[words[1]]["max.message.bytes"] = words[2]
        elif words[0] == "make":
            with self.changed:
                self.make(words[1], int(words[2]))
        elif words[0] == "expire":
            with self.changed:
                self.topics[words[1]][int(words[2])].start = int(words[3])
        elif words[0] == "end":
            return str(self.topics[words[1]][int(words[2])].end)
        elif words[0] == "group":
            with self.changed:
                return self.groups.told(words[1])
        elif words[0] == "settings":
            return repr((len(self.topics[words[1]]), sorted(self.settings[words[1]].items())))
        return "done"


def serve():
    broker = Broker()
    broker.up()
    control = socket.socket()
    control.bind(("127.0.0.1", 0))
    control.listen(8)
    print(f"broker=127.0.0.1:{broker.port} control=127.0.0.1:{control.getsockname()[1]}", flush=True)
    while True:
        connection, _ = control.accept()
        with connection, connection.makefile("rw") as line:
            try:
                line.write(broker.tell(line.readline().split()) + "\n")
            except Exception as error:
                line.write(f"{error!r}\n")


def tell(place, words):
    host, port = place.split(":")
    with socket.create_connection((host, int(port))) as connection, connection.makefile("rw") as line:
        line.write(" ".join(words) + "\n")
        line.flush()
        answer = line.readline().strip()
    print(answer)


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve()
    elif len(sys.argv) > 3 and sys.argv[1] == "tell":
        tell(sys.argv[2], sys.argv[3:])
    else:
        sys.exit(__doc__)
