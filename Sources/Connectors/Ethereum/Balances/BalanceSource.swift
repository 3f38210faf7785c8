import SluiceChain
public import SluiceCore

/// Where the addresses come from whose balances are wanted.
public struct BalanceSource: Sendable {
    private let state: any SharedState
    private let keys: @Sendable () async throws -> [StateKey]

    /// - Parameter keys: the sets that are joined, asked for at every sample: pipelines come and go while an oracle works for all of them.
    public init(_ state: any SharedState, keys: @escaping @Sendable () async throws -> [StateKey]) {
        self.state = state
        self.keys = keys
    }

    /// The addresses of one pipeline.
    public init(_ state: any SharedState, pipeline: String) {
        let key = EthereumRegisters.accountBalanceKey.key(of: pipeline)
        self.init(state) { [key] }
    }

    /// The addresses as they are now, each once, and what is none.
    func addresses() async throws -> (valid: [Address], malformed: [String]) {
        var valid: [Address] = []
        var seen: Set<Address> = []
        var malformed: [String] = []
        for key in try await keys() {
            for member in try await state.snapshot(of: key).members {
                if let address = Address(hex: member) {
                    if seen.insert(address).inserted { valid.append(address) }
                } else {
                    malformed.append(member)
                }
            }
        }
        return (valid, malformed)
    }
}
