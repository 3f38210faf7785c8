import SluiceCore
import SluiceFormats
import SluiceNet

/// The addresses of one block that are answered, and those that are still open. Pure.
struct BalanceRound: Sendable {
    /// What one request brought.
    struct Part: Sendable {
        /// What is to be made of one call.
        enum Outcome: Sendable {
            case balance(UInt256)
            /// Ask again; nobody is to blame.
            case again
            case failed(String)
            /// The endpoint does not have the state of the block, and says so.
            case pruned(String)
            /// The endpoint does not know the block.
            case unknownBlock
            /// The endpoint does not understand a block given by its hash.
            case hashNotUnderstood
        }

        let endpoint: EndpointID
        /// Places of the addresses that were asked for.
        let indices: [Int]
        let outcomes: [Outcome]

        /// Throws what the pool must act on: when nothing was answered and the endpoint is at fault.
        init(_ reply: RPCClient.Reply, calls: [RPCCall], indices: [Int]) throws {
            var fault: (any Error)?
            var answered = 0
            var generic = 0
            let outcomes = zip(reply.answers, calls).map { answer, call -> Outcome in
                switch answer {
                case .value(let text):
                    guard let balance = Hex.wideQuantity(text) else { return .failed("it was answered with no quantity") }
                    answered += 1
                    return .balance(balance)
                case .null, .tables: return .failed("it was answered with no value")
                case .unanswered: return .again
                case .error(let code, let message):
                    // Invalid parameters: of the two only the block may be given in a way that not all know.
                    if code == -32602 { return .hashNotUnderstood }
                    let error = RPCFault.error(call, code: code, message: message)
                    fault = fault ?? error
                    guard let error = error as? SluiceError, error.class == .endpoint else { return .again }
                    switch error.code {
                    case .stateUnavailable: return .pruned(error.message)
                    case .blockMissing: return .unknownBlock
                    default:
                        generic += 1
                        return .failed(error.message)
                    }
                }
            }
            endpoint = reply.endpoint
            self.indices = indices
            if answered > 0 {
                // Where others are answered, the block and its state are there: one that is not is asked for once more.
                self.outcomes = outcomes.map { outcome in
                    switch outcome {
                    case .balance, .failed, .again: outcome
                    case .pruned, .unknownBlock, .hashNotUnderstood: .failed("the endpoint contradicts itself about the block")
                    }
                }
                return
            }
            self.outcomes = outcomes
            // One call that fails alone may be its address's fault; several that all fail are the endpoint's.
            if outcomes.allSatisfy({ if case .again = $0 { true } else { false } }) || (generic == outcomes.count && generic > 1) {
                throw fault ?? SluiceError(.malformedReply, .endpoint, "eth_getBalance: the reply leaves out what was asked for")
            }
        }
    }

    /// What is to be done next.
    enum Step {
        case goesOn
        case hashNotUnderstood
        /// Some endpoints, noted in `pruned`, do not have the state.
        case pruned
        case unknownBlock
        /// Nobody gives any balance at all.
        case nothing(String)
    }

    private(set) var open: [Int]
    private(set) var outcomes: [Result<UInt256, BalanceFetcher.Refusal>?]
    /// What endpoints without the state of the block say.
    private(set) var answers: [EndpointID: String] = [:]
    /// Endpoints without the state of the block.
    var pruned: Set<EndpointID> { Set(answers.keys) }
    /// Endpoints that failed in the last pass; asked again when there is no other.
    private var failed: Set<EndpointID> = []
    private var tries: [Int: Int] = [:]

    init(count: Int) {
        open = Array(0..<count)
        outcomes = Array(repeating: nil, count: count)
    }

    /// Endpoints that the next pass leaves alone.
    func avoiding(among all: [EndpointID]) -> Set<EndpointID> {
        let both = pruned.union(failed)
        return all.allSatisfy(both.contains) ? pruned : both
    }

    /// Takes what a pass has brought.
    mutating func take(_ parts: [Part], patience: Int) -> Step {
        var step = Step.goesOn
        var messages: [Int: String] = [:]
        failed = []
        for part in parts {
            for (index, outcome) in zip(part.indices, part.outcomes) {
                switch outcome {
                case .balance(let balance): outcomes[index] = .success(balance)
                case .again: break
                case .failed(let message):
                    failed.insert(part.endpoint)
                    tries[index, default: 0] += 1
                    messages[index] = message
                case .pruned(let answer):
                    answers[part.endpoint] = answer
                    step = .pruned
                case .unknownBlock:
                    failed.insert(part.endpoint)
                    if case .pruned = step { continue }
                    step = .unknownBlock
                case .hashNotUnderstood: step = .hashNotUnderstood
                }
            }
        }
        let isAnyAnswered = outcomes.contains { if case .success? = $0 { true } else { false } }
        for (index, message) in messages where tries[index, default: 0] >= patience {
            // Without any answer it cannot be told whether the address is at fault.
            guard isAnyAnswered else { return .nothing(message) }
            outcomes[index] = .failure(BalanceFetcher.Refusal(message: message))
        }
        open.removeAll { outcomes[$0] != nil }
        return step
    }
}
