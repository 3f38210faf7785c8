public import SluiceCore

/// What every store of shared state must do, whatever it keeps things in: the same cases for all of them.
public struct SharedStateConformance: Sendable {
    /// A store under test, empty to begin with.
    public struct Subject: Sendable {
        public let state: any SharedState
        /// A second way to the same things: another connection, or the same object where there can be only one.
        public let other: any SharedState
        /// A fresh way to them, made after everything was let go: it finds what is durable and nothing else.
        public let reopened: @Sendable () async throws -> any SharedState

        public init(state: any SharedState, other: any SharedState, reopened: @escaping @Sendable () async throws -> any SharedState) {
            self.state = state
            self.other = other
            self.reopened = reopened
        }
    }

    /// One thing that must hold.
    public struct Case: Sendable, CustomStringConvertible {
        public let description: String
        let body: @Sendable (Subject, inout Findings) async throws -> Void

        /// Runs it; returns what did not hold.
        public func run(_ subject: Subject) async throws -> [String] {
            var findings = Findings()
            try await body(subject, &findings)
            return findings.violations
        }
    }

    /// Collects what did not hold.
    struct Findings {
        private(set) var violations: [String] = []

        mutating func expect(_ condition: Bool, _ what: @autoclosure () -> String, line: Int = #line) {
            if !condition { violations.append("line \(line): \(what())") }
        }

        /// Compares by bytes: equality of strings would let differences pass that a store keeps.
        mutating func expect(_ found: [String], _ expected: [String], line: Int = #line) {
            expect(found.map { Array($0.utf8) } == expected.map { Array($0.utf8) }, "\(found), not \(expected)", line: line)
        }
    }

    public static let cases: [Case] = basics + atomicity + hostile
}

/// Byte order, for lists that are expected.
func inByteOrder(_ texts: [String]) -> [String] { texts.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) } }
