import SluiceCore
import SluiceFormats
import SluiceNet

/// Lines on their way: their bytes, and which row each is, for one request.
struct LineBuffer: ~Copyable {
    /// Rows of one table, one behind the other.
    struct Piece {
        let table: Table
        /// The blocks that its rows are of.
        let span: Span
        let first: Int
        /// The line of the first.
        let line: Int
    }

    private(set) var base: UnsafeMutablePointer<UInt8>
    private var capacity: Int
    private(set) var count = 0
    /// Where each line begins.
    private(set) var starts: [Int] = []
    private(set) var pieces: [Piece] = []

    init(capacity: Int = 1 << 16) {
        self.capacity = capacity
        base = .allocate(capacity: capacity)
    }

    deinit { base.deallocate() }

    var lines: Int { starts.count }

    /// Makes room for `more` bytes, and says where they go.
    @inline(__always)
    mutating func reserve(_ more: Int) -> UnsafeMutablePointer<UInt8> {
        if capacity - count < more { grow(more) }
        return base + count
    }

    private mutating func grow(_ more: Int) {
        capacity = max(capacity * 2, count + more)
        let larger = UnsafeMutablePointer<UInt8>.allocate(capacity: capacity)
        larger.moveInitialize(from: base, count: count)
        base.deallocate()
        base = larger
    }

    /// Notes a line that was written from where `reserve` said up to `end`.
    @inline(__always)
    mutating func commit(_ end: UnsafeMutablePointer<UInt8>) {
        starts.append(count)
        count = end - base
    }

    /// What follows are rows of a table from `row` on.
    mutating func begin(_ table: Table, _ span: Span, row: Int) {
        pieces.append(Piece(table: table, span: span, first: row, line: lines))
    }

    mutating func removeAll() {
        count = 0
        starts.removeAll(keepingCapacity: true)
        pieces.removeAll(keepingCapacity: true)
    }

    /// The bytes of some lines, with their line breaks.
    func bytes(_ range: Range<Int>) -> UnsafeRawBufferPointer {
        let end = range.upperBound < starts.count ? starts[range.upperBound] : count
        return UnsafeRawBufferPointer(start: base + starts[range.lowerBound], count: end - starts[range.lowerBound])
    }

    /// The lines as requests: each of so many lines or bytes at most, and one line at least.
    func requests(maxLines: Int, maxBytes: Int) -> [Range<Int>] {
        var all: [Range<Int>] = []
        var first = 0
        while first < lines {
            var end = min(lines, first + max(1, maxLines))
            while end > first + 1, bytes(first..<end).count > maxBytes {
                // Lines are about as long as each other: a guess from above, then one by one.
                let each = max(1, bytes(first..<end).count / (end - first))
                end = max(first + 1, min(end - 1, first + maxBytes / each))
            }
            all.append(first..<end)
            first = end
        }
        return all
    }

    /// The rows that some lines are, as rows that are refused.
    func refused(_ lines: [RowSearch.Found], from first: Int) -> [RefusedRow] {
        lines.compactMap { found in
            guard let piece = pieces.last(where: { $0.line <= first + found.row }) else { return nil }
            return RefusedRow(
                piece.table, piece.first + first + found.row - piece.line, of: piece.span, reason: .influxRow, message: found.reason)
        }
    }
}
