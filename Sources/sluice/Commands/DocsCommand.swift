import Glibc
import SluiceCatalog
import SluiceCommand
import SluiceConfig
import SluiceCore
import SluiceDuckDB

extension Command {
    /// Writes the generated pages of the documentation, so that they can be compared with what is committed.
    static let docs = Command(
        name: "docs", summary: "write the reference pages", usage: "DIR", options: [], operands: 1...1, isHidden: true
    ) { arguments in
        let folder = arguments.operands[0]
        try Folder.create(folder)
        for (name, text) in ReferencePages.all {
            let file = try PartialFile(folder + "/" + name)
            if let failure = Output.write(text, to: try file.open()) { throw failure }
            try file.finish()
        }
        return .success
    }
}

/// The pages under `docs/reference`, each made from what the program itself goes by.
enum ReferencePages {
    static var all: [(name: String, text: String)] {
        let spec = SluiceConfiguration.spec(Catalog.configuration)
        return [
            ("exit-codes.md", exitCodes),
            ("command-line.md", commandLine),
            (
                "configuration.md",
                head("Configuration") + ConfigDocs.reference(spec, title: "The file")
                    + "## A sample\n\n```yaml\n\(ConfigDocs.sample(spec))```\n"
            ),
            ("registers.md", head("Registers") + registers + RegisterPages.markdown()),
            ("sluice.schema.json", ConfigDocs.jsonSchema(spec, title: "Sluice configuration")),
        ]
    }

    private static func head(_ title: String) -> String { "<!-- Made by `sluice docs`; do not edit. -->\n\n# \(title)\n\n" }

    private static let registers =
        "A register is a named output that a pipeline asks for. Its number stands for it in identifiers. An addressed one must be told what\n"
        + "to look at: the column says under which key the shared state holds that, with a star where each member has a set of its own.\n\n"

    private static var exitCodes: String {
        var out = head("Exit codes") + "| code | name | meaning |\n|---|---|---|\n"
        for code in ExitCode.allCases.sorted(by: { $0.rawValue < $1.rawValue }) { out += "| \(code.rawValue) | \(code) | \(code.doc) |\n" }
        return out
    }

    private static var commandLine: String {
        var out = head("Command line")
        out += "Data goes to standard output, everything else to standard error. `NO_COLOR`, `CLICOLOR_FORCE` and `TERM=dumb` are heeded.\n"
        out += "What a command returns is in [exit codes](exit-codes.md).\n\n```text\n\(Help.overview(Sluice.commands))\n```\n"
        for command in Sluice.commands where !command.isHidden {
            out += "\n## sluice \(command.name)\n\n```text\n\(Help.text(command))\n```\n"
        }
        return out
    }
}
