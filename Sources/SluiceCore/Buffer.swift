#if canImport(Glibc)
    import Glibc
#endif

/// A block of bytes from `malloc`, frozen once it is shared. Columns and response bodies live in it, so that C code can
/// hand over what it wrote without a copy.
public final class Buffer: @unchecked Sendable {
    // SAFETY: the memory is written before the buffer is made (or inside `init(count:fill:)`), and only read afterwards.
    private let base: UnsafeMutableRawPointer?
    /// Bytes in use.
    public let count: Int

    /// Takes over memory from `malloc`; it is freed with the buffer. `base` may be nil when `count` is 0.
    public init(adopting base: UnsafeMutableRawPointer?, count: Int) {
        self.base = base
        self.count = base == nil ? 0 : count
    }

    /// Makes a buffer of `count` bytes and lets `fill` write all of them; `padding` more are readable behind, all zero.
    public init(count: Int, padding: Int = 0, fill: (UnsafeMutableRawBufferPointer) -> Void) {
        let memory = malloc(max(1, count + padding))
        // A failed malloc is a process without memory: there is nothing sensible left to do, and no input causes it alone.
        precondition(memory != nil, "out of memory")
        self.base = memory
        self.count = count
        let whole = UnsafeMutableRawBufferPointer(start: memory, count: count + padding)
        if padding > 0 { UnsafeMutableRawBufferPointer(rebasing: whole[count...]).initializeMemory(as: UInt8.self, repeating: 0) }
        fill(UnsafeMutableRawBufferPointer(rebasing: whole[..<count]))
    }

    /// A copy of the bytes, with `padding` zero bytes readable behind them.
    public convenience init(copying bytes: some Collection<UInt8>, padding: Int = 0) {
        self.init(count: bytes.count, padding: padding) { target in
            let isCopied: Void? = bytes.withContiguousStorageIfAvailable { target.copyMemory(from: UnsafeRawBufferPointer($0)) }
            if isCopied == nil { _ = target.initializeMemory(as: UInt8.self, from: bytes) }
        }
    }

    /// The same for raw memory.
    public convenience init(copying bytes: UnsafeRawBufferPointer) {
        self.init(count: bytes.count) { $0.copyMemory(from: bytes) }
    }

    deinit { free(base) }

    /// The bytes; valid only while the buffer is held.
    public var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count) }
}
