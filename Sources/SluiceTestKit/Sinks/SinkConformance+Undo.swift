import SluiceCore

extension SinkConformance {
    /// Taking back what was orphaned.
    static let undo: [Case] =
        [true, false].map { isStored in
            Case(
                "a rollback leaves exactly what is up to its position, in the middle of a batch too, \(isStored ? "stored" : "only taken")",
                for: { $0.undo == .all }
            ) { subject, findings in
                var (sink, stream) = try await subject.open()
                for range in [1...12, 13...13, 14...24] as [ClosedRange<UInt64>] { _ = try await stream.write(SmallChain.batch(range)) }
                if isStored { try await subject.settle(stream) }
                var kept: [Blocks] = []
                for (round, last) in ([19, 19, 13, 5] as [UInt64]).enumerated() {
                    try await stream.rollback(to: SmallChain.position(last))
                    kept = [Blocks(1...last)]
                    findings.expect(try await stream.coverage(), [SmallChain.segment(1...last)], "round \(round)")
                    if isStored { try await findings.expectBlocks(subject, kept) }
                }
                try await subject.settle(stream)
                try await findings.expectBlocks(subject, kept)
                // The other branch, by this process and by the next.
                _ = try await stream.write(SmallChain.batch(6...9, fork: 1, parentFork: 0))
                if isStored {
                    try await subject.settle(stream)
                    await sink.close()
                    (sink, stream) = try await subject.open()
                }
                try await stream.rollback(to: SmallChain.position(8, fork: 1))
                _ = try await stream.write(SmallChain.batch(9...20, fork: 2, parentFork: 1))
                try await subject.settle(stream)
                kept = [Blocks(1...5), Blocks(6...8, fork: 1), Blocks(9...20, fork: 2)]
                try await findings.expectBlocks(subject, kept)
                // Back to the branch that was left first: the very rows that were taken off before.
                try await stream.rollback(to: SmallChain.position(5))
                _ = try await stream.write(SmallChain.batch(6...21))
                try await subject.settle(stream)
                await sink.close()
                findings.expect(try await subject.open().stream.coverage(), [SmallChain.segment(1...21)])
                try await findings.expectBlocks(subject, [Blocks(1...21)])
            }
        } + [
            Case("a rollback to before the first block leaves nothing, and the stream begins anew", for: { $0.undo == .all }) {
                subject, findings in
                for isStored in [true, false] {
                    let (sink, stream) = try await subject.open()
                    _ = try await stream.write(SmallChain.batch(5...14))
                    if isStored { try await subject.settle(stream) }
                    try await stream.rollback(to: SmallChain.position(4))
                    findings.expect(try await stream.coverage(), [])
                    try await subject.settle(stream)
                    try await findings.expectBlocks(subject, [])
                    await sink.close()
                    let (again, next) = try await subject.open()
                    findings.expect(try await next.coverage(), [])
                    _ = try await next.write(SmallChain.batch(3...7, fork: 1))
                    try await subject.settle(next)
                    try await findings.expectBlocks(subject, [Blocks(3...7, fork: 1)])
                    try await next.rollback(to: SmallChain.position(2, fork: 1))
                    await again.close()
                }
                try await findings.expectBlocks(subject, [])
            },
            Case("a rollback of nothing changes nothing", for: { $0.undo == .all }) { subject, findings in
                let (_, stream) = try await subject.open()
                _ = try await stream.write(SmallChain.batch(5...9))
                try await subject.settle(stream)
                _ = try await stream.write(SmallChain.batch(10...12))
                for position in [SmallChain.position(12), SmallChain.position(2), SmallChain.position(40)] {
                    try await stream.rollback(to: position)
                    findings.expect(try await stream.coverage(), [SmallChain.segment(5...12)], "to \(position.number)")
                }
                _ = try await stream.write(SmallChain.batch(13...13))
                try await subject.settle(stream)
                try await findings.expectBlocks(subject, [Blocks(5...13)])
            },
            Case("other segments stay when one is cut, and so they do when it goes", for: { $0.undo == .all }) { subject, findings in
                var (sink, stream) = try await subject.open()
                for range in [10...20, 30...40, 50...60] as [ClosedRange<UInt64>] {
                    _ = try await stream.write(SmallChain.batch(range))
                    try await subject.settle(stream)
                }
                try await stream.rollback(to: SmallChain.position(55))
                try await findings.expectBlocks(subject, [Blocks(10...20), Blocks(30...40), Blocks(50...55)])
                await sink.close()
                (sink, stream) = try await subject.open()
                if subject.promises.takesBelow {
                    try await stream.rollback(to: SmallChain.position(33))
                    try await stream.rollback(to: SmallChain.position(15))
                    findings.expect(
                        try await stream.coverage(),
                        [SmallChain.segment(10...15), SmallChain.segment(30...33), SmallChain.segment(50...55)])
                    try await findings.expectBlocks(subject, [Blocks(10...15), Blocks(30...33), Blocks(50...55)])
                    try await stream.rollback(to: SmallChain.position(29))
                    findings.expect(try await stream.coverage(), [SmallChain.segment(10...15), SmallChain.segment(50...55)])
                    _ = try await stream.write(SmallChain.batch(16...49))
                    try await subject.settle(stream)
                    try await findings.expectBlocks(subject, [Blocks(10...55)])
                    // What was built on a block goes with it.
                    try await stream.rollback(to: SmallChain.position(12))
                    findings.expect(try await stream.coverage(), [SmallChain.segment(10...12)])
                    try await findings.expectBlocks(subject, [Blocks(10...12)])
                } else {
                    try await stream.rollback(to: SmallChain.position(49))
                    try await findings.expectBlocks(subject, [Blocks(10...20), Blocks(30...40)])
                }
                await sink.close()
            },
            Case("finality may be told at any time, and what lies above it can still be undone", for: { $0.undo == .all }) {
                subject, findings in
                let (sink, stream) = try await subject.open()
                try await stream.finalized(3)
                for last in stride(from: 5, through: 40, by: 5) as StrideThrough<UInt64> {
                    _ = try await stream.write(SmallChain.batch(last - 4...last))
                    try await subject.settle(stream)
                    try await stream.finalized(last / 2)
                }
                try await stream.rollback(to: SmallChain.position(27))
                _ = try await stream.write(SmallChain.batch(28...31, fork: 1, parentFork: 0))
                try await subject.settle(stream)
                try await stream.finalized(31)
                await sink.close()
                findings.expect(
                    try await subject.open().stream.coverage(), [Segment(first: 1, last: SmallChain.position(31, fork: 1))])
                try await findings.expectBlocks(subject, [Blocks(1...27), Blocks(28...31, fork: 1)])
            },
        ]
}
