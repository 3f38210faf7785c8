/// What a component is given when it is made: what it takes to look up the addresses that it works for, and what was found before it.
public struct ComponentContext: Sendable {
    /// The pipeline that it is made for: the text that stands for it in the keys of the shared state.
    public let pipeline: String
    /// Where addressable components find their addresses; nil where nothing is shared.
    public let state: (any SharedState)?
    /// What earlier components in its place found in blocks before those that it will be given.
    public let findings: [Finding]

    public init(pipeline: String, state: (any SharedState)? = nil, findings: [Finding] = []) {
        self.pipeline = pipeline
        self.state = state
        self.findings = findings
    }
}
