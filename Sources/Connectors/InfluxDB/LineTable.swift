import SluiceCore

/// How the rows of one table become points: which columns are tags, and what makes the time of each unique. Pure.
///
/// InfluxDB keeps one point a series and moment, and writes the later over the earlier. Rows of a block share its time, and so do blocks
/// of one second; so a point's time is that of its block, in nanoseconds, and within the second: a million for each block (its number modulo 1,000),
/// and one for each place in the block (the log's or transaction's index). The rest of a row's key are tags.
struct LineTable: Sendable {
    struct Column: Sendable {
        let index: Int
        let field: Field
        /// `name=`, escaped.
        let key: [UInt8]
        /// `name_text=`: where a value stands that its own field cannot hold.
        let textKey: [UInt8]
        /// `name_float=`: the nearest double of a large number.
        let floatKey: [UInt8]
    }

    /// Nanoseconds of a block, and how many of them share a second.
    static let slot: Int64 = 1_000_000
    static let slots: UInt64 = 1_000

    let schema: Schema
    let measurement: String
    /// As a line begins.
    let head: [UInt8]
    /// In the order of their names, as the server likes them.
    let tags: [Column]
    let fields: [Column]
    /// The column of the block's number.
    let number: Int
    /// The column of the place in the block; nil when a block has one row a series.
    let place: Int?
    /// The same by name.
    var placeField: String? { place.map { schema.fields[$0].name } }

    /// - Throws: `influxdb_schema` (class `config`) when there is no block number, or options name a column that is not there.
    init(_ schema: Schema, measurement: String, _ options: InfluxTableOptions?) throws(SluiceError) {
        guard let numberField = schema.blockNumberField, let number = schema.index(of: numberField) else {
            throw SluiceError(
                .influxSchema, .config, "table \(schema.name) has no block number, so its points would have no time",
                mend: "send it to another sink")
        }
        let key = schema.key.filter { $0 != "chain_id" && $0 != numberField }
        let place = key.first { name in
            guard let type = schema.fields.first(where: { $0.name == name })?.type else { return false }
            return type == .int64 || type == .uint64
        }
        // Hashes name blocks, and those are told by their time.
        var tags: Set<String> = Set(
            key.filter { name in
                guard name != place, let type = schema.fields.first(where: { $0.name == name })?.type else { return false }
                return type != .fixedBytes(32)
            })
        if schema.index(of: "chain_id") != nil { tags.insert("chain_id") }
        let known = Set(schema.fields.map(\.name))
        for name in (options?.tags ?? []) + (options?.fields ?? []) where !known.contains(name) {
            throw SluiceError(
                .influxSchema, .config, "table \(schema.name) has no column \(name)",
                mend: "its columns are \(schema.fields.map(\.name).joined(separator: ", "))")
        }
        tags.formUnion(options?.tags ?? [])
        tags.remove(numberField)
        let wanted = options?.fields.map { Set($0 + [numberField]) } ?? known
        let columns = schema.fields.enumerated().map { index, field in
            func key(_ suffix: String) -> [UInt8] { LineText.name(field.name + suffix) + [0x3D] }
            return Column(index: index, field: field, key: key(""), textKey: key("_text"), floatKey: key("_float"))
        }
        self.schema = schema
        self.measurement = measurement
        head = LineText.name(measurement, isMeasurement: true)
        self.tags = columns.filter { tags.contains($0.field.name) }.sorted { $0.field.name < $1.field.name }
        fields = columns.filter { !tags.contains($0.field.name) && wanted.contains($0.field.name) }
        self.number = number
        self.place = place.flatMap { schema.index(of: $0) }
    }

    /// Fields that can be summed up, as they are stored.
    /// - Throws: `influxdb_schema` (class `config`) for what is no number, or none in the store.
    func sums(_ names: [String], addsFloats: Bool) throws(SluiceError) -> [String] {
        var all: [String] = []
        for name in names {
            guard let field = fields.first(where: { $0.field.name == name })?.field else {
                throw SluiceError(
                    .influxSchema, .config, "rollup of table \(schema.name) names \(name), which is no field of it",
                    mend: "its fields are \(fields.map(\.field.name).joined(separator: ", "))")
            }
            switch field.type {
            case .int64, .uint64, .float64: all.append(name)
            case .decimal, .uint256:
                guard addsFloats else {
                    throw SluiceError(
                        .influxSchema, .config,
                        "rollup of table \(schema.name) names \(name), which is stored as text so that no digit is lost",
                        mend: "set float_fields: true, by which it is stored as a double as well")
                }
                all.append("\(name)_float")
            default:
                throw SluiceError(
                    .influxSchema, .config, "rollup of table \(schema.name) names \(name), which is a \(field.type.name), no number",
                    mend: "name columns that are numbers")
            }
        }
        return all
    }

    /// When a block's points begin; nil for times that nanoseconds of 63 bits cannot hold.
    static func start(of block: UInt64, at seconds: UInt64) -> Int64? {
        guard seconds < 9_223_372_036 else { return nil }
        return Int64(seconds) * 1_000_000_000 + Int64(block % slots) * slot
    }

    static let noTime = "its block's time is beyond the year 2262, where InfluxDB's nanoseconds end"
}
