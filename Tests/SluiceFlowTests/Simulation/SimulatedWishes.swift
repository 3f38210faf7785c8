import SluiceCore

@testable import SluiceFlow

/// A register that is told what to look at, and sees to it that what it is handed was read for that.
enum SimulatedWishes {
    static let shape = StateKeyShape(prefix: "told", id: "address")
    private static let schema = Schema(name: "told", key: simulatedSchema.key, doc: "", fields: simulatedSchema.fields)
    private static let wishes = Schema(
        name: "wishes", key: ["wish"], doc: "", fields: [Field("wish", .string, ""), Field("block_number", .int64, "")])

    private struct Threefold: Pipe {
        let members: [String]
        let violations: Box<[String]>
        var schemas: [Schema] { [SimulatedWishes.schema] }

        func transform(_ batch: Batch, report: inout PipeReport) throws -> [Table] {
            guard let table = batch.table("values"), let read = batch.table("wishes")?.columns[0] else {
                throw SluiceError(.init("no_table"), .fatal, "no table values, or no wishes")
            }
            let known = Set((0..<read.count).map { String(decoding: read.bytes($0), as: UTF8.self) })
            for member in members where !known.contains(member) {
                violations.change { $0.append("blocks \(batch.span.first)-\(batch.span.last.number) were not read for \(member)") }
            }
            let values = (0..<table.rowCount).map { table.columns[3].load($0, as: Int64.self) * 3 }
            return [Table(schema: schemas[0], columns: Array(table.columns[..<3]) + [Column.int64(values)], rowCount: table.rowCount)]
        }
    }

    /// - Parameter violations: where it says what was not read for it.
    static func register(_ members: [String] = [], _ violations: Box<[String]>) -> Register {
        Register(
            name: "told", number: RegisterType(rawValue: 203), doc: "", schemas: [schema], dependencies: ["values"],
            needs: [Need("values", addresses: members.map { Array($0.utf8) })], isAddressed: true, stateKey: shape,
            tell: { _, held in ToldRegister(register(held.members, violations), understood: []) },
            maker: .pipe { _ in Threefold(members: members, violations: violations) })
    }

    /// An oracle that says with each batch what it was made to read.
    struct Reader: Oracle {
        let base: SimulatedOracle
        let needs: [Need]

        private struct Saying: Egress {
            let egress: any Egress
            let wishes: [[UInt8]]
            func send(_ transit: Transit) async throws {
                guard case .batch(let batch) = transit else { return try await egress.send(transit) }
                var columns = SimulatedWishes.wishes.fields.map { ColumnBuilder($0.type) }
                // Each block says it for itself: a batch may be cut.
                for number in batch.span.first...batch.span.last.number {
                    for wish in wishes {
                        columns[0].append(bytes: wish)
                        columns[1].append(number)
                    }
                }
                let table = Table(
                    schema: SimulatedWishes.wishes, columns: columns.map { $0.finish() }, rowCount: wishes.count * batch.span.count)
                try await egress.send(.batch(Batch(chainID: batch.chainID, span: batch.span, tables: batch.tables + [table])))
            }
        }

        private func saying(_ egress: any Egress) -> any Egress { Saying(egress: egress, wishes: needs.flatMap(\.addresses)) }

        func head() async throws -> ChainHead { try await base.head() }
        func settle(_ position: Position, finalized: UInt64?) async throws -> Position {
            try await base.settle(position, finalized: finalized)
        }
        func live(from position: Position?, start: UInt64?, until: UInt64?, into egress: any Egress) async throws {
            try await base.live(from: position, start: start, until: until, into: saying(egress))
        }
        func backfill(_ range: ClosedRange<UInt64>, after position: Position?, into egress: any Egress) async throws {
            try await base.backfill(range, after: position, into: saying(egress))
        }
    }

    /// Shared state that cannot always be read.
    struct State: SharedState {
        let base = MemoryState()
        let trouble: SimulatedTrouble

        private func check() throws {
            if trouble.happens() { throw SluiceError(.init("simulated_state"), .retry, "the simulated state fails") }
        }
        func snapshot(of key: StateKey) async throws -> StateSnapshot {
            try check()
            return try await base.snapshot(of: key)
        }
        func version(of key: StateKey) async throws -> UInt64 {
            try check()
            return try await base.version(of: key)
        }
        func keys(of pipeline: String) async throws -> [StateKey] { try await base.keys(of: pipeline) }
        func apply(_ change: StateChange) async throws { try await base.apply(change) }
    }
}
