import Glibc
import SluiceCore
import SluiceDuckDB

/// Where files end up that the writer has made in its working folder: that folder itself, or a bucket. Paths are relative to it, as manifests
/// name them. Manifests are in the working folder in any case.
protocol ParquetPlace: Sendable {
    /// As it is named in messages.
    var shown: String { get }
    /// Sets the place up as it is to be, where that is asked for: the first thing that is done to it.
    func prepare(_ tables: [String], retention: Int?, _ session: DuckDBSession) throws
    /// Looks afresh at what is there, for a start.
    func refresh(_ tables: [String]) throws
    /// All of a table's files of the chain, with their blocks.
    func files(_ table: String) throws -> [(path: String, span: ClosedRange<UInt64>)]
    func exists(_ path: String) -> Bool
    /// Makes a file last that waits to take another's place.
    func stage(_ path: String) throws
    /// Gives a file of the working folder its name, and makes that last: it is there whole or not at all.
    func publish(_ temporary: String, as path: String) throws
    /// Gives a staged file its name, in the place of whatever has that.
    func move(_ path: String, to other: String) throws
    /// Removes a file; that there is none is well.
    func remove(_ path: String) throws
    /// Paths at which files can be read until others are asked for.
    func local(_ paths: [String]) throws -> [String]
    /// Removes what an interrupted writer left on its way.
    func discardTemporaries() throws
}

extension ParquetPlace {
    /// A path at which a file can be read until another one is asked for.
    func local(_ path: String) throws -> String { try local([path])[0] }
}

/// The working folder itself.
struct FolderPlace: ParquetPlace {
    let layout: Layout

    var shown: String { layout.directory }

    func prepare(_ tables: [String], retention: Int?, _ session: DuckDBSession) {}

    func refresh(_ tables: [String]) {}

    func files(_ table: String) -> [(path: String, span: ClosedRange<UInt64>)] { layout.files(table) }

    func exists(_ path: String) -> Bool { Layout.exists(absolute(path)) }

    func stage(_ path: String) throws { try Folder.sync(absolute(path)) }

    func publish(_ temporary: String, as path: String) throws { try Layout.publish(temporary, as: absolute(path)) }

    func move(_ path: String, to other: String) throws { try Layout.publish(absolute(path), as: absolute(other)) }

    func remove(_ path: String) throws { try Layout.remove(absolute(path)) }

    func local(_ paths: [String]) -> [String] { paths.map(absolute) }

    func discardTemporaries() throws {
        for name in Folder.entries(layout.temporary) { try Layout.remove("\(layout.temporary)/\(name)") }
    }

    private func absolute(_ path: String) -> String { "\(layout.directory)/\(path)" }
}
