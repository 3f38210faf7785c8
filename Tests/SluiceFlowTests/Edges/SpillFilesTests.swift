import Glibc
import SluiceCore
import Synchronization
import Testing

@testable import SluiceFlow

@Suite(.timeLimit(.minutes(1))) struct SpillFilesTests {
    private func items(_ count: Int, seed: UInt64) -> [EdgeItem] {
        var tables = RandomTables(seed: seed)
        return (0..<count).map { _ in EdgeItem(tables.transit()) }
    }

    @Test("what was written comes back in order, across files, and the files go with it", arguments: 0..<10 as Range<UInt64>)
    func order(seed: UInt64) throws {
        let folder = TemporaryFolder()
        let files = SpillFiles(SpillSpace(folder: folder.path, limit: 1 << 30, segmentSize: 20_000), calls: SpillCalls())
        try files.open()
        var random = SeededRandom(seed: seed)
        var waiting = items(200, seed: seed)[...]
        var expected: [[UInt8]] = []
        var read = 0
        var bytes = 0
        var most = 0
        while read < 200 {
            if Bool.random(using: &random), !waiting.isEmpty {
                let part = waiting.prefix(Int.random(in: 1...9, using: &random))
                let written = files.append(Array(part))
                #expect(written.count == part.count && written.error == nil && !written.isFull && written.bytes > bytes)
                bytes = written.bytes
                expected += part.map { facts($0.transit) }
                waiting = waiting.dropFirst(part.count)
            } else {
                let room = Int.random(in: 0...20_000, using: &random)
                let takesOne = Bool.random(using: &random)
                let loaded = try files.read(room: room, takesOne: takesOne)
                for item in loaded.items {
                    #expect(facts(item.transit) == expected[read])
                    read += 1
                }
                if takesOne, read < expected.count { #expect(!loaded.items.isEmpty || loaded.nextWeight == nil) }
                #expect((loaded.nextWeight == nil) == (read == expected.count))
                let weight = loaded.items.reduce(0) { $0 + $1.weight }
                #expect(weight <= room || takesOne && loaded.items.count == 1)
                bytes = loaded.bytes
            }
            most = max(most, folder.files.count)
            #expect((bytes == 0) == folder.files.isEmpty)
        }
        #expect(most > 1 && bytes == 0 && folder.files.isEmpty)
    }

    @Test("the limit is never passed, and what does not fit can be written when a file was read")
    func limit() throws {
        let folder = TemporaryFolder()
        let files = SpillFiles(SpillSpace(folder: folder.path, limit: 40_000), calls: SpillCalls())
        try files.open()
        let all = items(400, seed: 3)
        var (at, read) = (0, 0)
        while read < all.count {
            let written = files.append(Array(all[at...]))
            #expect(written.bytes <= 40_000)
            at += written.count
            let onDisk = folder.files.reduce(0) { $0 + folder.read($1).count }
            #expect(onDisk == written.bytes)
            guard written.isFull || at == all.count else { continue }
            read += try files.read(room: 1 << 20, takesOne: true).items.count
        }
        #expect(at == read && folder.files.isEmpty)
    }

    @Test("every byte that changes in a file is noticed, and named with file and place")
    func damage() throws {
        let folder = TemporaryFolder()
        let space = SpillSpace(folder: folder.path, limit: 1 << 30)
        func prepared() throws -> (SpillFiles, String, Int) {
            let files = SpillFiles(space, calls: SpillCalls())
            try files.open()
            let first = files.append([EdgeItem(.rollback(to: FakeBlock(number: 9, branch: 0).ref))]).bytes
            _ = files.append([EdgeItem(numbered(1, rows: 3)), EdgeItem(.finalized(3))])
            return (files, folder.files[0], first)
        }
        let (_, any, _) = try prepared()
        let size = folder.read(any).count
        for place in 0..<size {
            let (files, name, first) = try prepared()
            var bytes = folder.read(name)
            bytes[place] ^= UInt8(1 << (place % 8))
            folder.write(bytes, to: name)
            let error = #expect(throws: SluiceError.self) {
                while !(try files.read(room: 0, takesOne: true).items.isEmpty) {}
            }
            #expect(error?.code == .spillDamaged && error?.class == .pause)
            let offset = place < first ? "at byte 0:" : "at byte "
            #expect(error?.message.contains("\(folder.path)/\(name) \(offset)") ?? false)
        }
    }

    @Test("a file that is cut, gone, or has its records in another order is noticed")
    func lost() throws {
        let folder = TemporaryFolder()
        let space = SpillSpace(folder: folder.path, limit: 1 << 30)
        for kind in ["cut", "gone", "swapped", "empty"] {
            let files = SpillFiles(space, calls: SpillCalls())
            try files.open()
            let size = files.append([EdgeItem(.finalized(1))]).bytes
            _ = files.append([EdgeItem(.finalized(2))])
            let name = folder.files[0]
            let bytes = folder.read(name)
            switch kind {
            case "cut": folder.write(Array(bytes[..<(size + 20)]), to: name)
            case "gone": unlink(folder.path + "/" + name)
            case "swapped": folder.write(Array(bytes[size...] + bytes[..<size]), to: name)
            default: folder.write([], to: name)
            }
            let error = #expect(throws: SluiceError.self, "\(kind)") { while !(try files.read(room: 0, takesOne: true).items.isEmpty) {} }
            #expect(error?.code == .spillDamaged)
            #expect(error?.message.contains(name) ?? false)
        }
    }

    @Test("what an earlier run left is deleted, and nothing else")
    func stale() throws {
        let folder = TemporaryFolder()
        let deep = folder.path + "/a/b"
        defer { for path in ["/a/b", "/a"] { rmdir(folder.path + path) } }
        try SpillFiles(SpillSpace(folder: deep, limit: 1000), calls: SpillCalls()).open()
        folder.write([1, 2, 3], to: "0000000000000001.spill")
        folder.write([4], to: "notes.txt")
        let files = SpillFiles(SpillSpace(folder: folder.path, limit: 1 << 20), calls: SpillCalls())
        try files.open()
        #expect(folder.files == ["a", "notes.txt"])
        #expect(files.append([EdgeItem(.finalized(1))]).count == 1 && folder.files.count == 3)
        files.removeAll()
        #expect(folder.files == ["a", "notes.txt"])
    }

    @Test("a folder that cannot be made is an error with its path")
    func noFolder() {
        let folder = TemporaryFolder()
        folder.write([1], to: "file")
        let files = SpillFiles(SpillSpace(folder: folder.path + "/file/below", limit: 1000), calls: SpillCalls())
        let error = #expect(throws: SluiceError.self) { try files.open() }
        #expect(error?.code == .spillUnavailable)
        #expect(error?.message.contains(folder.path + "/file/below") ?? false)
    }

    @Test("a write that stops half-way counts for nothing; what was there before can be read")
    func tornWrite() throws {
        let folder = TemporaryFolder()
        let room = Mutex(Int.max)
        var calls = SpillCalls()
        calls.write = { descriptor, bytes in
            let most = room.withLock { room in
                defer { room -= min(room, bytes.count) }
                return min(room, bytes.count)
            }
            errno = ENOSPC
            return most == 0 ? -1 : Glibc.write(descriptor, bytes.baseAddress, most)
        }
        let files = SpillFiles(SpillSpace(folder: folder.path, limit: 1 << 30), calls: calls)
        try files.open()
        #expect(files.append([EdgeItem(numbered(1)), EdgeItem(numbered(2))]).count == 2)
        room.withLock { $0 = 100 }
        let torn = files.append([EdgeItem(numbered(3))])
        #expect(torn.count == 0 && torn.error?.code == .spillUnavailable)
        #expect(torn.error?.message.contains("no space left on device") ?? false)
        room.withLock { $0 = .max }
        #expect(files.append([EdgeItem(numbered(4))]).count == 1)
        let loaded = try files.read(room: 1 << 20, takesOne: true)
        #expect(loaded.items.map { name($0.transit) } == ["1", "2", "4"] && folder.files.isEmpty)
    }
}
