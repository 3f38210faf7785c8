import SluiceCore

/// Chain, faults and counters behind the simulator's lock.
final class SimulatorCore {
    let chain: any SimulatedChain
    private let options: SimulatorOptions
    private var planner: FaultPlanner
    private(set) var statistics = SimulatorStatistics()
    /// The highest block that was named as the head.
    private var namedHead: UInt64 = 0

    init(_ options: SimulatorOptions, time: TimeSource) throws {
        self.options = options
        switch options.source {
        case .replay(let replay): chain = try ReplayChain(replay)
        case .generated(let generator): chain = GeneratedChain(generator, start: time.now())
        }
        planner = FaultPlanner(options.faults)
    }

    /// One HTTP request: what it asks, what goes wrong, what is answered.
    func answer(_ body: UnsafeBufferPointer<UInt8>, now: MonotonicTime) -> HTTPAnswer {
        chain.catchUp(to: now)
        statistics.requests += 1
        let calls: [RPCCall?]
        var isBatch = false
        switch RPCRequest(body) {
        case .unparsable: return refuse(.parse)
        case .invalid: return refuse(.invalidRequest)
        case .single(let call): calls = [call]
        case .batch(let batch):
            calls = batch
            isBatch = true
        }
        for call in calls { statistics.calls[name(call), default: 0] += 1 }
        guard planner.admits(calls: calls.count, now: now) else {
            statistics.faults["rate_limited", default: 0] += 1
            return tooMany(retryAfter: true)
        }
        if isBatch, !options.rpc.hasBatches { return refuse(RPCError(code: -32600, message: "batch requests are not supported")) }
        if isBatch, calls.count > options.rpc.maxBatch { return refuse(RPCError(code: -32600, message: "batch too large")) }
        var answer = answer(calls, isBatch: isBatch)
        answer.delay = planner.latency()
        if let tell = options.onHead, chain.head > namedHead, calls.contains(where: { $0?.asksForHead ?? false }) {
            for number in (namedHead == 0 ? chain.head : namedHead + 1)...chain.head { tell(number) }
            namedHead = chain.head
        }
        return answer
    }

    /// Unknown names are counted together, so that requests cannot fill the memory with names.
    private func name(_ call: RPCCall?) -> String {
        guard let call else { return "invalid" }
        return statistics.calls.count < 100 || statistics.calls[call.method] != nil ? call.method : "other"
    }

    private func refuse(_ error: RPCError) -> HTTPAnswer {
        var body = Body()
        body.append(error.answer(id: Array("null".utf8)))
        return HTTPAnswer(body: body)
    }

    private func tooMany(retryAfter: Bool) -> HTTPAnswer {
        HTTPAnswer(
            status: 429, headers: retryAfter ? ["Retry-After: \(options.faults.retryAfterSeconds)"] : [],
            body: Body(#"{"jsonrpc":"2.0","id":null,"error":{"code":-32005,"message":"too many requests"}}"#))
    }

    // MARK: faults

    private func answer(_ calls: [RPCCall?], isBatch: Bool) -> HTTPAnswer {
        var handler = RPCHandler(chain: chain, options: options.rpc)
        let fault = planner.fault { isPossible($0, calls, handler) }
        if let fault { statistics.faults[fault.rawValue, default: 0] += 1 }
        switch fault {
        case .tooManyRequests: return tooMany(retryAfter: false)
        case .tooManyRequestsRetryAfter: return tooMany(retryAfter: true)
        case .serverError:
            let status = [500, 502, 503][Int.random(in: 0..<3, using: &planner.random)]
            return HTTPAnswer(status: status, body: Body(#"{"error":"upstream failure"}"#))
        case .lagging: handler.lag = UInt64.random(in: 1...max(1, options.faults.lagBlocks), using: &planner.random)
        case .nullAtTip: handler.unknownAbove = chain.head - min(chain.head, options.faults.tipBlocks)
        case .wrongChainID: handler.chainIDOffset = 1
        default: break
        }
        // One lie at a time: two in one batch could agree with each other, and who holds them against each other would believe them.
        let liar = fault == .alteredBody ? calls.indices.filter { Self.canBeAltered(calls[$0]) }.randomElement(using: &planner.random) : nil
        var answers = calls.indices.map { answer(calls[$0], handler, fault == .alteredBody && $0 != liar ? nil : fault) }
        if fault == .rpcError { spoilOne(&answers, calls) }
        if let fault, isBatch { disturb(&answers, calls, fault) }
        let body = isBatch ? joined(answers) : answers[0]
        return deliver(body, fault)
    }

    private func isPossible(_ kind: FaultKind, _ calls: [RPCCall?], _ handler: RPCHandler) -> Bool {
        switch kind {
        case .batchReordered, .batchMissing, .batchDuplicated: return calls.count > 1
        case .nullAtTip:
            let tip = chain.head - min(chain.head, options.faults.tipBlocks)
            return calls.contains { $0.flatMap { handler.blockNumber($0) }.map { $0 > tip } ?? false }
        case .wrongChainID: return calls.contains { $0?.method == "eth_chainId" || $0?.method == "net_version" }
        case .alteredBody: return calls.contains { Self.canBeAltered($0) }
        default: return true
        }
    }

    private static func canBeAltered(_ call: RPCCall?) -> Bool {
        call?.method == "eth_getBlockByNumber" || call?.method == "eth_getBlockByHash" || call?.method == "eth_getBlockReceipts"
    }

    private func answer(_ call: RPCCall?, _ handler: RPCHandler, _ fault: FaultKind?) -> Body {
        var body = Body()
        guard let call else {
            body.append(RPCError.invalidRequest.answer(id: Array("null".utf8)))
            return body
        }
        do {
            var result = try handler.result(call)
            if fault == .alteredBody, Self.canBeAltered(call) { result = altered(result, call) }
            body.append(#"{"jsonrpc":"2.0","id":"#)
            body.append(call.id)
            body.append(#","result":"#)
            body.append(result)
            body.append("}")
        } catch let error as RPCError {
            body.append(error.answer(id: call.id))
        } catch {
            body.append(RPCError(code: -32603, message: "internal error").answer(id: call.id))
        }
        return body
    }

    private func altered(_ result: Body, _ call: RPCCall) -> Body {
        let text = result.flattened()
        let isReceipts = call.method == "eth_getBlockReceipts"
        let changed = Mutations.pick(block: isReceipts ? nil : text, receipts: isReceipts ? text : nil, random: &planner.random)
        var body = Body()
        body.append(.own(changed ?? text))
        return body
    }

    private func spoilOne(_ answers: inout [Body], _ calls: [RPCCall?]) {
        let place = Int.random(in: 0..<answers.count, using: &planner.random)
        let errors = [
            RPCError(code: -32000, message: "header not found"), RPCError(code: -32005, message: "limit exceeded"),
            RPCError(code: -32603, message: "internal error"),
        ]
        let error = errors[Int.random(in: 0..<errors.count, using: &planner.random)]
        answers[place] = Body()
        answers[place].append(error.answer(id: calls[place]?.id ?? Array("null".utf8)))
    }

    private func disturb(_ answers: inout [Body], _ calls: [RPCCall?], _ fault: FaultKind) {
        guard answers.count > 1 else { return }
        let place = Int.random(in: 0..<answers.count, using: &planner.random)
        switch fault {
        case .batchReordered: answers.append(answers.remove(at: min(place, answers.count - 2)))
        case .batchMissing: answers.remove(at: place)
        case .batchDuplicated: answers[place] = answers[(place + 1) % answers.count]
        default: break
        }
    }

    private func joined(_ answers: [Body]) -> Body {
        var body = Body("[")
        for (index, answer) in answers.enumerated() {
            if index > 0 { body.append(",") }
            body.append(answer)
        }
        body.append("]")
        return body
    }

    private func deliver(_ body: Body, _ fault: FaultKind?) -> HTTPAnswer {
        var answer = HTTPAnswer(body: body)
        switch fault {
        case .truncatedBody: answer.delivery = .truncated(after: Int.random(in: 0..<max(1, body.count), using: &planner.random))
        case .reset: answer.delivery = .reset
        case .timeout: answer.delivery = .never
        case .trickle:
            answer.delivery = .trickle(bytes: max(1, options.faults.trickleBytes), every: options.faults.trickleInterval)
        case .malformedBody:
            answer.body = Body()
            answer.body.append(.own(planner.malform(body.flattened())))
        default: break
        }
        return answer
    }
}
