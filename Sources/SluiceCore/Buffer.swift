#if canImport(Glibc)
    import Glibc
#endif

/// A block of bytes, frozen once it is shared. Columns and response bodies live in it. Memory from `malloc` can be taken over, so that C
/// code can hand over what it wrote without a copy.
public struct Buffer: @unchecked Sendable {
    // SAFETY: the memory is written before the buffer is made (or inside `init(count:fill:)`), and only read afterwards.
    private let storage: ManagedBuffer<Header, UInt8>

    // Of 16 bytes, so that what follows it is aligned as `malloc` aligns.
    private struct Header {
        /// What was taken over, or what follows the header.
        var base: UnsafeMutableRawPointer?
        /// Bytes in use.
        var count: Int
    }

    /// One block of memory for the count of references and the bytes: most buffers of a batch at the tip are small.
    private final class Storage: ManagedBuffer<Header, UInt8> {
        deinit {
            withUnsafeMutablePointers { header, elements in
                if header.pointee.base != UnsafeMutableRawPointer(elements) { free(header.pointee.base) }
            }
        }
    }

    /// Takes over memory from `malloc`; it is freed with the buffer. `base` may be nil when `count` is 0.
    public init(adopting base: UnsafeMutableRawPointer?, count: Int) {
        storage = Storage.create(minimumCapacity: 0) { _ in Header(base: base, count: base == nil ? 0 : count) }
    }

    /// Makes a buffer of `count` bytes and lets `fill` write all of them; `padding` more are readable behind, all zero.
    public init(count: Int, padding: Int = 0, fill: (UnsafeMutableRawBufferPointer) -> Void) {
        storage = Storage.create(minimumCapacity: max(1, count + padding)) { buffer in
            Header(base: buffer.withUnsafeMutablePointerToElements { UnsafeMutableRawPointer($0) }, count: count)
        }
        let whole = UnsafeMutableRawBufferPointer(start: storage.header.base, count: count + padding)
        if padding > 0 { UnsafeMutableRawBufferPointer(rebasing: whole[count...]).initializeMemory(as: UInt8.self, repeating: 0) }
        fill(UnsafeMutableRawBufferPointer(rebasing: whole[..<count]))
    }

    /// A copy of the bytes, with `padding` zero bytes readable behind them.
    public init(copying bytes: some Collection<UInt8>, padding: Int = 0) {
        self.init(count: bytes.count, padding: padding) { target in
            let isCopied: Void? = bytes.withContiguousStorageIfAvailable { target.copyMemory(from: UnsafeRawBufferPointer($0)) }
            if isCopied == nil { _ = target.initializeMemory(as: UInt8.self, from: bytes) }
        }
    }

    /// The same for raw memory.
    public init(copying bytes: UnsafeRawBufferPointer) {
        self.init(count: bytes.count) { $0.copyMemory(from: bytes) }
    }

    /// Bytes in use.
    public var count: Int { storage.withUnsafeMutablePointerToHeader { $0.pointee.count } }

    /// The bytes; valid only while the buffer is held.
    public var bytes: UnsafeRawBufferPointer {
        storage.withUnsafeMutablePointerToHeader { UnsafeRawBufferPointer(start: $0.pointee.base, count: $0.pointee.count) }
    }
}
