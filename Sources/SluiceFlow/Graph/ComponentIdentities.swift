public import SluiceCore
import Synchronization

/// Gives the components of one network their identities.
public final class ComponentIdentities: Sendable {
    private let network: NetworkKind
    private let type: PipelineType
    private let random: Mutex<SeededRandom>

    /// - Parameter type: how the pipelines read that the components work for.
    public init(network: NetworkKind, type: PipelineType, random: SeededRandom) {
        self.network = network
        self.type = type
        self.random = Mutex(random)
    }

    /// For components over made-up data.
    public static var madeUp: ComponentIdentities {
        ComponentIdentities(network: .unknown, type: .mocktest, random: SeededRandom(seed: 0))
    }

    /// That of a new component of a register.
    func next(_ register: Register) -> CUUID {
        let pid = ComponentPID(network: network, pipelineType: type, kind: register.kind, register: register.number)
        return random.withLock { CUUID(pid, using: &$0) }
    }
}
