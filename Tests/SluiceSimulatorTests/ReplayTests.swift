import Foundation
import SluiceChain
import SluiceCore
import SluiceSimulator
import SluiceTestKit
import Testing

@Suite struct ReplayTests {
    /// Recorded blocks of small size, from Frontier to the Merge.
    static let small: Set<UInt64> = [468_179, 483_920, 1_755_635, 13_998_626, 15_537_393]

    private static func recorded() -> String? { sharedData("mainnet/complete_blocks.jsonl.zst") }

    /// A recording made from the generated chain.
    private func recording(_ numbers: ClosedRange<UInt64> = 20_000_003...20_000_007) async throws -> String {
        let path = temporaryFile("recorded.jsonl")
        try Simulator(generated()).writeRecorded(numbers, to: path)
        return path
    }

    @Test("re-numbered blocks are linked, hashed and stamped anew, and nothing else differs")
    func renumbered() async throws {
        let path = try await recording()
        defer { unlink(path) }
        try await check(path, only: nil, start: 0xFFF8, count: 17)
    }

    @Test("recorded mainnet blocks replay as exactly", .enabled(if: recorded() != nil, "the shared data folder is not here"))
    func mainnet() async throws {
        try await check(try #require(Self.recorded()), only: Self.small.union([20_066_032, 19_426_587]), start: nil, count: 12)
    }

    /// Compares what is served with what another JSON reader says of the file.
    private func check(_ path: String, only: Set<UInt64>?, start: UInt64?, count: Int) async throws {
        let recorded = try lines(path).filter { only?.contains(($0["number"] as? UInt64) ?? 0) ?? true }
        var replay = ReplayOptions(files: [path])
        replay.only = only
        replay.start = start
        replay.count = count
        try await withSimulator(SimulatorOptions(.replay(replay))) { simulator, port in
            let client = try TestClient(port: port)
            let earliest = try await client.call("eth_getBlockByNumber", #"["earliest",false]"#).result as? [String: Any]
            let first = number(earliest?["number"]) ?? 0
            #expect(simulator.head - first + 1 == UInt64(count))
            var parent = (recorded[0]["block"] as? [String: Any])?["parentHash"] as? String
            for place in 0..<count {
                let number = first + UInt64(place)
                let source = recorded[place % recorded.count]
                let answer = try await client.call("eth_getBlockByNumber", "[\"\(hex(number))\",true]")
                let block = try #require(answer.result as? [String: Any])
                let second = try await client.call("eth_getBlockReceipts", "[\"\(hex(number))\"]")
                let receipts = try #require(second.result as? [[String: Any]])
                let hash = try header(block).hash()
                #expect(block["hash"] as? String == hash.description)
                #expect(block["parentHash"] as? String == parent)
                parent = hash.description
                let values: [String: String] = [
                    "blockNumber": hex(number), "blockHash": hash.description, "blockTimestamp": hex(1_700_000_000 + 12 * UInt64(place)),
                ]
                var expected = replaced(source["block"], values) as? [String: Any] ?? [:]
                expected["number"] = values["blockNumber"]
                expected["timestamp"] = values["blockTimestamp"]
                expected["hash"] = hash.description
                expected["parentHash"] = block["parentHash"]
                #expect(block as NSDictionary == expected as NSDictionary)
                #expect(receipts as NSArray == replaced(source["receipts"], values) as? NSArray)
                #expect(try await client.call("eth_getBlockByHash", "[\"\(hash)\",true]").result as? NSDictionary == block as NSDictionary)
            }
            #expect(try await client.call("eth_getBlockByNumber", "[\"\(hex(first + UInt64(count)))\",true]").result is NSNull)
        }
    }

    @Test("without re-numbering the file's text is served byte for byte under its own numbers")
    func asRecorded() async throws {
        let path = try await recording()
        defer { unlink(path) }
        let text = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map(String.init)
        var replay = ReplayOptions(files: [path])
        replay.renumber = false
        replay.only = [20_000_004, 20_000_006]
        try await withSimulator(SimulatorOptions(.replay(replay))) { simulator, port in
            #expect(simulator.head == 20_000_006)
            let client = try TestClient(port: port)
            for (number, line) in [(20_000_004, 1), (20_000_006, 3)] as [(UInt64, Int)] {
                let block = try await client.call("eth_getBlockByNumber", "[\"\(hex(number))\",true]")
                let receipts = try await client.call("eth_getBlockReceipts", "[\"\(hex(number))\"]")
                let envelope = #"{"jsonrpc":"2.0","id":1,"result":"#
                let parts = [block, receipts].map { reply in
                    String(decoding: reply.body, as: UTF8.self).replacingOccurrences(of: envelope, with: "").dropLast()
                }
                #expect(text[line].hasSuffix("\"block\":\(parts[0]),\"receipts\":\(parts[1])}"))
            }
            #expect(try await client.call("eth_getBlockByNumber", "[\"\(hex(20_000_005))\",true]").result is NSNull)
        }
    }

    @Test("many connections at once get each their own block")
    func concurrent() async throws {
        let path = try await recording(20_000_003...20_000_004)
        defer { unlink(path) }
        var replay = ReplayOptions(files: [path])
        replay.count = 400
        replay.start = 1000
        try await withSimulator(SimulatorOptions(.replay(replay))) { _, port in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for worker in 0..<8 {
                    group.addTask {
                        let client = try TestClient(port: port)
                        for place in stride(from: worker, to: 200, by: 8) {
                            let wanted = hex(1000 + UInt64(place))
                            let reply = try await client.call("eth_getBlockByNumber", "[\"\(wanted)\",true]")
                            let block = reply.result as? [String: Any]
                            #expect(block?["number"] as? String == wanted)
                            let transactions = block?["transactions"] as? [[String: Any]] ?? []
                            let hash = block?["hash"] as? String
                            #expect(transactions.allSatisfy { $0["blockNumber"] as? String == wanted })
                            #expect(transactions.allSatisfy { $0["blockHash"] as? String == hash })
                        }
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test(
        "a malformed file is refused with file, line and reason",
        arguments: [
            ("{\"number\":1", "byte 11"), ("{}", "number is missing"), (#"{"number":1,"hash":"0x"}"#, "block is missing"),
            (#"{"number":1,"hash":"0x","block":{}}"#, "block.number is missing"),
            (#"{"number":1,"hash":"0x","block":{"number":"1"}}"#, "block.number is not a quantity"),
            (#"{"number":"1","hash":"0x","block":{}}"#, "number is missing or no number"),
        ])
    func malformed(line: String, reason: String) async throws {
        let path = try await recording()
        defer { unlink(path) }
        let good = try String(contentsOfFile: path, encoding: .utf8)
        try (good + line + "\n").write(toFile: path, atomically: true, encoding: .utf8)
        let error = #expect(throws: SluiceError.self) { try Simulator(SimulatorOptions(.replay(ReplayOptions(files: [path])))) }
        #expect(error?.class == .data)
        #expect(error?.message.hasPrefix("\(path):6: ") == true)
        #expect(error?.message.contains(reason) == true, "\(error?.message ?? "")")
        #expect(error?.mend != nil)
    }

    @Test("a header that does not hash to its hash is refused, and so is a cut-off compressed file")
    func damaged() async throws {
        let path = try await recording()
        defer { unlink(path) }
        let good = try String(contentsOfFile: path, encoding: .utf8)
        let at = try #require(good.range(of: "\"stateRoot\":\"0x"))
        let digit = good[at.upperBound] == "0" ? "1" : "0"
        try good.replacingCharacters(in: at.upperBound..<good.index(after: at.upperBound), with: digit)
            .write(toFile: path, atomically: true, encoding: .utf8)
        let error = #expect(throws: SluiceError.self) { try Simulator(SimulatorOptions(.replay(ReplayOptions(files: [path])))) }
        #expect(error?.message == "\(path):1: block.hash is not the hash of the header")
        guard let recorded = Self.recorded() else { return }
        let cut = try #require(FileHandle(forReadingAtPath: recorded)?.readData(ofLength: 100_000))
        try cut.write(to: URL(fileURLWithPath: path))
        var replay = ReplayOptions(files: [path])
        replay.only = [468_179]
        let second = #expect(throws: SluiceError.self) { try Simulator(SimulatorOptions(.replay(replay))) }
        #expect(second?.class == .data && second?.message.contains("middle of a frame") == true)
    }

    // MARK: an independent reading

    private func lines(_ path: String) throws -> [[String: Any]] {
        let data: Data
        if path.hasSuffix(".zst") {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            process.arguments = ["zstd", "-dcq", path]
            let pipe = Pipe()
            process.standardOutput = pipe
            try process.run()
            data = pipe.fileHandleForReading.readDataToEndOfFile()
            process.waitUntilExit()
        } else {
            data = try Data(contentsOf: URL(fileURLWithPath: path))
        }
        // Short lines only: the reader of Foundation is slow in a debug build.
        return try data.split(separator: 10).filter { $0.count < 250_000 }.compactMap {
            try JSONSerialization.jsonObject(with: $0) as? [String: Any]
        }
    }

    /// The value with these keys replaced wherever they are.
    private func replaced(_ value: Any?, _ values: [String: String]) -> Any? {
        if let list = value as? [Any] { return list.compactMap { replaced($0, values) } }
        guard let object = value as? [String: Any] else { return value }
        return object.reduce(into: [String: Any]()) { out, member in
            out[member.key] = values[member.key] ?? replaced(member.value, values)
        }
    }
}

/// The header in a block's JSON, read by another way than the simulator's.
func header(_ block: [String: Any]) throws -> BlockHeader {
    func bytes(_ name: String) throws -> [UInt8] {
        let digits = try #require(block[name] as? String).dropFirst(2)
        return try #require(Hex.bytes("0x" + (digits.count & 1 == 1 ? "0" : "") + digits))
    }
    func has(_ name: String) -> Bool { block[name] is String }
    func hash(_ name: String) throws -> Hash32 { try #require(Hash32(try bytes(name))) }
    func quantity(_ name: String) throws -> UInt64 { try #require(number(block[name])) }
    return BlockHeader(
        parentHash: try hash("parentHash"), sha3Uncles: try hash("sha3Uncles"), miner: try #require(Address(try bytes("miner"))),
        stateRoot: try hash("stateRoot"), transactionsRoot: try hash("transactionsRoot"), receiptsRoot: try hash("receiptsRoot"),
        logsBloom: try #require(Bloom(try bytes("logsBloom"))), difficulty: try #require(UInt256(bigEndian: try bytes("difficulty"))),
        number: try quantity("number"), gasLimit: try quantity("gasLimit"), gasUsed: try quantity("gasUsed"),
        timestamp: try quantity("timestamp"), extraData: try bytes("extraData"), mixHash: try hash("mixHash"),
        nonce: try quantity("nonce"), baseFeePerGas: has("baseFeePerGas") ? UInt256(try quantity("baseFeePerGas")) : nil,
        withdrawalsRoot: has("withdrawalsRoot") ? try hash("withdrawalsRoot") : nil,
        blobGasUsed: has("blobGasUsed") ? try quantity("blobGasUsed") : nil,
        excessBlobGas: has("excessBlobGas") ? try quantity("excessBlobGas") : nil,
        parentBeaconBlockRoot: has("parentBeaconBlockRoot") ? try hash("parentBeaconBlockRoot") : nil,
        requestsHash: has("requestsHash") ? try hash("requestsHash") : nil)
}
