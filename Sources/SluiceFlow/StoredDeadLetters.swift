public import SluiceCore
public import SluiceStore

/// Dead letters in the state store.
public struct StoredDeadLetters: DeadLetterOffice {
    private let store: StateStore

    public init(store: StateStore) { self.store = store }

    public func keep(_ letters: [DeadLetter], of stream: StreamID) async throws {}

    public func forget(of stream: StreamID, behind position: Position) async throws {}
}
