extension ABIEvent {
    /// The event as text that reads as this very event: a declaration, or a bare signature where it is not known what is indexed. Names
    /// that no contract can have (a JSON ABI may hold any text) do not come back.
    public var declaration: String {
        let arguments = inputs.map { input in
            ([input.type.declaration] + (input.isIndexed ? ["indexed"] : []) + (input.name.isEmpty ? [] : [input.name])).joined(
                separator: " ")
        }
        return (statesIndexed ? "event " : "") + name + "(" + arguments.joined(separator: ", ") + ")" + (isAnonymous ? " anonymous" : "")
    }
}

extension ABIType {
    /// The type with the names of its members.
    fileprivate var declaration: String {
        switch self {
        case .array(let element): element.declaration + "[]"
        case .fixedArray(let element, let count): element.declaration + "[\(count)]"
        case .tuple(let members):
            "(" + members.map { $0.name.isEmpty ? $0.type.declaration : "\($0.type.declaration) \($0.name)" }.joined(separator: ", ") + ")"
        default: name
        }
    }
}
