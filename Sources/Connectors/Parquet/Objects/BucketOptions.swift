public import SluiceConfig

/// A bucket of object storage (S3, and what speaks as it does), and how to get in.
public struct BucketOptions: Sendable, Hashable {
    public var bucket: String
    /// What every name begins with; empty, or without a slash at its ends.
    public var prefix: String
    /// Scheme, host and port: `https://s3.eu-central-1.amazonaws.com`.
    public var endpoint: String
    public var region: String
    public var accessKey: String
    public var secretKey: Secret
    public var sessionToken: Secret?
    /// Whether the bucket is in the path; else it is in the host's name.
    public var pathStyle: Bool
    /// Larger files go up in parts of so many bytes.
    public var partBytes: Int
    /// How long a request is tried again.
    public var retryBudget: Duration
    /// What the bucket itself is to do.
    public var settings: BucketSettings

    public init(
        bucket: String, prefix: String = "", endpoint: String, region: String = "us-east-1", accessKey: String, secretKey: String,
        sessionToken: String? = nil, pathStyle: Bool = true, partBytes: Int = 8 << 20, retryBudget: Duration = .seconds(60),
        settings: BucketSettings = BucketSettings()
    ) {
        self.bucket = bucket
        self.prefix = prefix.split(separator: "/").joined(separator: "/")
        self.endpoint = endpoint.hasSuffix("/") ? String(endpoint.dropLast()) : endpoint
        self.region = region
        self.accessKey = accessKey
        self.secretKey = Secret(secretKey)
        self.sessionToken = sessionToken.map { Secret($0) }
        self.pathStyle = pathStyle
        self.partBytes = partBytes
        self.retryBudget = retryBudget
        self.settings = settings
    }

    /// As it is named in messages.
    var shown: String { "s3://\(bucket)" + (prefix.isEmpty ? "" : "/\(prefix)") }

    /// What a request could not name, in words; nil when all is well.
    var problem: String? {
        if bucket.isEmpty { return "path names no bucket" }
        // They would be taken out of the way before it is sent.
        if let dots = prefix.split(separator: "/").first(where: { $0 == "." || $0 == ".." }) {
            return "\"\(dots)\" cannot be a part of path"
        }
        let isPlain = bucket.utf8.allSatisfy { (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D || $0 == 0x2E }
        return pathStyle || isPlain ? nil : "\"\(bucket)\" cannot be a part of the host's name: set path_style: true, or check the name"
    }

    /// The whole name of an object.
    func key(_ path: String) -> String { prefix.isEmpty ? path : "\(prefix)/\(path)" }

    /// What a sink's path says: nil when it names a folder.
    static func parse(_ path: String) -> (bucket: String, prefix: String)? {
        guard path.hasPrefix("s3://") else { return nil }
        let parts = path.dropFirst(5).split(separator: "/", maxSplits: 1)
        return (parts.first.map(String.init) ?? "", parts.count > 1 ? String(parts[1]) : "")
    }
}
