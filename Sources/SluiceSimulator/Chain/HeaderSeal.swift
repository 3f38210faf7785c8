import SluiceChain
import SluiceCore

/// The RLP of a header with number, parent and time left open: what re-numbering hashes again and again.
struct HeaderSeal {
    /// The fields in the order of the encoding; from `baseFeePerGas` on they are absent in older blocks.
    private static let before: [StaticString] = [
        "sha3Uncles", "miner", "stateRoot", "transactionsRoot", "receiptsRoot", "logsBloom", "difficulty",
    ]
    private static let between: [StaticString] = ["gasLimit", "gasUsed"]
    private static let after: [StaticString] = ["extraData", "mixHash", "nonce"]
    private static let later: [StaticString] = [
        "baseFeePerGas", "withdrawalsRoot", "blobGasUsed", "excessBlobGas", "parentBeaconBlockRoot", "requestsHash",
    ]
    /// The fields whose bytes are a number: encoded without leading zeros.
    private static let quantities: [StaticString] = ["difficulty", "gasLimit", "gasUsed", "baseFeePerGas", "blobGasUsed", "excessBlobGas"]

    private let head: [UInt8]
    private let middle: [UInt8]
    private let tail: [UInt8]

    /// From a block's JSON text. Throws the name of the field that is missing or no hex.
    init(_ scanner: JSONScanner, members: [JSONScanner.Member]) throws(FieldFault) {
        func encode(_ names: [StaticString], optional: Bool = false) throws(FieldFault) -> [UInt8] {
            var rlp = RLP(capacity: 1024)
            for name in names {
                guard let member = members.first(where: { scanner.equals($0.key, name) }) else {
                    if optional { break }
                    throw FieldFault(name: "\(name)", problem: "is missing")
                }
                guard let text = scanner.string(member.value), let bytes = Self.bytes(text) else {
                    throw FieldFault(name: "\(name)", problem: "is not hex")
                }
                if Self.quantities.contains(where: { "\($0)" == "\(name)" }) {
                    rlp.append(bigEndian: bytes)
                } else {
                    rlp.append(bytes: bytes)
                }
            }
            return rlp.bytes
        }
        head = try encode(Self.before)
        middle = try encode(Self.between)
        tail = try encode(Self.after) + encode(Self.later, optional: true)
    }

    /// A field of recorded data that cannot be used.
    struct FieldFault: Error {
        let name: String
        let problem: String
    }

    /// The hash of the header with these.
    func hash(number: UInt64, parent: Hash32, timestamp: UInt64) -> Hash32 {
        var rlp = RLP(capacity: head.count + middle.count + tail.count + 64)
        rlp.list {
            $0.append(hash: parent)
            $0.append(encoded: head)
            $0.append(integer: number)
            $0.append(encoded: middle)
            $0.append(integer: timestamp)
            $0.append(encoded: tail)
        }
        return Keccak256.hash(rlp.bytes)
    }

    /// Hex of any length: a quantity may have an odd number of digits.
    private static func bytes(_ text: String) -> [UInt8]? {
        guard text.utf8.count & 1 == 1 else { return Hex.bytes(text) }
        guard text.hasPrefix("0x") else { return nil }
        return Hex.bytes("0x0" + text.dropFirst(2))
    }
}
