import CKeccak
public import SluiceCore

#if canImport(Glibc)
    import Glibc
#endif

/// Checks the blooms of a block against its logs: a log that was lost, added or changed on the way shows here.
public enum BloomCheck {
    /// The logs of one block, as columns of a table that may hold more.
    public struct Logs: Sendable {
        /// `fixedBytes(20)`.
        public let address: Column
        /// Up to four columns of `fixedBytes(32)`, null where the log has no such topic.
        public let topics: [Column]
        /// The rows of this block.
        public let rows: Range<Int>

        /// `rows` nil takes all rows.
        public init(address: Column, topics: [Column], rows: Range<Int>? = nil) {
            let rows = rows ?? 0..<address.count
            precondition(address.type == .fixedBytes(20) && rows.upperBound <= address.count, "not a column of addresses")
            precondition(
                topics.count <= 4 && topics.allSatisfy { $0.type == .fixedBytes(32) && $0.count >= rows.upperBound },
                "not columns of topics")
            self.address = address
            self.topics = topics
            self.rows = rows
        }
    }

    /// Computes the bloom of every receipt again from its logs and compares; then the header's bloom, which must be all of
    /// them together. All logs and all receipts of the block must be there.
    ///
    /// - Parameters:
    ///   - receiptOfLog: `uint64`, over the same rows as the logs: the index in the block of the log's transaction.
    ///   - receiptBlooms: `fixedBytes(256)`, one a receipt, in order.
    ///   - receipts: the rows of this block; nil takes all.
    ///   - block: the number, for the message.
    /// - Returns: the first contradiction, nil when there is none.
    public static func verify(
        _ logs: Logs, receiptOfLog: Column, receiptBlooms: Column, receipts: Range<Int>? = nil, headerBloom: UnsafeRawBufferPointer,
        block: UInt64
    ) -> ConsistencyViolation? {
        let receipts = receipts ?? 0..<receiptBlooms.count
        precondition(receiptBlooms.type == .fixedBytes(Bloom.byteCount) && receipts.upperBound <= receiptBlooms.count, "not blooms")
        precondition(receiptOfLog.type == .uint64 && receiptOfLog.count >= logs.rows.upperBound, "not a column of indexes")
        if let short = wrongSize(headerBloom, block: block) { return short }

        let size = Bloom.byteCount * (receipts.count + 1)
        return withUnsafeTemporaryAllocation(byteCount: size, alignment: 64) { memory -> ConsistencyViolation? in
            let all = UnsafeMutableRawBufferPointer(rebasing: memory[..<Bloom.byteCount])
            let computed = UnsafeMutableRawBufferPointer(rebasing: memory[Bloom.byteCount...])
            let indexes = UnsafeRawBufferPointer(rebasing: receiptOfLog.values.bytes[(8 * logs.rows.lowerBound)...])
            if !logs.rows.isEmpty, !fill(computed, from: logs, receiptOfLog: indexes, receipts: receipts.count) {
                return orphan(logs, receiptOfLog: receiptOfLog, receipts: receipts.count, block: block)
            }
            if logs.rows.isEmpty { computed.initializeMemory(as: UInt8.self, repeating: 0) }
            let claimed = UnsafeRawBufferPointer(
                rebasing: receiptBlooms.values.bytes[Bloom.byteCount * receipts.lowerBound..<Bloom.byteCount * receipts.upperBound])
            if let violation = firstDifference(computed, claimed, block: block) { return violation }

            all.initializeMemory(as: UInt8.self, repeating: 0)
            ck_bloom_union(pointer(all), pointer(UnsafeRawBufferPointer(computed)), receipts.count)
            return difference(UnsafeRawBufferPointer(all), headerBloom, field: "logs_bloom", place: "block \(block)")
        }
    }

    /// Checks the header's bloom against the block's logs alone. With `complete` they must give exactly that bloom; without
    /// (a filtered subset) every bit of theirs must be in it.
    ///
    /// - Returns: the contradiction, nil when there is none.
    public static func verify(
        _ logs: Logs, headerBloom: UnsafeRawBufferPointer, complete: Bool, block: UInt64
    ) -> ConsistencyViolation? {
        if let short = wrongSize(headerBloom, block: block) { return short }
        return withUnsafeTemporaryAllocation(byteCount: Bloom.byteCount, alignment: 64) { computed -> ConsistencyViolation? in
            computed.initializeMemory(as: UInt8.self, repeating: 0)
            if !logs.rows.isEmpty { _ = fill(computed, from: logs, receiptOfLog: nil, receipts: 1) }
            if !complete {
                // What the header claims beyond these logs is none of our business: take it as given.
                guard zip(computed, headerBloom).contains(where: { $0 & ~$1 != 0 }) else { return nil }
                for at in 0..<Bloom.byteCount { computed[at] |= headerBloom[at] }
            }
            return difference(UnsafeRawBufferPointer(computed), headerBloom, field: "logs_bloom", place: "block \(block)")
        }
    }

    /// False when a log names a receipt that there is not.
    private static func fill(
        _ blooms: UnsafeMutableRawBufferPointer, from logs: Logs, receiptOfLog: UnsafeRawBufferPointer?, receipts: Int
    ) -> Bool {
        var columns = ck_logs()
        columns.first = logs.rows.lowerBound
        columns.count = logs.rows.count
        columns.addresses = pointer(logs.address.values.bytes)
        func topic(_ index: Int) -> UnsafePointer<UInt8>? { index < logs.topics.count ? pointer(logs.topics[index].values.bytes) : nil }
        func present(_ index: Int) -> UnsafePointer<UInt8>? {
            index < logs.topics.count ? logs.topics[index].validity.flatMap { pointer($0.bytes) } : nil
        }
        columns.topics = (topic(0), topic(1), topic(2), topic(3))
        columns.present = (present(0), present(1), present(2), present(3))
        let status = withExtendedLifetime(logs) {
            ck_blooms(&columns, receiptOfLog?.baseAddress?.assumingMemoryBound(to: UInt64.self), receipts, pointer(blooms))
        }
        // A few hundred kilobytes for the largest block there can be: without them nothing else goes on either.
        precondition(status != -1, "out of memory")
        return status == 0
    }

    private static func orphan(_ logs: Logs, receiptOfLog: Column, receipts: Int, block: UInt64) -> ConsistencyViolation? {
        for row in logs.rows where receiptOfLog.load(row, as: UInt64.self) >= UInt64(receipts) {
            return ConsistencyViolation(
                field: "transaction_index", expected: "less than the \(receipts) receipts",
                found: String(receiptOfLog.load(row, as: UInt64.self)), place: "block \(block), log \(row - logs.rows.lowerBound)")
        }
        return nil
    }

    private static func wrongSize(_ bloom: UnsafeRawBufferPointer, block: UInt64) -> ConsistencyViolation? {
        bloom.count == Bloom.byteCount
            ? nil
            : ConsistencyViolation(
                field: "logs_bloom", expected: "\(Bloom.byteCount) bytes", found: "\(bloom.count) bytes", place: "block \(block)")
    }

    private static func firstDifference(
        _ computed: UnsafeMutableRawBufferPointer, _ claimed: UnsafeRawBufferPointer, block: UInt64
    ) -> ConsistencyViolation? {
        // All at once first: that they are equal is the one case that matters for speed.
        guard let a = computed.baseAddress, let b = claimed.baseAddress, memcmp(a, b, claimed.count) != 0 else { return nil }
        for receipt in 0..<claimed.count / Bloom.byteCount {
            let bytes = receipt * Bloom.byteCount..<(receipt + 1) * Bloom.byteCount
            let violation = difference(
                UnsafeRawBufferPointer(rebasing: computed[bytes]), UnsafeRawBufferPointer(rebasing: claimed[bytes]),
                field: "logs_bloom", place: "block \(block), receipt \(receipt)")
            if let violation { return violation }
        }
        return nil
    }

    private static func difference(
        _ expected: UnsafeRawBufferPointer, _ found: UnsafeRawBufferPointer, field: String, place: String
    ) -> ConsistencyViolation? {
        guard let a = expected.baseAddress, let b = found.baseAddress, memcmp(a, b, Bloom.byteCount) != 0 else { return nil }
        return ConsistencyViolation(field: field, expected: Hex.text(expected), found: Hex.text(found), place: place)
    }

    private static func pointer(_ bytes: UnsafeRawBufferPointer) -> UnsafePointer<UInt8>? {
        bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
    }

    private static func pointer(_ bytes: UnsafeMutableRawBufferPointer) -> UnsafeMutablePointer<UInt8>? {
        bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
    }
}
