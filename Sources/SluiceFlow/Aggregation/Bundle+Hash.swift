import SluiceChain
import SluiceCore

extension Bundle {
    /// The bundle of some blocks that comes behind another. Its hash is the keccak-256 of, in this order and with the most significant
    /// byte first: the hash of the bundle before, its own number, a byte that is 1 when it is partial, and for each stream how many blocks it
    /// holds (4 bytes) and the number and hash of each.
    init(following parent: BlockRef, inputs: [[Batch]], isPartial: Bool) {
        let number = parent.number + 1
        var timestamp: UInt64 = 0
        var size = 41
        for input in inputs { size += 4 + 40 * input.count }
        let hash = withUnsafeTemporaryAllocation(byteCount: size, alignment: 8) { target in
            var at = 0
            func put(_ value: some FixedWidthInteger) {
                target.storeBytes(of: value.bigEndian, toByteOffset: at, as: type(of: value))
                at += MemoryLayout.size(ofValue: value)
            }
            func put(_ hash: Hash32) {
                target.storeBytes(of: hash, toByteOffset: at, as: Hash32.self)
                at += 32
            }
            put(parent.hash)
            put(number)
            put(UInt8(isPartial ? 1 : 0))
            for input in inputs {
                put(UInt32(truncatingIfNeeded: input.count))
                for block in input {
                    put(block.span.first)
                    let stamp = block.span.block(0)
                    put(stamp.hash)
                    timestamp = max(timestamp, stamp.timestamp)
                }
            }
            return Keccak256.hash(UnsafeRawBufferPointer(target))
        }
        self.init(number: number, hash: hash, parentHash: parent.hash, timestamp: timestamp, inputs: inputs, isPartial: isPartial)
    }
}
