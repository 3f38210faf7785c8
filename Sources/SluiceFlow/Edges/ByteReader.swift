import SluiceCore

/// Reads what `ByteWriter` wrote, and believes nothing: every length is held against what is there.
struct ByteReader {
    private let bytes: UnsafeRawBufferPointer
    private(set) var offset = 0

    /// The bytes must stay valid as long as the reader, and what it returns, is used.
    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    var remaining: Int { bytes.count - offset }

    mutating func integer<T: FixedWidthInteger>(_ type: T.Type = T.self) throws(SluiceError) -> T {
        let raw = try raw(MemoryLayout<T>.size)
        return T(littleEndian: raw.loadUnaligned(as: T.self))
    }

    /// A count of things that take at least `size` bytes each, so that a wrong one cannot ask for more memory than there are bytes.
    mutating func count(of size: Int) throws(SluiceError) -> Int {
        let at = offset
        guard let count = Int(exactly: try integer(UInt64.self)), size == 0 || count <= remaining / size else {
            throw malformed("a count larger than what follows", at: at)
        }
        return count
    }

    mutating func raw(_ count: Int) throws(SluiceError) -> UnsafeRawBufferPointer {
        guard count >= 0, count <= remaining else { throw malformed("\(count) bytes are wanted, \(remaining) are left") }
        defer { offset += count }
        return UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + count])
    }

    mutating func text() throws(SluiceError) -> String {
        let at = offset
        let raw = try raw(try count(of: 1))
        guard let text = String(validating: raw, as: UTF8.self) else { throw malformed("text that is not UTF-8", at: at) }
        return text
    }

    mutating func hash() throws(SluiceError) -> Hash32 {
        guard let hash = Hash32(try raw(32)) else { throw malformed("a hash") }
        return hash
    }

    /// The error for what was found at an offset, or here.
    func malformed(_ what: String, at place: Int? = nil) -> SluiceError {
        SluiceError(.batchMalformed, .data, "decoding a batch: byte \(place ?? offset): \(what)")
    }
}
