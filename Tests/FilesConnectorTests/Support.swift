import FilesConnector
import Foundation
import SluiceCore
import SluiceFormats
import SluiceTestKit
import Testing

/// What the files of the small chain should hold.
func expectBlocks(
    _ format: TextRows.Format, _ folder: String, _ ranges: ClosedRange<UInt64>..., fork: UInt8 = 0, from: UInt64 = .max,
    sourceLocation: SourceLocation = #_sourceLocation
) throws {
    let numbers = ranges.flatMap { Array($0) }
    func hash(_ number: UInt64) -> String { SmallChain.hash(number, fork: number >= from ? fork : 0).description }
    let blocks = try TextReader.rows(format.rawValue, folder, "blocks", ["number", "hash", "timestamp", "base_fee"])
    #expect(
        blocks
            == numbers.map { ["\($0)", hash($0), "\((1_700_000_000 + $0 * 12) * 1_000_000)", $0 % 2 == 0 ? UInt256.max.description : nil] },
        sourceLocation: sourceLocation)
    let logs = try TextReader.rows(format.rawValue, folder, "logs", ["block_number", "block_hash", "log_index", "data"])
    let expected = numbers.flatMap { number in
        (0..<number % 3).map { index -> [String?] in
            let byte = Hex.text([UInt8(truncatingIfNeeded: number)]).dropFirst(2)
            return ["\(number)", hash(number), "\(index)", "0x" + String(repeating: String(byte), count: Int(number % 40))]
        }
    }
    #expect(logs == expected, sourceLocation: sourceLocation)
}

func text(_ path: String) throws -> String { try String(contentsOfFile: path, encoding: .utf8) }
