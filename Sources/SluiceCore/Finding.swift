/// Something that a component learnt from a block and that no later block says again, such as the address of a contract that was made.
///
/// The runtime keeps it and gives it back to whatever component is made in the place of this one. Only the component knows what the text
/// means; two findings of equal text in one block are one.
public struct Finding: Hashable, Sendable {
    public let block: BlockRef
    public let text: String

    public init(block: BlockRef, text: String) {
        self.block = block
        self.text = text
    }
}
