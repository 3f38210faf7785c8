import SluiceCore

/// The columns of a table as they lie in memory, and beside them what is written of every row: both are there without a look elsewhere.
struct LineMemory {
    /// How a value is written.
    enum Kind: UInt8 { case bool, signed, unsigned, double, decimal, uint256, text, bytes }

    struct View {
        let kind: Kind
        let values: UnsafePointer<UInt8>
        let offsets: UnsafePointer<Int32>?
        let validity: UnsafePointer<UInt8>?
        /// Bytes of a value, where all have as many.
        let width: Int
        /// `,name=`, and the quote of a text.
        let key: UnsafePointer<UInt8>
        let keyCount: Int
        /// Of an amount `,name_float=`; of other numbers `,name_text="`.
        let otherKey: UnsafePointer<UInt8>
        let otherKeyCount: Int

        @inline(__always)
        func isNull(_ row: Int) -> Bool { validity.map { $0[row >> 3] & (1 << UInt8(row & 7)) == 0 } ?? false }

        @inline(__always)
        func load<T: BitwiseCopyable>(_ row: Int, _ type: T.Type) -> T {
            UnsafeRawPointer(values).loadUnaligned(fromByteOffset: row &* MemoryLayout<T>.size, as: type)
        }

        /// The bytes of a value of any length, or of the fixed width of `bytes`.
        @inline(__always)
        func slice(_ row: Int) -> (UnsafePointer<UInt8>, Int) {
            if let offsets { return (values + Int(offsets[row]), Int(offsets[row + 1] &- offsets[row])) }
            return (values + row &* width, width)
        }
    }

    private let memory: UnsafeMutablePointer<UInt8>
    private let views: UnsafeMutableBufferPointer<View>
    let headCount: Int
    let tags: UnsafeBufferPointer<View>
    let fields: UnsafeBufferPointer<View>
    /// What a line takes at most, without what its texts take beyond.
    private let fixedBytes: Int
    private let varies: Bool

    var head: UnsafePointer<UInt8> { UnsafePointer(memory) }

    /// To be freed by whoever makes it. The table must outlive it.
    init(_ plan: LineTable, _ table: Table) {
        let columns = plan.tags + plan.fields
        let keys = columns.reduce(0) { $0 + $1.key.count + max($1.textKey.count, $1.floatKey.count) + 4 }
        var used = plan.head.count
        // Of what is short more is read than there is.
        let memory = UnsafeMutablePointer<UInt8>.allocate(capacity: used + keys + LineText.slack)
        memory.initialize(from: plan.head, count: used)
        (memory + used).initialize(repeating: 0, count: keys + LineText.slack)
        func put(_ key: [UInt8], isQuoted: Bool) -> (UnsafePointer<UInt8>, Int) {
            let whole = [0x2C] + key + (isQuoted ? [0x22] : [])
            (memory + used).update(from: whole, count: whole.count)
            defer { used += whole.count }
            return (UnsafePointer(memory + used), whole.count)
        }
        views = .allocate(capacity: columns.count)
        for (index, own) in columns.enumerated() {
            let column = table.columns[own.index]
            let kind = Self.kind(column.type)
            let isAmount = kind == .decimal || kind == .uint256
            let isText = kind == .text || kind == .bytes || isAmount
            let (key, keyCount) = put(own.key, isQuoted: isText && index >= plan.tags.count)
            let (otherKey, otherKeyCount) = put(isAmount ? own.floatKey : own.textKey, isQuoted: !isAmount)
            views.initializeElement(
                at: index,
                // An empty column has nothing to point to.
                to: View(
                    kind: kind, values: column.values.bytes.bindMemory(to: UInt8.self).baseAddress ?? UnsafePointer(memory),
                    offsets: column.offsets?.bytes.bindMemory(to: Int32.self).baseAddress,
                    validity: column.validity?.bytes.bindMemory(to: UInt8.self).baseAddress, width: column.type.width ?? 0, key: key,
                    keyCount: keyCount, otherKey: otherKey, otherKeyCount: otherKeyCount))
        }
        self.memory = memory
        headCount = plan.head.count
        tags = UnsafeBufferPointer(rebasing: views[..<plan.tags.count])
        fields = UnsafeBufferPointer(rebasing: views[plan.tags.count...])
        // Separators, and a number of 78 digits once in quotes and once without: less than 192.
        fixedBytes =
            plan.head.count + keys + 64 + LineText.slack + columns.reduce(0) { $0 + 192 + ($1.field.type.width ?? 0) * 2 }
        varies = views.contains { $0.offsets != nil }
    }

    func free() {
        memory.deallocate()
        views.deallocate()
    }

    /// What the line of a row takes at most.
    @inline(__always)
    func room(_ row: Int) -> Int {
        guard varies else { return fixedBytes }
        var room = fixedBytes
        // What is longest of all is a control character in a tag: three for one. Of a value of bytes there are two for one.
        for view in views { if let offsets = view.offsets { room &+= Int(offsets[row + 1] &- offsets[row]) &* 3 } }
        return room
    }

    private static func kind(_ type: LogicalType) -> Kind {
        switch type {
        case .bool: .bool
        case .int64, .timestamp: .signed
        case .uint64: .unsigned
        case .float64: .double
        case .decimal: .decimal
        case .uint256: .uint256
        case .string, .json: .text
        case .bytes, .fixedBytes: .bytes
        }
    }
}
