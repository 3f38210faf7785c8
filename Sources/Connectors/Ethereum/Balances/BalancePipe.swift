import SluiceCore

/// Passes balances on, and reports what could not be read.
struct BalancePipe: Pipe {
    var schemas: [Schema] { [BalanceTables.balances] }

    mutating func transform(_ batch: Batch, report: inout PipeReport) throws -> [Table] {
        guard let balances = batch.table(BalanceTables.balances.name) else {
            throw SluiceError(
                .missingTable, .fatal, "blocks \(batch.span.first)...\(batch.span.last.number) came without the table account_balances")
        }
        if let faults = batch.table(BalanceTables.faults.name) { Self.tell(faults, &report) }
        return [balances]
    }

    private static func tell(_ faults: Table, _ report: inout PipeReport) {
        func text(_ name: String, _ row: Int) -> String {
            faults.column(name).map { String(decoding: $0.bytes(row), as: UTF8.self) } ?? ""
        }
        guard let numbers = faults.column("block_number"), let hashes = faults.column("block_hash") else { return }
        for row in 0..<faults.rowCount {
            let reason = text("reason", row)
            // A block that is gone is nobody's fault, and nothing that could be tried again.
            if reason == BalanceFault.Reason.orphaned.rawValue {
                report.filter(reason)
                continue
            }
            let block = BlockRef(
                number: UInt64(clamping: numbers.load(row, as: Int64.self)), hash: hashes.load(row, as: Hash32.self))
            report.deadLetters.append(
                DeadLetter(
                    register: EthereumRegisters.accountBalance.name, row: text("row", row), block: block, reason: reason,
                    message: text("message", row), payload: text("payload", row)))
        }
    }
}
