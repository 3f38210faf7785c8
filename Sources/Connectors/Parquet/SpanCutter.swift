import SluiceCore
import SluiceDuckDB

/// Decides where files end: pure, and by the blocks alone, so that how they came in batches never shows.
///
/// A file ends with the last block before a multiple of `blocksPerFile`, and where the UTC date changes. A block without a row in
/// any table has no date; it goes with the block before it.
struct SpanCutter {
    /// Some blocks of a batch that go into one file.
    struct Piece: Equatable {
        let first: UInt64
        let last: UInt64
        /// Days since 1970 of the file; nil when no block of it has a date yet.
        let day: Int64?
        /// Whether the file that is open ends before this piece.
        let startsFile: Bool
        /// Whether the file ends with this piece.
        let endsFile: Bool
    }

    let blocksPerFile: UInt64
    /// The date of the open file; nil when none is open, or no date is known.
    private(set) var day: Int64?

    init(blocksPerFile: UInt64) { self.blocksPerFile = blocksPerFile }

    /// Forgets the open file.
    mutating func reset() { day = nil }

    /// Cuts a batch. `days` has the date of each block of it, in order, nil where none is known.
    mutating func cut(first: UInt64, days: [Int64?]) -> [Piece] {
        var pieces: [Piece] = []
        var start = first
        var starts = false
        func piece(to last: UInt64, ends: Bool) -> Piece {
            Piece(first: start, last: last, day: day, startsFile: starts, endsFile: ends)
        }
        for (index, known) in days.enumerated() {
            let number = first + UInt64(index)
            if let known, let open = day, known != open {
                if number > start { pieces.append(piece(to: number - 1, ends: false)) }
                (start, starts) = (number, true)
            }
            if let known { day = known }
            if (number + 1) % blocksPerFile == 0 {
                pieces.append(piece(to: number, ends: true))
                (start, starts, day) = (number + 1, false, nil)
            }
        }
        let end = first + UInt64(days.count)
        if start < end { pieces.append(piece(to: end - 1, ends: false)) }
        return pieces
    }
}

/// What the rows of a batch say about its blocks.
struct BlockFacts {
    let first: UInt64
    private(set) var days: [Int64?]
    private(set) var hashes: [Hash32?]

    /// - Throws: `data` when rows are not in the order of blocks, or of blocks outside the batch.
    init(_ batch: Batch) throws {
        first = batch.span.first
        days = Array(repeating: nil, count: batch.span.count)
        hashes = Array(repeating: nil, count: batch.span.count)
        for table in batch.tables { try learn(table, span: batch.span) }
        hashes[batch.span.count - 1] = batch.span.last.hash
    }

    func hash(_ number: UInt64) -> Hash32? { hashes[Int(number - first)] }

    private mutating func learn(_ table: Table, span: Span) throws {
        guard let numbers = table.column(try table.schema.requiredBlockNumberField()) else { return }
        let times = table.schema.blockTimeField.flatMap { table.column($0) }
        let named = table.schema.blockNumberField == "number" ? "hash" : "block_hash"
        let blockHashes = table.column(named).flatMap { $0.type == .fixedBytes(32) ? $0 : nil }
        var previous: UInt64?
        for row in 0..<table.rowCount {
            let number = numbers.load(row, as: UInt64.self)
            if number == previous { continue }
            guard number >= previous ?? span.first, number <= span.last.number else {
                throw SluiceError(
                    .parquetOrder, .data,
                    "row \(row) of \(table.schema.name) is of block \(number), "
                        + "out of order in a batch of \(span.first) to \(span.last.number)"
                )
            }
            previous = number
            let index = Int(number - first)
            // Microseconds before 1970 do not occur: the first block of any chain is younger.
            if let times, !times.isNull(row) { days[index] = times.load(row, as: Int64.self) / 86_400_000_000 }
            if let blockHashes, !blockHashes.isNull(row) { hashes[index] = Hash32(blockHashes.bytes(row)) }
        }
    }
}

extension SluiceError.Code {
    /// Rows or batches are not in the order of blocks.
    static let parquetOrder = Self("parquet.order")
    /// The folder does not hold what it should.
    static let parquetFolder = Self("parquet.folder")
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
