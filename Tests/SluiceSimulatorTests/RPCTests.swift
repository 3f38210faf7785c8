import Foundation
import SluiceCore
import SluiceSimulator
import SluiceTestKit
import Testing

@Suite struct RPCTests {
    @Test("one connection carries calls, batches and ids of both kinds, echoed verbatim")
    func protocolBasics() async throws {
        try await withSimulator(generated()) { simulator, port in
            let client = try TestClient(port: port)
            #expect(try await client.call("eth_chainId").result as? String == "0x1")
            #expect(try await client.call("net_version").result as? String == "1")
            #expect(try await client.call("eth_syncing").result as? Bool == false)
            #expect(try await client.call("eth_blockNumber", id: "\"a-7\"").object["id"] as? String == "a-7")
            let batch = try await client.post(
                #"[{"jsonrpc":"2.0","id":5,"method":"eth_blockNumber","params":[]},{"jsonrpc":"2.0","id":"x","method":"eth_nothing"}, 3]"#)
            #expect(batch.list.count == 3)
            #expect(batch.list[0]["id"] as? Int == 5)
            #expect(number(batch.list[0]["result"]) == 20_000_019)
            #expect((batch.list[1]["error"] as? [String: Any])?["code"] as? Int == -32601)
            #expect((batch.list[2]["error"] as? [String: Any])?["code"] as? Int == -32600)
            let statistics = simulator.statistics
            #expect(statistics.requests == 5)
            #expect(
                statistics.calls == [
                    "eth_chainId": 1, "net_version": 1, "eth_syncing": 1, "eth_blockNumber": 2, "eth_nothing": 1, "invalid": 1,
                ])
            #expect(statistics.connections == 1)
        }
    }

    @Test(
        "what is no request is refused",
        arguments: [
            ("{", -32700), ("", -32700), (#"{"id":1,"method":"eth_chainId",}"#, -32700), (#"{"a":01}"#, -32700), ("[1] x", -32700),
            ("[]", -32600), ("{}", -32600), (#"{"id":{},"method":"eth_chainId"}"#, -32600), (#"{"id":1,"method":7}"#, -32600),
            ("true", -32600),
            (#"{"id":1,"method":"eth_getBlockByNumber","params":["0xzz",true]}"#, -32602),
            (#"{"id":1,"method":"eth_getBlockByNumber","params":[]}"#, -32602),
            (#"{"id":1,"method":"eth_getBlockByNumber","params":["0x1",7]}"#, -32602),
        ])
    func refusals(body: String, code: Int) async throws {
        try await withSimulator(generated(history: 1)) { _, port in
            let reply = try await TestClient(port: port).post(body)
            #expect(reply.errorCode == code)
        }
    }

    @Test("deep nesting is refused and does not exhaust the stack")
    func nesting() async throws {
        try await withSimulator(generated(history: 1)) { _, port in
            let body = String(repeating: "[", count: 200_000)
            let client = try TestClient(port: port)
            #expect(try await client.post(body).errorCode == -32700)
        }
    }

    @Test(
        "HTTP that is not spoken here gets its status",
        arguments: [
            ("GET / HTTP/1.1\r\n\r\n", 405), ("nonsense\r\n\r\n", 400), ("POST / HTTP/1.1\r\nContent-Length: -4\r\n\r\n", 400),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
            ("POST / HTTP/1.1\r\nContent-Length: 999999999\r\n\r\n", 413),
            ("POST / HTTP/1.1\r\nX: " + String(repeating: "y", count: 20_000) + "\r\n\r\n", 431),
        ])
    func http(request: String, status: Int) async throws {
        try await withSimulator(generated(history: 1)) { _, port in
            let client = try TestClient(port: port)
            #expect(try await client.raw(request).status == status)
        }
    }

    @Test("tags, numbers and hashes find the same block; unknown ones are null")
    func blocks() async throws {
        try await withSimulator(generated()) { simulator, port in
            let client = try TestClient(port: port)
            let latest = try #require(try await client.call("eth_getBlockByNumber", #"["latest",true]"#).result as? [String: Any])
            #expect(number(latest["number"]) == simulator.head)
            let hash = try #require(latest["hash"] as? String)
            let byHash = try await client.call("eth_getBlockByHash", "[\"\(hash)\",true]")
            #expect(byHash.result as? NSDictionary == latest as NSDictionary)
            let short = try #require(try await client.call("eth_getBlockByNumber", #"["latest",false]"#).result as? [String: Any])
            let hashes = (latest["transactions"] as? [[String: Any]])?.compactMap { $0["hash"] as? String }
            #expect(short["transactions"] as? [String] == hashes)
            let receipts = try #require(try await client.call("eth_getBlockReceipts", "[\"\(hash)\"]").result as? [[String: Any]])
            #expect(receipts.map { $0["transactionHash"] as? String } == hashes?.map { $0 })
            let first = try #require(hashes?.first)
            let single = try await client.call("eth_getTransactionReceipt", "[\"\(first)\"]")
            #expect(single.result as? NSDictionary == receipts[0] as NSDictionary)
            for (tag, depth) in [("safe", 8), ("finalized", 16)] as [(String, UInt64)] {
                let block = try await client.call("eth_getBlockByNumber", "[\"\(tag)\",false]").result as? [String: Any]
                #expect(number(block?["number"]) == simulator.head - depth)
            }
            for call in ["eth_getBlockByNumber", "eth_getBlockReceipts"] {
                #expect(try await client.call(call, "[\"\(hex(simulator.head + 1))\",false]").result is NSNull)
            }
            #expect(try await client.call("eth_getBlockByHash", "[\"0x\(String(repeating: "1", count: 64))\",false]").result is NSNull)
        }
    }

    @Test("balances are told by tag, number and hash, as far back as there is state")
    func balances() async throws {
        var options = generated()
        options.rpc.stateBlocks = 4
        options.rpc.refusedBalances = ["0x" + String(repeating: "0", count: 40)]
        try await withSimulator(options) { simulator, port in
            let client = try TestClient(port: port)
            // The miner of the newest block was paid for it.
            let head = try #require(try simulator.canonical(simulator.head)).ref
            let block0 = try #require(try simulator.canonical(simulator.head)).block
            let fields = try JSONSerialization.jsonObject(with: Data(block0)) as? [String: Any]
            let address = try #require(Hex.bytes(fields?["miner"] as? String ?? ""))
            let name = "\"" + Hex.text(address).uppercased().replacingOccurrences(of: "X", with: "x") + "\""
            let block = try #require(try simulator.canonical(simulator.head - 3)).ref
            func balance(at block: BlockRef) throws -> UInt256 { try #require(try simulator.balance(of: address, at: block.hash)) }
            let expected = Hex.quantity(try balance(at: block))
            let ofHead = try balance(at: head)
            #expect(Hex.quantity(ofHead) != expected)
            for place in [
                "\"\(hex(block.number))\"", "\"\(block.hash)\"", "{\"blockHash\":\"\(block.hash)\",\"requireCanonical\":true}",
                "{\"blockNumber\":\"\(hex(block.number))\"}",
            ] {
                #expect(try await client.call("eth_getBalance", "[\(name),\(place)]").result as? String == expected)
            }
            #expect(try await client.call("eth_getBalance", "[\(name),\"latest\"]").result as? String == Hex.quantity(ofHead))
            for (params, code) in [
                ("[\(name),\"\(hex(simulator.head - 4))\"]", -32000), ("[\(name),\"\(hex(simulator.head + 1))\"]", -32000),
                ("[\"0x\(String(repeating: "0", count: 40))\",\"latest\"]", -32000), ("[\"0x12\",\"latest\"]", -32602),
                ("[\(name)]", -32602),
            ] {
                #expect(try await client.call("eth_getBalance", params).errorCode == code, "\(params)")
            }
            // On another branch it is another one.
            try simulator.reorganise(depth: 1, length: 1)
            let other = try #require(try simulator.canonical(simulator.head)).ref
            #expect(try other.number == head.number && balance(at: other) != ofHead)
            // An orphan's is known as long as the orphan is.
            #expect(try balance(at: head) == ofHead)
        }
        options.rpc.hasBlockHashParameters = false
        try await withSimulator(options) { simulator, port in
            let hash = try #require(try simulator.canonical(simulator.head)).ref.hash
            let params = "[\"0x\(String(repeating: "12", count: 20))\",{\"blockHash\":\"\(hash)\"}]"
            #expect(try await TestClient(port: port).call("eth_getBalance", params).errorCode == -32602)
        }
    }

    @Test("a node can lack methods, finality tags and batches")
    func abilities() async throws {
        var options = generated(history: 1)
        options.rpc.disabledMethods = ["eth_getBlockReceipts"]
        options.rpc.hasFinalityTags = false
        options.rpc.maxBatch = 2
        let pair = #"{"id":1,"method":"eth_chainId"}"#
        try await withSimulator(options) { _, port in
            let client = try TestClient(port: port)
            #expect(try await client.call("eth_getBlockReceipts", #"["latest"]"#).errorCode == -32601)
            #expect(try await client.call("eth_getBlockByNumber", #"["finalized",false]"#).errorCode == -32602)
            #expect(try await client.post("[\(pair),\(pair)]").list.count == 2)
            #expect(try await client.post("[\(pair),\(pair),\(pair)]").errorCode == -32600)
        }
        options.rpc.hasBatches = false
        try await withSimulator(options) { _, port in
            let client = try TestClient(port: port)
            #expect(try await client.post("[\(pair)]").errorCode == -32600)
        }
    }

    @Test("logs are filtered by block, address and topics as their receipts say")
    func logs() async throws {
        var options = generated()
        options.rpc.maxLogResults = 2000
        options.rpc.maxLogBlocks = 30
        try await withSimulator(options) { simulator, port in
            let client = try TestClient(port: port)
            var all: [[String: Any]] = []
            let last = simulator.head
            for number in last - 9...last {
                let block = try #require(try simulator.canonical(number))
                let receipts = try JSONSerialization.jsonObject(with: Data(block.receipts ?? [])) as? [[String: Any]] ?? []
                all += receipts.flatMap { $0["logs"] as? [[String: Any]] ?? [] }
            }
            let range = #""fromBlock":"\#(hex(last - 9))","toBlock":"\#(hex(last))""#
            func ask(_ filter: String) async throws -> [[String: Any]] {
                try await client.call("eth_getLogs", "[{\(filter)}]").result as? [[String: Any]] ?? []
            }
            #expect(all.count > 50)
            #expect(try await ask(range) as NSArray == all as NSArray)
            let address = try #require(all[0]["address"] as? String)
            #expect(
                try await ask("\(range),\"address\":\"\(address)\"") as NSArray
                    == all.filter { $0["address"] as? String == address } as NSArray)
            let transfer = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
            let single = "0xc3d58168c5ae7397731d063d5bbf3d657854427343f4c083240f7aacaa2d0f62"
            let either = all.filter { [transfer, single].contains(($0["topics"] as? [String])?.first ?? "") }
            #expect(either.count > 10 && either.count < all.count)
            #expect(try await ask("\(range),\"topics\":[[\"\(transfer)\",\"\(single)\"]]") as NSArray == either as NSArray)
            let second = try #require((either[0]["topics"] as? [String])?[1])
            #expect(
                try await ask("\(range),\"topics\":[null,\"\(second)\"]") as NSArray
                    == all.filter { ($0["topics"] as? [String])?.dropFirst().first == second } as NSArray)
            let hash = try #require(all[0]["blockHash"] as? String)
            #expect(try await ask("\"blockHash\":\"\(hash)\"") as NSArray == all.filter { $0["blockHash"] as? String == hash } as NSArray)
            #expect(try await client.call("eth_getLogs", #"[{"fromBlock":"0x1","toBlock":"0x1000"}]"#).errorCode == -32602)
        }
        options.rpc.maxLogResults = 3
        try await withSimulator(options) { _, port in
            let reply = try await TestClient(port: port).call("eth_getLogs", #"[{"fromBlock":"earliest","toBlock":"latest"}]"#)
            #expect(reply.errorCode == -32005)
            #expect((reply.object["error"] as? [String: Any])?["message"] as? String == "query returned more than 3 results")
        }
    }
}
