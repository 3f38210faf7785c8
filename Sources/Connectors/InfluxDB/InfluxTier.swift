import SluiceCore

/// A store of sums of rows: what is kept when the rows themselves are forgotten.
public struct InfluxTier: Sendable, Hashable {
    /// How values of a window become one.
    public enum Function: String, Sendable, CaseIterable { case mean, min, max, last, first, sum, count }

    /// Of its retention policy; of its bucket behind the bucket's own, as in `chain_warm`.
    public var name: String
    /// How long its points are kept.
    public var retention: Duration
    /// How long a window is: whole seconds, counted from 1970.
    public var every: Duration
    public var functions: [Function]

    public init(name: String, retention: Duration, every: Duration, functions: [Function] = [.mean, .min, .max, .last]) {
        self.name = name
        self.retention = retention
        self.every = every
        self.functions = functions
    }

    var seconds: Int64 { max(1, every.components.seconds) }
}

/// What a tier keeps of one measurement, and in what words it is asked for. Pure.
///
/// Points of a tier have a measurement of their own, `<measurement>_<tier>`: InfluxDB deletes by measurement and time, whatever the policy. They stand
/// at the beginning of their window, with the tags of the rows, and have a field `<field>_<function>` each.
struct InfluxRollup: Sendable {
    let tier: InfluxTier
    /// Of the rows.
    let measurement: String
    /// Fields as they are stored.
    let fields: [String]

    var target: String { "\(measurement)_\(tier.name)" }

    // MARK: - InfluxQL

    /// What the server does by itself as time goes by. `RESAMPLE FOR` lets it look back: rows come when their blocks are final.
    func continuousQuery(_ database: String, _ policy: String?) -> (name: String, statement: String) {
        let name = "sluice_\(target)"
        let back = max(3600, 2 * tier.seconds)
        let statement =
            "CREATE CONTINUOUS QUERY \(InfluxServer.identifier(name)) ON \(InfluxServer.identifier(database)) RESAMPLE FOR \(Self.text(seconds: back)) "
            + "BEGIN \(selection(database, policy, where: "")) END"
        return (name, statement)
    }

    /// The same for windows of the past, from `range.lowerBound` up to its end, which is not of them; both in seconds.
    func pass(_ database: String, _ policy: String?, _ tags: [(String, String)], _ range: Range<Int64>) -> String {
        let filter = tags.map { " AND \(InfluxServer.identifier($0)) = \(InfluxServer.literal($1))" }.joined()
        return selection(database, policy, where: " WHERE time >= \(range.lowerBound)s AND time < \(range.upperBound)s\(filter)")
    }

    private func selection(_ database: String, _ policy: String?, where filter: String) -> String {
        let columns = fields.flatMap { field in
            tier.functions.map {
                "\($0.rawValue)(\(InfluxServer.identifier(field))) AS \(InfluxServer.identifier("\(field)_\($0.rawValue)"))"
            }
        }
        let source = [database, policy ?? "", measurement].map { $0.isEmpty ? "" : InfluxServer.identifier($0) }.joined(separator: ".")
        let into = [database, tier.name, target].map(InfluxServer.identifier).joined(separator: ".")
        return
            "SELECT \(columns.joined(separator: ", ")) INTO \(into) FROM \(source)\(filter) GROUP BY time(\(Self.text(seconds: tier.seconds))), *"
    }

    /// A duration as InfluxDB shows it: the largest unit that fits.
    static func text(seconds: Int64) -> String {
        for (unit, length) in [("w", 604_800), ("d", 86_400), ("h", 3600), ("m", 60)] as [(String, Int64)]
        where seconds >= length && seconds % length == 0 {
            return "\(seconds / length)\(unit)"
        }
        return "\(seconds)s"
    }

    /// Whether two statements say the same: the server shows them with other quotes.
    static func isSame(_ one: String, _ other: String) -> Bool {
        func plain(_ text: String) -> String { text.filter { !"\"\\ ".contains($0) } }
        return plain(one) == plain(other)
    }

    // MARK: - Flux

    /// What the server does by itself as time goes by.
    func task(_ bucket: String, _ org: String) -> (name: String, script: String) {
        let name = "sluice_\(bucket)_\(target)"
        let back = max(3600, 2 * tier.seconds)
        let option = "option task = {name: \(name.fluxQuoted), every: \(Self.text(seconds: tier.seconds))}"
        return (name, "\(option)\n\n\(flux(bucket, org, "start: -\(Self.text(seconds: back))", filter: []))")
    }

    func pass(bucket: String, org: String, _ tags: [(String, String)], _ range: Range<Int64>) -> String {
        let bounds =
            "start: \(InfluxTime.text(range.lowerBound * 1_000_000_000)), stop: \(InfluxTime.text(range.upperBound * 1_000_000_000))"
        return flux(bucket, org, bounds, filter: tags)
    }

    private func flux(_ bucket: String, _ org: String, _ bounds: String, filter: [(String, String)]) -> String {
        let named = fields.map { "r._field == \($0.fluxQuoted)" }.joined(separator: " or ")
        let tags = filter.map { " and r[\($0.fluxQuoted)] == \($1.fluxQuoted)" }.joined()
        let head = """
            rows = from(bucket: \(bucket.fluxQuoted))
                |> range(\(bounds))
                |> filter(fn: (r) => r._measurement == \(measurement.fluxQuoted)\(tags))
                |> filter(fn: (r) => \(named))
            """
        let parts = tier.functions.map { function in
            """
            rows
                |> aggregateWindow(every: \(Self.text(seconds: tier.seconds)), fn: \(function.rawValue), createEmpty: false, timeSrc: "_start")
                |> map(fn: (r) => ({r with _measurement: \(target.fluxQuoted), _field: r._field + "_\(function.rawValue)"}))
                |> to(bucket: \(Self.bucket(bucket, tier).fluxQuoted), org: \(org.fluxQuoted))
            """
        }
        return ([head] + parts).joined(separator: "\n\n") + "\n"
    }

    static func bucket(_ bucket: String, _ tier: InfluxTier) -> String { "\(bucket)_\(tier.name)" }
}

extension String {
    /// A text in Flux: as in JSON, but that `${` would begin an expression.
    fileprivate var fluxQuoted: String { jsonQuoted.replacing("${", with: "\\${") }
}

/// Which windows of a tier must be made anew, since rows were written that fall into them. Pure.
struct InfluxWindows: Sendable, Hashable {
    /// Seconds, ascending, apart from each other.
    private(set) var touched: [Range<Int64>] = []
    let seconds: Int64

    init(seconds: Int64) { self.seconds = seconds }

    /// Rows were written from one second to another, both included.
    mutating func touch(_ range: ClosedRange<Int64>) {
        let new = start(range.lowerBound)..<start(range.upperBound) + seconds
        var all: [Range<Int64>] = []
        for next in (touched + [new]).sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = all.last, next.lowerBound <= last.upperBound {
                all[all.count - 1] = last.lowerBound..<max(last.upperBound, next.upperBound)
            } else {
                all.append(next)
            }
        }
        touched = all
    }

    /// Takes the windows that are whole, because time has gone on to `latest`; all of them when that is nil. What is left is asked for again.
    mutating func take(before latest: Int64?) -> [Range<Int64>] {
        guard let latest else {
            defer { touched = [] }
            return touched
        }
        let end = start(latest)
        let whole = touched.compactMap { $0.lowerBound < end ? $0.lowerBound..<min($0.upperBound, end) : nil }
        touched = touched.compactMap { $0.upperBound > end ? max($0.lowerBound, end)..<$0.upperBound : nil }
        return whole
    }

    private func start(_ second: Int64) -> Int64 { second - ((second % seconds) + seconds) % seconds }
}
