import SluiceCore
import Testing

@Suite struct MigrationPlanTests {
    private let first = Migration(1, "bookkeeping", definition: ["a table"])
    private let second = Migration(2, "people", set: "people", definition: ["people", "pets"])
    private let third = Migration(3, "people_more", set: "people", definition: ["houses"])
    private let fourth = Migration(4, "stars", set: "stars", definition: ["stars"])
    private var known: [Migration] { [first, second, third, fourth] }

    private func row(_ migration: Migration, checksum: String? = nil, name: String? = nil) -> AppliedMigration {
        AppliedMigration(
            number: migration.number, name: name ?? migration.name, checksum: checksum ?? migration.checksum, at: "2026-01-02T03:04:05Z",
            by: "0.9", server: "a server")
    }

    private func words(_ applied: [AppliedMigration], sets: Set<String> = ["people"]) -> [String] {
        MigrationPlan(known: known, sets: sets, applied: applied).entries.map { "\($0.number) \($0.state.word)" }
    }

    private func refusal(_ applied: [AppliedMigration]) -> SluiceError? {
        do throws(SluiceError) {
            try MigrationPlan(known: known, sets: ["people"], applied: applied).requireUsable("a place")
            return nil
        } catch { return error }
    }

    @Test("what is asked for and not there is pending, in order; what is not asked for stays away")
    func pending() {
        #expect(words([]) == ["1 pending", "2 pending", "3 pending", "4 not asked for"])
        #expect(words([row(first), row(second)]) == ["1 applied", "2 applied", "3 pending", "4 not asked for"])
        let plan = MigrationPlan(known: known, sets: ["stars"], applied: [row(first)])
        #expect(plan.pending == [fourth] && plan.isUsable)
        // A set that was asked for once and is no longer stays applied.
        #expect(words([row(first), row(second), row(third)], sets: []) == ["1 applied", "2 applied", "3 applied", "4 not asked for"])
        // One that is asked for later is not hindered by a later one of another set.
        #expect(words([row(first), row(fourth)]) == ["1 applied", "2 pending", "3 pending", "4 applied"])
        #expect(refusal([row(first), row(fourth)]) == nil)
    }

    @Test("another text or name is refused, with both checksums")
    func changed() throws {
        let error = try #require(refusal([row(first), row(second, checksum: "beef")]))
        #expect(error.code == .migrationConflict && error.class == .config)
        #expect(error.message.contains("migration 2 (people)") && error.message.contains("a place"))
        #expect(error.message.contains("beef") && error.message.contains(second.checksum) && error.message.contains("0.9"))
        #expect(refusal([row(first, name: "other")])?.message.contains("as other") == true)
        // Rows of two versions that met in a store without transactions.
        #expect(words([row(second), row(second, checksum: "beef"), row(first)])[1] == "2 changed")
    }

    @Test("what this version does not know is refused: it is older")
    func unknown() throws {
        let error = try #require(refusal([row(first), row(Migration(9, "future", definition: []))]))
        #expect(error.code == .migrationConflict && error.class == .config)
        #expect(error.message.contains("migration 9 (future)") && error.mend?.contains("0.9") == true)
    }

    @Test("a hole in a set is refused")
    func skipped() throws {
        #expect(words([row(first), row(third)]) == ["1 applied", "2 skipped", "3 applied", "4 not asked for"])
        #expect(try #require(refusal([row(first), row(third)])).message.contains("no record of migration 2 (people)"))
    }

    @Test("a checksum tells number, name and every line apart, and is the same for ever")
    func checksums() {
        let others = [
            Migration(3, "people", definition: ["people", "pets"]), Migration(2, "peoples", definition: ["people", "pets"]),
            Migration(2, "people", definition: ["peoplepets"]), Migration(2, "people", definition: ["peoplep", "ets"]),
            Migration(2, "people", definition: ["pets", "people"]), Migration(2, "people", definition: ["people", "pets", ""]),
        ]
        #expect(Set((others + [second]).map(\.checksum)).count == others.count + 1)
        #expect(Migration(2, "people", set: "other", definition: ["people", "pets"]).checksum == second.checksum)
        #expect(second.checksum == "142b012b6a92cc68bd9fdce848d68df3")
    }
}
