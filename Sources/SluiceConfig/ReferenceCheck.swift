internal import SluiceCore

/// What a spec cannot say: that names refer to something, that choices exclude each other, that two pipelines do not write
/// the same rows. Works on whatever decoded, so that these problems are listed together with the others.
struct ReferenceCheck {
    let catalog: ConfigCatalog
    let networks: [String]
    private let sinks: [String]
    private var chains: [String: UInt64] = [:]
    /// Networks that are no chains.
    private(set) var services: [String: ConfigObject] = [:]
    /// Which pipeline reads a service as which group.
    var groups: [String: String] = [:]
    /// Which pipeline writes a table of a chain into a sink.
    private var writers: [String: String] = [:]

    static func run(_ root: ConfigObject, _ tree: YAMLNode, _ catalog: ConfigCatalog, _ decoder: inout SpecDecoder) {
        var check = ReferenceCheck(catalog, tree)
        for entry in root.value("networks")?.map ?? [] { check.network(entry, &decoder) }
        check.sinkPaths(root, &decoder)
        for entry in root.value("pipelines")?.map ?? [] { check.pipeline(entry, tree, &decoder) }
        for (name, count) in [
            ("networks", check.networks.count), ("sinks", check.sinks.count), ("pipelines", tree["pipelines"]?.entries?.count ?? 0),
        ] {
            guard count == 0, let node = tree[name], node.entries != nil else { continue }
            decoder.report(node.mark, name, "there must be at least one")
        }
    }

    /// Names come from the tree, so that a network with a mistake in it is not called unknown as well.
    private init(_ catalog: ConfigCatalog, _ tree: YAMLNode) {
        self.catalog = catalog
        networks = tree["networks"]?.entries?.map(\.key) ?? []
        sinks = tree["sinks"]?.entries?.map(\.key) ?? []
    }

    private mutating func network(_ entry: ConfigEntry, _ decoder: inout SpecDecoder) {
        guard let object = entry.value.object else { return }
        if let type = object.tag, type != ConfigCatalog.ethereum {
            services[entry.key] = object
            chains[entry.key] = MadeChain.id([entry.key])
            return
        }
        let path = "networks.\(entry.key)"
        let expected = NetworkPreset.named(entry.key)?.chainID
        let id = object.int(ifSet: "chain_id").map { UInt64($0) }
        chains[entry.key] = id ?? expected
        switch (expected, id) {
        case (let expected?, let id?) where expected != id:
            decoder.report(
                object.value("chain_id")?.mark ?? entry.keyMark, "\(path).chain_id",
                "the preset \"\(entry.key)\" is chain \(expected), not \(id)", "give the network another name, or leave chain_id out")
        case (nil, nil):
            let near = Spelling.nearest(to: entry.key, in: NetworkPreset.all.map(\.name))
            decoder.report(
                entry.keyMark, path, "no preset of this name, and no chain_id", near.map { "did you mean \"\($0)\"?" } ?? "add chain_id")
        default: break
        }
    }

    /// Two sinks must not share a file or folder: each believes that it is alone there.
    private func sinkPaths(_ root: ConfigObject, _ decoder: inout SpecDecoder) {
        var owners: [String: String] = [:]
        if let state = root.string(ifSet: "state") { owners[Self.plain(state)] = "the state file" }
        for entry in root.value("sinks")?.map ?? [] {
            guard let value = entry.value.object?.value("path"), let path = value.string else { continue }
            if let owner = owners.updateValue("the sink \"\(entry.key)\"", forKey: Self.plain(path)) {
                decoder.report(value.mark, "sinks.\(entry.key).path", "the same path as \(owner)", "give each its own")
            }
        }
    }

    /// A path without `./`, doubled and trailing slashes.
    private static func plain(_ path: String) -> String {
        (path.hasPrefix("/") ? "/" : "") + path.split(separator: "/").filter { $0 != "." }.joined(separator: "/")
    }

    private mutating func pipeline(_ entry: ConfigEntry, _ tree: YAMLNode, _ decoder: inout SpecDecoder) {
        guard let object = entry.value.object else { return }
        let path = "pipelines.\(entry.key)"
        let written = tree["pipelines"]?[entry.key]
        let combine = object.value("combine")?.object
        let network = object.value("network") ?? combine?.list("streams").first?.object?.value("network")
        if object.value("network") == nil, written?["network"] == nil, written?["combine"] == nil {
            decoder.report(entry.value.mark, path, "missing \"network\"", "for example network: \(networks.first ?? "ethereum")")
        }
        if let network, combine == nil { refer(network, "\(path).network", "network", networks, &decoder) }
        for (index, stream) in (combine?.list("streams") ?? []).enumerated() {
            guard let name = stream.object?.value("network") else { continue }
            refer(name, "\(path).combine.streams[\(index)].network", "network", networks, &decoder)
        }

        let both = written?["register"] != nil && written?["registers"] != nil
        if both, let key = written?.entries?.first(where: { $0.key == "registers" }) {
            decoder.report(key.keyMark, "\(path).registers", "there is \"register\" already", "keep one of the two")
        } else if written?["register"] == nil, written?["registers"] == nil {
            decoder.report(
                entry.value.mark, path, "missing \"register\" (or \"registers\")",
                "for example register: \(catalog.registers.first ?? "blocks")")
        }
        var registers: [ConfigValue] = []
        if let one = object.value("register") {
            refer(one, "\(path).register", "register", catalog.registers, &decoder)
            registers.append(one)
        }
        registers += references(object.value("registers"), "\(path).registers", "register", catalog.registers, &decoder)
        let targets = references(object.value("sinks"), "\(path).sinks", "sink", sinks, &decoder)
        check(entry, combine, written, registers, &decoder)
        guard !both, let name = network?.string, let chain = chains[name] else { return }
        claim(entry, chain, registers, targets, path, &decoder)
    }

    /// A list of names: each must exist, none may be there twice.
    private func references(
        _ list: ConfigValue?, _ path: String, _ kind: String, _ known: [String], _ decoder: inout SpecDecoder
    ) -> [ConfigValue] {
        var seen: Set<String> = []
        var out: [ConfigValue] = []
        for (index, value) in (list?.list ?? []).enumerated() {
            let value = value.object?.value(kind) ?? value
            guard let name = value.string else { continue }
            guard seen.insert(name).inserted else {
                decoder.report(value.mark, "\(path)[\(index)]", "the \(kind) \"\(name)\" is there twice")
                continue
            }
            refer(value, "\(path)[\(index)]", kind, known, &decoder)
            out.append(value)
        }
        return out
    }

    private func refer(_ value: ConfigValue, _ path: String, _ kind: String, _ known: [String], _ decoder: inout SpecDecoder) {
        guard let name = value.string, !known.contains(name) else { return }
        let near = Spelling.nearest(to: name, in: known).map { "did you mean \"\($0)\"?" }
        let list = known.isEmpty ? "there is none" : "there is " + known.sorted().joined(separator: ", ")
        decoder.report(value.mark, path, "unknown \(kind)", near ?? list)
    }

    /// Two writers of one table of one chain in one sink would undo each other's rows.
    private mutating func claim(
        _ entry: ConfigEntry, _ chain: UInt64, _ registers: [ConfigValue], _ targets: [ConfigValue], _ path: String,
        _ decoder: inout SpecDecoder
    ) {
        for register in registers {
            guard let name = register.string, catalog.registers.contains(name) else { continue }
            for table in catalog.tables(name) {
                for target in targets {
                    guard let sink = target.string else { continue }
                    let key = "\(chain) \(sink) \(table)"
                    guard let owner = writers.updateValue(entry.key, forKey: key), owner != entry.key else { continue }
                    decoder.report(
                        register.mark, path,
                        "the pipeline \"\(owner)\" writes the table \"\(table)\" of chain \(chain) into \"\(sink)\" already",
                        "use another sink, or ask for both registers in one pipeline")
                }
            }
        }
    }
}
