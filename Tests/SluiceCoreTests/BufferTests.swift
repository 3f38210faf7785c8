import Glibc
import SluiceCore
import Testing

@Suite struct BufferTests {
    @Test("bytes stand where C code may read words and vectors, with zeros behind them", arguments: [0, 1, 7, 64, 4_097])
    func owned(count: Int) throws {
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ 1) }
        let buffer = Buffer(copying: bytes, padding: 64)
        let filled = Buffer(count: count) { $0.copyBytes(from: bytes) }
        let copied = bytes.withUnsafeBytes { Buffer(copying: $0) }
        // They are held as long as their bytes are looked at.
        try withExtendedLifetime([buffer, filled, copied]) {
            for one in [buffer, filled, copied] { #expect(one.count == count && Array(one.bytes) == bytes) }
            let base = try #require(buffer.bytes.baseAddress)
            #expect(UInt(bitPattern: base) % 16 == 0)
            #expect(UnsafeRawBufferPointer(start: base + count, count: 64).allSatisfy { $0 == 0 })
        }
    }

    @Test("memory that was taken over is used as it is, and nothing is a buffer, too")
    func adopted() throws {
        let memory = try #require(malloc(3))
        memory.copyMemory(from: [1, 2, 3] as [UInt8], byteCount: 3)
        let buffer = Buffer(adopting: memory, count: 3)
        withExtendedLifetime(buffer) {
            #expect(buffer.bytes.baseAddress == UnsafeRawPointer(memory) && Array(buffer.bytes) == [1, 2, 3])
        }
        let none = Buffer(adopting: nil, count: 9)
        #expect(none.count == 0 && none.bytes.isEmpty)
    }
}
