import Foundation
import SluiceChain
import SluiceCore

/// Recorded blocks of mainnet, kept beside checkouts and never in the repository. Tests that need them are skipped, by name,
/// where they are not.
enum SharedData {
    /// The folder `shared/data` beside this checkout or beside one of the folders above it.
    static let root: URL? = {
        var folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        while folder.path != "/" {
            folder.deleteLastPathComponent()
            let candidate = folder.appendingPathComponent("shared/data")
            if FileManager.default.fileExists(atPath: candidate.path) { return candidate }
        }
        return nil
    }()

    static let isThere = root != nil

    /// The lines of a compressed file, each a JSON object.
    static func objects(_ path: String) throws -> [Object] {
        guard let root else { return [] }
        let process = Process()
        let pipe = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["zstd", "-dc", root.appendingPathComponent(path).path]
        process.standardOutput = pipe
        try process.run()
        let data = try pipe.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return try data.split(separator: UInt8(ascii: "\n")).map {
            guard let fields = try JSONSerialization.jsonObject(with: $0) as? [String: Any] else { throw Malformed(field: path) }
            return Object(fields: fields)
        }
    }

    static let complete = Result { try objects("mainnet/complete_blocks.jsonl.zst") }
    static let blocksOnly = Result { try objects("mainnet/blocks_only.jsonl.zst") }
}

/// A recorded value that is not what the recording promises.
struct Malformed: Error {
    let field: String
}

/// A JSON object as the RPC sends it.
struct Object: @unchecked Sendable {
    // SAFETY: parsed once, never changed.
    let fields: [String: Any]

    func has(_ field: String) -> Bool { fields[field] != nil && !(fields[field] is NSNull) }

    func object(_ field: String) throws -> Object {
        guard let value = fields[field] as? [String: Any] else { throw Malformed(field: field) }
        return Object(fields: value)
    }

    func objects(_ field: String) throws -> [Object] {
        guard let values = fields[field] as? [[String: Any]] else { throw Malformed(field: field) }
        return values.map(Object.init(fields:))
    }

    func strings(_ field: String) throws -> [String] {
        guard let values = fields[field] as? [String] else { throw Malformed(field: field) }
        return values
    }

    func text(_ field: String) throws -> String {
        guard let value = fields[field] as? String else { throw Malformed(field: field) }
        return value
    }

    func quantity(_ field: String) throws -> UInt64 {
        guard let value = Hex.quantity(try text(field)) else { throw Malformed(field: field) }
        return value
    }

    func bytes(_ field: String) throws -> [UInt8] {
        guard let value = Hex.bytes(try text(field)) else { throw Malformed(field: field) }
        return value
    }

    func wide(_ field: String) throws -> UInt256 {
        let digits = try text(field).dropFirst(2)
        let even = (digits.count % 2 == 0 ? "0x" : "0x0") + digits
        guard let bytes = Hex.bytes(even), let value = UInt256(bigEndian: bytes) else { throw Malformed(field: field) }
        return value
    }

    func hash(_ field: String) throws -> Hash32 {
        guard let value = Hash32(hex: try text(field)) else { throw Malformed(field: field) }
        return value
    }

    func address(_ field: String) throws -> Address {
        guard let value = Address(hex: try text(field)) else { throw Malformed(field: field) }
        return value
    }

    func bloom(_ field: String) throws -> Bloom {
        guard let value = Bloom(try bytes(field)) else { throw Malformed(field: field) }
        return value
    }

    /// The header of a recorded block.
    func header() throws -> BlockHeader {
        var header = BlockHeader(
            parentHash: try hash("parentHash"), sha3Uncles: try hash("sha3Uncles"), miner: try address("miner"),
            stateRoot: try hash("stateRoot"), transactionsRoot: try hash("transactionsRoot"), receiptsRoot: try hash("receiptsRoot"),
            logsBloom: try bloom("logsBloom"), difficulty: try wide("difficulty"), number: try quantity("number"),
            gasLimit: try quantity("gasLimit"), gasUsed: try quantity("gasUsed"), timestamp: try quantity("timestamp"),
            extraData: try bytes("extraData"), mixHash: try hash("mixHash"), nonce: try quantity("nonce"))
        if has("baseFeePerGas") { header.baseFeePerGas = try wide("baseFeePerGas") }
        if has("withdrawalsRoot") { header.withdrawalsRoot = try hash("withdrawalsRoot") }
        if has("blobGasUsed") { header.blobGasUsed = try quantity("blobGasUsed") }
        if has("excessBlobGas") { header.excessBlobGas = try quantity("excessBlobGas") }
        if has("parentBeaconBlockRoot") { header.parentBeaconBlockRoot = try hash("parentBeaconBlockRoot") }
        if has("requestsHash") { header.requestsHash = try hash("requestsHash") }
        return header
    }
}
