/// 32 bytes: the hash of a block or of a transaction, or a topic.
public struct Hash32: Hashable, Sendable, Comparable, CustomStringConvertible, BitwiseCopyable {
    // Four words in memory order: as fast to compare and to hash as integers.
    private let words: (UInt64, UInt64, UInt64, UInt64)

    /// All zero.
    public static let zero = Hash32(words: (0, 0, 0, 0))

    private init(words: (UInt64, UInt64, UInt64, UInt64)) { self.words = words }

    /// From exactly 32 bytes; nil for another count.
    public init?(_ bytes: some Collection<UInt8>) {
        guard bytes.count == 32 else { return nil }
        var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        withUnsafeMutableBytes(of: &words) { $0.copyBytes(from: bytes) }
        self.words = words
    }

    /// From 64 hex digits behind `0x`; nil for anything else.
    public init?(hex text: String) {
        guard let bytes = Hex.bytes(text) else { return nil }
        self.init(bytes)
    }

    /// The bytes.
    public func withBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R { try withUnsafeBytes(of: words, body) }

    /// The bytes as an array.
    public var bytes: [UInt8] { withBytes { Array($0) } }

    /// `0x` and 64 lower-case digits.
    public var description: String { withBytes { Hex.text($0) } }

    public static func == (a: Hash32, b: Hash32) -> Bool { a.words == b.words }
    public static func < (a: Hash32, b: Hash32) -> Bool {
        a.withBytes { x in b.withBytes { y in x.lexicographicallyPrecedes(y) } }
    }
    public func hash(into hasher: inout Hasher) { withBytes { hasher.combine(bytes: $0) } }
}
