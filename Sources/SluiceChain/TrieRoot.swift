public import SluiceCore

/// Roots of Merkle-Patricia tries: what a header says of its transactions, receipts and withdrawals.
public enum TrieRoot {
    /// The root of a list: the key of each value is the RLP of its index. Values are what the chain hashes: RLP, behind a
    /// type byte for typed transactions and receipts.
    public static func ordered(_ values: [[UInt8]]) -> Hash32 {
        guard !values.isEmpty else { return empty }
        var entries: [Entry] = []
        entries.reserveCapacity(values.count)
        for (index, value) in values.enumerated() {
            var key = RLP(capacity: 9)
            key.append(integer: UInt64(index))
            entries.append(Entry(nibbles: key.bytes.flatMap { [$0 >> 4, $0 & 15] }, value: value))
        }
        entries.sort { $0.nibbles.lexicographicallyPrecedes($1.nibbles) }
        return Keccak256.hash(node(entries[...], from: 0))
    }

    /// The root of nothing.
    public static let empty: Hash32 = Keccak256.hash([0x80] as [UInt8])

    private struct Entry {
        let nibbles: [UInt8]
        let value: [UInt8]
    }

    /// The encoding of the node over some entries, which are sorted and share their first `depth` nibbles. RLP prefixes make
    /// no key the beginning of another, so no entry ends at a branch.
    private static func node(_ entries: ArraySlice<Entry>, from depth: Int) -> [UInt8] {
        guard let first = entries.first, let last = entries.last else { return [0x80] }
        var rlp = RLP()
        if entries.count == 1 {
            rlp.list {
                $0.append(bytes: path(first.nibbles[depth...], leaf: true))
                $0.append(bytes: first.value)
            }
            return rlp.bytes
        }
        // Sorted: what the first and the last share, all share.
        let shared = zip(first.nibbles[depth...], last.nibbles[depth...]).prefix { $0 == $1 }.count
        if shared > 0 {
            let child = reference(node(entries, from: depth + shared))
            rlp.list {
                $0.append(bytes: path(first.nibbles[depth..<depth + shared], leaf: false))
                $0.append(encoded: child)
            }
            return rlp.bytes
        }
        rlp.list { list in
            var rest = entries
            for nibble in 0..<16 as Range<UInt8> {
                let child = rest.prefix { $0.nibbles[depth] == nibble }
                rest = rest.dropFirst(child.count)
                if child.isEmpty { list.appendEmpty() } else { list.append(encoded: reference(node(child, from: depth + 1))) }
            }
            list.appendEmpty()
        }
        return rlp.bytes
    }

    /// How a parent names a child: the child itself when it is short, else its hash.
    private static func reference(_ node: [UInt8]) -> [UInt8] {
        guard node.count >= 32 else { return node }
        var rlp = RLP(capacity: 33)
        rlp.append(hash: Keccak256.hash(node))
        return rlp.bytes
    }

    /// Nibbles packed two a byte; the first nibble tells leaf from extension and odd from even.
    private static func path(_ nibbles: ArraySlice<UInt8>, leaf: Bool) -> [UInt8] {
        let odd = nibbles.count & 1 == 1
        var rest = nibbles
        var packed: [UInt8] = [(leaf ? 0x20 : 0) | (odd ? 0x10 | (rest.popFirst() ?? 0) : 0)]
        while let high = rest.popFirst(), let low = rest.popFirst() { packed.append(high << 4 | low) }
        return packed
    }
}
