import Foundation
import SluiceCore

/// Reads files of CSV, or of JSON lines, back by Python's own modules.
public enum TextReader {
    /// The named columns of all rows of a table, in the order of file names and lines. Floats come as the digits of their bits, times as
    /// microseconds.
    public static func rows(_ format: String, _ folder: String, _ table: String, _ columns: [String], chain: UInt64 = 1) throws
        -> [[String?]]
    {
        let said = try run([
            "-c", script, format, "\(folder)/\(table)/chain_id=\(chain)", columns.joined(separator: ","),
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

    private static func run(_ arguments: [String]) throws -> Data {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["python3"] + arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let said = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw SluiceError(.init("text_reader"), .fatal, "python3 \(arguments.dropFirst(2)) failed")
        }
        return said
    }
}
