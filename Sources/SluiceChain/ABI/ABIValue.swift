public import SluiceCore

/// A value of the contract ABI.
public indirect enum ABIValue: Hashable, Sendable {
    /// Of any `uintN`; of `ufixedMxN` the number without its point.
    case uint(UInt256)
    /// Of any `intN`; of `fixedMxN` the number without its point.
    case int(Int256)
    case address(Address)
    case bool(Bool)
    /// Of `bytesN`: exactly N.
    case fixedBytes([UInt8])
    /// 20 bytes of an address, 4 of a selector.
    case function([UInt8])
    case bytes([UInt8])
    case string(String)
    /// Of a `string` whose bytes are no UTF-8, as they came: a contract may log anything.
    case invalidText([UInt8])
    /// Of an array of either kind.
    case array([ABIValue])
    /// In the order of the members.
    case tuple([ABIValue])
    /// Of an indexed argument that is no value type: keccak-256 of its encoding, which is all that a log holds of it.
    case hash(Hash32)
}
