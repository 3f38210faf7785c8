import FilesConnector
import Foundation
import SluiceCore
import SluiceFormats
import SluiceTestKit
import Testing

/// Reads files back by Python's own modules.
enum Reader {
    /// The named columns of all rows of a table, in the order of file names and lines. Floats come as the digits of their bits, times as
    /// microseconds.
    static func rows(_ format: TextRows.Format, _ folder: String, _ table: String, _ columns: [String], chain: UInt64 = 1) throws
        -> [[String?]]
    {
        let said = try run([
            "-c", script, format.rawValue, "\(folder)/\(table)/chain_id=\(chain)", columns.joined(separator: ","),
        ])
        return try JSONDecoder().decode([[String?]].self, from: said)
    }

    private static let script = """
        import csv, datetime, glob, json, re, struct, sys
        form, folder, columns = sys.argv[1], sys.argv[2], sys.argv[3].split(",")
        csv.field_size_limit(1 << 30)

        def micros(text):
            year, month, day, hour, minute, second, rest = re.fullmatch(r"([+-]?\\d+)-(\\d\\d)-(\\d\\d)T(\\d\\d):(\\d\\d):(\\d\\d)\\.(\\d{6})Z", text).groups()
            eras, year = divmod(int(year), 400)
            days = (datetime.date(year + 400, int(month), int(day)) - datetime.date(1970, 1, 1)).days + (eras - 1) * 146097
            return ((days * 24 + int(hour)) * 60 + int(minute)) * 60000000 + int(second) * 1000000 + int(rest)

        def shown(name, value):
            if value is None or (form == "csv" and value == "" and name not in ("a_text", "note")): return None
            if value is True or value is False: value = str(value).lower()
            if name == "a_float": value = struct.unpack(">q", struct.pack(">d", float(value)))[0]
            if name in ("a_time", "timestamp", "block_timestamp"): value = micros(value)
            return str(value)

        out = []
        for name in sorted(glob.glob(folder + "/*")):
            with open(name, newline="" if form == "csv" else "\\n", encoding="utf-8") as file:
                lines = csv.DictReader(file, strict=True) if form == "csv" else (json.loads(line, parse_float=str) for line in file)
                for line in lines: out.append([shown(column, line.get(column)) for column in columns])
        print(json.dumps(out))
        """

    static func run(_ arguments: [String]) throws -> Data {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["python3"] + arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let said = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0)
        return said
    }
}

/// What the files of the small chain should hold.
func expectBlocks(
    _ format: TextRows.Format, _ folder: String, _ ranges: ClosedRange<UInt64>..., fork: UInt8 = 0, from: UInt64 = .max,
    sourceLocation: SourceLocation = #_sourceLocation
) throws {
    let numbers = ranges.flatMap { Array($0) }
    func hash(_ number: UInt64) -> String { SmallChain.hash(number, fork: number >= from ? fork : 0).description }
    let blocks = try Reader.rows(format, folder, "blocks", ["number", "hash", "timestamp", "base_fee"])
    #expect(
        blocks
            == numbers.map { ["\($0)", hash($0), "\((1_700_000_000 + $0 * 12) * 1_000_000)", $0 % 2 == 0 ? UInt256.max.description : nil] },
        sourceLocation: sourceLocation)
    let logs = try Reader.rows(format, folder, "logs", ["block_number", "block_hash", "log_index", "data"])
    let expected = numbers.flatMap { number in
        (0..<number % 3).map { index -> [String?] in
            let byte = Hex.text([UInt8(truncatingIfNeeded: number)]).dropFirst(2)
            return ["\(number)", hash(number), "\(index)", "0x" + String(repeating: String(byte), count: Int(number % 40))]
        }
    }
    #expect(logs == expected, sourceLocation: sourceLocation)
}

func text(_ path: String) throws -> String { try String(contentsOfFile: path, encoding: .utf8) }
