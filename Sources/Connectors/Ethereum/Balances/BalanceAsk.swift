import SluiceChain
import SluiceCore

/// What one pipeline wants to know: whose balances, at which blocks.
struct BalanceAsk: Sendable {
    let pipeline: String
    /// Each once.
    let addresses: [Address]
    /// Members of its set that are no addresses.
    let malformed: [String]
    let options: BalanceOptions

    init(_ sample: Sample) {
        pipeline = sample.pipeline
        options = BalanceOptions(intervalBlocks: sample.interval, pruned: sample.mayLack ? .leaveOut : .fail)
        var addresses: [Address] = []
        var seen: Set<Address> = []
        var malformed: [String] = []
        for member in sample.members {
            guard let address = Address(hex: member) else {
                malformed.append(member)
                continue
            }
            if seen.insert(address).inserted { addresses.append(address) }
        }
        self.addresses = addresses
        self.malformed = malformed
    }
}

extension [BalanceAsk] {
    /// The addresses of all, each once.
    var addresses: [Address] {
        if count == 1 { return self[0].addresses }
        var seen: Set<Address> = []
        return flatMap { $0.addresses.filter { seen.insert($0).inserted } }
    }
}
