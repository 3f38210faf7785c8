import CCurl

/// Bodies of requests, compressed.
public enum Gzip {
    /// The bytes as one gzip member; nil when there is no memory for it.
    /// - Parameter level: 1 (quick) to 9.
    public static func compress(_ bytes: UnsafeRawBufferPointer, level: Int = 1) -> [UInt8]? {
        var nothing: UInt8 = 0
        let bound = ccurl_gzip_bound(bytes.count)
        let made = [UInt8](unsafeUninitializedCapacity: bound) { target, count in
            count = withUnsafeBytes(of: &nothing) { empty in
                guard let from = bytes.baseAddress ?? empty.baseAddress, let to = target.baseAddress else { return 0 }
                return ccurl_gzip(Int32(level), from, bytes.count, to, bound)
            }
        }
        return made.isEmpty ? nil : made
    }
}
