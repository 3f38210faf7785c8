import Glibc
import SluiceCore
import SluiceSimulator

/// The blocks that are measured with: recorded ones of the main network, or generated ones where there is no recording.
struct Workload: Sendable {
    /// A recorded file.
    let path: String
    /// The recorded blocks used; nil for all of the file.
    let only: [UInt64]?
    /// How many different blocks there are; they come again and again, re-numbered.
    let count: Int
    let isRecorded: Bool

    /// The number of the first block.
    static let start: UInt64 = 20_000_000
    /// Blocks after the merge that together have the traffic of an average block: neither small nor only large ones.
    private static let mix: [UInt64] = [15_753_009, 17_034_869, 17_034_870, 17_053_184, 19_426_586, 20_000_000, 22_431_084]
    /// How many blocks are generated when there is no recording.
    private static let generated = 16
    private static let name = "shared/data/mainnet/complete_blocks.jsonl.zst"

    /// - Parameter wanted: a recorded file; without one it is looked for beside the checkout, and else blocks are generated.
    init(_ wanted: String?, folder: String) throws {
        if let path = try wanted ?? Self.found() {
            guard access(path, R_OK) == 0 else { throw BenchError("reading \(path): \(String(cString: strerror(errno)))") }
            self.init(path, isGenerated: false)
        } else {
            self.init("\(folder)/generated.jsonl", isGenerated: true)
        }
    }

    /// Data that is there.
    init(_ path: String, isGenerated: Bool) {
        self.path = path
        only = isGenerated ? nil : Self.mix
        count = isGenerated ? Self.generated : Self.mix.count
        isRecorded = !isGenerated
    }

    /// Writes the generated blocks, when there is no recording.
    static func generate(to path: String) throws {
        var options = GeneratorOptions(seed: 7)
        options.first = start
        options.history = generated
        options.transactions = 145...160
        let simulator = try Simulator(SimulatorOptions(.generated(options)))
        try simulator.writeRecorded(start...start + UInt64(generated - 1), to: path)
    }

    /// What `sluice simulate` needs to serve `blocks` of them.
    func arguments(blocks: Int) -> [String] {
        var all = ["--replay", path, "--blocks", "\(blocks)", "--start", "\(Self.start)", "--port", "0"]
        if let only { all += ["--only", only.map(String.init).joined(separator: ",")] }
        return all
    }

    /// Each different block once, as the reply to a batch of two calls: block and receipts.
    func replies(padding: Int) throws -> [Buffer] {
        var options = ReplayOptions(files: [path])
        options.only = only.map(Set.init)
        options.count = count
        options.start = Self.start
        let simulator = try Simulator(SimulatorOptions(.replay(options)))
        return try (0..<count).map { place in
            guard let block = try simulator.canonical(Self.start + UInt64(place)), let receipts = block.receipts else {
                throw BenchError("\(path) lacks a block, or its receipts")
            }
            let (first, second) = (#"[{"jsonrpc":"2.0","id":1,"result":"#, #"},{"jsonrpc":"2.0","id":2,"result":"#)
            return Buffer(copying: Array(first.utf8) + block.block + Array(second.utf8) + receipts + Array("}]".utf8), padding: padding)
        }
    }

    /// The recording in a folder beside one of the folders above.
    private static func found() throws -> String? {
        guard let here = getcwd(nil, 0) else { return nil }
        defer { free(here) }
        var folder = String(cString: here)[...]
        while true {
            if case let path = "\(folder)/\(name)", access(path, R_OK) == 0 { return path }
            guard let slash = folder.lastIndex(of: "/") else { return nil }
            folder = folder[..<slash]
        }
    }
}
