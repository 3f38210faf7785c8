public import SluiceCore

/// The register `event_log`: events of contracts that are asked for by address.
public enum EventLogRegister {
    public static let name = "event_log"
    /// Where a pipeline keeps the addresses, each with the signatures of the events that are wanted of it.
    public static func stateKey(pipeline: String) -> StateKey { StateKey(pipeline: pipeline, prefix: name, id: "address") }

    /// The register for some subscriptions.
    public static func register(_ subscriptions: [EventSubscription]) -> Register {
        Register(
            name: name, number: .eventLog,
            doc: "Logs of the addresses and events that are asked for, decoded; alone, by filtered eth_getLogs.",
            schemas: [EventLogTables.eventLogs], dependencies: ["geth_block"], needs: subscriptions.needs, isAddressed: true,
            stateKey: StateKeyShape(prefix: name, id: "address", isNested: true),
            keepsFindings: subscriptions.contains(where: \.hasFactory),
            maker: .pipe { context in EventLogPipe(subscriptions, discovered: context.findings.compactMap(DiscoveredContract.init)) })
    }
}
