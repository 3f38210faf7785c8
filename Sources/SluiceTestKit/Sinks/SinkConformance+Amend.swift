import SluiceCore

extension SinkConformance {
    /// Rows that come to blocks which are there already.
    static let amendments: [Case] = [
        Case("who cannot amend says so, and what is there stays", for: { !$0.amends }) { subject, findings in
            let (_, stream) = try await subject.open()
            _ = try await stream.write(SmallChain.batch(1...5))
            try await subject.settle(stream)
            await findings.expectRefusal(subject, "an amendment", code: .amendUnsupported, class: [.config]) {
                try await stream.amend([SmallChain.amendment(5, places: [0])])
            }
            _ = try await stream.write(SmallChain.batch(6...6))
            try await subject.settle(stream)
            if subject.promises.undo == .all { try await findings.expectBlocks(subject, [Blocks(1...6)]) }
        },
        Case("rows take the place of those at their places, stored or only taken; done twice it is done once", for: { $0.amends }) {
            subject, findings in
            var (sink, stream) = try await subject.open()
            _ = try await stream.write(SmallChain.batch(1...10))
            try await subject.settle(stream)
            _ = try await stream.write(SmallChain.batch(11...14))
            let first = [
                SmallChain.amendment(5, places: [0, 7]), SmallChain.amendment(6, places: [3]),
                SmallChain.amendment(8, places: [0, 1], rows: []),
                SmallChain.amendment(11, places: [1, 2], rows: [1]), SmallChain.amendment(14, places: [0]),
            ]
            for _ in 1...2 {
                try await stream.amend(first)
                findings.expect(try await stream.coverage(), [SmallChain.segment(1...14)])
            }
            // An amendment may have made them durable already, but had no way to say so.
            findings.expect(try await subject.settle(stream), SmallChain.segment(1...14).last)
            try await findings.expectBlocks(subject, [Blocks(1...14)], amended: first)
            await sink.close()
            (sink, stream) = try await subject.open()
            findings.expect(try await stream.coverage(), [SmallChain.segment(1...14)])
            let second = [
                SmallChain.amendment(5, places: [0, 7], rows: [7], note: "other"), SmallChain.amendment(14, places: [0, 1], rows: []),
            ]
            for _ in 1...2 { try await stream.amend(second) }
            try await findings.expectBlocks(subject, [Blocks(1...14)], amended: first + second)
            _ = try await stream.write(SmallChain.batch(15...16))
            try await subject.settle(stream)
            await sink.close()
            findings.expect(try await subject.open().stream.coverage(), [SmallChain.segment(1...16)])
            try await findings.expectBlocks(subject, [Blocks(1...16)], amended: first + second)
        },
        Case("a block that is not there, and another of its number, is refused, and nothing of that amendment is done", for: { $0.amends })
        {
            subject, findings in
            let (sink, stream) = try await subject.open()
            _ = try await stream.write(SmallChain.batch(3...10))
            try await subject.settle(stream)
            _ = try await stream.write(SmallChain.batch(11...12))
            let good = SmallChain.amendment(5, places: [4])
            var wrong: [(Amendment, SluiceError.Code)] = [
                (SmallChain.amendment(13, places: [0]), .blockNotHeld), (SmallChain.amendment(2, places: [0]), .blockNotHeld),
                (SmallChain.amendment(12, places: [0], fork: 1), .blockDiffers),
            ]
            if subject.promises.knowsHashes { wrong.append((SmallChain.amendment(8, places: [0], fork: 1), .blockDiffers)) }
            for (amendment, code) in wrong {
                await findings.expectRefusal(subject, "block \(amendment.block.number)", code: code, class: [.data]) {
                    try await stream.amend([good, amendment])
                }
            }
            _ = try await stream.write(SmallChain.batch(13...13))
            try await subject.settle(stream)
            findings.expect(try await stream.coverage(), [SmallChain.segment(3...13)])
            await sink.close()
            findings.expect(try await subject.open().stream.coverage(), [SmallChain.segment(3...13)])
            try await findings.expectBlocks(subject, [Blocks(3...13)])
        },
        Case("a rollback takes away what was added, with its block alone", for: { $0.amends && $0.undo == .all }) { subject, findings in
            let (_, stream) = try await subject.open()
            _ = try await stream.write(SmallChain.batch(1...12))
            try await subject.settle(stream)
            try await stream.amend([SmallChain.amendment(6, places: [4]), SmallChain.amendment(9, places: [4])])
            try await stream.rollback(to: SmallChain.position(7))
            _ = try await stream.write(SmallChain.batch(8...10))
            try await subject.settle(stream)
            try await findings.expectBlocks(subject, [Blocks(1...10)], amended: [SmallChain.amendment(6, places: [4])])
        },
    ]
}
