import SluiceCore
import Testing

@testable import ParquetConnector

@Suite struct SpanCutterTests {
    @Test("however blocks come, files end at the same places", arguments: [1, 2, 3, 5, 8, 40])
    func cuts(size: Int) {
        // Dates of blocks 3 to 42, in days since 1970; a block may be made in the last second of one.
        let days: [UInt64] = (3...42).map { $0 < 17 ? 100 : $0 < 36 ? 101 : 103 }
        var cutter = SpanCutter(blocksPerFile: 10)
        var ends: [UInt64] = []
        var next: UInt64 = 3
        for start in stride(from: 0, to: days.count, by: size) {
            let stamps = days[start..<min(days.count, start + size)].map { BlockStamp(hash: .zero, timestamp: $0 * 86_400 + 86_399) }
            for piece in cutter.cut(Span(first: UInt64(start) + 3, parentHash: .zero, blocks: stamps)) {
                #expect(days[Int(piece.first) - 3...Int(piece.last) - 3].allSatisfy { $0 == UInt64(piece.day) })
                #expect(piece.first == next)
                if piece.startsFile { ends.append(piece.first - 1) }
                if piece.endsFile { ends.append(piece.last) }
                next = piece.last + 1
            }
        }
        #expect(next == 43)
        // The date changes with 17 and with 36.
        #expect(ends == [9, 16, 19, 29, 35, 39])
    }
}
