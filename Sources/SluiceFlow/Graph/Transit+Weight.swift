import SluiceCore

extension Transit {
    /// What it weighs on an edge, in bytes. What every element costs counts too: a slow sink must not gather millions of batches without
    /// rows.
    var weight: Int {
        if case .batch(let batch) = self { return 1024 + batch.span.count * MemoryLayout<BlockStamp>.stride + batch.byteCount }
        return 256
    }
}
