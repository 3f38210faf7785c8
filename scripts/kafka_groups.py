"""Consumer groups for `kafka-broker.py`: who is a member, who leads, what is assigned to whom, what was committed. In memory."""

import time


class Member:
    def __init__(self, name, instance):
        self.name, self.instance, self.metadata, self.session = name, instance, {}, 10.0
        self.deadline, self.waits, self.assignment = 0.0, False, b""

    def sign_of_life(self):
        self.deadline = time.monotonic() + self.session


class Group:
    def __init__(self):
        self.members, self.generation, self.state, self.leader, self.protocol = {}, 0, "empty", "", ""
        self.offsets, self.count, self.until = {}, 0, 0.0

    def rebalance(self, timeout=60.0):
        if self.state != "preparing":
            self.state, self.until = "preparing", time.monotonic() + timeout

    def remove(self, name):
        if self.members.pop(name, None) is not None:
            self.rebalance() if self.members else setattr(self, "state", "empty")

    def expire(self):
        """Removes who gave no sign of life; returns whether anybody was."""
        now = time.monotonic()
        gone = [m.name for m in self.members.values() if not m.waits and m.deadline < now]
        if self.state == "preparing" and now > self.until:
            gone += [m.name for m in self.members.values() if not m.waits]
        for name in set(gone):
            self.remove(name)
        return bool(gone)

    def form(self):
        """Begins the next generation once all members have asked for it."""
        if self.state != "preparing" or not all(m.waits for m in self.members.values()):
            return
        self.generation += 1
        self.leader = self.leader if self.leader in self.members else next(iter(self.members))
        self.protocol = next(iter(self.members[self.leader].metadata))
        self.state = "syncing"
        for member in self.members.values():
            member.waits, member.assignment = False, b""
            member.sign_of_life()


class Groups:
    """The requests about groups, by name. They are called with the broker's lock held, which `changed.wait` gives up."""

    VERSIONS = {8: (0, 7), 9: (0, 5), 11: (0, 5), 12: (0, 3), 13: (0, 1), 14: (0, 3)}

    def __init__(self, changed, writer):
        self.groups, self.changed, self.writer = {}, changed, writer

    def handlers(self):
        return {8: self.commit, 9: self.fetch, 11: self.join, 12: self.heartbeat, 13: self.leave, 14: self.sync}

    def watch(self):
        while True:
            time.sleep(0.05)
            with self.changed:
                if any([group.expire() for group in self.groups.values()]):
                    for group in self.groups.values():
                        group.form()
                    self.changed.notify_all()

    def fault(self, group, name, generation):
        if not group or name not in group.members:
            return 25
        return 22 if generation != group.generation else 0

    def join(self, version, request, failure):
        group = self.groups.setdefault(request.text(), Group())
        session, rebalance = request.take("i"), request.take("i")
        name, instance = request.text(), request.text()
        request.text()
        protocols = dict(request.many(lambda: (request.text(), request.blob())))
        if instance and not name:
            # It comes back under its name: whoever had it before is gone.
            for old in [m.name for m in group.members.values() if m.instance == instance]:
                del group.members[old]
        if name and name not in group.members:
            return self.joined(25, group, name)
        if not name:
            group.count += 1
            name = f"member-{group.count}"
            group.members[name] = Member(name, instance)
        member = group.members[name]
        member.metadata, member.session, member.waits = protocols, session / 1000, True
        group.rebalance(rebalance / 1000)
        group.form()
        self.changed.notify_all()
        while name in group.members and group.members[name] is member and member.waits:
            self.changed.wait(1)
        return self.joined(0 if group.members.get(name) is member else 25, group, name)

    def joined(self, error, group, name):
        out = self.writer().put("ihi", 0, error, group.generation).text(group.protocol).text(group.leader).text(name)
        leads = not error and group.leader == name

        def write(member):
            data = member.metadata[group.protocol]
            out.text(member.name).text(member.instance).put("i", len(data)).parts.append(data)

        return out.many(list(group.members.values()) if leads else [], write).bytes()

    def sync(self, version, request, failure):
        group, generation, name = self.groups.get(request.text()), request.take("i"), request.text()
        request.text()
        given = dict(request.many(lambda: (request.text(), request.blob())))
        error = self.fault(group, name, generation)
        if not error and given:
            for member in group.members.values():
                member.assignment = given.get(member.name, b"")
            group.state = "stable"
            self.changed.notify_all()
        while not error and group.state == "syncing":
            self.changed.wait(1)
            error = self.fault(group, name, generation)
        if not error and group.state == "preparing":
            error = 27
        data = b"" if error else group.members[name].assignment
        if not error:
            group.members[name].sign_of_life()
        out = self.writer().put("ihi", 0, error, len(data))
        out.parts.append(data)
        return out.bytes()

    def heartbeat(self, version, request, failure):
        group, generation, name = self.groups.get(request.text()), request.take("i"), request.text()
        error = failure or self.fault(group, name, generation)
        if not error:
            group.members[name].sign_of_life()
            error = 27 if group.state == "preparing" else 0
        return self.writer().put("ih", 0, error).bytes()

    def leave(self, version, request, failure):
        group, name = self.groups.get(request.text()), request.text()
        if group:
            group.remove(name)
            group.form()
            self.changed.notify_all()
        return self.writer().put("ih", 0, 0 if group else 25).bytes()

    def commit(self, version, request, failure):
        group = self.groups.setdefault(request.text(), Group())
        generation, name = request.take("i"), request.text()
        request.text()
        error = failure or (self.fault(group, name, generation) if generation >= 0 else 0)

        def partition():
            index, offset = request.take("i"), request.take("q")
            request.take("i")
            request.text()
            return index, offset

        wanted = request.many(lambda: (request.text(), request.many(partition)))
        out = self.writer().put("i", 0)
        for topic, parts in wanted if not error else []:
            for index, offset in parts:
                group.offsets[topic, index] = offset
        return out.many(wanted, lambda e: out.text(e[0]).many(e[1], lambda part: out.put("ih", part[0], error))).bytes()

    def fetch(self, version, request, failure):
        group = self.groups.get(request.text())
        wanted = request.many(lambda: (request.text(), request.many(lambda: request.take("i"))))
        out = self.writer().put("i", 0)

        def write(topic, index):
            offset = group.offsets.get((topic, index), -1) if group else -1
            out.put("iqi", index, offset, -1).text("").put("h", failure)

        return out.many(wanted, lambda e: out.text(e[0]).many(e[1], lambda index: write(e[0], index))).put("h", failure).bytes()

    def told(self, name):
        """What is known of a group, in words: its state, how many members, what was committed."""
        group = self.groups.get(name) or Group()
        offsets = " ".join(f"{topic}/{index}={offset}" for (topic, index), offset in sorted(group.offsets.items()))
        return f"{group.state} {len(group.members)} {offsets}".strip()
