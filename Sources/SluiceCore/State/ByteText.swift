import Glibc

/// Text that is compared byte by byte, as stores do. Strings themselves are equal when they look the same, so that two members of a
/// store could be one in memory.
struct ByteText: Hashable, Comparable, Sendable {
    let text: String

    init(_ text: String) {
        var text = text
        // From here on its bytes lie in one piece, and are compared where they lie.
        text.makeContiguousUTF8()
        self.text = text
    }

    static func == (a: Self, b: Self) -> Bool { a.text.utf8.count == b.text.utf8.count && a.order(b) == 0 }
    static func < (a: Self, b: Self) -> Bool { a.order(b) < 0 }

    func hash(into hasher: inout Hasher) {
        bytes { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
        // No text is the beginning of another: what follows in the hasher must not run into it.
        hasher.combine(0xFF as UInt8)
    }

    private func order(_ other: Self) -> Int {
        bytes { ours in
            other.bytes { theirs in
                let common = min(ours.count, theirs.count)
                // Empty texts have no address.
                if common > 0, let a = ours.baseAddress, let b = theirs.baseAddress, case let order = memcmp(a, b, common), order != 0 {
                    return Int(order)
                }
                return ours.count - theirs.count
            }
        }
    }

    private func bytes<R>(_ body: (UnsafeBufferPointer<UInt8>) -> R) -> R {
        text.utf8.withContiguousStorageIfAvailable(body) ?? Array(text.utf8).withUnsafeBufferPointer(body)
    }
}
