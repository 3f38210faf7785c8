import CSimdjson
public import SluiceCore
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

extension SluiceError.Code {
    /// A reply that is no JSON, no JSON-RPC, or not of the expected shape.
    public static let malformedReply = SluiceError.Code("malformed_reply")
}

/// Reads JSON-RPC replies straight into columns (simdjson On-Demand behind a C ABI). Parsers are kept and reused, one a thread.
public final class JSONReader: Sendable {
    /// Bytes that must be readable behind the end of a body.
    public static let padding = 64

    /// Bytes of the largest body whose parser is used again.
    private static let largestKept = 8 << 20

    private let idle = Mutex<[Parser]>([])

    public init() {}

    /// Reads a reply to the calls with ids `firstID`, `firstID + 1`, ...; a body of one object, or of an array of them in any order.
    /// - Parameter body: with `padding` readable bytes behind its end.
    /// - Throws: `malformed_reply` (class `endpoint`) naming the object, the key and the row.
    public func read(_ body: Buffer, firstID: Int64, calls: [JSONCall]) throws(SluiceError) -> [JSONAnswer] {
        let parser = try borrow()
        // A parser keeps some five bytes for each of the largest body it has read: one huge reply must not cost memory for ever.
        defer { if body.count <= Self.largestKept { idle.withLock { $0.append(parser) } } }

        let tableCount = calls.reduce(0) { $0 + $1.plans.count }
        let columnCount = calls.reduce(0) { $0 + $1.plans.reduce(0) { $0 + $1.columns.count } }
        let columns = UnsafeMutableBufferPointer<csj_column>.allocate(capacity: max(1, columnCount))
        let tables = UnsafeMutableBufferPointer<csj_table>.allocate(capacity: max(1, tableCount))
        let targets = UnsafeMutableBufferPointer<csj_call>.allocate(capacity: max(1, calls.count))
        defer {
            columns.deallocate()
            tables.deallocate()
            targets.deallocate()
        }
        Self.prepare(calls, columns: columns, tables: tables, targets: targets)

        var error = csj_error()
        let base = body.bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
        let code = csj_decode(parser.pointer, base, body.count, firstID, targets.baseAddress, Int32(calls.count), &error)
        guard code == 0 else {
            for index in 0..<columnCount { csj_column_free(&columns[index]) }
            throw describe(error, calls: calls, bytes: body.count)
        }
        return collect(calls, columns: columns, tables: tables, targets: targets, body: body)
    }

    private func borrow() throws(SluiceError) -> Parser {
        if let parser = idle.withLock({ $0.popLast() }) { return parser }
        guard let made = csj_parser_new() else { throw SluiceError(.malformedReply, .fatal, "no memory for a JSON parser") }
        return Parser(made)
    }

    private final class Parser: @unchecked Sendable {
        // SAFETY: one borrower at a time; the list of idle parsers is behind a mutex.
        let pointer: OpaquePointer
        init(_ pointer: OpaquePointer) { self.pointer = pointer }
        deinit { csj_parser_free(pointer) }
    }

    private static func prepare(
        _ calls: [JSONCall], columns: UnsafeMutableBufferPointer<csj_column>, tables: UnsafeMutableBufferPointer<csj_table>,
        targets: UnsafeMutableBufferPointer<csj_call>
    ) {
        var nextTable = 0
        var nextColumn = 0
        for (index, call) in calls.enumerated() {
            var target = csj_call()
            target.root = call.plans.isEmpty ? -1 : 0
            target.shape = Int32(
                bitPattern: call.shape == .object ? CSJ_OBJECT.rawValue : call.shape == .array ? CSJ_ARRAY.rawValue : CSJ_ANY.rawValue)
            target.tables = call.plans.isEmpty ? nil : tables.baseAddress.map { $0 + nextTable }
            targets.initializeElement(at: index, to: target)
            for plan in call.plans {
                var table = csj_table()
                table.plan = UnsafePointer(plan.plan)
                table.columns = columns.baseAddress.map { $0 + nextColumn }
                table.column_count = Int32(plan.columns.count)
                withUnsafeMutableBytes(of: &table.next) { for at in $0.indices { $0[at] = 0xff } }
                let hint = plan.rowsHint.load(ordering: .relaxed)
                for column in plan.columns {
                    columns.initializeElement(at: nextColumn, to: csj_column())
                    csj_column_init(&columns[nextColumn], UInt32(column.type.width ?? 0), hint, hint * 64)
                    nextColumn += 1
                }
                tables.initializeElement(at: nextTable, to: table)
                nextTable += 1
            }
        }
    }

    private func collect(
        _ calls: [JSONCall], columns: UnsafeMutableBufferPointer<csj_column>, tables: UnsafeMutableBufferPointer<csj_table>,
        targets: UnsafeMutableBufferPointer<csj_call>, body: Buffer
    ) -> [JSONAnswer] {
        var answers: [JSONAnswer] = []
        answers.reserveCapacity(calls.count)
        var nextTable = 0
        var nextColumn = 0
        for (index, call) in calls.enumerated() {
            let target = targets[index]
            var taken: [JSONTable] = []
            for plan in call.plans {
                let rows = tables[nextTable].rows
                var out: [Column] = []
                out.reserveCapacity(plan.columns.count)
                for column in plan.columns {
                    out.append(Self.adopt(&columns[nextColumn], type: column.type))
                    nextColumn += 1
                }
                if rows > 0 { plan.rowsHint.store(rows + rows / 4 + 1, ordering: .relaxed) }
                taken.append(JSONTable(plan: plan, columns: out, rowCount: rows))
                nextTable += 1
            }
            switch UInt32(bitPattern: target.status) {
            case CSJ_UNANSWERED.rawValue: answers.append(.unanswered)
            case CSJ_NULL.rawValue: answers.append(.null)
            case CSJ_RPC_ERROR.rawValue:
                answers.append(.error(code: Int(target.error_code), message: Self.text(body, target.text_offset, target.text_length)))
            default:
                answers.append(
                    target.root < 0 ? .value(Self.text(body, target.text_offset, target.text_length)) : .tables(taken))
            }
        }
        return answers
    }

    /// Takes the memory of a column over; what it grew too much goes back first.
    private static func adopt(_ column: inout csj_column, type: LogicalType) -> Column {
        func trimmed(_ memory: UnsafeMutableRawPointer?, _ size: Int, _ capacity: Int) -> Buffer {
            guard let memory else { return Buffer(adopting: nil, count: 0) }
            let kept = capacity > size + size / 4 + 256 ? realloc(memory, max(1, size)) ?? memory : memory
            return Buffer(adopting: kept, count: size)
        }
        let rows = Int(column.count)
        return Column(
            type: type, count: rows, nullCount: Int(column.null_count),
            values: trimmed(column.values, Int(column.values_size), Int(column.values_capacity)),
            offsets: type.width == nil ? trimmed(column.offsets, (rows + 1) * 4, Int(column.offsets_capacity) * 4) : nil,
            validity: column.validity == nil ? nil : trimmed(column.validity, (rows + 7) / 8, Int(column.validity_capacity)))
    }

    private static func text(_ body: Buffer, _ offset: Int, _ length: Int) -> String {
        var text = String(decoding: body.bytes[offset..<offset + length], as: UTF8.self)
        if text.hasPrefix("\""), text.hasSuffix("\""), text.count >= 2 { text = String(text.dropFirst().dropLast()) }
        return text
    }

    private func describe(_ error: csj_error, calls: [JSONCall], bytes: Int) -> SluiceError {
        var place = "reply"
        var key: JSONKey?
        if let at = error.plan {
            let plan = calls.lazy.flatMap(\.plans).first { UnsafePointer($0.plan) == at }
            place = "\(plan?.name ?? "object") \(error.row)"
            if let plan, error.field >= 0 {
                key = plan.keys[Int(error.field)]
                place += ", key \(plan.keys[Int(error.field)].name)"
            }
        }
        let reason =
            switch csj_error_code(rawValue: UInt32(bitPattern: error.code)) {
            case CSJ_JSON: "is no valid JSON: \(String(cString: csj_simdjson_message(error.simdjson_code)))"
            case CSJ_MISSING: "is missing or null"
            case CSJ_DUPLICATE: "appears twice"
            case CSJ_TYPE: "is not \(key.map { Self.expectation($0.reading) } ?? "what was asked for")"
            case CSJ_HEX: "holds what is no hex digit"
            case CSJ_LENGTH: "is not \(key.map { Self.expectation($0.reading) } ?? "of the expected length")"
            case CSJ_OVERFLOW: "does not fit \(key.map { Self.expectation($0.reading) } ?? "its type")"
            case CSJ_ENVELOPE: "is no JSON-RPC reply"
            case CSJ_UNKNOWN_ID: "answers a call that was not made"
            case CSJ_DUPLICATE_ID: "answers a call twice"
            case CSJ_SPREAD_COUNT: "has too many elements"
            default: "found no memory"
            }
        return SluiceError(.malformedReply, .endpoint, "reading a reply of \(bytes) bytes: \(place) \(reason)")
    }

    private static func expectation(_ reading: JSONReading) -> String {
        switch reading {
        case .skip: "anything"
        case .value(_, .fixedBytes(let width)): "0x and \(width * 2) hex digits"
        case .value(_, .bytes): "0x and an even number of hex digits"
        case .value(_, .json): "JSON"
        case .value(_, .bool): "true or false"
        case .value(_, let type): "a quantity (0x and hex digits) of type \(type.name)"
        case .rows: "an array of objects"
        case .count: "an array"
        case .spread(let names, let width): "an array of up to \(names.count) values of \(width) bytes"
        }
    }
}
