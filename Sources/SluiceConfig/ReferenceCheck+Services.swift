// What pipelines may ask of networks that are no chains.

extension ReferenceCheck {
    /// Registers must be asked of the type of network that they are read from; the parts of a service have no common start, cannot be
    /// combined with blocks, and are shared out to one pipeline a group.
    mutating func check(
        _ entry: ConfigEntry, _ combine: ConfigObject?, _ written: YAMLNode?, _ registers: [ConfigValue], _ decoder: inout SpecDecoder
    ) {
        let path = "pipelines.\(entry.key)"
        for (index, stream) in (combine?.list("streams") ?? []).enumerated() {
            guard let value = stream.object?.value("network"), let name = value.string, services[name] != nil else { continue }
            decoder.report(
                value.mark, "\(path).combine.streams[\(index)].network", "\"\(name)\" is no chain, and cannot be combined with others",
                "read it by a pipeline of its own")
        }
        guard let object = entry.value.object, let value = object.value("network"), let name = value.string, networks.contains(name) else {
            return
        }
        let type = services[name]?.tag ?? ConfigCatalog.ethereum
        for register in registers {
            guard let asked = register.string, catalog.registers.contains(asked), case let needed = catalog.source(asked), needed != type
            else { continue }
            decoder.report(
                register.mark, path,
                "the register \"\(asked)\" is read from a network of type \(needed), and \"\(name)\" is of type \(type)",
                "ask for another register, or name another network")
        }
        guard let service = services[name] else { return }
        if let start = written?.entries?.first(where: { $0.key == "start" }) {
            decoder.report(
                start.keyMark, "\(path).start", "the parts of \"\(name)\" have no start in common",
                "say start: earliest or latest at networks.\(name)")
        }
        for (index, use) in (object.value("sinks")?.list ?? []).enumerated() {
            guard let policy = use.object?.value("when_full"), policy.string == "drop_newest" else { continue }
            decoder.report(
                policy.mark, "\(path).sinks[\(index)].when_full", "what is left out of \"\(name)\" could not be read again",
                "say block or spill")
        }
        guard let group = service.string(ifSet: "group"), !group.contains("{pipeline}") else { return }
        let place = "\(service.string(ifSet: "brokers") ?? "") \(service.string(ifSet: "topic") ?? "") \(group)"
        if let other = groups.updateValue(entry.key, forKey: place) {
            decoder.report(
                value.mark, "\(path).network",
                "the pipeline \"\(other)\" reads it as the group \"\(group)\" already: each would get a part of it",
                "put {pipeline} into networks.\(name).group")
        }
    }
}
