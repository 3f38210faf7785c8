import Glibc
import SluiceCore
import Synchronization
import Testing

@testable import SluiceFlow

@Suite(.timeLimit(.minutes(1))) struct EdgeSpillTests {
    @Test(
        "what memory has no room for goes by the disk: all of it arrives, in order, and nothing is left",
        arguments: [1, 2, 3, 4] as [UInt64])
    func order(seed: UInt64) async throws {
        let folder = TemporaryFolder()
        let space = SpillSpace(folder: folder.path, limit: 1 << 30, segmentSize: 1 << 14)
        let edge = Edge(capacity: 6_000, policy: .spill(space))
        var random = SeededRandom(seed: seed)
        var sent: [String] = []
        var transits: [Transit] = []
        for number in 0..<3_000 {
            switch Int.random(in: 0..<12, using: &random) {
            case 0: transits.append(.finalized(UInt64(number)))
            case 1: transits.append(.rollback(to: FakeBlock(number: UInt64(number), branch: 0).ref))
            default: transits.append(numbered(number, rows: Int.random(in: 0...(number % 50 == 0 ? 300 : 5), using: &random)))
            }
            sent.append(name(transits[number]))
        }
        let rows = transits.reduce(0) { sum, transit in if case .batch(let batch) = transit { sum + batch.rowCount } else { sum } }
        let pauses = (0..<3_000).map { _ in Int.random(in: 0..<8, using: &random) }
        async let sending: Void = { [transits] in
            for transit in transits { try await edge.send(transit) }
            edge.finish()
        }()
        var received: [String] = []
        while let transit = try await edge.receive() {
            received.append(name(transit))
            if received.count % 100 == 0 { try await Task.sleep(for: .milliseconds(2)) }
            for _ in 0..<pauses[received.count % 3_000] { await Task.yield() }
            let accounts = edge.accounts
            #expect(accounts.isBalanced)
        }
        try await sending
        #expect(received == sent)
        let accounts = edge.accounts
        #expect(accounts.received.rows == rows && accounts.sent == accounts.received && accounts.spilled.batches > 0)
        #expect(accounts.memoryBytes == 0 && accounts.diskBytes == 0 && folder.files.isEmpty)
    }

    @Test("a branch that stands still does not hold its sibling, and memory stays within bounds")
    func sibling() async throws {
        let folder = TemporaryFolder()
        let capacity = 4 * weight()
        let slow = Edge(capacity: capacity, policy: .spill(SpillSpace(folder: folder.path, limit: 1 << 30)))
        let quick = Edge(capacity: capacity)
        let reading = Task { try await quick.all() }
        // Nobody reads the slow branch; all of it is sent all the same.
        for number in 0..<2_000 {
            for edge in [slow, quick] { try await edge.send(numbered(number)) }
            #expect(slow.accounts.memoryBytes <= 2 * capacity)
        }
        for edge in [slow, quick] { edge.finish() }
        let all = (0..<2_000).map { "\($0)" }
        #expect(try await reading.value == all)
        #expect(slow.accounts.received.batches == 0 && slow.accounts.waiting.batches == 2_000)
        #expect(try await slow.all() == all)
        #expect(folder.files.isEmpty)
    }

    @Test("the sender waits when the space on disk is used up, and goes on when some comes back")
    func limit() async throws {
        let folder = TemporaryFolder()
        let edge = Edge(capacity: 3 * weight(), policy: .spill(SpillSpace(folder: folder.path, limit: 60_000)))
        let sent = Box(0)
        let sending = Task {
            for number in 0..<2_000 {
                try await edge.send(numbered(number))
                sent.change { $0 += 1 }
            }
            edge.finish()
        }
        var received: [String] = []
        while received.count < 2_000 {
            try await eventually("it waits, or is through") {
                let accounts = edge.accounts
                return accounts.suspended == 1 && accounts.diskBytes > 40_000 || sent.value == 2_000
            }
            #expect(edge.accounts.diskBytes <= 60_000 && edge.accounts.memoryBytes <= 6 * weight())
            for _ in 0..<300 where received.count < 2_000 {
                received.append(name(try await edge.receive()))
                #expect(edge.accounts.diskBytes <= 60_000)
            }
        }
        try await sending.value
        #expect(received == (0..<2_000).map { "\($0)" } && folder.files.isEmpty)
    }

    @Test("a batch larger than the whole space waits for memory, alone")
    func tooLarge() async throws {
        let folder = TemporaryFolder()
        let edge = Edge(capacity: 2 * weight(), policy: .spill(SpillSpace(folder: folder.path, limit: 5_000)))
        let sending = Task {
            for number in 0..<60 { try await edge.send(numbered(number, rows: number % 10 == 5 ? 1_000 : 1)) }
            edge.finish()
        }
        #expect(try await edge.all() == (0..<60).map { "\($0)" })
        try await sending.value
        #expect(edge.accounts.isBalanced && folder.files.isEmpty)
    }

    @Test("a batch that was too large for the disk does not keep those behind it from there")
    func tooLargePassed() async throws {
        let folder = TemporaryFolder()
        let edge = Edge(capacity: 2 * weight(), policy: .spill(SpillSpace(folder: folder.path, limit: 5_000)))
        try await edge.send(numbered(0))
        try await edge.send(numbered(1, rows: 1_000))
        let third = Task { try await edge.send(numbered(2)) }
        try await eventually("it waits behind the large one") { edge.accounts.suspended == 1 }
        #expect(name(edge.receiveNow()) == "0")
        try await third.value
        try await eventually("it is on disk") { edge.accounts.onDisk.batches == 1 }
        edge.finish()
        #expect(try await edge.all() == ["1", "2"])
    }

    @Test("what is being written is not handed to the reader besides")
    func readWhileWriting() async throws {
        let folder = TemporaryFolder()
        let gate = DiskGate(isOpen: true)
        let edge = Edge(
            capacity: 2 * weight(), policy: .spill(SpillSpace(folder: folder.path, limit: 1 << 20)), calls: gate.calls, onTrouble: { _ in })
        try await eventually("the folder is ready") { gate.passed == 1 }
        gate.set(isOpen: false)
        for number in 0..<4 { try await edge.send(numbered(number)) }
        try await eventually("the disk is at it") { gate.isHolding }
        #expect([edge.receiveNow(), edge.receiveNow(), edge.receiveNow()].map(name) == ["0", "1", "end"])
        #expect(edge.accounts.inMemory.batches == 2 && !edge.isIdle)
        gate.set(isOpen: true)
        edge.finish()
        #expect(try await edge.all() == ["2", "3"])
        #expect(edge.accounts.received.batches == 4 && edge.accounts.isBalanced)
    }

    @Test("an edge that fails while the disk is at it takes nothing from it any more", arguments: [true, false])
    func failsMeanwhile(reading: Bool) async throws {
        let folder = TemporaryFolder()
        let gate = DiskGate(isOpen: true)
        let edge = Edge(
            capacity: 2 * weight(), policy: .spill(SpillSpace(folder: folder.path, limit: 1 << 20)), calls: gate.calls, onTrouble: { _ in })
        try await eventually("the folder is ready") { gate.passed == 1 }
        if reading {
            for number in 0..<9 { try await edge.send(numbered(number)) }
            try await eventually("all is written") { edge.accounts.onDisk.batches == 7 }
            gate.set(isOpen: false)
            #expect(name(edge.receiveNow()) == "0")
        } else {
            gate.set(isOpen: false)
            for number in 0..<4 { try await edge.send(numbered(number)) }
        }
        try await eventually("the disk is at it") { gate.isHolding }
        edge.fail(Broken())
        gate.set(isOpen: true)
        try await eventually("the files are gone") { !gate.isHolding && folder.files.isEmpty && edge.accounts.diskBytes == 0 }
        #expect(edge.accounts.isBalanced && edge.accounts.waiting == .init() && edge.accounts.memoryBytes == 0)
        #expect(edge.receiveNow() == nil)
    }

    @Test("while the disk is slow the sender waits for it, and order holds")
    func slowDisk() async throws {
        let folder = TemporaryFolder()
        let gate = DiskGate(isOpen: false)
        let edge = Edge(
            capacity: 2 * weight(), policy: .spill(SpillSpace(folder: folder.path, limit: 1 << 20)), calls: gate.calls, onTrouble: { _ in })
        // Two in memory for the reader, two on their way to the disk.
        for number in 0..<4 { try await edge.send(numbered(number)) }
        let fifth = Task { try await edge.send(numbered(4)) }
        try await eventually("the fifth waits") { edge.accounts.suspended == 1 }
        #expect(edge.accounts.onDisk.batches == 0 && edge.accounts.memoryBytes == 4 * weight())
        gate.set(isOpen: true)
        try await fifth.value
        edge.finish()
        #expect(try await edge.all() == ["0", "1", "2", "3", "4"])
    }

    @Test("a disk that fills turns the edge back to block: nothing is lost, and it says so once")
    func diskFull() async throws {
        let folder = TemporaryFolder()
        let room = Mutex(20_000)
        var calls = SpillCalls()
        calls.write = { descriptor, bytes in
            let most = room.withLock { room in
                defer { room -= min(room, bytes.count) }
                return min(room, bytes.count)
            }
            errno = ENOSPC
            return most == 0 ? -1 : Glibc.write(descriptor, bytes.baseAddress, most)
        }
        let troubles = Box<[SluiceError]>([])
        let edge = Edge(
            capacity: 3 * weight(), policy: .spill(SpillSpace(folder: folder.path, limit: 1 << 30)), calls: calls,
            onTrouble: { error in troubles.change { $0.append(error) } })
        let sending = Task {
            for number in 0..<500 { try await edge.send(numbered(number)) }
            edge.finish()
        }
        try await eventually("the sender waits") { edge.accounts.suspended == 1 && !troubles.value.isEmpty }
        #expect(edge.accounts.spilled.batches > 3 && edge.accounts.isBalanced)
        let before = edge.accounts.spilled
        #expect(try await edge.all() == (0..<500).map { "\($0)" })
        try await sending.value
        #expect(troubles.value.count == 1 && troubles.value.first?.code == .spillUnavailable)
        #expect(edge.accounts.spilled == before && edge.accounts.isBalanced && folder.files.isEmpty)
    }

    @Test("the same with a real limit of the system")
    func fileSizeLimit() async {
        let folder = TemporaryFolder()
        await #expect(processExitsWith: .success) { [path = folder.path as String] in
            signal(SIGXFSZ, SIG_IGN)
            var limit = rlimit(rlim_cur: 10_000, rlim_max: 10_000)
            guard setrlimit(__rlimit_resource_t(UInt32(RLIMIT_FSIZE.rawValue)), &limit) == 0 else { exit(3) }
            let troubles = Box(0)
            let space = SpillSpace(folder: path, limit: 1 << 30)
            let edge = Edge(capacity: 3 * weight(), policy: .spill(space), onTrouble: { _ in troubles.change { $0 += 1 } })
            let sending = Task {
                for number in 0..<200 { try await edge.send(numbered(number)) }
                edge.finish()
            }
            for _ in 0..<20_000 where troubles.value == 0 { try await Task.sleep(for: .milliseconds(1)) }
            guard try await edge.all() == (0..<200).map({ "\($0)" }), troubles.value == 1 else { exit(4) }
            try await sending.value
            exit(edge.accounts.spilled.batches > 0 && edge.accounts.isBalanced ? 0 : 5)
        }
        #expect(folder.files.isEmpty)
    }

    @Test("without a folder the edge blocks from the start, and says so")
    func noFolder() async throws {
        let folder = TemporaryFolder()
        folder.write([1], to: "file")
        let troubles = Box<[SluiceError]>([])
        let edge = Edge(capacity: 1, policy: .spill(SpillSpace(folder: folder.path + "/file", limit: 1 << 20))) { error in
            troubles.change { $0.append(error) }
        }
        try await eventually("it says so") { troubles.value.count == 1 }
        try await edge.send(numbered(1))
        let second = Task { try await edge.send(numbered(2)) }
        try await eventually("the sender waits") { edge.accounts.suspended == 1 }
        edge.finish()
        #expect(try await edge.all() == ["1", "2"])
        try await second.value
        #expect(troubles.value.map(\.code) == [.spillUnavailable])
    }

    @Test("a damaged file ends the edge for both sides, even when it had finished; the accounts still balance", arguments: [true, false])
    func damage(finished: Bool) async throws {
        let folder = TemporaryFolder()
        let edge = Edge(capacity: 2 * weight(), policy: .spill(SpillSpace(folder: folder.path, limit: 1 << 20)))
        for number in 0..<50 { try await edge.send(numbered(number)) }
        try await eventually("all is written") { edge.accounts.onDisk.batches == 48 }
        if finished { edge.finish() }
        let file = folder.files[0]
        var bytes = folder.read(file)
        bytes[bytes.count - 1] ^= 1
        folder.write(bytes, to: file)
        var received = 0
        let error = await #expect(throws: SluiceError.self) { while try await edge.receive() != nil { received += 1 } }
        #expect(error?.code == .spillDamaged && error?.message.contains(file) ?? false)
        #expect(received < 50)
        await #expect(throws: (any Error).self) { try await edge.send(numbered(50)) }
        #expect(edge.accounts.isBalanced && edge.accounts.abandoned.batches == 50 - received)
        try await eventually("the files are gone") { folder.files.isEmpty && edge.accounts.diskBytes == 0 }
    }

    @Test("files go with an edge that fails, and with one that nobody holds any more")
    func cleaning() async throws {
        let folder = TemporaryFolder()
        func filled() async throws -> Edge {
            let edge = Edge(capacity: weight(), policy: .spill(SpillSpace(folder: folder.path, limit: 1 << 20, segmentSize: 5_000)))
            for number in 0..<100 { try await edge.send(numbered(number)) }
            try await eventually("all is written") { edge.accounts.onDisk.batches == 99 }
            #expect(folder.files.count > 3)
            return edge
        }
        let failing = try await filled()
        failing.fail(Broken())
        #expect(failing.accounts.abandoned == .init(batches: 100, rows: 100) && failing.accounts.isBalanced)
        try await eventually("the files are gone") { folder.files.isEmpty }
        _ = try await filled()
        try await eventually("the files are gone") { folder.files.isEmpty }
    }

    @Test("a receiver that waits for the disk can be cancelled, and nothing is lost")
    func cancelledReceiver() async throws {
        let folder = TemporaryFolder()
        let gate = DiskGate(isOpen: true)
        let edge = Edge(
            capacity: weight(), policy: .spill(SpillSpace(folder: folder.path, limit: 1 << 20)), calls: gate.calls, onTrouble: { _ in })
        for number in 0..<10 { try await edge.send(numbered(number)) }
        try await eventually("all is written") { edge.accounts.onDisk.batches == 9 }
        gate.set(isOpen: false)
        #expect(name(edge.receiveNow()) == "0")
        let waiting = Task { try await edge.receive() }
        for _ in 0..<200 { await Task.yield() }
        #expect(edge.receiveNow() == nil && !edge.isIdle)
        waiting.cancel()
        await #expect(throws: CancellationError.self) { try await waiting.value }
        gate.set(isOpen: true)
        edge.finish()
        #expect(try await edge.all() == (1..<10).map { "\($0)" })
    }
}
