import SluiceCore
import SluiceDuckDB
import Synchronization
import Testing

@Suite struct SliceRoomTests {
    private static let schema = Schema(name: "t", key: [], doc: "", fields: [Field("i", .int64, "")])

    /// 1,000 rows of 8 bytes.
    private static func slice(_ first: Int64) -> TableSlice {
        var column = ColumnBuilder(.int64)
        for row in 0..<Int64(1_000) { column.append(first + row) }
        return TableSlice(Table(schema: schema, columns: [column.finish()], rowCount: 1_000))
    }

    /// A statement that sums what a stream brings, on a thread of its own.
    private static func sum(_ stream: SliceStream, _ database: DuckDBDatabase, _ name: String) throws -> Task<UInt64?, any Error> {
        let connection = try DuckDBConnection(database, name: name)
        return Task {
            try await connection.run { session in
                defer { stream.close() }
                return try session.scanning(stream, as: ScanColumn.native(schema)) { source in
                    try session.rows("SELECT sum(i)::UBIGINT FROM \(source)").first?.first?.uint64
                }
            }
        }
    }

    @Test("two statements share a room: one that takes nothing for a while leaves the other one going", .timeLimit(.minutes(1)))
    func shared() async throws {
        let database = try DuckDBDatabase(path: nil)
        let room = SliceRoom(limit: 400_000)
        let (slow, quick) = (SliceStream(room: room), SliceStream(room: room))
        let sum = try Self.sum(quick, database, "quick")
        // Nobody reads the slow one yet: what it holds is a tenth of the room, and stays there.
        for number in 0..<5 { await slow.push(Self.slice(Int64(number) * 1_000)) }
        for number in 0..<200 { await quick.push(Self.slice(Int64(number) * 1_000)) }
        quick.finish()
        #expect(try await sum.value == (0..<UInt64(200_000)).reduce(0, +))
        slow.finish()
        #expect(try await Self.sum(slow, database, "slow").value == (0..<UInt64(5_000)).reduce(0, +))
    }

    @Test("the writer waits while too much is there, for whichever statement it is", .timeLimit(.minutes(1)))
    func full() async throws {
        let database = try DuckDBDatabase(path: nil)
        let room = SliceRoom(limit: 20_000)
        let (one, other) = (SliceStream(room: room), SliceStream(room: room))
        let pushed = Mutex(0)
        let writer = Task {
            for number in 0..<10 {
                await (number % 2 == 0 ? one : other).push(Self.slice(Int64(number) * 1_000))
                pushed.withLock { $0 += 1 }
            }
        }
        try await Task.sleep(for: .milliseconds(50))
        // The third is taken and then waited for.
        #expect(pushed.withLock { $0 } == 2)
        let sums = (try Self.sum(one, database, "one"), try Self.sum(other, database, "other"))
        await writer.value
        one.finish()
        other.finish()
        let total = try await [sums.0.value, sums.1.value].compactMap { $0 }.reduce(0, +)
        #expect(total == (0..<UInt64(10_000)).reduce(0, +))
    }

    @Test("a statement that fails or is given up gives its room back", .timeLimit(.minutes(1)))
    func givenUp() async throws {
        let room = SliceRoom(limit: 10_000)
        for _ in 0..<3 {
            let (aborted, closed) = (SliceStream(room: room), SliceStream(room: room))
            let writer = Task {
                await aborted.push(Self.slice(0))
                await closed.push(Self.slice(0))
            }
            try await Task.sleep(for: .milliseconds(10))
            closed.close()
            aborted.abort()
            aborted.close()
            await writer.value
            // Nobody takes these any more, so nobody has to make room for them.
            for _ in 0..<10 { await closed.push(Self.slice(0)) }
            #expect(closed.isClosed)
        }
        let stream = SliceStream(room: room)
        await stream.push(Self.slice(0))
        stream.finish()
        #expect(try await Self.sum(stream, try DuckDBDatabase(path: nil), "after").value == (0..<UInt64(1_000)).reduce(0, +))
    }
}
