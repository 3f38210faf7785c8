/// Something about a list of registers because of which no graph can be built from it.
public struct RegistryProblem: Hashable, Sendable, CustomStringConvertible {
    public enum Kind: String, Sendable, CaseIterable {
        case badName = "bad_name"
        case duplicateName = "duplicate_name"
        case badNumber = "bad_number"
        case duplicateNumber = "duplicate_number"
        case oracleWithDependency = "oracle_with_dependency"
        case pipeWithoutDependency = "pipe_without_dependency"
        case missingDependency = "missing_dependency"
        case repeatedDependency = "repeated_dependency"
        case cycle
        /// A register needs a table that is not made by what it reads.
        case missingTable = "missing_table"
        /// Two registers make tables of the same name that are not alike.
        case conflictingTable = "conflicting_table"
        /// Addressed without a state key, or the reverse; or made from something addressed without being so.
        case addressing
    }

    public let kind: Kind
    /// Where it was met: registers from the one that is asked for down to the one at fault.
    public let path: [String]
    /// Lower case, no full stop.
    public let message: String

    /// As `a -> b -> c: no register c`.
    public var description: String { "\(path.joined(separator: " -> ")): \(message)" }
}
