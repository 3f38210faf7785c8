import Glibc
import SluiceCore
import Synchronization
import Testing

@testable import SluiceFlow

struct Broken: Error, Equatable {}

/// A batch that is known by its number, of one block and so many rows.
func numbered(_ number: Int, rows: Int = 1) -> Transit {
    let block = FakeBlock(number: UInt64(number), branch: 0)
    var numbers = ColumnBuilder(.int64)
    var hashes = ColumnBuilder(.fixedBytes(32))
    for _ in 0..<rows {
        numbers.append(Int64(number))
        hashes.append(block.hash)
    }
    let table = Table(schema: rowsSchema, columns: [numbers.finish(), hashes.finish()], rowCount: rows)
    let parent = number == 0 ? Hash32.zero : FakeBlock(number: block.number - 1, branch: 0).hash
    let span = Span(first: block.number, parentHash: parent, blocks: [BlockStamp(hash: block.hash, timestamp: 1)])
    return .batch(Batch(chainID: 1, span: span, tables: [table]))
}

/// What `numbered(_:rows:)` weighs.
func weight(rows: Int = 1) -> Int { 1024 + 40 + 40 * rows }

/// In short: the number of a batch, `r` or `f` and the block of what else there is.
func name(_ transit: Transit?) -> String {
    switch transit {
    case .batch(let batch): "\(batch.span.first)"
    case .rollback(let position): "r\(position.number)"
    case .finalized(let number): "f\(number)"
    case nil: "end"
    }
}

/// Waits until a condition holds. Gives up after very long, so that the test says where.
func eventually(_ what: String, sourceLocation: SourceLocation = #_sourceLocation, _ condition: () async throws -> Bool)
    async throws
{
    for turn in 0..<20_000 {
        if try await condition() { return }
        if turn < 200 { await Task.yield() } else { try await Task.sleep(for: .milliseconds(1)) }
    }
    Issue.record("it did not come to that: \(what)", sourceLocation: sourceLocation)
}

/// A folder that is gone with the object.
final class TemporaryFolder: Sendable {
    let path: String

    init() {
        var template = Array("/tmp/sluice-edge-XXXXXX".utf8CString)
        path = template.withUnsafeMutableBufferPointer { buffer in
            buffer.baseAddress.flatMap { mkdtemp($0) }.map { String(cString: $0) } ?? "/nowhere"
        }
    }

    deinit {
        for file in files { unlink(path + "/" + file) }
        rmdir(path)
    }

    /// Names of the files in it, in order.
    var files: [String] {
        guard let directory = opendir(path) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    func write(_ bytes: [UInt8], to name: String) {
        guard let file = fopen(path + "/" + name, "w") else { return }
        fwrite(bytes, 1, bytes.count, file)
        fclose(file)
    }

    func read(_ name: String) -> [UInt8] {
        guard let file = fopen(path + "/" + name, "r") else { return [] }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        let count = fread(&bytes, 1, bytes.count, file)
        return Array(bytes.prefix(count))
    }
}

/// Holds an edge's thread before each piece of work, until it is told to go on.
final class DiskGate: Sendable {
    private struct State {
        var isOpen: Bool
        var isHolding = false
        var passed = 0
    }

    private let gate = Gate()
    private let state: Mutex<State>

    init(isOpen: Bool) { state = Mutex(State(isOpen: isOpen)) }

    /// Whether the thread stands before its work now.
    var isHolding: Bool { state.withLock { $0.isHolding } }
    /// How often it went on.
    var passed: Int { state.withLock { $0.passed } }

    var calls: SpillCalls {
        var calls = SpillCalls()
        calls.before = { [self] in
            gate.locked {
                while !state.withLock({ $0.isOpen }) {
                    state.withLock { $0.isHolding = true }
                    gate.wait()
                }
                state.withLock { state in
                    state.isHolding = false
                    state.passed += 1
                }
            }
        }
        return calls
    }

    func set(isOpen: Bool) {
        gate.locked {
            state.withLock { $0.isOpen = isOpen }
            gate.signal()
        }
    }
}

extension Edge {
    /// Everything up to the end.
    func all() async throws -> [String] {
        var all: [String] = []
        while let transit = try await receive() { all.append(name(transit)) }
        return all
    }
}
