import SluiceCore

private let addresses = StateKey(pipeline: "p0", prefix: "account_balance", id: "address")
private let events = StateKey(pipeline: "p0", prefix: "event_log", id: "address")

extension SharedStateConformance {
    static let atomicity: [Case] = [
        Case(description: "a reader sees a set before or after it was replaced, never amid") { subject, findings in
            let even = (0..<200).map { "even \($0)" }
            let odd = (0..<200).map { "odd \($0)" }
            try await subject.state.set(even, of: addresses)
            let (state, other) = (subject.state, subject.other)
            let torn = try await withThrowingTaskGroup(of: Int.self) { group in
                group.addTask {
                    for round in 0..<20 { try await state.set(round % 2 == 0 ? odd : even, of: addresses) }
                    return 0
                }
                group.addTask {
                    var torn = 0
                    for _ in 0..<60 {
                        let members = Set(try await other.members(of: addresses))
                        if members != Set(even), members != Set(odd) { torn += 1 }
                    }
                    return torn
                }
                return try await group.reduce(0, +)
            }
            findings.expect(torn == 0, "\(torn) torn reads")
        },
        Case(description: "changes of many at once are all there") { subject, findings in
            let ways = [subject.state, subject.other]
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (index, way) in ways.enumerated() {
                    for part in 0..<8 {
                        group.addTask {
                            for number in 0..<10 {
                                try await way.insert(["\(index) \(part) \(number)", "all"], into: addresses)
                                try await way.insert(["\(index) \(part)"], into: events, under: "m\(number)")
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
            let snapshot = try await subject.other.snapshot(of: addresses)
            findings.expect(snapshot.entries.count == 161, "\(snapshot.entries.count) members, not 161")
            for number in 0..<10 {
                let items = try await subject.state.members(of: events, under: "m\(number)")
                findings.expect(items.count == 16, "\(items.count) items, not 16")
            }
        },
        Case(description: "a merge and inserts beside it lose nothing") { subject, findings in
            let source = StateKey(pipeline: "p1", prefix: addresses.prefix, id: addresses.id)
            let (state, other) = (subject.state, subject.other)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { for number in 0..<40 { try await state.insert(["m\(number)"], into: source) } }
                group.addTask { for _ in 0..<20 { try await other.merge(pipeline: "p1", into: "p0") } }
                try await group.waitForAll()
            }
            try await other.merge(pipeline: "p1", into: "p0")
            findings.expect(try await state.members(of: addresses), inByteOrder((0..<40).map { "m\($0)" }))
        },
        Case(description: "random changes come out as in memory, and so they do after a new start") { subject, findings in
            let model = MemoryState()
            var random = SeededRandom(seed: 77)
            let pipelines = ["p0", "p1", "p2"]
            let keys = pipelines.flatMap { pipeline in
                ["balances", "events"].map { StateKey(pipeline: pipeline, prefix: $0, id: "address") }
            }
            func pick(_ most: Int, _ letter: String) -> [String] {
                (0..<Int.random(in: 0...most, using: &random)).map { _ in "\(letter)\(Int.random(in: 0..<6, using: &random))" }
            }
            for step in 0..<300 {
                let key = keys[Int.random(in: 0..<keys.count, using: &random)]
                let member = "m\(Int.random(in: 0..<6, using: &random))"
                let change: StateChange
                switch Int.random(in: 0..<24, using: &random) {
                case 0...4: change = .insert(pick(4, "m"), key: key)
                case 5...9: change = .insertUnder(member: member, pick(3, "i"), key: key)
                case 10...12: change = .remove(pick(2, "m"), key: key)
                case 13...15: change = .removeUnder(member: member, pick(3, "i"), key: key)
                case 16: change = .set(pick(4, "m"), key: key)
                case 17: change = .delete(key)
                case 18...21:
                    func entries() -> [StateSnapshot.Entry] { pick(3, "m").map { .init(member: $0, items: pick(2, "i")) } }
                    change = .exchange(removing: entries(), adding: entries(), key: key)
                case 22: change = .deletePipeline(key.pipeline)
                default: change = .merge(pipeline: key.pipeline, into: pipelines[step % 3])
                }
                try await subject.state.apply(change)
                try await model.apply(change)
                for key in keys {
                    let (found, expected) = (try await subject.other.snapshot(of: key), try await model.snapshot(of: key))
                    findings.expect(found.members, expected.members)
                    for member in expected.members { findings.expect(found.items(of: member), expected.items(of: member)) }
                }
                for pipeline in pipelines {
                    let (found, expected) = (try await subject.other.keys(of: pipeline), try await model.keys(of: pipeline))
                    findings.expect(found == expected, "step \(step), \(change): keys \(found), not \(expected)")
                }
                if !findings.violations.isEmpty { return }
            }
            let again = try await subject.reopened()
            for key in keys {
                let (found, expected) = (try await again.snapshot(of: key), try await model.snapshot(of: key))
                findings.expect(found.members, expected.members)
                for member in expected.members { findings.expect(found.items(of: member), expected.items(of: member)) }
            }
        },
    ]
}
