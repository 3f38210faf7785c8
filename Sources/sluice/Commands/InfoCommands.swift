import SluiceCatalog
import SluiceConfig

extension Command {
    static let validate = Command(
        name: "validate", summary: "check a configuration; all problems at once", usage: "[-c FILE]", options: [.config]
    ) { arguments in
        let configuration = try SluiceConfiguration.load(path: arguments.config, catalog: Catalog.configuration)
        Output.line(
            "\(arguments.config) is valid: \(configuration.networks.count) networks, \(configuration.sinks.count) sinks, \(configuration.pipelines.count) pipelines")
        return .success
    }

    static let version = Command(name: "version", summary: "say what this is", usage: "", options: []) { _ in
        Output.line("sluice \(Version.text)")
        return .success
    }
}
