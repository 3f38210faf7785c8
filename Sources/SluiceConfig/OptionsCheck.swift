/// Brings together registers that must be told something and what pipelines tell them.
struct OptionsCheck {
    /// The registers of each pipeline as it wants them.
    static func run(
        _ root: ConfigObject, _ tree: YAMLNode, _ catalog: ConfigCatalog, _ environment: ConfigEnvironment, _ decoder: inout SpecDecoder
    ) -> [String: [ConfiguredRegister]] {
        var configured: [String: [ConfiguredRegister]] = [:]
        for entry in root.value("pipelines")?.map ?? [] {
            guard let object = entry.value.object else { continue }
            for options in catalog.options {
                let written = tree["pipelines"]?[entry.key]
                let made = check(object, written, options, "pipelines.\(entry.key)", environment, &decoder)
                if let made { configured[entry.key, default: []].append(made) }
            }
        }
        return configured
    }

    private static func check(
        _ pipeline: ConfigObject, _ written: YAMLNode?, _ options: RegisterOptions, _ path: String, _ environment: ConfigEnvironment,
        _ decoder: inout SpecDecoder
    ) -> ConfiguredRegister? {
        let name = options.field.name
        let below = "\(path).\(name)"
        let registers = [pipeline.value("register")].compactMap { $0 } + (pipeline.value("registers")?.list ?? [])
        let asked = registers.first { $0.string == options.register }
        guard let entry = written?.entries?.first(where: { $0.key == name }) else {
            if let asked {
                decoder.report(
                    asked.mark, path, "the register \"\(options.register)\" needs \"\(name)\", which says what it is to look at",
                    options.field.example.map { "for example \(name): \($0)" })
            }
            return nil
        }
        if asked == nil, !registers.isEmpty {
            decoder.report(
                entry.keyMark, below, "\"\(name)\" is for the register \"\(options.register)\", which is not asked for",
                "add \(options.register) to registers, or take \(name) out")
        }
        guard let value = pipeline.value(name) else { return nil }
        var found: [OptionProblem] = []
        let made = options.configure(value, environment) { found.append($0) }
        for problem in found {
            // What came from outside is named, not shown: nor is what a parser says about it.
            if let raw = entry.value.interpolated(at: problem.mark) {
                decoder.report(problem.mark, below + problem.path, "the value of \"\(raw)\" cannot be used here", "write it out to see why")
            } else {
                decoder.report(problem.mark, below + problem.path, problem.message, problem.suggestion)
            }
        }
        return found.isEmpty ? made : nil
    }
}

extension YAMLNode {
    /// How a scalar that stands at a mark was written when its value came from outside; nil for any other.
    fileprivate func interpolated(at place: SourceMark) -> String? {
        switch content {
        case .scalar(_, let origin): origin == .interpolated && mark == place ? raw : nil
        case .sequence(let items): items.lazy.compactMap { $0.interpolated(at: place) }.first
        case .mapping(let entries): entries.lazy.compactMap { $0.value.interpolated(at: place) }.first
        }
    }
}
