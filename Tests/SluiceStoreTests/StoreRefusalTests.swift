import Glibc
import SluiceCore
import SluiceStore
import Testing

@Suite struct StoreRefusalTests {
    private let folder: StoreFolder
    private let stream = StreamID(pipeline: "main", chainID: 1)

    init() throws { folder = try StoreFolder() }

    /// The error of opening, with its path and a mend.
    private func refused(_ name: String, readOnly: Bool = false) async -> SluiceError? {
        let path = folder.file(name)
        let error = await #expect(throws: SluiceError.self) {
            _ = readOnly ? try await StateStore.openReadOnly(path) : try await StateStore.open(path)
        }
        #expect(error?.message.contains(path) == true, "\(String(describing: error))")
        #expect(error?.mend?.isEmpty == false)
        return error
    }

    @Test("a second opening is refused with the process that holds the file")
    func locked() async throws {
        let store = try await StateStore.open(folder.file("s"))
        let error = await refused("s")
        #expect(error?.code == .storeLocked)
        #expect(error?.message.contains("process \(getpid())") == true)
        await store.close()
        let again = try await StateStore.open(folder.file("s"))
        await again.close()
    }

    @Test(
        "a file that is no database is refused, and left as it is",
        arguments: [[UInt8]("hello, world\n".utf8), Array(repeating: 7, count: 9000)])
    func notADatabase(_ content: [UInt8]) async {
        folder.write("s", content)
        #expect(await refused("s")?.code == .storeForeign)
        #expect(await refused("s", readOnly: true)?.code == .storeForeign)
        #expect(folder.read("s") == content)
    }

    @Test("an empty file is no fresh start")
    func empty() async {
        folder.write("s", [])
        #expect(await refused("s")?.code == .storeCorrupt)
        #expect(await refused("s", readOnly: true)?.code == .storeCorrupt)
    }

    @Test("a log without its file is no fresh start")
    func logOnly() async {
        folder.write("s-wal", [1, 2, 3])
        #expect(await refused("s")?.code == .storeCorrupt)
        #expect(folder.read("s-wal") == [1, 2, 3])
    }

    @Test("reading where nothing is makes nothing")
    func missing() async {
        #expect(await refused("s", readOnly: true)?.code == .storeUnavailable)
        #expect(folder.names == [])
    }

    @Test("a folder in the file's place is refused")
    func directory() async {
        mkdir(folder.file("s"), 0o755)
        #expect(await refused("s")?.code == .storeUnavailable)
        rmdir(folder.file("s"))
    }

    /// Bytes 60-63 of an SQLite file are the user version, 68-71 the application's id, most significant first.
    private func patch(_ offset: Int, _ bytes: [UInt8]) async throws {
        let store = try await StateStore.open(folder.file("s"))
        await store.close()
        var content = try #require(folder.read("s"))
        content.replaceSubrange(offset..<offset + bytes.count, with: bytes)
        folder.write("s", content)
    }

    @Test("a file of a newer version is refused by name of both versions")
    func newer() async throws {
        try await patch(60, [0, 0, 0, 99])
        let error = await refused("s")
        #expect(error?.code == .storeTooNew)
        #expect(error?.message.contains("version 99") == true)
        #expect(await refused("s", readOnly: true)?.code == .storeTooNew)
    }

    @Test("an SQLite file of another program is refused")
    func foreign() async throws {
        try await patch(68, [0, 0, 0, 0])
        #expect(await refused("s")?.code == .storeForeign)
    }

    @Test("a half-made file of a crash is made again")
    func halfMade() async throws {
        folder.write("s.creating", Array(repeating: 3, count: 5000))
        let store = try await StateStore.open(folder.file("s"))
        try await store.setMeta("a", "b")
        await store.close()
        #expect(folder.names == ["s", "s.lock"])
    }

    @Test("a truncated file is damaged")
    func truncated() async throws {
        let store = try await StateStore.open(folder.file("s"))
        try await store.setSegments([run(1, 5)], of: stream, sink: "w")
        await store.close()
        let content = try #require(folder.read("s"))
        folder.write("s", Array(content.prefix(content.count / 2)))
        #expect(await refused("s")?.code == .storeCorrupt)
    }
}
