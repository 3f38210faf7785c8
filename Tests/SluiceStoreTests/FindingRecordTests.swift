import SluiceCore
import SluiceStore
import Testing

@Suite struct FindingRecordTests {
    private let folder: StoreFolder
    private let main = StreamID(pipeline: "main", chainID: 1)

    init() throws { folder = try StoreFolder() }

    private func finding(_ number: UInt64, _ text: String = "x", fork: UInt8 = 0) -> Finding {
        Finding(block: block(number, fork: fork), text: text)
    }

    @Test("what is found in blocks replaces what was found there before, by stream and register, and outlives the program")
    func replace() async throws {
        let other = StreamID(pipeline: "main", chainID: 2)
        var store = try await StateStore.open(folder.file("s"))
        let first = [finding(1), finding(5, "a"), finding(5, "b"), finding(9)]
        try await store.replaceFindings(first, in: 0...9, of: main, register: "r")
        try await store.replaceFindings([finding(5, "other")], in: 0...9, of: other, register: "r")
        try await store.replaceFindings([finding(5, "another")], in: 0...9, of: main, register: "q")
        await store.close()
        store = try await StateStore.open(folder.file("s"))
        #expect(try await store.findings(of: main, register: "r", through: .max) == first)
        #expect(try await store.findings(of: main, register: "r", through: 5) == Array(first.prefix(3)))
        // Another branch of the chain: what it does not say is gone.
        try await store.replaceFindings([finding(6, fork: 1)], in: 5...8, of: main, register: "r")
        #expect(try await store.findings(of: main, register: "r", through: .max) == [finding(1), finding(6, fork: 1), finding(9)])
        try await store.replaceFindings([], in: 2 ... .max, of: main, register: "r")
        #expect(try await store.findings(of: main, register: "r", through: .max) == [finding(1)])
        #expect(try await store.findings(of: other, register: "r", through: .max) == [finding(5, "other")])
        #expect(try await store.findings(of: main, register: "q", through: .max) == [finding(5, "another")])
        await store.close()
    }
}
