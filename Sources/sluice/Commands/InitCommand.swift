import Glibc
import SluiceCommand
import SluiceCore
import SluiceDuckDB

extension Command {
    static let initialise = Command(
        name: "init", summary: "write a configuration to start from", usage: "[FILE]", options: [], operands: 0...1,
        examples: ["sluice init", "sluice init chain.yaml"]
    ) { arguments in
        let path = arguments.operands.first ?? "sluice.yaml"
        guard access(path, F_OK) != 0 else {
            throw SluiceError(
                SluiceError.Code("config_exists"), .config, "\(path) is there already", mend: "name another file: sluice init FILE")
        }
        try Folder.create(Folder.parent(of: path))
        let file = try PartialFile(path)
        if let failure = Output.write(text, to: try file.open()) { throw failure }
        try file.finish()
        Output.note(
            """
            \(path) is written. What to type next:
              export ETH_RPC_URL=https://...       the URL of any Ethereum JSON-RPC endpoint
              sluice plan -c \(path)
              sluice run -c \(path)
            """)
        return .success
    }

    private static let text = """
        # yaml-language-server: $schema=docs/reference/sluice.schema.json
        # Ethereum into an embedded DuckDB file, from the head on. `sluice registers` says what else can be asked for.
        networks:
          ethereum:
            endpoints: ["${ETH_RPC_URL}"]

        sinks:
          warehouse:
            type: duckdb
            path: data/sluice.duckdb

        pipelines:
          chain:
            network: ethereum
            register: geth_block
            start: latest
            sinks: [warehouse]

        """
}
