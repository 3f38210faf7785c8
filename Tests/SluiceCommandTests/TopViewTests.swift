import SluiceCommand
import Testing

@Suite struct TopViewTests {
    private static func row(_ name: String, _ state: String = "live", letters: UInt64 = 0, message: String? = nil) -> TopView.Row {
        TopView.Row(
            pipeline: name, state: state, network: "ethereum", head: 20_000_010, position: 20_000_008, rowsPerSecond: 1234,
            reorganisations: 2, deadLetters: letters, gaps: 1, message: message)
    }

    private static func lines(_ rows: [TopView.Row], width: Int = 120, height: Int = 20, style: Style = .plain) -> [String] {
        TopView(width: width, height: height, style: style).lines(rows, title: "sluice.yaml", hint: "q quits")
    }

    @Test("a line a pipeline, with head, position, lag, rate and what is wrong")
    func table() {
        let unknown = TopView.Row(
            pipeline: "new", state: "never run", network: "base", head: nil, position: nil, rowsPerSecond: nil, reorganisations: 0,
            deadLetters: 0, gaps: 0, message: nil)
        #expect(
            Self.lines([Self.row("main", message: "the disk\nis full"), unknown]) == [
                "sluice top  sluice.yaml  2 pipelines, 1 live, 1 never run",
                "",
                "pipeline  state      network         head    position  lag  rows/s  reorgs  dead  gaps",
                "--------  ---------  --------  ----------  ----------  ---  ------  ------  ----  ----",
                "main      live       ethereum  20,000,010  20,000,008    2   1,234       2     0     1",
                "new       never run  base               -           -    -       -       0     0     0",
                "",
                "! main: the disk\\nis full",
                "",
                "q quits",
            ])
    }

    @Test("on a narrow terminal columns go, name and state last", arguments: [20, 30, 45, 60, 80, 200])
    func narrow(_ width: Int) {
        let lines = Self.lines([Self.row("main")], width: width)
        for line in lines { #expect(Visible.width(line) < max(21, width), "\(line)") }
        #expect(lines[2].hasPrefix("pipeline  state"))
    }

    @Test("on a low terminal the rest is counted", arguments: [4, 8, 12, 30])
    func low(_ height: Int) {
        let rows = (0..<15).map { Self.row("p\($0)", message: "x") }
        let lines = Self.lines(rows, height: height)
        #expect(lines.count <= max(height, 8))
        #expect(lines.last == "q quits")
        let shown = lines.filter { $0.hasPrefix("p") }.count - 1
        #expect(shown == 15 || lines.contains("and \(15 - shown) more"))
    }

    @Test("colour where it is wanted only")
    func colour() {
        #expect(Self.lines([Self.row("main", "error")], style: Style(isColoured: true)).joined().contains("\u{1B}[31merror"))
        #expect(!Self.lines([Self.row("main", "error")]).joined().contains("\u{1B}"))
    }

    @Test("the same for programs")
    func json() {
        let json = Self.row("main", letters: 3).json.compact
        #expect(json.contains("\"lag_blocks\":2,\"rows_per_second\":1234.0,\"reorganisations\":2,\"dead_letters\":3,\"gaps\":1"))
    }
}
