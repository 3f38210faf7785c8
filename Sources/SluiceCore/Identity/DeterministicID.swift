/// The part of an identity that follows from what a thing is. Two things of equal part are perhaps the same: see `Fingerprint`
/// for how that is made sure.
public protocol DeterministicID: Hashable, Sendable, CustomStringConvertible {
    /// How many bytes there are.
    static var byteCount: Int { get }
    /// Stands between this part and the random one in text.
    static var separator: String { get }
    /// All bytes zero: names nothing.
    static var zero: Self { get }
    /// The bytes, in the order in which the layout lists them.
    var bytes: [UInt8] { get }
    /// From exactly `byteCount` bytes; nil for another count. Any number is kept, also one that has no name.
    init?(bytes: some Collection<UInt8>)
    /// From what `description` says; nil when it is something else, or says `unknown` somewhere: that may be any number.
    init?(_ text: some StringProtocol)
}
