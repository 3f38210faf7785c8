/// What a component is given when it is made: what it takes to look up the addresses that it works for.
public struct ComponentContext: Sendable {
    /// The pipeline that it is made for: the text that stands for it in the keys of the shared state.
    public let pipeline: String
    /// Where addressable components find their addresses; nil where nothing is shared.
    public let state: (any SharedState)?

    public init(pipeline: String, state: (any SharedState)? = nil) {
        self.pipeline = pipeline
        self.state = state
    }
}
