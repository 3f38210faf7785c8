/// A decoded object. It is only handed out when everything in it passed its spec, so that asking for a field that the spec
/// declares as required or with a default cannot fail; asking for one that it does not declare is a programmer's error.
public struct ConfigObject: Sendable {
    /// The `type:` of a tagged object.
    public let tag: String?
    /// Where the object begins.
    public let mark: SourceMark
    private let values: [String: ConfigValue]

    init(tag: String?, mark: SourceMark, values: [String: ConfigValue]) {
        self.tag = tag
        self.mark = mark
        self.values = values
    }

    /// The value of a field; nil when it was left out and has no default.
    public func value(_ field: String) -> ConfigValue? { values[field] }

    /// Whether the field was set or has a default.
    public func has(_ field: String) -> Bool { values[field] != nil }

    /// Whether all is there that a spec promises. Checks that look at an object beside the decoder meet some in which something was wrong, and
    /// is reported already.
    public func isWhole(_ spec: ObjectSpec) -> Bool {
        spec.fields.allSatisfy { !$0.required && $0.defaultText == nil || values[$0.name] != nil }
    }

    // A field that is there; for those that are required or have a default.
    public func string(_ field: String) -> String { take(field, values[field]?.string) }
    public func int(_ field: String) -> Int { take(field, values[field]?.int) }
    /// Bytes, for a field of type `bytes`.
    public func bytes(_ field: String) -> Int { take(field, values[field]?.int) }
    public func float(_ field: String) -> Double { take(field, values[field]?.float) }
    public func bool(_ field: String) -> Bool { take(field, values[field]?.bool) }
    public func duration(_ field: String) -> Duration { take(field, values[field]?.duration) }
    public func url(_ field: String) -> ConfigURL { take(field, values[field]?.url) }
    public func secret(_ field: String) -> Secret { take(field, values[field]?.secret) }
    public func list(_ field: String) -> [ConfigValue] { take(field, values[field]?.list) }
    public func map(_ field: String) -> [ConfigEntry] { take(field, values[field]?.map) }
    public func object(_ field: String) -> ConfigObject { take(field, values[field]?.object) }

    // A field that may be missing.
    public func string(ifSet field: String) -> String? { values[field]?.string }
    public func int(ifSet field: String) -> Int? { values[field]?.int }
    public func bytes(ifSet field: String) -> Int? { values[field]?.int }
    public func float(ifSet field: String) -> Double? { values[field]?.float }
    public func bool(ifSet field: String) -> Bool? { values[field]?.bool }
    public func duration(ifSet field: String) -> Duration? { values[field]?.duration }
    public func url(ifSet field: String) -> ConfigURL? { values[field]?.url }
    public func secret(ifSet field: String) -> Secret? { values[field]?.secret }
    public func object(ifSet field: String) -> ConfigObject? { values[field]?.object }

    private func take<T>(_ field: String, _ value: T?) -> T {
        guard let value else { preconditionFailure("the spec does not promise a field \(field) of type \(T.self)") }
        return value
    }
}
