public import SluiceCore

/// The register `event_log`: events of contracts that are asked for by address.
public enum EventLogRegister {
    public static let name = "event_log"
    /// Where the shared state keeps the addresses of a pipeline, each with the declarations of the events that are wanted of it.
    public static let stateKey = StateKeyShape(prefix: name, id: "address", isNested: true)

    /// The register for subscriptions that stay, whatever the shared state holds besides.
    public static func register(_ fixed: [EventSubscription] = []) -> Register { register(fixed, told: []) }

    private static func register(_ fixed: [EventSubscription], told: [EventSubscription]) -> Register {
        let subscriptions = fixed + told
        return Register(
            name: name, number: .eventLog,
            doc: "Logs of the addresses and events that are asked for, decoded; alone, by filtered eth_getLogs.",
            schemas: [EventLogTables.eventLogs], dependencies: ["geth_block"], needs: subscriptions.needs, isAddressed: true,
            stateKey: stateKey, keepsFindings: subscriptions.contains(where: \.hasFactory),
            tell: { _, held in
                let (told, problems) = EventSubscription.read(held)
                return ToldRegister(
                    register(fixed, told: told), understood: EventSubscription.entries(of: told), problems: problems)
            },
            maker: .pipe { context in EventLogPipe(subscriptions, discovered: context.findings.compactMap(DiscoveredContract.init)) })
    }
}
