public import SluiceConfig
public import SluiceFormats

/// What is printed.
public struct StdoutSinkOptions: Sendable, Hashable {
    public var format: TextRows.Format
    /// Whether a later run goes on behind what was printed, instead of printing everything anew.
    public var resumes: Bool

    public init(_ format: TextRows.Format = .jsonl, resumes: Bool = true) { (self.format, self.resumes) = (format, resumes) }

    /// What a configuration may say.
    public static let spec = ObjectSpec(
        "Rows on standard output, for pipes. It takes only what is final (delivery `at_least_once`).",
        [
            FieldSpec(
                "format", .choice(TextRows.Format.allCases.map(\.rawValue)),
                "`jsonl`: a line of JSON a row, with a first member `table`; `csv`: of a pipeline with one table, the columns' names first.",
                default: "jsonl"),
            FieldSpec(
                "resume", .bool, "A later run goes on behind what was printed; without it each run prints all that it is asked for.",
                default: "true"),
        ])

    /// Out of checked options.
    public init(_ options: ConfigObject) {
        self.init(TextRows.Format(rawValue: options.string("format")) ?? .jsonl, resumes: options.bool("resume"))
    }
}
