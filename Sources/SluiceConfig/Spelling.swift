/// Guesses what was meant.
public enum Spelling {
    /// The candidate that a misspelt word most likely stands for; nil when none is near.
    public static func nearest(to word: String, in candidates: some Sequence<String>) -> String? {
        let folded = fold(word)
        guard !folded.isEmpty, folded.count <= 64 else { return nil }
        var best: (distance: Int, word: String)?
        for candidate in candidates {
            let target = fold(candidate)
            let distance = distance(folded, target)
            let limit = max(1, min(folded.count, target.count) / 3)
            if distance <= limit, distance < best?.distance ?? .max { best = (distance, candidate) }
        }
        return best?.word
    }

    /// Case and the kind of dash do not count.
    private static func fold(_ word: String) -> [UInt8] { word.lowercased().utf8.map { $0 == 45 ? 95 : $0 } }

    /// Insertions, deletions, replacements and swaps of neighbours.
    static func distance(_ a: [UInt8], _ b: [UInt8]) -> Int {
        if a.isEmpty || b.isEmpty { return max(a.count, b.count) }
        var before: [Int] = []
        var last = Array(0...b.count)
        for i in 1...a.count {
            var row = [i]
            for j in 1...b.count {
                var cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1))
                if i > 1, j > 1, a[i - 1] == b[j - 2], a[i - 2] == b[j - 1] { cost = min(cost, before[j - 2] + 1) }
                row.append(cost)
            }
            before = last
            last = row
        }
        return last[b.count]
    }
}
