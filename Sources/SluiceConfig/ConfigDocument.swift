/// From text to a checked object: parse, put in `${...}`, give meaning. For any spec; the root configuration is one of them.
public enum ConfigDocument {
    /// The object in `text`. Throws every problem at once; syntax errors come alone, since nothing can be said behind them.
    public static func decode(
        text: String, file: String, spec: ObjectSpec, environment: ConfigEnvironment = .live
    ) throws(ConfigError) -> ConfigObject {
        try decode(text: text, file: file, spec: spec, environment: environment) { _, _, _ in }
    }

    static func decode(
        text: String, file: String, spec: ObjectSpec, environment: ConfigEnvironment,
        checking check: (ConfigObject, YAMLNode, inout SpecDecoder) -> Void
    ) throws(ConfigError) -> ConfigObject {
        let source = SourceText(file: file, text: text)
        let parsed: YAMLNode?
        do throws(YAMLParser.Failure) {
            parsed = try YAMLParser.parse(source)
        } catch {
            // Without a tree it is not known what is secret: only the key in front of the line is shown.
            let shown = source.leadingKey(line: error.mark.line).map { [$0] } ?? []
            throw ConfigError([
                ConfigProblem(
                    file: file, mark: error.mark, path: "", message: error.message, suggestion: nil,
                    excerpt: source.excerpt(at: error.mark, shown: shown))
            ])
        }
        guard let parsed else { throw .whole(file, "the configuration is empty", "`sluice init` writes one to start from") }
        var interpolation = Interpolation(environment)
        let tree = interpolation.apply(to: parsed)
        var decoder = SpecDecoder(source)
        for failure in interpolation.failures { decoder.report(failure.node.mark, failure.path, failure.message, failure.suggestion) }
        let object = decoder.object(tree, spec, path: "")
        if let object { check(object, tree, &decoder) }
        let problems = decoder.problems
        guard problems.isEmpty, let object else { throw ConfigError(problems) }
        return object
    }
}

extension ConfigError {
    /// A problem of the file as a whole.
    static func whole(_ file: String, _ message: String, _ suggestion: String?) -> ConfigError {
        ConfigError([
            ConfigProblem(
                file: file, mark: SourceMark(line: 1, column: 1), path: "", message: message, suggestion: suggestion, excerpt: nil)
        ])
    }
}
