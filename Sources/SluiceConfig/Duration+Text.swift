extension Duration {
    /// A duration with its unit, as configurations write it: `90s`, `500ms`, `2m`, `1h`; nil for anything else.
    public init?(text: String) {
        guard let duration = try? Scalars.duration(text, "") else { return nil }
        self = duration
    }
}

extension Duration {
    /// As a configuration would write it: in the largest unit of which it is a whole number. Whole seconds; parts of one are left out.
    public var configText: String {
        let seconds = components.seconds
        for (unit, size) in [("d", Int64(86_400)), ("h", 3600), ("m", 60)] where seconds != 0 && seconds % size == 0 {
            return "\(seconds / size)\(unit)"
        }
        return "\(seconds)s"
    }
}
