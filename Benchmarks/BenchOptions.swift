/// The command line.
struct BenchOptions {
    static let usage = """
        usage: sluice-bench all|NAME... [OPTIONS]

          names: \(Suites.names.joined(separator: ", "))

          --blocks N       blocks of each measurement (default: its own number)
          --runs K         runs of each; the table shows the median (default: 3)
          --only-quick     a subset with fewer blocks, in about 20 seconds
          --json FILE      write the figures as JSON too
          --data FILE      recorded blocks (default: found beside the checkout, else blocks are generated)
          --sluice PATH    the binary to measure (default: beside this one)
          --temp FOLDER    where to write; a folder in it is made and removed (default: TMPDIR, or /tmp)
        """

    var words: [String] = []
    var blocks: Int?
    var runs = 3
    var quick = false
    var json: String?
    var data: String?
    var isGenerated = false
    var sluice: String?
    var temp: String?

    /// Throws with what is wrong.
    init(_ arguments: some Sequence<String>) throws {
        var rest = Array(arguments)[...]
        while let word = rest.popFirst() {
            func value() throws -> String {
                guard let value = rest.popFirst() else { throw BenchError("\(word) needs a value\n\(Self.usage)") }
                return value
            }
            func number() throws -> Int {
                guard let number = Int(try value()), number > 0 else { throw BenchError("\(word) needs a whole number\n\(Self.usage)") }
                return number
            }
            switch word {
            case "--blocks": blocks = try number()
            case "--runs": runs = try number()
            case "--only-quick": quick = true
            case "--json": json = try value()
            case "--data": data = try value()
            // For the bench's own helpers: the data is of its own making.
            case "--generated": isGenerated = true
            case "--sluice": sluice = try value()
            case "--temp": temp = try value()
            case _ where word.hasPrefix("-"): throw BenchError("unknown option \(word)\n\(Self.usage)")
            default: words.append(word)
            }
        }
    }
}
