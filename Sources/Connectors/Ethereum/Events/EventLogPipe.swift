import SluiceChain
public import SluiceCore

/// Makes the rows of `event_logs` out of logs: those of the contracts and events that are asked for, decoded.
///
/// A log belongs to an event when its first topic is the event's and it has as many topics as the event has indexed arguments: a
/// contract may be asked for the `Transfer` of ERC-20 and for that of ERC-721. A log that belongs to an event but is not encoded as it says
/// becomes a dead letter. Anonymous events have no such mark: a log of their contract with their number of topics is theirs when it can be
/// decoded, and when no other event claims it.
///
/// Every log of a batch ends as one row, as one dead letter, or in the report as filtered.
public struct EventLogPipe: Pipe {
    /// Why a log is left out: nobody asked for it.
    static let notWanted = "no matching address or event"
    /// Why a log is left out: it told of a contract that was made, and nobody asked for more.
    static let factoryOnly = "event of a factory, read for its address"

    private var matcher: EventMatcher
    private var contracts = DiscoveredContracts()
    private var isIdle: Bool
    /// What was learnt since the runtime last asked.
    private var learnt: [Finding] = []

    /// - Parameter discovered: what an earlier pipe knew of what factories made.
    public init(_ subscriptions: [EventSubscription], discovered: [DiscoveredContract] = []) {
        matcher = EventMatcher(subscriptions)
        isIdle = subscriptions.needs.isEmpty
        contracts.use(matcher.factories)
        contracts.restore(discovered)
    }

    public var schemas: [Schema] { [EventLogTables.eventLogs] }

    /// What factories were seen to make, each contract with its block.
    public var discovered: [DiscoveredContract] { contracts.all }

    /// Replaces what is asked for, from the next batch on. What a factory made stays known while a subscription names it. The oracle reads
    /// what it was told to when it was made: unless the new needs ask for no more, it must be made anew.
    public mutating func update(_ subscriptions: [EventSubscription]) {
        matcher = EventMatcher(subscriptions)
        isIdle = subscriptions.needs.isEmpty
        contracts.use(matcher.factories)
    }

    public mutating func rollback(to position: Position) {
        contracts.rollback(to: position)
        learnt.removeAll { $0.block.number > position.number }
    }

    public mutating func takeFindings() -> [Finding] {
        defer { learnt = [] }
        return learnt
    }

    public mutating func transform(_ batch: Batch, report: inout PipeReport) throws -> [Table] {
        guard let logs = batch.table(EthereumTables.logs.name) else {
            // Who asks for nothing gets nothing read.
            if isIdle { return [Table.empty(EventLogTables.eventLogs)] }
            throw SluiceError(.missingTable, .fatal, "blocks \(batch.span.first)...\(batch.span.last.number) came without the table logs")
        }
        let source = try EventLogSource(logs)
        var rows = EventLogRows(logs: logs)
        for row in 0..<logs.rowCount {
            let log = source.log(row)
            do {
                let told = try learn(log)
                if let (event, values) = try decode(log) {
                    rows.append(log, of: event, values)
                } else {
                    report.filter(told ? Self.factoryOnly : Self.notWanted)
                }
            } catch {
                report.deadLetters.append(
                    DeadLetter(
                        register: EventLogRegister.name, row: "log \(log.index)", block: log.block, reason: error.code.rawValue,
                        message: error.message, payload: log.json))
            }
        }
        return [rows.finish()]
    }

    /// Takes note of what a factory says that it made; whether it said so.
    private mutating func learn(_ log: EventLog) throws(SluiceError) -> Bool {
        let tellers = matcher.tellers(log)
        for index in tellers {
            let factory = matcher.factories[index]
            guard let values = try factory.event.decode(topics: log.topics, data: log.data),
                case .address(let child) = values[factory.place]
            else { continue }
            guard contracts.note(child, madeBy: index, in: log.block) else { continue }
            learnt.append(
                DiscoveredContract(
                    address: child, factory: factory.address, signature: factory.event.signature, argument: factory.argument,
                    block: log.block
                ).finding)
        }
        return !tellers.isEmpty
    }

    /// The event of a log and its arguments; nil when none was asked for that it belongs to.
    private func decode(_ log: EventLog) throws(SluiceError) -> (ABIEvent, [ABIValue]?)? {
        var fault: SluiceError?
        // Several may share first topic and number of topics, and still index other arguments.
        for event in matcher.named(log, contracts) {
            do {
                return (event, try event.decode(topics: log.topics, data: log.data))
            } catch { fault = fault ?? error }
        }
        if let fault { throw fault }
        for event in matcher.anonymous(log, contracts) {
            if let values = try? event.decode(topics: log.topics, data: log.data) { return (event, values) }
        }
        return nil
    }
}

extension Table {
    /// No rows.
    static func empty(_ schema: Schema) -> Table {
        Table(schema: schema, columns: schema.fields.map { ColumnBuilder($0.type).finish() }, rowCount: 0)
    }
}
