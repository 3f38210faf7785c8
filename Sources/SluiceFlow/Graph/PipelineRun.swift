/// A run of a pipeline that can be asked to end, and waited for.
public protocol PipelineRun: AnyObject, Sendable {
    /// Returns when it has ended.
    func ended() async -> Branch.End
    /// Returns when its sinks are open. Throws what it failed with before that.
    func openedOrFailed() async throws
    /// Asks it to end in good order: what was read still lands. Returns at once; see `ended`.
    func leave()
    /// Works until it has ended; to be called once.
    func work() async
    /// Ends it before it has begun, when nothing may begin any more.
    func abandon()
    /// What it has done so far.
    var snapshot: PipelineProgress.Snapshot { get }
}
