public import SluiceCore

extension SluiceError.Code {
    /// Another pipeline has the name.
    public static let pipelineNameTaken = Self("pipeline_name_taken")
    /// There is no such pipeline.
    public static let pipelineUnknown = Self("pipeline_unknown")
}

/// The pipelines that are defined, so that a new process goes on with them.
extension StateStore {
    /// Keeps a pipeline, or changes it. The time when it was made stays.
    /// - Throws: `pipeline_name_taken` (class `config`) when another pipeline has its name.
    public func save(_ pipeline: PipelineRecord) throws {
        let database = try writing()
        let stamp = now
        try database.transaction { () throws(SluiceError) in try insert(pipeline, created: stamp, updated: stamp, into: database) }
    }

    /// Changes what a pipeline is doing, and nothing else of it.
    /// - Throws: `pipeline_unknown` when there is none.
    public func setState(_ state: PipelineRecord.State, error: String? = nil, of puuid: String) throws {
        var isKnown = false
        try writing().run(
            "UPDATE pipelines SET state = ?, error = ?, updated_at = ? WHERE puuid = ? RETURNING 1",
            [.text(state.rawValue), error.map { .text($0) } ?? .null, .int(now), .text(puuid)]
        ) { _ throws(SluiceError) in isKnown = true }
        guard isKnown else { throw Self.unknown(puuid) }
    }

    /// Puts one pipeline in another's place, in one step: whoever looks finds the one or the other. It may have the same name, and takes
    /// over the time when the old one was made.
    /// - Throws: `pipeline_unknown` when the old one is not there, `pipeline_name_taken` when a third has the new one's name;
    ///   nothing is changed then.
    public func replace(old puuid: String, with new: PipelineRecord) throws {
        let database = try writing()
        let stamp = now
        try database.transaction { () throws(SluiceError) in
            var created: Int64?
            try database.run("DELETE FROM pipelines WHERE puuid = ? RETURNING created_at", [.text(puuid)]) { row throws(SluiceError) in
                created = row.int(0)
            }
            guard let created else { throw Self.unknown(puuid) }
            try insert(new, created: created, updated: stamp, into: database)
        }
    }

    /// The pipeline of an identity; nil when there is none.
    public func pipeline(_ puuid: String) throws -> PipelineRecord? { try pipelineRecords("WHERE puuid = ?", [.text(puuid)]).first }

    /// The pipeline of a name; nil when there is none.
    public func pipeline(named name: String) throws -> PipelineRecord? { try pipelineRecords("WHERE name = ?", [.text(name)]).first }

    /// All pipelines, by name.
    public func pipelines() throws -> [PipelineRecord] { try pipelineRecords("ORDER BY name", []) }

    /// Forgets a pipeline. Returns false when there was none.
    @discardableResult
    public func removePipeline(_ puuid: String) throws -> Bool {
        var isKnown = false
        try writing().run("DELETE FROM pipelines WHERE puuid = ? RETURNING 1", [.text(puuid)]) { _ throws(SluiceError) in isKnown = true }
        return isKnown
    }

    private func insert(
        _ pipeline: PipelineRecord, created: Int64, updated: Int64, into database: SQLiteDatabase
    ) throws(SluiceError) {
        var holder: String?
        try database.run("SELECT puuid FROM pipelines WHERE name = ? AND puuid <> ?", [.text(pipeline.name), .text(pipeline.puuid)]) {
            row throws(SluiceError) in holder = row.text(0)
        }
        if let holder {
            throw SluiceError(
                .pipelineNameTaken, .config, "a pipeline called \(pipeline.name) is there already (\(holder))",
                mend: "give this one another name, or update that one")
        }
        try database.run(
            """
            INSERT INTO pipelines VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (puuid) DO UPDATE SET pid = excluded.pid, \
            name = excluded.name, definition = excluded.definition, state = excluded.state, error = excluded.error, \
            fingerprint = excluded.fingerprint, updated_at = excluded.updated_at
            """,
            [
                .text(pipeline.puuid), .blob(pipeline.pid), .text(pipeline.name), .text(pipeline.definition),
                .text(pipeline.state.rawValue),
                pipeline.error.map { .text($0) } ?? .null, .text(pipeline.fingerprint), .int(created), .int(updated),
            ])
    }

    private func pipelineRecords(_ words: String, _ values: [SQLiteValue]) throws(SluiceError) -> [PipelineRecord] {
        var out: [PipelineRecord] = []
        let path = path
        try reading().run(
            "SELECT puuid, pid, name, definition, state, error, fingerprint, created_at, updated_at FROM pipelines \(words)", values
        ) { row throws(SluiceError) in
            guard let state = PipelineRecord.State(rawValue: row.text(4)) else {
                throw StoreError.corrupt(path, "a pipeline in the state \(row.text(4))")
            }
            out.append(
                PipelineRecord(
                    puuid: row.text(0), pid: row.bytes(1), name: row.text(2), definition: row.text(3), state: state,
                    error: row.isNull(5) ? nil : row.text(5), fingerprint: row.text(6), created: row.int(7), updated: row.int(8)))
        }
        return out
    }

    private static func unknown(_ puuid: String) -> SluiceError {
        SluiceError(.pipelineUnknown, .config, "there is no pipeline \(puuid)", mend: "sluice status lists those that there are")
    }
}
