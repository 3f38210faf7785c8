extension Duration {
    /// A duration with its unit, as configurations write it: `90s`, `500ms`, `2m`, `1h`; nil for anything else.
    public init?(text: String) {
        guard let duration = try? Scalars.duration(text, "") else { return nil }
        self = duration
    }
}
