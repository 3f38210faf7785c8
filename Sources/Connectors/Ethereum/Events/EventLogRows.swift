import SluiceChain
import SluiceCore

/// The rows of `event_logs` while they grow. What a row shares with its log is gathered at the end, column by column.
struct EventLogRows {
    private let logs: Table
    /// The log that each row came from.
    private var source: [Int] = []
    private var event = ColumnBuilder(.string)
    private var signature = ColumnBuilder(.string)
    private var arguments = ColumnBuilder(.json)

    init(logs: Table) { self.logs = logs }

    var count: Int { source.count }

    /// A row; nil arguments are those of a log of which it is not known what its topics are.
    mutating func append(_ log: EventLog, of declared: ABIEvent, _ values: [ABIValue]?) {
        source.append(log.row)
        event.append(declared.name)
        signature.append(declared.signature)
        if let values {
            arguments.append(bytes: ABIJSONText.bytes(values, as: declared.inputs.map(\.component)))
        } else {
            let topics = log.topics.dropFirst().map { "\"\($0)\"" }.joined(separator: ",")
            arguments.append("{\"undecoded\":{\"topics\":[\(topics)],\"data\":\"\(Hex.text(log.data))\"}}")
        }
    }

    consuming func finish() -> Table {
        let schema = EventLogTables.eventLogs
        let (source, logs) = (source, logs)
        let own = ["event": event.finish(), "signature": signature.finish(), "arguments": arguments.finish()]
        let columns = schema.fields.map { field -> Column in
            if let column = own[field.name] { return column }
            guard let shared = logs.column(field.name) else { preconditionFailure("the table logs has no \(field.name)") }
            return shared.rows(source)
        }
        return Table(schema: schema, columns: columns, rowCount: source.count)
    }
}
