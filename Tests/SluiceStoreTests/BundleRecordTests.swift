import SluiceCore
import SluiceStore
import Testing

@Suite struct BundleRecordTests {
    private let folder: StoreFolder

    init() throws { folder = try StoreFolder() }

    private func bundle(_ number: UInt64, fork: UInt8 = 0, _ record: [UInt8] = [1, 0, 255]) -> StoredBundle {
        StoredBundle(block: block(number, fork: fork), record: record)
    }

    @Test("records survive closing and opening, the empty one and the large one as well")
    func survive() async throws {
        var store = try await StateStore.open(folder.file("s"))
        let large = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        try await store.save([bundle(3), bundle(1, []), bundle(2, large)], of: "main")
        try await store.save([bundle(9)], of: "other")
        try await store.save([], of: "main")
        await store.close()
        store = try await StateStore.open(folder.file("s"))
        #expect(try await store.bundles(of: "main") == [bundle(1, []), bundle(2, large), bundle(3)])
        #expect(try await store.bundles(of: "main", behind: 1) == [bundle(2, large), bundle(3)])
        #expect(try await store.bundles(of: "main", behind: 3) == [])
        #expect(try await store.bundles(of: "none") == [])
    }

    @Test("a bundle that was undone stays beside the one in its place; one that comes again has the newer record")
    func branches() async throws {
        let store = try await StateStore.open(folder.file("s"))
        try await store.save((1...3).map { bundle($0) }, of: "main")
        try await store.save([bundle(3, fork: 1), bundle(2, fork: 1)], of: "main")
        let kept = Set(try await store.bundles(of: "main").map(\.block))
        #expect(kept == Set((1...3).map { block($0) } + [block(2, fork: 1), block(3, fork: 1)]))
        #expect(try await store.bundles(of: "main").map(\.block.number) == [1, 2, 2, 3, 3])
        try await store.save([bundle(3, fork: 1, [7])], of: "main")
        #expect(try await store.bundles(of: "main").first { $0.block == block(3, fork: 1) }?.record == [7])
        #expect(try await store.bundles(of: "main").count == 5)
    }

    @Test("what is final is forgotten, of one pipeline alone")
    func forget() async throws {
        let store = try await StateStore.open(folder.file("s"))
        for name in ["main", "other"] { try await store.save((1...9).map { bundle($0) }, of: name) }
        try await store.pruneBundles(of: "main", through: 3)
        #expect(try await store.bundles(of: "main").map(\.block.number) == [4, 5, 6, 7, 8, 9])
        #expect(try await store.bundles(of: "other").count == 9)
        try await store.removeBundles(of: "main")
        #expect(try await store.bundles(of: "main") == [])
        #expect(try await store.bundles(of: "other").count == 9)
    }

    @Test("a number that cannot be stored undoes the whole step")
    func atomic() async throws {
        let store = try await StateStore.open(folder.file("s"))
        await #expect(throws: SluiceError.self) { try await store.save([bundle(1), bundle(.max)], of: "main") }
        #expect(try await store.bundles(of: "main") == [])
    }

    @Test("hostile names are names", arguments: hostileTexts)
    func hostile(_ text: String) async throws {
        let store = try await StateStore.open(folder.file("s"))
        try await store.save([bundle(1)], of: text)
        try await store.save([bundle(2)], of: "main")
        #expect(try await store.bundles(of: text) == [bundle(1)])
        try await store.removeBundles(of: text)
        #expect(try await store.bundles(of: "main") == [bundle(2)])
    }
}
