import Glibc
import SluiceCatalog
import SluiceCommand
import SluiceConfig
import SluiceCore
import SluiceDuckDB
import SluiceNet
import SluiceTelemetry

/// What only the outside can tell: whether endpoints answer for the right chain, and whether sinks can be written.
struct ConnectionCheck {
    let configuration: SluiceConfiguration

    /// Says a line for everything; the exit code is that of the first failure.
    func run() async throws -> ExitCode {
        var worst: ExitCode = .success
        func note(_ what: String, _ error: any Error) {
            let error = error as? SluiceError ?? SluiceError(SluiceError.Code("unexpected"), .fatal, "\(error)")
            Output.line("failed  \(what): \(Visible.safe(error.message))" + (error.mend.map { "\n        help: \($0)" } ?? ""))
            if worst == .success { worst = ExitCode(error) }
        }
        let http = try HTTPClient(userAgent: "sluice/\(Version.text)")
        defer { http.shutdown() }
        for network in configuration.networks {
            if let service = network.service, let connector = Catalog.service(network) {
                let what = "network \(network.name), \(service.type)"
                do { Output.line("ok      \(what): \(try await connector.look(network.name, service.options))") } catch {
                    note(what, error)
                }
            }
            for endpoint in network.endpoints {
                let what = "network \(network.name), endpoint \(endpoint.url)"
                do {
                    let oracles = Catalog.oracles(
                        network.only(endpoint), http: http, recent: NoBlocks(), time: .live, random: SeededRandom(seed: 1), log: .disabled)
                    let oracle = oracles([]) { _ in }
                    let head = try await oracle.head()
                    Output.line(
                        "ok      \(what): chain \(network.chainID), head \(Amount.grouped(head.latest)), finalized \(Amount.grouped(head.finalized))"
                    )
                } catch { note(what, error) }
            }
        }
        for sink in configuration.sinks {
            let what = "sink \(sink.name)"
            do { Output.line("ok      \(what): \(try await Blocking.run { try check(sink) })") } catch { note(what, error) }
        }
        if let shared = configuration.sharedState {
            let what = "shared state in \(shared.store)"
            do {
                let opened = try await Catalog.state(of: configuration, log: .disabled) { MemoryState() }
                await opened.close()
                Output.line("ok      \(what): \(opened.shown)")
            } catch { note(what, error) }
        }
        do {
            try writable(Folder.parent(of: configuration.state))
            Output.line("ok      state \(configuration.state)")
        } catch { note("state \(configuration.state)", error) }
        return worst
    }

    private func check(_ sink: SinkSettings) throws -> String {
        guard let path = sink.options.string(ifSet: "path") else { return "nothing to check" }
        // A bucket is asked when the sink is opened.
        if path.contains("://") { return "nothing to check" }
        guard sink.type == "duckdb" else {
            try writable(path)
            return "the folder \(path) can be written"
        }
        try DuckDBLibrary.load()
        guard access(path, F_OK) == 0 else {
            try writable(Folder.parent(of: path))
            return "\(path) can be made"
        }
        _ = try DuckDBDatabase(path: path)
        return "\(path) can be opened for writing"
    }

    /// Whether a folder, or the first one above it that is there, can be written.
    private func writable(_ path: String) throws {
        var at = path
        while access(at, F_OK) != 0, errno == ENOENT, at != ".", at != "/" { at = Folder.parent(of: at) }
        guard access(at, W_OK | X_OK) == 0 else { throw Folder.failure("writing to \(at)") }
    }

    private struct NoBlocks: RecentBlocks {
        func ancestors(of position: Position) async throws -> [BlockRef] { [] }
        func remember(_ links: [BlockLink]) async throws {}
        func finalized() async throws -> UInt64? { nil }
        func finalize(through number: UInt64) async throws {}
    }
}
