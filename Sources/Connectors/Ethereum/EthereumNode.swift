public import SluiceCore
public import SluiceNet
public import SluiceTelemetry
import Synchronization

/// The endpoints of one network, and what was learned about them. All oracles of the network share it: its limits hold for all of them
/// together, and what one finds out the others need not.
public final class EthereumNode: Sendable {
    /// What the endpoints can do.
    struct Lore {
        /// False once an endpoint said that it has no `eth_getBlockReceipts`.
        var hasBlockReceipts = true
        /// Blocks that one `eth_getLogs` may span.
        var logRange = FetchPlan.logRange
    }

    let network: EthereumNetwork
    let http: HTTPClient
    let pool: EndpointPool
    let tips = TipMemory()
    let lore = Mutex(Lore())
    /// When endpoints were last asked for their chain.
    let checkedAt = Mutex<MonotonicTime?>(nil)
    let time: TimeSource
    let log: Log

    /// Connects to nothing yet.
    public init(_ network: EthereumNetwork, http: HTTPClient, time: TimeSource, random: SeededRandom, log: Log) {
        self.network = network
        self.http = http
        self.time = time
        self.log = log
        pool = EndpointPool(network.endpoints, policy: network.retry, log: log, time: time, random: random)
    }

    /// What the endpoints are like now, for status pages.
    public var endpoints: [EndpointSnapshot] { pool.snapshots }
}
