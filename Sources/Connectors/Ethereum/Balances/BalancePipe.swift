import SluiceCore

/// Passes balances on, and reports what could not be read.
struct BalancePipe: Pipe {
    var schemas: [Schema] { [BalanceTables.balances] }

    mutating func transform(_ batch: Batch, report: inout PipeReport) throws -> [Table] {
        guard let read = batch.table(BalanceTables.read.name), let reasons = read.column("reason") else {
            throw SluiceError(
                .missingTable, .fatal,
                "blocks \(batch.span.first)...\(batch.span.last.number) came without the table \(BalanceTables.read.name)")
        }
        let kept = (0..<read.rowCount).filter { reasons.isNull($0) }
        for row in 0..<read.rowCount where !reasons.isNull(row) { Self.tell(read, row, &report) }
        let columns = read.columns.prefix(BalanceTables.balances.fields.count)
        return [
            Table(
                schema: BalanceTables.balances, columns: columns.map { kept.count == read.rowCount ? $0 : $0.rows(kept) },
                rowCount: kept.count)
        ]
    }

    private static func tell(_ read: Table, _ row: Int, _ report: inout PipeReport) {
        func text(_ name: String) -> String { read.column(name).map { String(decoding: $0.bytes(row), as: UTF8.self) } ?? "" }
        let reason = text("reason")
        // A block that is gone is nobody's fault, and nothing that could be tried again.
        if reason == BalanceFault.Reason.orphaned.rawValue { return report.filter(reason) }
        guard let numbers = read.column("block_number"), let hashes = read.column("block_hash") else { return }
        let block = BlockRef(number: UInt64(clamping: numbers.load(row, as: Int64.self)), hash: hashes.load(row, as: Hash32.self))
        report.deadLetters.append(
            DeadLetter(
                register: EthereumRegisters.accountBalance.name, row: text("row"), block: block, reason: reason, message: text("message"),
                payload: text("payload")))
    }
}
