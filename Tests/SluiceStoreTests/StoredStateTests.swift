import Glibc
import SluiceCore
import SluiceStore
import SluiceTestKit
import Testing

/// Opens the same state file again and again.
private actor Reopening {
    private let path: String
    private var store: StateStore?

    init(_ path: String) { self.path = path }

    func open() async throws -> StoredState {
        await store?.close()
        let opened = try await StateStore.open(path)
        store = opened
        return try await StoredState.open(opened)
    }
}

@Suite struct StoredStateTests {
    private let folder: StoreFolder
    private let addresses = StateKey(pipeline: "p0", prefix: "account_balance", id: "address")

    init() throws { folder = try StoreFolder() }

    @Test("shared state in the state file", arguments: SharedStateConformance.cases)
    func conforms(_ item: SharedStateConformance.Case) async throws {
        let reopening = Reopening(folder.file("s"))
        let state = try await reopening.open()
        let subject = SharedStateConformance.Subject(state: state, other: state) { try await reopening.open() }
        #expect(try await item.run(subject) == [])
    }

    @Test("shared state in memory", arguments: SharedStateConformance.cases)
    func memoryConforms(_ item: SharedStateConformance.Case) async throws {
        let state = MemoryState()
        #expect(try await item.run(SharedStateConformance.Subject(state: state, other: state) { state }) == [])
    }

    @Test("it is read at once, without waiting for the file")
    func current() async throws {
        let state = try await StoredState.open(StateStore.open(folder.file("s")))
        #expect(state.current(addresses).members == [])
        try await state.insert(["b", "a"], into: addresses)
        #expect(state.current(addresses).members == ["a", "b"])
        #expect(state.current(addresses).contains("a") && !state.current(addresses).contains("c"))
    }

    @Test("what cannot be written is not believed")
    func closed() async throws {
        let store = try await StateStore.open(folder.file("s"))
        let state = try await StoredState.open(store)
        try await state.insert(["a"], into: addresses)
        let version = try await state.version(of: addresses)
        await store.close()
        let error = await #expect(throws: SluiceError.self) { try await state.insert(["b"], into: addresses) }
        #expect(error?.code == .storeClosed)
        #expect(state.current(addresses).members == ["a"])
        #expect(try await state.version(of: addresses) == version)
    }

    @Test("a view reads again when, and only when, something changed")
    func view() async throws {
        let state = MemoryState()
        let view = StateView(state, key: addresses)
        #expect(view.snapshot.members == [])
        #expect(try await view.refresh())
        #expect(try await !view.refresh())
        try await state.insert(["a"], into: addresses)
        #expect(view.snapshot.members == [])
        #expect(try await view.refresh())
        #expect(view.snapshot.members == ["a"])
        try await state.insert(["x"], into: StateKey(pipeline: "p1", prefix: "account_balance", id: "address"))
        #expect(try await !view.refresh())
        try await state.delete(pipeline: "p0")
        #expect(try await view.refresh())
        #expect(view.snapshot.members == [])
    }

    @Test("a key prints as people read it")
    func keyText() { #expect("\(addresses)" == "p0-account_balance-address") }

    @Test("a killed process leaves everything that it acknowledged, and no half of a change")
    func killed() async throws {
        let path = folder.file("s")
        var pipe: [Int32] = [0, 0]
        #expect(Glibc.pipe(&pipe) == 0)
        var child = pid_t()
        try #require(ChildProcess.spawnSelf(&child, filter: "changesUntilKilled", variable: "SLUICE_STATE_CHILD=\(path) \(pipe[1])"))
        close(pipe[1])
        let (fd, pid) = (pipe[0], child)
        let acknowledged = await withCheckedContinuation { continuation in
            TestThread.start {
                var (seen, byte) = (0, UInt8(0))
                while seen < 40, read(fd, &byte, 1) == 1 { seen += 1 }
                kill(pid, SIGKILL)
                while read(fd, &byte, 1) == 1 { seen += 1 }
                var status: Int32 = 0
                waitpid(pid, &status, 0)
                close(fd)
                continuation.resume(returning: seen)
            }
        }
        try #require(acknowledged >= 40)
        let state = try await StoredState.open(StateStore.open(path))
        let found = state.current(addresses).members
        // One more may be durable than was acknowledged; every change has three members, and all of them are there.
        #expect(found.count == 3 * acknowledged || found.count == 3 * (acknowledged + 1), "\(found.count) of \(acknowledged)")
    }

    @Test("the child of the test above", .enabled(if: getenv("SLUICE_STATE_CHILD") != nil))
    func changesUntilKilled() async throws {
        let words = try #require(getenv("SLUICE_STATE_CHILD").map { String(cString: $0).split(separator: " ").map(String.init) })
        let pipe = try #require(Int32(words[1]))
        let state = try await StoredState.open(StateStore.open(words[0]))
        for number in 0..<100_000 {
            try await state.insert(["\(number) a", "\(number) b", "\(number) c"], into: addresses)
            var byte: UInt8 = 1
            guard write(pipe, &byte, 1) == 1 else { return }
        }
    }
}
