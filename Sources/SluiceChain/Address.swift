import SluiceCore

/// 20 bytes: an account or a contract.
public struct Address: Hashable, Sendable, CustomStringConvertible {
    // In memory order, without padding between: the 20 bytes are one run.
    private var words: (UInt32, UInt32, UInt32, UInt32, UInt32)

    /// All zero.
    public static let zero = Address()

    private init() { words = (0, 0, 0, 0, 0) }

    /// From exactly 20 bytes; nil for another count.
    public init?(_ bytes: some Collection<UInt8>) {
        guard bytes.count == 20 else { return nil }
        self.init()
        withUnsafeMutableBytes(of: &words) { $0.copyBytes(from: bytes) }
    }

    /// From 40 hex digits behind `0x`; nil for anything else. The case of the digits (the checksum) is not looked at.
    public init?(hex text: String) {
        guard let bytes = Hex.bytes(text) else { return nil }
        self.init(bytes)
    }

    /// The bytes.
    public func withBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R { try withUnsafeBytes(of: words, body) }

    /// The bytes as an array.
    public var bytes: [UInt8] { withBytes { Array($0) } }

    /// `0x` and 40 lower-case digits.
    public var description: String { withBytes { Hex.text($0) } }

    public static func == (a: Address, b: Address) -> Bool { a.words == b.words }
    public func hash(into hasher: inout Hasher) { withBytes { hasher.combine(bytes: $0) } }
}
