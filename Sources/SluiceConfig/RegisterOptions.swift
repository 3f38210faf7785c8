public import SluiceCore

/// What a register must be told by the pipelines that ask for it, under a key of its own beside `registers`.
public struct RegisterOptions: Sendable {
    /// Makes of a value that passed its spec the register as the pipeline wants it. Nil when it reported what is wrong.
    public typealias Configure =
        @Sendable (_ value: ConfigValue, _ environment: ConfigEnvironment, _ report: (OptionProblem) -> Void) -> ConfiguredRegister?

    /// The register that needs it.
    public let register: String
    public let field: FieldSpec
    public let configure: Configure

    public init(_ register: String, _ field: FieldSpec, configure: @escaping Configure) {
        precondition(!field.required && field.defaultText == nil, "\(field.name): it belongs to those alone who ask for \(register)")
        self.register = register
        self.field = field
        self.configure = configure
    }
}

/// A register as one pipeline wants it.
public struct ConfiguredRegister: Sendable {
    /// Of the same name as in the catalog, with needs and maker of its own; before it is told `entries`.
    public let register: Register
    /// What the shared state is to hold for it from the start.
    public let entries: [StateSnapshot.Entry]
    /// What it was told, a line for each thing.
    public let summary: [String]

    public init(_ register: Register, entries: [StateSnapshot.Entry] = [], summary: [String]) {
        self.register = register
        self.entries = entries
        self.summary = summary
    }
}

/// Something that is wrong in the options of a register.
public struct OptionProblem: Sendable {
    /// Where it stands.
    public let mark: SourceMark
    /// Its place below the field, such as `[0].address`.
    public let path: String
    /// Lower case, no full stop.
    public let message: String
    /// What would be right.
    public let suggestion: String?

    public init(_ mark: SourceMark, _ path: String, _ message: String, _ suggestion: String? = nil) {
        self.mark = mark
        self.path = path
        self.message = message
        self.suggestion = suggestion
    }
}
