import SluiceCore
import Testing

@testable import SluiceFlow

@Suite struct ComponentRollTests {
    private let a = branch("a", [rowsRegister], into: [])
    private let b = branch("b", [rowsRegister], into: [])
    private let shared = GraphState.Key(register: "shared", pipeline: nil)
    private let own = GraphState.Key(register: "own", pipeline: "a")
    private let failure = SluiceError(.init("test"), .pause, "the component is broken")

    private static func id(_ number: UInt64) -> CUUID {
        var random = SeededRandom(seed: number)
        return CUUID(ComponentPID(network: .layer1, pipelineType: .live, kind: .pipe, register: .logs), using: &random)
    }

    /// In short: `a 7 live`, with the cause behind it when there is one.
    private func told(_ news: ComponentRoll.News) -> [String] {
        news.map { branch, change in
            let number = (1...2).first { Self.id(UInt64($0)) == change.component } ?? 0
            return "\(branch.name) \(number) \(change.state)" + (change.cause.map { ": \($0.message)" } ?? "")
        }.sorted()
    }

    /// Two branches, one component of both and one of the first alone.
    private func joined() -> ComponentRoll {
        var roll = ComponentRoll()
        let news = [roll.join(a, shared) { Self.id(1) }, roll.join(a, own) { Self.id(2) }, roll.join(b, shared) { Self.id(9) }]
        #expect(news.flatMap(told) == ["a 1 inactive", "a 2 inactive", "b 1 inactive"])
        return roll
    }

    @Test("the activity of a component is inactive, live or terminated")
    func activity() {
        #expect(ActivityState.allCases.map(\.rawValue) == [0, 1, 2])
        var roll = joined()
        #expect(told(roll.begin()) == ["a 1 live", "a 2 live", "b 1 live"])
        #expect(told(roll.begin()) == [], "that is so already")
        // Who comes later finds it at work.
        let c = branch("c", [rowsRegister], into: [])
        #expect(told(roll.join(c, shared) { Self.id(9) }) == ["c 1 live"])
        #expect(told(roll.end()) == ["a 1 terminated", "a 2 terminated", "b 1 terminated", "c 1 terminated"])
        #expect(told(roll.end()) == [])
    }

    @Test("what nobody else uses ends with the branch that leaves; what is shared goes on")
    func leaving() {
        var roll = joined()
        #expect(told(roll.leave(a)) == ["a 2 terminated"])
        #expect(told(roll.leave(a)) == [])
        #expect(told(roll.leave(b)) == ["b 1 terminated"])
        #expect(told(roll.join(b, shared) { Self.id(2) }) == ["b 2 inactive"], "a new one is made")
    }

    @Test("a component that fails has ended for all that it works for, with its reason, and for no other")
    func failing() {
        var roll = joined()
        let failed = ComponentFailure(component: shared, cause: failure)
        #expect(told(roll.leave(a, failed)) == ["a 1 terminated: the component is broken", "a 2 terminated"])
        #expect(told(roll.leave(b, failed)) == ["b 1 terminated: the component is broken"])
        var other = joined()
        #expect(
            told(other.leave(a, ComponentFailure(component: own, cause: CancellationError()))) == ["a 2 terminated: CancellationError()"])
        #expect(told(other.begin()) == ["b 1 live"])
    }
}
