import CSimdjson
public import SluiceCore
import Synchronization

/// How the value behind a key is read, and into which column.
public enum JSONReading: Sendable {
    /// Known, and not wanted.
    case skip
    /// Into a column of that name and type. Quantities (`0x1f`) for `int64`, `uint64`, `decimal` and `uint256`, quantities of seconds for
    /// `timestamp`, hex data for `bytes` and `fixedBytes`, the text as it stands for `json`, true and false for `bool`.
    case value(String, LogicalType)
    /// An array of objects: rows of the child table at that place in the call; their count into a column, when named.
    case rows(child: Int, count: String?)
    /// An array: how many elements it has.
    case count(String)
    /// An array of up to as many fixed values as names: one column each, the rest null.
    case spread([String], width: Int)
}

/// One key of an object that a plan reads.
public struct JSONKey: Sendable {
    public let name: String
    public let reading: JSONReading
    /// Whether the key may be missing or null.
    public let nullable: Bool

    public init(_ name: String, _ reading: JSONReading, nullable: Bool = false) {
        self.name = name
        self.reading = reading
        self.nullable = nullable
    }
}

/// What to take from one kind of object: its keys, and the columns they fill. Made once, used for every reply.
public final class JSONPlan: @unchecked Sendable {
    // SAFETY: the C structures are written in `init` and only read afterwards; the hint is atomic.
    /// Name of the object in messages: `transaction`, `log`.
    public let name: String
    /// The columns that come out, in order.
    public let columns: [(name: String, type: LogicalType)]
    let keys: [JSONKey]
    /// The column that takes the parent's row number.
    let parentColumn: Int?
    let plan: UnsafeMutablePointer<csj_plan>
    let rowsHint = Atomic<Int>(16)

    /// - Parameters:
    ///   - parent: names a `uint64` column that takes the row number of the object around the array.
    ///   - extra: names a `json` column that takes all unknown keys, losslessly; null when there are none.
    public init(name: String, keys: [JSONKey], parent: String? = nil, extra: String? = nil) {
        precondition(keys.count <= 64, "a plan has at most 64 keys")
        // Keys are compared where they stand, at most so far beyond the end of a body.
        precondition(keys.allSatisfy { $0.name.utf8.count < JSONReader.padding }, "a key longer than the padding behind a body")
        self.name = name
        self.keys = keys
        var columns: [(name: String, type: LogicalType)] = []
        func add(_ name: String, _ type: LogicalType) -> Int16 {
            columns.append((name, type))
            return Int16(columns.count - 1)
        }
        let fields = UnsafeMutablePointer<csj_field>.allocate(capacity: max(1, keys.count))
        for (index, key) in keys.enumerated() {
            var field = csj_field()
            let text = Array(key.name.utf8)
            let copy = UnsafeMutablePointer<CChar>.allocate(capacity: text.count + 1)
            for (at, byte) in text.enumerated() { copy[at] = CChar(bitPattern: byte) }
            copy[text.count] = 0
            field.key = UnsafePointer(copy)
            field.key_length = UInt8(text.count)
            field.nullable = key.nullable ? 1 : 0
            field.column = -1
            field.child = -1
            switch key.reading {
            case .skip:
                field.kind = UInt8(CSJ_SKIP.rawValue)
            case .value(let name, let type):
                field.kind = UInt8(Self.kind(of: type).rawValue)
                field.width = UInt16(type.width ?? 0)
                field.column = add(name, type)
            case .rows(let child, let count):
                field.kind = UInt8(CSJ_ROWS.rawValue)
                field.child = Int16(child)
                if let count { field.column = add(count, .int64) }
            case .count(let name):
                field.kind = UInt8(CSJ_COUNT.rawValue)
                field.column = add(name, .int64)
            case .spread(let names, let width):
                field.kind = UInt8(CSJ_SPREAD.rawValue)
                field.width = UInt16(width)
                field.spread = UInt8(names.count)
                for (place, name) in names.enumerated() {
                    let column = add(name, .fixedBytes(width))
                    if place == 0 { field.column = column }
                }
            }
            fields[index] = field
        }
        let parentColumn = parent.map { add($0, .uint64) } ?? -1
        let extraColumn = extra.map { add($0, .json) } ?? -1
        self.columns = columns
        self.parentColumn = parent == nil ? nil : Int(parentColumn)
        plan = .allocate(capacity: 1)
        plan.initialize(
            to: csj_plan(fields: fields, field_count: Int32(keys.count), parent_column: parentColumn, extra_column: extraColumn))
    }

    deinit {
        if let fields = plan.pointee.fields {
            for index in 0..<keys.count { fields[index].key.deallocate() }
            fields.deallocate()
        }
        plan.deallocate()
    }

    /// The place of a column among `columns`. A name that is not there is a programmer's mistake.
    public func index(of column: String) -> Int {
        guard let index = columns.firstIndex(where: { $0.name == column }) else { preconditionFailure("\(name) has no column \(column)") }
        return index
    }

    private static func kind(of type: LogicalType) -> csj_kind {
        switch type {
        case .bool: CSJ_BOOL
        case .uint64: CSJ_QUANTITY64
        case .int64: CSJ_QUANTITY63
        case .decimal: CSJ_QUANTITY128
        case .uint256: CSJ_QUANTITY256
        case .timestamp: CSJ_SECONDS
        case .fixedBytes: CSJ_FIXED
        case .bytes: CSJ_BYTES
        case .json: CSJ_RAW
        case .float64, .string: preconditionFailure("\(type.name) is not read from hex JSON")
        }
    }
}
