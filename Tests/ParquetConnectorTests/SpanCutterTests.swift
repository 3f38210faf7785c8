import SluiceCore
import Testing

@testable import ParquetConnector

@Suite struct SpanCutterTests {
    @Test("however blocks come, files end at the same places", arguments: [1, 2, 3, 5, 8, 40])
    func cuts(size: Int) {
        // Dates of blocks 3 to 42; some have no rows, and so no date.
        let days: [Int64?] = (3...42).map { $0 % 4 == 1 ? nil : $0 < 17 ? 100 : $0 < 36 ? 101 : 103 }
        var cutter = SpanCutter(blocksPerFile: 10)
        var ends: [UInt64] = []
        var next: UInt64 = 3
        for start in stride(from: 0, to: days.count, by: size) {
            let part = Array(days[start..<min(days.count, start + size)])
            for piece in cutter.cut(first: UInt64(start) + 3, days: part) {
                #expect(piece.first == next)
                if piece.startsFile { ends.append(piece.first - 1) }
                if piece.endsFile { ends.append(piece.last) }
                next = piece.last + 1
            }
        }
        #expect(next == 43)
        // 17 has no date and stays with 16; 18 is the first known to be of the next day. 36 is known.
        #expect(ends == [9, 17, 19, 29, 35, 39])
    }
}
