import SluiceCore

/// Brings together registers that combine streams and pipelines that say which, and how.
struct CombineCheck {
    /// What a pipeline combines.
    struct Combination {
        let streams: [PipelineSettings.Stream]
        let policy: SynchronizationPolicy
    }

    /// What each pipeline that combines streams combines.
    static func run(
        _ root: ConfigObject, _ tree: YAMLNode, _ catalog: ConfigCatalog, _ decoder: inout SpecDecoder
    ) -> [String: Combination] {
        var combined: [String: Combination] = [:]
        for entry in root.value("pipelines")?.map ?? [] {
            guard let object = entry.value.object else { continue }
            let path = "pipelines.\(entry.key)"
            let written = tree["pipelines"]?[entry.key]
            let registers = [object.value("register")].compactMap { $0 } + (object.value("registers")?.list ?? [])
            let aggregator = registers.first { $0.string.map(catalog.aggregators.contains) ?? false }
            guard let key = written?.entries?.first(where: { $0.key == "combine" }) else {
                if let aggregator, let name = aggregator.string {
                    decoder.report(
                        aggregator.mark, path, "the register \"\(name)\" combines streams, and needs \"combine\", which says which",
                        "for example combine: { streams: [{ network: ethereum }, { network: base }], policy: aligned_by_time, tolerance: 12s }"
                    )
                }
                continue
            }
            for other in written?.entries ?? [] where other.key == "network" || other.key == "start" {
                decoder.report(
                    other.keyMark, "\(path).\(other.key)", "there is \"combine\", whose streams name networks and starts", "take it out")
            }
            if aggregator == nil || registers.count > 1, let first = registers.first {
                decoder.report(
                    first.mark, path, "\"combine\" goes with one register that combines streams, and no other",
                    catalog.aggregators.isEmpty ? nil : "ask for " + catalog.aggregators.joined(separator: " or ") + " alone")
            }
            if let combine = object.value("combine")?.object, let made = combination(combine, key, "\(path).combine", &decoder) {
                combined[entry.key] = made
            }
        }
        return combined
    }

    /// Nil when it reported what is wrong.
    private static func combination(
        _ combine: ConfigObject, _ key: YAMLEntry, _ path: String, _ decoder: inout SpecDecoder
    ) -> Combination? {
        var streams: [PipelineSettings.Stream] = []
        for (index, value) in combine.list("streams").enumerated() {
            guard let stream = value.object, let network = stream.string(ifSet: "network") else { return nil }
            if streams.contains(where: { $0.network == network }) {
                decoder.report(value.mark, "\(path).streams[\(index)]", "the network \"\(network)\" is there twice")
                return nil
            }
            streams.append(PipelineSettings.Stream(network: network, start: PipelineSettings.Start(stream)))
        }
        guard let policy = combine.string(ifSet: "policy") else { return nil }
        let belongs = ["trigger": "on_update", "others": "on_update", "tolerance": "aligned_by_time", "every": "window"]
        var isWhole = true
        for entry in key.value.entries ?? [] {
            guard let owner = belongs[entry.key], owner != policy else { continue }
            decoder.report(entry.keyMark, "\(path).\(entry.key)", "\"\(entry.key)\" is for the policy \(owner)", "take it out")
            isWhole = false
        }
        func missing(_ name: String, _ example: String) {
            decoder.report(key.value.mark, path, "the policy \(policy) needs \"\(name)\"", "for example \(name): \(example)")
        }
        func seconds(_ name: String, _ example: String) -> UInt64? {
            guard let duration = combine.duration(ifSet: name) else {
                missing(name, example)
                return nil
            }
            guard duration.components.attoseconds == 0 else {
                decoder.report(
                    combine.value(name)?.mark ?? key.keyMark, "\(path).\(name)", "blocks know whole seconds only", "give whole seconds")
                return nil
            }
            return UInt64(duration.components.seconds)
        }
        let timeout = timeout(combine, path, key, &decoder)
        switch policy {
        case "on_update":
            guard let trigger = combine.value("trigger"), let name = trigger.string else {
                missing("trigger", streams.first?.network ?? "ethereum")
                return nil
            }
            guard let index = streams.firstIndex(where: { $0.network == name }) else {
                decoder.report(
                    trigger.mark, "\(path).trigger", "no stream reads \"\(name)\"",
                    "one of " + streams.map(\.network).joined(separator: ", "))
                return nil
            }
            let others = combine.string(ifSet: "others").flatMap(Cardinality.init) ?? .any
            return isWhole ? Combination(streams: streams, policy: .onUpdate(of: index, others: [others], timeout: timeout)) : nil
        case "latest_of_each": return isWhole ? Combination(streams: streams, policy: .latestOfEach(timeout: timeout)) : nil
        case "aligned_by_height": return isWhole ? Combination(streams: streams, policy: .alignedByHeight(timeout: timeout)) : nil
        case "aligned_by_time":
            guard let tolerance = seconds("tolerance", "12s"), isWhole else { return nil }
            return Combination(streams: streams, policy: .alignedByTime(tolerance: tolerance, timeout: timeout))
        default:
            guard let every = seconds("every", "1m"), isWhole else { return nil }
            return Combination(streams: streams, policy: .window(seconds: every, timeout: timeout))
        }
    }

    private static func timeout(
        _ combine: ConfigObject, _ path: String, _ key: YAMLEntry, _ decoder: inout SpecDecoder
    ) -> Timeout {
        guard let after = combine.duration(ifSet: "timeout") else {
            if let value = combine.value("on_timeout") {
                decoder.report(
                    value.mark, "\(path).on_timeout", "there is no \"timeout\" after which that would happen", "add timeout: 30s")
            }
            return .wait
        }
        return switch combine.string(ifSet: "on_timeout") {
        case "skip": .skip(after: after)
        case "fail": .fail(after: after)
        default: .emitPartial(after: after)
        }
    }
}
