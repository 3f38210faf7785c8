import SluiceCore
import SluiceDuckDB

/// Decides where files end: pure, and by the blocks alone, so that how they came in batches never shows.
///
/// A file ends with the last block before a multiple of `blocksPerFile`, and where the UTC date changes.
struct SpanCutter {
    /// Some blocks of a batch that go into one file.
    struct Piece: Equatable {
        let first: UInt64
        let last: UInt64
        /// Days since 1970 of the file.
        let day: Int64
        /// Whether the file that is open ends before this piece.
        let startsFile: Bool
        /// Whether the file ends with this piece.
        let endsFile: Bool
    }

    let blocksPerFile: UInt64
    /// The date of the open file; nil when none is open.
    private(set) var day: Int64?

    init(blocksPerFile: UInt64) { self.blocksPerFile = blocksPerFile }

    /// Forgets the open file.
    mutating func reset() { day = nil }

    /// Cuts a batch.
    mutating func cut(_ span: Span) -> [Piece] {
        var pieces: [Piece] = []
        var start = span.first
        var starts = false
        func piece(to last: UInt64, day: Int64, ends: Bool) -> Piece {
            Piece(first: start, last: last, day: day, startsFile: starts, endsFile: ends)
        }
        for (index, block) in span.blocks.enumerated() {
            let number = span.first + UInt64(index)
            let today = Int64(block.timestamp / 86_400)
            if let open = day, today != open {
                if number > start { pieces.append(piece(to: number - 1, day: open, ends: false)) }
                (start, starts) = (number, true)
            }
            day = today
            if (number + 1) % blocksPerFile == 0 {
                pieces.append(piece(to: number, day: today, ends: true))
                (start, starts, day) = (number + 1, false, nil)
            }
        }
        if let day, start <= span.last.number { pieces.append(piece(to: span.last.number, day: day, ends: false)) }
        return pieces
    }
}

extension SluiceError.Code {
    /// Rows or batches are not in the order of blocks.
    static let parquetOrder = Self("parquet.order")
    /// The folder does not hold what it should.
    static let parquetFolder = Self("parquet.folder")
    /// Another one writes there.
    static let parquetLocked = Self("parquet.locked")
    /// What was taken is lost; resume from the position.
    static let parquetReopen = Self("parquet.reopen")
}

extension Table {
    /// The rows of blocks `first ... last`; rows are in the order of blocks.
    func slice(_ first: UInt64, _ last: UInt64) -> TableSlice {
        guard let field = schema.blockNumberField, let numbers = column(field) else { return TableSlice(self, rows: 0..<0) }
        func firstRow(from number: UInt64) -> Int {
            var (low, high) = (0, rowCount)
            while low < high {
                let middle = (low + high) / 2
                if numbers.load(middle, as: UInt64.self) < number { low = middle + 1 } else { high = middle }
            }
            return low
        }
        return TableSlice(self, rows: firstRow(from: first)..<firstRow(from: last + 1))
    }
}
