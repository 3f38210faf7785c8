extension BundleRecord {
    private static let version: UInt8 = 1

    /// The record as bytes, for a store.
    public var bytes: [UInt8] {
        var bytes: [UInt8] = [Self.version]
        func append(_ number: UInt64) { withUnsafeBytes(of: number.bigEndian) { bytes.append(contentsOf: $0) } }
        func append(_ position: Position?) {
            bytes.append(position == nil ? 0 : 1)
            guard let position else { return }
            append(position.number)
            position.hash.withBytes { bytes.append(contentsOf: $0) }
        }
        append(ref)
        append(Position(number: number - min(number, 1), hash: parentHash))
        append(UInt64(marks.count))
        for mark in marks {
            append(mark.taken)
            append(mark.seen)
            append(mark.readFrom)
            append(mark.began)
            append(mark.lateBelow)
        }
        return bytes
    }

    /// Reads what ``bytes`` made; nil for anything else.
    public init?(bytes: some Sequence<UInt8>) {
        var reader = Reader(bytes: bytes)
        guard reader.byte() == Self.version, let own = reader.position(), let ref = own, let before = reader.position(),
            let parent = before, let count = reader.number()
        else { return nil }
        var marks: [Mark] = []
        for _ in 0..<count {
            guard let taken = reader.position(), let seen = reader.position(), let from = reader.position(), let began = reader.position(),
                let late = reader.number()
            else { return nil }
            marks.append(Mark(taken: taken, seen: seen, readFrom: from, began: began, lateBelow: late))
        }
        guard reader.isAtEnd else { return nil }
        self.init(number: ref.number, hash: ref.hash, parentHash: parent.hash, marks: marks)
    }

    private struct Reader {
        private var rest: ArraySlice<UInt8>

        init(bytes: some Sequence<UInt8>) { rest = Array(bytes)[...] }

        var isAtEnd: Bool { rest.isEmpty }

        mutating func byte() -> UInt8? { rest.popFirst() }

        mutating func number() -> UInt64? {
            guard rest.count >= 8 else { return nil }
            defer { rest = rest.dropFirst(8) }
            return rest.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
        }

        /// Nil when the bytes are no position; a position that is nil when they say that there is none.
        mutating func position() -> Position?? {
            switch byte() {
            case 0: return .some(nil)
            case 1:
                guard let number = number(), let hash = Hash32(rest.prefix(32)) else { return nil }
                rest = rest.dropFirst(32)
                return .some(Position(number: number, hash: hash))
            default: return nil
            }
        }
    }
}
