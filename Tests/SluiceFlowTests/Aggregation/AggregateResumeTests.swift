import SluiceCore
import Testing

@testable import SluiceFlow

@Suite("Where an aggregator goes on") struct AggregateResumeTests {
    private func ref(_ number: UInt64, _ branch: UInt8 = 0) -> BlockRef { FakeBlock(number: number, branch: branch).ref }

    /// Records of bundles on branch 0, and of those on branch 1 that left it behind `fork`.
    private func records(_ main: ClosedRange<UInt64>, fork: UInt64? = nil, to last: UInt64 = 0) -> [BundleRecord] {
        func record(_ number: UInt64, _ branch: UInt8, parent: UInt8) -> BundleRecord {
            let began = ref(99, 7)
            let taken = ref(100 + number, branch)
            let mark = BundleRecord.Mark(taken: taken, seen: taken, readFrom: taken, began: began, lateBelow: 0)
            return BundleRecord(
                number: number, hash: ref(number, branch).hash, parentHash: number == 1 ? .zero : ref(number - 1, parent).hash,
                marks: [mark])
        }
        var all = main.map { record($0, 0, parent: 0) }
        if let fork { all += (fork + 1...last).map { record($0, 1, parent: $0 == fork + 1 ? 0 : 1) } }
        return all
    }

    private func resume(_ lasts: [BlockRef?], _ records: [BundleRecord], isRepeatable: Bool = true) throws -> AggregateResume {
        try AggregateResume("p", lasts: lasts, records: records, streams: 1, isRepeatable: isRepeatable)
    }

    @Test("the first time it begins where the streams begin")
    func first() throws {
        let resume = try resume([nil, nil], [])
        #expect(resume.chain.isEmpty && resume.began == [nil] && resume.rollbacks.isEmpty && resume.ahead == [nil, nil])
    }

    @Test("it goes on behind the sink that is furthest behind, and knows what the others have")
    func behind() throws {
        let resume = try resume([ref(7), ref(5)], records(3...9))
        #expect(resume.chain.map(\.number) == [3, 4, 5] && resume.rollbacks.isEmpty)
        #expect(resume.ahead[0] == .init(through: ref(7), known: [6: ref(6).hash, 7: ref(7).hash]))
        #expect(resume.ahead[1] == nil)
    }

    @Test("a sink that holds bundles which were undone meanwhile is rolled back to what it has in common with the other")
    func diverged() throws {
        let resume = try resume([ref(6, 1), ref(8)], records(1...8, fork: 4, to: 6))
        #expect(resume.rollbacks == [0: ref(4)])
        #expect(resume.chain.map(\.ref) == (1...4).map { ref($0) })
        #expect(resume.ahead[0] == nil && resume.ahead[1]?.through == ref(8) && resume.ahead[1]?.known.count == 4)
        let nothing = try self.resume(
            [ref(2, 1), ref(8)], records(1...8, fork: 0, to: 2).filter { $0.hash != ref(1, 1).hash } + firstOfFork())
        #expect(nothing.rollbacks == [0: Position(number: 0, hash: .zero)] && nothing.chain.isEmpty)
    }

    private func firstOfFork() -> [BundleRecord] {
        [BundleRecord(number: 1, hash: ref(1, 1).hash, parentHash: .zero, marks: records(1...1)[0].marks)]
    }

    @Test("a sink without anything makes it begin anew, where the streams began then, when that gives the same bundles")
    func fresh() throws {
        let again = try resume([ref(7), nil], records(5...7))
        #expect(again.chain.isEmpty && again.began == [ref(99, 7)])
        #expect(again.ahead == [.init(through: ref(7), known: [5: ref(5).hash, 6: ref(6).hash, 7: ref(7).hash]), nil])
        // All records are there: what is made in another order can be undone.
        #expect(try resume([ref(7), nil], records(1...7), isRepeatable: false).chain.isEmpty)
        #expect { try resume([ref(7), nil], records(5...7), isRepeatable: false) } throws: {
            ($0 as? SluiceError)?.code == .bundleRecords && "\($0)".contains("before 5")
        }
    }

    @Test("a sink that ends at a bundle of which nothing is known is an error that says so")
    func unknown() {
        for lasts in [[ref(9)], [ref(3, 1)], [ref(3), ref(9)]] {
            #expect { try resume(lasts, records(1...7)) } throws: { ($0 as? SluiceError)?.code == .bundleRecords }
        }
    }
}
