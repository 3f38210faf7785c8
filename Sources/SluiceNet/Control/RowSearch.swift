/// Finds the rows for which a server refuses a request: what is refused is halved until single rows are left, and all others go in. Each row costs
/// two requests for each time that its request can be halved.
public struct RowSearch: Sendable {
    /// A row, by its place in the request, and the server's words.
    public struct Found: Sendable, Hashable {
        public let row: Int
        public let reason: String

        public init(row: Int, reason: String) {
            self.row = row
            self.reason = reason
        }
    }

    /// So many rows are refused and none was taken yet: then it is hardly for what they hold.
    public static let unsure = 16
    /// Rows of one request that are searched for; where there are more somebody must look at it.
    public static let most = 1_000

    /// In the order of rows.
    public private(set) var found: [Found] = []
    /// What is to be tried yet, the first rows last.
    private var open: [Range<Int>]
    private var hasTaken = false

    /// - Parameters:
    ///   - count: rows of the request that was refused.
    ///   - reason: the server's words, in case that it is one row.
    public init(refused count: Int, reason: String) {
        open = []
        refused(0..<count, reason: reason)
    }

    /// The rows to try next; nil when all is done, or there is no use in going on.
    public mutating func next() -> Range<Int>? { isHopeless ? nil : open.popLast() }

    /// The server took what `next` returned.
    public mutating func taken() { hasTaken = true }

    /// The server refuses what `next` returned.
    public mutating func refused(_ rows: Range<Int>, reason: String) {
        if rows.count <= 1 {
            if let row = rows.first { found.append(Found(row: row, reason: reason)) }
            return
        }
        let middle = rows.lowerBound + rows.count / 2
        open.append(middle..<rows.upperBound)
        open.append(rows.lowerBound..<middle)
    }

    /// Whether so much is refused that it cannot be a matter of some rows.
    public var isHopeless: Bool {
        !open.isEmpty && (found.count >= Self.most || found.count >= Self.unsure && !hasTaken)
    }
}
