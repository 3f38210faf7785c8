import SluiceCore

/// Lines on their way: their bytes, and which row each is, for one request.
struct LineBuffer: ~Copyable {
    /// Rows of one table, one behind the other.
    struct Piece {
        let table: Table
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
    mutating func begin(_ table: Table, row: Int) { pieces.append(Piece(table: table, first: row, line: lines)) }

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

    /// The table and row of a line.
    func row(_ line: Int) -> (table: Table, row: Int)? {
        guard let piece = pieces.last(where: { $0.line <= line }) else { return nil }
        return (piece.table, piece.first + line - piece.line)
    }
}
