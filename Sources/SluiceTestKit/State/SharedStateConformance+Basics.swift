import SluiceCore

private let addresses = StateKey(pipeline: "p0", prefix: "account_balance", id: "address")
private let events = StateKey(pipeline: "p0", prefix: "event_log", id: "address")
private let stranger = StateKey(pipeline: "p1", prefix: "account_balance", id: "address")

extension SharedStateConformance {
    static let basics: [Case] = [
        Case(description: "nothing is there to begin with") { subject, findings in
            findings.expect(try await subject.state.members(of: addresses), [])
            findings.expect(try await subject.state.members(of: addresses, under: "a"), [])
            findings.expect(try await subject.state.keys(of: "p0").isEmpty, "keys of nothing")
            try await subject.state.delete(addresses)
            try await subject.state.delete(pipeline: "p0")
            try await subject.state.remove(["a"], from: addresses)
            findings.expect(try await subject.state.keys(of: "p0").isEmpty, "removing makes no key")
        },
        Case(description: "members are added once, removed, and stand in order") { subject, findings in
            try await subject.state.insert(["b", "a", "c", "b"], into: addresses)
            try await subject.state.insert(["a", "d"], into: addresses)
            findings.expect(try await subject.other.members(of: addresses), ["a", "b", "c", "d"])
            try await subject.other.remove(["b", "x", "b"], from: addresses)
            findings.expect(try await subject.state.members(of: addresses), ["a", "c", "d"])
            findings.expect(try await subject.state.members(of: stranger), [])
            findings.expect(try await subject.state.members(of: events), [])
        },
        Case(description: "setting replaces members and what they had") { subject, findings in
            try await subject.state.insert(["s1"], into: events, under: "a")
            try await subject.state.insert(["s2"], into: events, under: "b")
            try await subject.state.set(["b", "c"], of: events)
            let found = try await subject.other.snapshot(of: events)
            findings.expect(found.members, ["b", "c"])
            findings.expect(found.items(of: "b"), [])
            try await subject.state.set([], of: events)
            findings.expect(try await subject.other.keys(of: "p0").isEmpty, "an empty set is no key")
        },
        Case(description: "items belong to their member, and go with it") { subject, findings in
            try await subject.state.insert(["y", "x"], into: events, under: "a")
            try await subject.state.insert(["y"], into: events, under: "b")
            try await subject.state.insert([], into: events, under: "c")
            findings.expect(try await subject.other.members(of: events), ["a", "b", "c"])
            findings.expect(try await subject.other.members(of: events, under: "a"), ["x", "y"])
            try await subject.other.remove(["x", "z"], from: events, under: "a")
            findings.expect(try await subject.state.members(of: events, under: "a"), ["y"])
            try await subject.other.remove(["y"], from: events, under: "a")
            findings.expect(try await subject.state.members(of: events), ["a", "b", "c"])
            try await subject.state.remove(["b"], from: events)
            try await subject.state.insert(["b"], into: events)
            findings.expect(try await subject.other.members(of: events, under: "b"), [])
            try await subject.state.remove(["q"], from: events, under: "nobody")
            findings.expect(try await subject.other.members(of: events), ["a", "b", "c"])
        },
        Case(description: "an exchange takes what was put there and leaves what others put there") { subject, findings in
            try await subject.state.insert(["mine", "theirs"], into: events, under: "a")
            try await subject.state.insert(["mine"], into: events, under: "b")
            try await subject.state.insert(["c", "d"], into: events)
            try await subject.other.exchange(
                removing: [
                    .init(member: "a", items: ["mine"]), .init(member: "b", items: ["mine"]), .init(member: "c"), .init(member: "x"),
                ],
                adding: [.init(member: "e", items: ["new", "newer"]), .init(member: "f"), .init(member: "b", items: ["new"])], in: events)
            let found = try await subject.state.snapshot(of: events)
            findings.expect(found.members, ["a", "b", "d", "e", "f"])
            findings.expect(found.items(of: "a"), ["theirs"])
            findings.expect(found.items(of: "b"), ["new"])
            findings.expect(found.items(of: "e"), ["new", "newer"])
            try await subject.state.exchange(removing: found.entries, adding: [], in: events)
            findings.expect(try await subject.other.keys(of: "p0").isEmpty, "an empty set is no key")
            try await subject.state.exchange(removing: [.init(member: "a")], adding: [], in: events)
            findings.expect(try await subject.other.keys(of: "p0").isEmpty, "taking away makes no key")
        },
        Case(description: "keys are listed, and deleted one by one or with their pipeline") { subject, findings in
            try await subject.state.insert(["a"], into: addresses)
            try await subject.state.insert(["s"], into: events, under: "a")
            try await subject.state.insert(["z"], into: stranger)
            findings.expect(try await subject.other.keys(of: "p0") == [addresses, events], "keys of p0")
            try await subject.other.delete(addresses)
            findings.expect(try await subject.state.keys(of: "p0") == [events], "keys of p0 after one went")
            try await subject.other.delete(pipeline: "p0")
            findings.expect(try await subject.state.keys(of: "p0").isEmpty, "keys of p0 after all went")
            findings.expect(try await subject.state.members(of: events, under: "a"), [])
            findings.expect(try await subject.state.members(of: stranger), ["z"])
        },
        Case(description: "one pipeline is merged into another") { subject, findings in
            try await subject.state.insert(["a", "b"], into: stranger)
            try await subject.state.insert(["b", "c"], into: addresses)
            try await subject.state.insert(["s1", "s2"], into: events, under: "a")
            let events1 = StateKey(pipeline: "p1", prefix: events.prefix, id: events.id)
            try await subject.state.insert(["s2", "s3"], into: events1, under: "a")
            try await subject.state.insert([], into: events1, under: "z")
            try await subject.state.merge(pipeline: "p1", into: "p0")
            findings.expect(try await subject.other.keys(of: "p1").isEmpty, "p1 is gone")
            findings.expect(try await subject.other.members(of: addresses), ["a", "b", "c"])
            findings.expect(try await subject.other.members(of: events), ["a", "z"])
            findings.expect(try await subject.other.members(of: events, under: "a"), ["s1", "s2", "s3"])
            // Into itself and of nothing: nothing happens.
            try await subject.state.merge(pipeline: "p0", into: "p0")
            try await subject.state.merge(pipeline: "nobody", into: "p0")
            findings.expect(try await subject.other.members(of: addresses), ["a", "b", "c"])
        },
        Case(description: "versions grow with every change, also across removal and return") { subject, findings in
            var last = try await subject.other.version(of: events)
            func grew(_ findings: inout Findings, _ what: String) async throws {
                let now = try await subject.other.version(of: events)
                let snapshot = try await subject.other.snapshot(of: events)
                findings.expect(now > last, "\(what): \(now) behind \(last)")
                findings.expect(snapshot.version == now, "\(what): the snapshot says \(snapshot.version), not \(now)")
                last = now
            }
            try await subject.state.insert(["a"], into: events)
            try await grew(&findings, "insert")
            try await subject.state.insert(["s"], into: events, under: "a")
            try await grew(&findings, "insert under")
            try await subject.state.remove(["s"], from: events, under: "a")
            try await grew(&findings, "remove under")
            try await subject.state.remove(["a"], from: events)
            try await grew(&findings, "remove")
            try await subject.state.set(["a"], of: events)
            try await grew(&findings, "set")
            try await subject.state.delete(pipeline: "p0")
            try await grew(&findings, "delete")
            try await subject.state.insert(["a"], into: stranger)
            try await subject.state.merge(pipeline: "p1", into: "elsewhere")
            try await subject.state.merge(pipeline: "elsewhere", into: "p0")
            try await subject.state.insert(["s"], into: events)
            try await grew(&findings, "return")
        },
        Case(description: "what was acknowledged is found again") { subject, findings in
            try await subject.state.insert(["a", "b"], into: addresses)
            try await subject.state.insert(["s"], into: events, under: "a")
            try await subject.state.remove(["b"], from: addresses)
            let version = try await subject.state.version(of: addresses)
            let again = try await subject.reopened()
            findings.expect(try await again.members(of: addresses), ["a"])
            findings.expect(try await again.members(of: events, under: "a"), ["s"])
            findings.expect(try await again.version(of: addresses) >= version, "versions do not go back")
            try await again.insert(["c"], into: addresses)
            findings.expect(try await again.version(of: addresses) > version, "versions go on")
            findings.expect(try await again.members(of: addresses), ["a", "c"])
        },
    ]
}
