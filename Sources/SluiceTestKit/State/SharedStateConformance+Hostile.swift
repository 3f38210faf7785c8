import SluiceCore

private let addresses = StateKey(pipeline: "p0", prefix: "account_balance", id: "address")

extension SharedStateConformance {
    /// Texts that stores have stumbled over: nothing at all, every byte that a text can hold, what ends lines and strings, what looks
    /// like a protocol or a pattern, and two that look the same and are not.
    static let hostileTexts: [String] =
        [
            "", " ", "\n", "\r\n", "a\nb", "\0", "a\0b", "*3\r\n$3\r\nSET\r\n", ":", "::", "a:b", "a%3Ab", "%", "*", "?", "[a]", "'",
            "\"", "'; DROP TABLE state_members; --", "\u{FEFF}", "\u{1F600}", "e\u{301}", "\u{E9}", "\u{10FFFF}", "nil", "-", "--",
            String(repeating: "long ", count: 2_000), String(String.UnicodeScalarView((0..<256).compactMap { Unicode.Scalar($0) })),
        ]

    static let hostile: [Case] = [
        Case(description: "members and items may be any text") { subject, findings in
            let texts = hostileTexts
            try await subject.state.insert(texts, into: addresses)
            findings.expect(try await subject.other.members(of: addresses), inByteOrder(texts))
            for text in texts { try await subject.state.insert(texts, into: addresses, under: text) }
            let snapshot = try await subject.other.snapshot(of: addresses)
            for text in texts { findings.expect(snapshot.items(of: text), inByteOrder(texts)) }
            let again = try await subject.reopened()
            findings.expect(try await again.members(of: addresses), inByteOrder(texts))
            let entries = texts.map { StateSnapshot.Entry(member: $0, items: texts) }
            try await again.exchange(removing: entries, adding: [], in: addresses)
            findings.expect(try await again.keys(of: "p0").isEmpty, "all was taken away")
            try await again.exchange(removing: [], adding: entries, in: addresses)
            try await again.remove(texts, from: addresses, under: "")
            try await again.remove(["\u{E9}", "\0"], from: addresses)
            let left = texts.filter { !["\u{E9}", "\0"].map { Array($0.utf8) }.contains(Array($0.utf8)) }
            findings.expect(try await subject.reopened().members(of: addresses), inByteOrder(left))
            findings.expect(try await again.members(of: addresses, under: ""), [])
            findings.expect(try await again.members(of: addresses, under: "e\u{301}"), inByteOrder(texts))
        },
        Case(description: "the parts of a key may be any text, and no two keys are mixed up") { subject, findings in
            let parts = ["", "a", ":", "a:", ":a", "a:b", "%3A", "-", "a-b", "\0", "\n", "e\u{301}", "\u{E9}"]
            var keys: [StateKey] = []
            for pipeline in parts {
                for prefix in ["", ":", "b:", "%"] {
                    for id in ["", "a", ":c"] { keys.append(StateKey(pipeline: pipeline, prefix: prefix, id: id)) }
                }
            }
            for (index, key) in keys.enumerated() { try await subject.state.insert(["\(index)"], into: key, under: "m") }
            for (index, key) in keys.enumerated() {
                findings.expect(try await subject.other.members(of: key, under: "m"), ["\(index)"])
            }
            for pipeline in parts {
                let found = try await subject.other.keys(of: pipeline)
                findings.expect(found.count == 12 && Set(found).count == 12, "\(found.count) keys of \(pipeline), not 12")
            }
            try await subject.state.delete(pipeline: "a")
            try await subject.state.merge(pipeline: "\u{E9}", into: "e\u{301}")
            findings.expect(try await subject.other.keys(of: "a:").count == 12, "a neighbour went too")
            findings.expect(try await subject.other.keys(of: "a").isEmpty, "keys are left")
            findings.expect(try await subject.other.keys(of: "\u{E9}").isEmpty, "keys are left behind a merge")
        },
        Case(description: "ten thousand members") { subject, findings in
            let many = (0..<10_000).map { "0x" + String(repeating: "0", count: 36) + String(10_000 + $0, radix: 16) }
            let expected = inByteOrder(many)
            try await subject.state.insert(many, into: addresses)
            findings.expect(try await subject.other.members(of: addresses) == expected, "ten thousand members")
            try await subject.state.insert(many, into: addresses, under: many[5])
            findings.expect(try await subject.other.members(of: addresses, under: many[5]) == expected, "ten thousand items")
            try await subject.state.merge(pipeline: "p0", into: "p1")
            let moved = StateKey(pipeline: "p1", prefix: addresses.prefix, id: addresses.id)
            findings.expect(try await subject.other.members(of: moved) == expected, "ten thousand members elsewhere")
            try await subject.state.remove(Array(many.dropFirst(1)), from: moved)
            findings.expect(try await subject.other.members(of: moved), [many[0]])
            try await subject.state.set(many, of: moved)
            let again = try await subject.reopened()
            findings.expect(try await again.members(of: moved) == expected, "ten thousand members later")
            try await again.delete(pipeline: "p1")
            findings.expect(try await again.keys(of: "p1").isEmpty, "nothing is left")
        },
    ]
}
