import SluiceCore

/// What every sink must do, whatever it stores in: the same cases for all of them, each against the real store, read back by a program
/// that is not ours.
public struct SinkConformance: Sendable {
    /// One thing that must hold.
    public struct Case: Sendable, CustomStringConvertible {
        public let description: String
        let isSmall: Bool
        let isCut: Bool
        let applies: @Sendable (SinkPromises) -> Bool
        let body: @Sendable (Subject, inout Findings) async throws -> Void

        /// - Parameters:
        ///   - isSmall: whether the sink is to store by itself after some ten rows.
        ///   - isCut: whether it is to reach its server by way of a proxy.
        init(
            _ description: String, isSmall: Bool = false, isCut: Bool = false,
            for applies: @escaping @Sendable (SinkPromises) -> Bool = { _ in true },
            _ body: @escaping @Sendable (Subject, inout Findings) async throws -> Void
        ) {
            self.description = description
            self.isSmall = isSmall
            self.isCut = isCut
            self.applies = applies
            self.body = body
        }

        /// Whether a sink of these promises can be asked for it.
        public func applies(to sink: SinkUnderTest) -> Bool { applies(sink.promises) && (!isCut || sink.promises.hasServer) }

        /// Runs it in a place of its own; returns what did not hold.
        public func run(_ sink: SinkUnderTest, name: String) async throws -> [String] {
            let place = try await sink.place(SinkRequest(name: name, isSmall: isSmall, isCut: isCut))
            let subject = Subject(promises: sink.promises, place: place)
            var findings = Findings()
            do { try await body(subject, &findings) } catch {
                findings.expect(false, "it threw \((error as? SluiceError)?.debugDescription ?? "\(error)")")
            }
            await subject.closeAll()
            place.proxy?.stop()
            await place.end()
            return findings.violations
        }
    }

    /// Collects what did not hold.
    struct Findings {
        private(set) var violations: [String] = []

        mutating func expect(_ condition: Bool, _ what: @autoclosure () -> String, line: Int = #line) {
            if !condition { violations.append("line \(line): \(what())") }
        }

        mutating func expect<T: Equatable>(_ found: T, _ expected: T, _ what: String = "", line: Int = #line) {
            expect(found == expected, "\(what)\(what.isEmpty ? "" : ": ")\(found), not \(expected)", line: line)
        }
    }

    /// All clauses; each is to be run with every sink that it applies to.
    public static let cases: [Case] = basics + order + undo + amendments + neighbours + shapes + values + trouble
}
