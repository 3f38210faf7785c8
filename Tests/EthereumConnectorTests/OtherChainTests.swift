import Foundation
import SluiceCore
import SluiceFormats
import SluiceSimulator
import Testing

@testable import EthereumConnector

/// Recorded blocks of rollups and side chains: read with their own fields and types, or refused with a reason.
@Suite(.enabled(if: SharedData.root != nil, "no recorded blocks beside this checkout"))
struct OtherChainTests {
    private static let fixtures = "internal/utils/fixtures/"

    private func file(_ archive: String, _ path: String) throws -> Data {
        try SharedData.output(["tar", "--zstd", "-xOf", "{}", path], archive)
    }
    private func l2(_ path: String) throws -> Object {
        try JSONSerialization.jsonObject(with: file("l2/chainstorage_fixtures.tar.zst", Self.fixtures + path)) as? Object ?? [:]
    }

    private func tables(_ block: Object, _ receipts: [Object], verifies: Bool = false) throws -> [Table] {
        let number = try #require((block["number"] as? String).flatMap { Hex.quantity($0) })
        return try decode(
            SluiceSimulator.BlockSet(block: try text(block), receipts: try text(receipts)), number: number, verifies: verifies
        ).tables
    }

    private func column(_ name: String, of table: String, _ tables: [Table]) -> [String] {
        let column = tables.first { $0.schema.name == table }?.column(name)
        return column.map { column in (0..<column.count).map { column.shown($0) } } ?? []
    }

    @Test("a block of Arbitrum, with its types and fields")
    func arbitrum() throws {
        func result(_ path: String) throws -> Any? {
            let data = try file("rpc/erigon_rpc_tests_other_chains.tar.zst", "integration/arb-sepolia/\(path)")
            return ((try JSONSerialization.jsonObject(with: data) as? [Object])?.first?["response"] as? Object)?["result"]
        }
        let block = try #require(try result("eth_getBlockByNumber/test_03.json") as? Object)
        let receipts = try #require(try result("eth_getBlockReceipts/test_01.json") as? [Object])
        let tables = try tables(block, receipts)
        #expect(column("transaction_type", of: "transactions", tables) == ["106", "2", "2", "2", "2", "2", "2"])
        #expect(column("extra", of: "blocks", tables)[0].contains(#""sendCount":"0x1a7e4""#))
        #expect(column("receipt_extra", of: "transactions", tables)[3].contains(#""gasUsedForL1":"0x127""#))
        #expect(column("log_index", of: "logs", tables) == (0...0x2d).map(String.init))
    }

    @Test(
        "blocks whose receipts count gas in another way",
        arguments: [
            ("client/arbitrum/arb_getblockbynumber_upgrade.json", ["client/arbitrum/arb_gettxnreceipt_upgrade.json"], ["120"]),
            (
                "parser/polygon/polygon_fixture_header_34155965.json",
                ["parser/polygon/polygon_fixture_receipt_34155965.json", "parser/polygon/polygon_fixture_bor_receipt_34155965.json"],
                ["0", "0"]
            ),
            ("parser/fantom/fantom_block.json", ["parser/fantom/fantom_transaction_receit.json"], ["0"]),
        ])
    func otherGas(block: String, receipts: [String], types: [String]) throws {
        let receipts = try receipts.map { path -> Object in
            var receipt = try l2(path)
            // The recording of Polygon's state receipt carries the logs of another block.
            if path.contains("bor_receipt") { receipt["logs"] = [Object]() }
            return receipt
        }
        let tables = try tables(try l2(block), receipts)
        #expect(column("transaction_type", of: "transactions", tables) == types)
        #expect(column("receipt_status", of: "transactions", tables) == types.map { _ in "1" })
    }

    @Test("a part of a block of Base is refused, and says why")
    func part() throws {
        let block = try l2("parser/base/goerli/base_eip1559_getblockheaderresponse.json")
        let receipt = try l2("parser/base/goerli/base_eip1559_gettransactionreceipt.json")
        let error = #expect(throws: SluiceError.self) { try tables(block, [receipt]) }
        #expect(error?.message.contains("transaction 0, transactionIndex is 49, expected 0") == true, "\(error?.message ?? "")")
    }

    @Test("receipts of OP-stack chains, Arbitrum and zkSync keep what only they have")
    func receipts() throws {
        let samples = try #require(
            try JSONSerialization.jsonObject(with: SharedData.output(["cat", "{}"], "l2/l2_receipt_samples.json")) as? [Object])
        var kept: Set<String> = []
        for sample in samples {
            let json = sample["json"] as? Object ?? [:]
            let receipt = json["result"] as? Object ?? json
            guard receipt["cumulativeGasUsed"] != nil else { continue }
            let body = Array(#"{"jsonrpc":"2.0","id":1,"result":"#.utf8) + (try text(receipt)) + Array("}".utf8)
            let answers = try decoder().read(
                Buffer(copying: body, padding: JSONReader.padding), firstID: 1, calls: [BlockDecoder.receiptCall])
            guard case .tables(let tables) = answers[0] else {
                Issue.record("no receipt")
                continue
            }
            let extra = tables[0].column("extra")
            guard let fields = try JSONSerialization.jsonObject(with: Data(extra.bytes(0))) as? Object else { continue }
            #expect(fields.allSatisfy { "\($0.value)" == "\(receipt[$0.key] ?? "missing")" })
            kept.formUnion(fields.keys)
        }
        #expect(
            kept.isSuperset(of: ["l1Fee", "l1BlobBaseFee", "gasUsedForL1", "depositNonce", "operatorFeeScalar", "l1BatchNumber"]), "\(kept)"
        )
    }

    @Test(
        "headers that were corrupted on purpose are refused",
        arguments: [
            ("pre-shanghai-success", true), ("post-shanghai-success", true), ("pre-shanghai-bad-receipts-hash", false),
            ("post-shanghai-bad-receipts-hash", false), ("pre-shanghai-bad-transactions-hash", false),
            ("post-shanghai-bad-transactions-hash", false),
            ("post-shanghai-bad-withdrawals-hash", false), ("post-shanghai-bad-withdrawals-nil", false),
            ("post-shanghai-bad-withdrawals", false),
        ])
    func corrupted(name: String, isGood: Bool) throws {
        let block = try file("l2/optimism_l1_blocks.tar.zst", "op-service/sources/testdata/data/blocks/\(name)_data.json")
        let body = Array(#"{"jsonrpc":"2.0","id":1,"result":"#.utf8) + Array(block) + Array("}".utf8)
        let check = decoder()
        func verify() throws {
            let answers = try check.read(Buffer(copying: body, padding: JSONReader.padding), firstID: 1, calls: [BlockDecoder.blockCall])
            guard case .tables(let tables) = answers[0] else { throw CocoaError(.featureUnsupported) }
            let set = EthereumConnector.BlockSet(header: tables[0], withdrawals: tables[1], transactions: tables[2], byteCount: body.count)
            try check.verify(set, number: set.number)
        }
        if isGood {
            try verify()
        } else {
            let error = #expect(throws: SluiceError.self) { try verify() }
            // A null among the withdrawals is no block at all.
            #expect(error?.code == (name.hasSuffix("nil") ? .malformedReply : .inconsistentBlock))
        }
    }
}
