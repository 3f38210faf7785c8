import Testing

@testable import SluiceFlow

@Suite struct TurnTests {
    @Test("one at a time, however many come, also when one fails")
    func exclusive() async throws {
        let turn = Turn()
        let inside = Box(0)
        let done = Box(0)
        struct Failure: Error {}
        await withTaskGroup(of: Void.self) { group in
            for number in 0..<200 {
                group.addTask {
                    try? await turn.take {
                        inside.change { $0 += 1 }
                        #expect(inside.value == 1)
                        await Task.yield()
                        if number.isMultiple(of: 3) { await Task.yield() }
                        inside.change { $0 -= 1 }
                        done.change { $0 += 1 }
                        if number.isMultiple(of: 7) { throw Failure() }
                    }
                }
            }
        }
        #expect(done.value == 200)
    }
}
