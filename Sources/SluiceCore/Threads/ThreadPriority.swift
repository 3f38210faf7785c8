#if canImport(Glibc)
    import Glibc
#endif

/// Whose turn comes first when there are more busy threads than cores.
public enum ThreadPriority {
    #if canImport(Glibc)
        private static let process = __priority_which_t(PRIO_PROCESS.rawValue)
        /// The nice value of those that stand back: a third of a core against a thread of the process's own priority.
        private static let behind = min(19, getpriority(process, 0) + 5)
    #endif

    /// From now on the calling thread stands back behind those that store. Decoding runs ahead of storing in bursts; without this it takes
    /// half of the core from the thread that everything waits for, and stands still afterwards because nothing more may wait. A thread of the
    /// pool stays behind, whatever else it runs later.
    public static func standBack() {
        #if canImport(Glibc)
            // On Linux this is the thread's own. Where it is refused, everybody goes on as before.
            _ = setpriority(process, 0, behind)
        #endif
    }
}
