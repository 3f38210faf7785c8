import SluiceCore

/// Passes on the balances that a pipeline asked for, and reports what could not be read.
struct BalancePipe: Pipe {
    /// Why a row is left out: it is there for another pipeline.
    static let otherPipeline = "asked for by another pipeline"

    /// Nil when nobody is known to ask: then nothing is.
    let pipeline: String?

    var schemas: [Schema] { [BalanceTables.balances] }

    mutating func transform(_ batch: Batch, report: inout PipeReport) throws -> [Table] {
        guard let read = batch.table(BalanceTables.read.name), let reasons = read.column("reason"), let askers = read.column("pipeline")
        else {
            throw SluiceError(
                .missingTable, .fatal,
                "blocks \(batch.span.first)...\(batch.span.last.number) came without the table \(BalanceTables.read.name)")
        }
        let name = Array((pipeline ?? "").utf8)
        let own = pipeline == nil ? [] : (0..<read.rowCount).filter { askers.bytes($0).elementsEqual(name) }
        report.filter(Self.otherPipeline, rows: read.rowCount - own.count)
        let kept = own.filter { reasons.isNull($0) }
        for row in own where !reasons.isNull(row) { try Self.tell(read, row, &report) }
        let columns = read.columns.prefix(BalanceTables.balances.fields.count)
        return [
            Table(
                schema: BalanceTables.balances, columns: columns.map { kept.count == read.rowCount ? $0 : $0.rows(kept) },
                rowCount: kept.count)
        ]
    }

    /// - Throws: `state_unavailable` (class `pause`) where the pipeline cannot go on without.
    private static func tell(_ read: Table, _ row: Int, _ report: inout PipeReport) throws(SluiceError) {
        func text(_ name: String) -> String { read.column(name).map { String(decoding: $0.bytes(row), as: UTF8.self) } ?? "" }
        let reason = text("reason")
        // A block that is gone is nobody's fault, and nothing that could be tried again.
        if reason == BalanceFault.Reason.orphaned.rawValue { return report.filter(reason) }
        if reason == BalanceFault.Reason.needed.rawValue {
            throw SluiceError(
                .stateUnavailable, .pause, "reading balances: \(text("message"))",
                mend:
                    "add an archive endpoint, or begin later: others keep the state of about 128 blocks; balances.pruned: leave_out goes on without"
            )
        }
        guard let numbers = read.column("block_number"), let hashes = read.column("block_hash") else { return }
        let block = BlockRef(number: UInt64(clamping: numbers.load(row, as: Int64.self)), hash: hashes.load(row, as: Hash32.self))
        report.deadLetters.append(
            DeadLetter(
                register: AccountBalanceRegister.name, row: text("row"), block: block, reason: reason, message: text("message"),
                payload: text("payload")))
    }
}
