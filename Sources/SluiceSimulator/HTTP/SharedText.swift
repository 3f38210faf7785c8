import Glibc

/// JSON text in memory that answers in flight point into: nothing is copied between rendering and `sendmsg`.
final class SharedText {
    /// `count` bytes. Written only while nothing else holds the text (see `BlockTemplate.Pool`).
    let base: UnsafeMutablePointer<UInt8>
    let count: Int

    init(count: Int, fill: (UnsafeMutablePointer<UInt8>) -> Void) {
        base = UnsafeMutablePointer<UInt8>.allocate(capacity: max(1, count))
        self.count = count
        fill(base)
    }

    convenience init(_ bytes: [UInt8]) {
        self.init(count: bytes.count) { target in bytes.withUnsafeBufferPointer { target.update(from: $0) } }
    }

    deinit { base.deallocate() }

    var bytes: UnsafeBufferPointer<UInt8> { UnsafeBufferPointer(start: base, count: count) }
}

extension UnsafeMutablePointer<UInt8> {
    /// Copies all of `source` to here.
    func update(from source: UnsafeBufferPointer<UInt8>) {
        guard let start = source.baseAddress, !source.isEmpty else { return }
        update(from: start, count: source.count)
    }
}

/// The body of an answer: pieces that are sent one behind the other.
struct Body {
    enum Piece {
        case own([UInt8])
        case shared(SharedText, Range<Int>)

        var count: Int {
            switch self {
            case .own(let bytes): bytes.count
            case .shared(_, let range): range.count
            }
        }
    }

    private(set) var pieces: [Piece] = []
    private(set) var count = 0

    init() {}
    init(_ text: String) { append(text) }

    mutating func append(_ piece: Piece) {
        guard piece.count > 0 else { return }
        pieces.append(piece)
        count += piece.count
    }

    /// Small pieces next to each other become one.
    mutating func append(_ bytes: some Collection<UInt8>) {
        if case .own(var last)? = pieces.last {
            pieces.removeLast()
            last.append(contentsOf: bytes)
            pieces.append(.own(last))
            count += bytes.count
        } else {
            append(.own(Array(bytes)))
        }
    }

    mutating func append(_ text: String) { append(text.utf8) }
    mutating func append(_ text: SharedText) { append(.shared(text, 0..<text.count)) }

    mutating func append(_ other: Body) {
        for piece in other.pieces {
            if case .own(let bytes) = piece { append(bytes) } else { append(piece) }
        }
    }

    /// All bytes in one array: for what must be changed as a whole.
    func flattened() -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(count)
        for piece in pieces {
            switch piece {
            case .own(let bytes): out.append(contentsOf: bytes)
            case .shared(let text, let range): out.append(contentsOf: UnsafeBufferPointer(rebasing: text.bytes[range]))
            }
        }
        return out
    }
}

/// An answer, and how it travels.
struct HTTPAnswer {
    /// The ways in which an answer can fail to arrive as it should.
    enum Delivery: Equatable {
        case whole
        /// `Content-Length` promises all, only so many bytes of the body come, then the connection closes.
        case truncated(after: Int)
        /// The connection is reset before the first byte.
        case reset
        /// Nothing is ever sent; the connection stays open until the client gives up.
        case never
        /// So many bytes at a time, this far apart.
        case trickle(bytes: Int, every: Duration)
    }

    var status = 200
    /// Whole lines without their line ends.
    var headers: [String] = []
    var body: Body
    var delay: Duration = .zero
    var delivery: Delivery = .whole

    static let reasons: [Int: String] = [
        200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 411: "Length Required",
        413: "Content Too Large", 429: "Too Many Requests", 431: "Request Header Fields Too Large",
        500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable",
    ]

    /// Status line and headers.
    func head(keepAlive: Bool) -> String {
        var text = "HTTP/1.1 \(status) \(Self.reasons[status] ?? "Status")\r\nContent-Type: application/json\r\n"
        text += "Content-Length: \(body.count)\r\n"
        for header in headers { text += header + "\r\n" }
        return text + (keepAlive ? "\r\n" : "Connection: close\r\n\r\n")
    }
}
