import SluiceCore

// Components at work.
extension ComponentGraph {
    struct Made {
        var batches: [(branch: Branch, batch: Batch)] = []
        var deadLetters: [(Branch, [DeadLetter])] = []
        var failures: [(Branch, any Error)] = []
        var findings: [(register: String, stream: StreamID, findings: [Finding])] = []
    }

    /// Runs every component over a batch, and puts together what each branch gets.
    static func run(_ batch: Batch, _ state: inout State) -> Made {
        var made = Made()
        var results: [Result<[Table], any Error>] = []
        var letters: [[DeadLetter]] = []
        results.reserveCapacity(state.nodes.count)
        // A reading that was interrupted sends blocks again: components must not know already what they are about to learn.
        let isAgain = batch.span.first > 0 && batch.span.first <= state.seen
        let before = Position(number: batch.span.first &- 1, hash: batch.span.parentHash)
        state.seen = batch.span.last.number
        for index in state.nodes.indices {
            let register = state.nodes[index].register
            var report = PipeReport()
            if isAgain { state.nodes[index].pipe.rollback(to: before) }
            do {
                var input = batch
                // What components before this one made stands beside what the oracle read.
                for dependency in register.dependencies {
                    guard let place = state.place(of: dependency, for: state.nodes[index].key.pipeline) else { continue }
                    let tables = try results[place].get().filter { input.table($0.schema.name) == nil }
                    if !tables.isEmpty { input = Batch(chainID: batch.chainID, span: batch.span, tables: input.tables + tables) }
                }
                let out = try state.nodes[index].pipe.transform(input, report: &report)
                state.nodes[index].rows.add(in: input, needs: register.needs, out: out, report: report)
                results.append(.success(out))
                if let stream = state.nodes[index].stream {
                    made.findings.append((register.name, stream, state.nodes[index].pipe.takeFindings()))
                }
            } catch { results.append(.failure(error)) }
            letters.append(report.deadLetters)
        }
        for outlet in state.outlets {
            var own: [Table] = []
            var dead: [DeadLetter] = []
            do {
                for register in outlet.branch.definition.registers {
                    guard let place = state.place(of: register.name, for: outlet.branch.name) else { continue }
                    // Two registers may make the same table (`geth_block` and `logs`): it is loaded once.
                    for table in try results[place].get() where !own.contains(where: { $0.schema.name == table.schema.name }) {
                        own.append(table)
                    }
                    dead += letters[place]
                }
                if !dead.isEmpty { made.deadLetters.append((outlet.branch, dead)) }
                made.batches.append((outlet.branch, Batch(chainID: batch.chainID, span: batch.span, tables: own)))
            } catch { made.failures.append((outlet.branch, error)) }
        }
        return made
    }
}
