import SluiceCore
import SluiceFormats

/// Reads a body as a reply to calls with the ids 1, 2, ...
func read(_ body: [UInt8], _ calls: [JSONCall]) throws -> [JSONAnswer] {
    try JSONReader().read(Buffer(copying: body, padding: JSONReader.padding), firstID: 1, calls: calls)
}

func read(_ body: String, _ calls: JSONCall...) throws -> [JSONAnswer] { try read(Array(body.utf8), calls) }

/// The tables of the one result of a reply.
func tables(_ result: String, _ plans: JSONPlan...) throws -> [JSONTable] {
    guard case .tables(let tables) = try read(#"{"jsonrpc":"2.0","id":1,"result":\#(result)}"#, JSONCall(plans))[0] else {
        throw Unexpected(what: "no tables")
    }
    return tables
}

struct Unexpected: Error { let what: String }

/// A plan of one key `k` that is read into a column `c`.
func plan(_ type: LogicalType, nullable: Bool = false) -> JSONPlan {
    JSONPlan(name: "thing", keys: [JSONKey("k", .value("c", type), nullable: nullable)])
}

extension Column {
    /// The bytes of a row; nil when it is null.
    func array(_ row: Int) -> [UInt8]? { isNull(row) ? nil : Array(bytes(row)) }
    func text(_ row: Int) -> String? { array(row).map { String(decoding: $0, as: UTF8.self) } }
}

/// Little-endian bytes.
func bytes(_ value: some FixedWidthInteger) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { Array($0) } }
