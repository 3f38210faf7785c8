import Foundation
import SluiceChain
import SluiceCore
import Testing

@testable import EthereumConnector

/// A log to be put into a table.
struct MadeLog {
    var address: Address
    var topics: [Hash32]
    var data: [UInt8]
    var block: UInt64 = 1

    init(_ address: Address, _ event: ABIEvent, _ values: [ABIValue], block: UInt64 = 1) throws {
        self.address = address
        (topics, data) = try event.encode(values)
        self.block = block
    }

    init(_ address: Address, topics: [Hash32], data: [UInt8], block: UInt64 = 1) {
        self.address = address
        self.topics = topics
        self.data = data
        self.block = block
    }
}

/// An address that is easy to tell from others.
func account(_ number: UInt8) -> Address { Address([UInt8](repeating: number, count: 20)) ?? .zero }

/// A hash that is easy to tell from others.
func hash(_ number: UInt64) -> Hash32 { Hash32(UInt256(number).bigEndianBytes) ?? .zero }

/// The table `logs` of some logs, numbered over all of them.
func table(_ logs: [MadeLog]) throws -> Table {
    let columns = EthereumTables.logs.fields.map { field -> Column in
        var builder = ColumnBuilder(field.type)
        for (index, log) in logs.enumerated() {
            switch field.name {
            case "log_index": builder.append(Int64(index))
            case "address": builder.append(bytes: log.address.bytes)
            case "data": builder.append(bytes: log.data)
            case "topic0", "topic1", "topic2", "topic3":
                let place = Int(field.name.suffix(1)) ?? 0
                if place < log.topics.count { builder.append(log.topics[place]) } else { builder.appendNull() }
            case "block_number": builder.append(Int64(log.block))
            case "block_hash": builder.append(hash(log.block))
            case "transaction_hash": builder.append(hash(77))
            case "extra": builder.appendNull()
            default: builder.append(Int64(1))
            }
        }
        return builder.finish()
    }
    return Table(schema: EthereumTables.logs, columns: columns, rowCount: logs.count)
}

func batch(_ tables: [Table], first: UInt64 = 1, blocks: Int = 1) -> Batch {
    let stamps = (0..<UInt64(blocks)).map { BlockStamp(hash: hash(first + $0), timestamp: 0) }
    return Batch(chainID: 1, span: Span(first: first, parentHash: .zero, blocks: stamps), tables: tables)
}

/// What a pipe made of some logs: rows, and what it reported. All logs are accounted for.
func run(_ pipe: inout EventLogPipe, _ logs: Table) throws -> (rows: Table, report: PipeReport) {
    var report = PipeReport()
    let rows = try #require(try pipe.transform(batch([logs]), report: &report).first)
    #expect(rows.rowCount + report.filtered.values.reduce(0, +) + report.deadLetters.count == logs.rowCount)
    #expect(rows.schema == EventLogTables.eventLogs)
    return (rows, report)
}

extension Table {
    /// A column of text or of JSON, as it stands.
    func texts(_ name: String) -> [String] {
        guard let column = column(name) else { return [] }
        return (0..<rowCount).map { String(decoding: column.bytes($0), as: UTF8.self) }
    }
}
