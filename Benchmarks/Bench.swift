import Glibc

/// What all measurements share: where things are, what is measured with, and how often.
struct Bench {
    let folder: String
    let sluice: String
    let workload: Workload
    /// Set by the command line; nil: each suite's own number.
    var blocks: Int?
    var runs = 3
    /// Bytes, transactions and logs of each different block.
    private(set) var contents: [(bytes: Int, transactions: Int, logs: Int)] = []

    init(_ options: BenchOptions, folder: String) throws {
        self.folder = folder
        sluice = try options.sluice ?? Self.sibling("sluice")
        workload = try Workload(options.data, folder: folder)
        blocks = options.blocks
        runs = options.runs
        if !workload.isRecorded { _ = try helper(["generate", workload.path]) }
        contents = try helper(["measure", "facts", "1"]).output.map { line in
            let words = Dictionary(Self.words(line), uniquingKeysWith: { $1 })
            return (Int(words["bytes"] ?? 0), Int(words["transactions"] ?? 0), Int(words["logs"] ?? 0))
        }
        guard contents.count == workload.count else { throw BenchError("\(workload.path) does not hold the blocks that are measured with") }
    }

    /// Bytes of JSON of the first so many blocks.
    func bytes(_ blocks: Int) -> Int { (0..<blocks).reduce(0) { $0 + contents[$1 % contents.count].bytes } }

    /// Rows of the first so many blocks: blocks, transactions, logs.
    func rows(_ blocks: Int) -> [Int] {
        (0..<blocks).reduce(into: [blocks, 0, 0]) { sum, place in
            sum[1] += contents[place % contents.count].transactions
            sum[2] += contents[place % contents.count].logs
        }
    }

    /// What the blocks are, in one line.
    var description: String {
        let all = 1_000 * contents.count
        func average(_ sum: Int) -> String { Text.fixed(Double(sum) / Double(all), 1) }
        return "\(workload.isRecorded ? "recorded main network blocks" : "GENERATED blocks (no recording was found: see --data)"), "
            + "on average \(average(rows(all)[1])) transactions, \(average(rows(all)[2])) logs, "
            + "\(average(bytes(all) / 1_000)) KB of JSON"
    }

    /// Runs this program again for what needs memory or must be measured alone.
    func helper(_ arguments: [String]) throws -> (output: [String], usage: Usage) {
        let output = "\(folder)/helper.out"
        let errors = "\(folder)/helper.log"
        unlink(errors)
        let file = open(output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw BenchError("writing \(output): \(String(cString: strerror(errno)))") }
        defer { close(file) }
        let child = try Child(
            [try Self.own()] + arguments + ["--data", workload.path, "--temp", folder] + (workload.isRecorded ? [] : ["--generated"]),
            output: file, errors: errors)
        let usage = try child.wait(errors: errors)
        return ((Text.file(output) ?? "").split(separator: "\n").map(String.init), usage)
    }

    /// `key=value` words with numbers.
    static func words(_ line: String) -> [(String, Double)] {
        line.split(separator: " ").compactMap { word in
            let parts = word.split(separator: "=")
            return parts.count == 2 ? Double(parts[1]).map { (String(parts[0]), $0) } : nil
        }
    }

    /// This program.
    static func own() throws -> String {
        guard let path = realpath("/proc/self/exe", nil) else { throw BenchError("cannot find this program") }
        defer { free(path) }
        return String(cString: path)
    }

    private static func sibling(_ name: String) throws -> String {
        let path = try own().split(separator: "/").dropLast().reduce("") { $0 + "/" + $1 } + "/" + name
        guard access(path, X_OK) == 0 else {
            throw BenchError("\(path) is not there: build the product sluice for release, or name one by --sluice")
        }
        return path
    }
}
