import SluiceCore

/// How the bucket itself is set up. Nothing is written when all is as it should be, so that a start needs the right to change it once.
extension BucketClient {
    /// Switches versions on.
    func keepVersions() throws {
        let doing = "switching on versions of \(options.bucket)"
        try settings("versioning, for which a key needs s3:GetBucketVersioning and s3:PutBucketVersioning") {
            let found = try text("GET", query: [("versioning", "")], doing: doing)
            if XMLText.value("Status", in: found) == "Enabled" { return }
            let body =
                "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Status>Enabled</Status></VersioningConfiguration>"
            _ = try request("PUT", nil, query: [("versioning", "")], body: Array(body.utf8), doing: doing)
        }
    }

    /// Puts rules into the place of those whose names begin so, and leaves all others as they are.
    /// - Parameter digest: the MD5 of a text in base 64, without which servers refuse rules.
    func apply(_ rules: [LifecycleRule], insteadOf start: String, digest: (String) throws -> String) throws {
        let doing = "setting lifecycle rules of \(options.bucket)"
        try settings("rules, for which a key needs s3:GetLifecycleConfiguration and s3:PutLifecycleConfiguration") {
            guard let text = try document(doing).with(rules, insteadOf: start) else { return }
            let headers = [("Content-MD5", try digest(text))]
            _ = try request("PUT", nil, query: [("lifecycle", "")], headers: headers, body: Array(text.utf8), doing: doing)
            let kept = try document(doing).own(start)
            if let lost = rules.first(where: { !kept.contains($0) }) {
                throw SluiceError(
                    .bucketRefused, .config, "\(doing): the server took rule \(lost.id), but keeps another one",
                    mend: "see which settings and storage classes the server knows, or whether another program sets its rules")
            }
        }
    }

    private func document(_ doing: String) throws -> LifecycleDocument {
        let found: String?
        do {
            found = try text("GET", query: [("lifecycle", "")], doing: doing)
        } catch let error as SluiceError where error.message.contains("(NoSuchLifecycleConfiguration,") { found = nil }
        guard let document = LifecycleDocument(found) else { throw strange(doing, found ?? "") }
        return document
    }

    /// A refusal says what was asked for, and what else can be done.
    private func settings(_ what: String, _ body: () throws -> Void) throws {
        do {
            try body()
        } catch let error as SluiceError where error.code == .bucketRefused || error.code == .bucketFailed {
            func says(_ words: String...) -> Bool { words.contains { error.message.contains("(\($0),") } }
            if says("AccessDenied", "AllAccessDisabled") {
                throw SluiceError(
                    .bucketRefused, .pause, error.message, mend: "the sink asks for \(what); give it those, or set this by hand")
            }
            if BucketFault.isUnknown(error) {
                throw SluiceError(
                    .bucketRefused, .config, "\(error.message): the server does not have this",
                    mend: "leave versioning, retention, warm_after, cold_after, old_versions_after and unfinished_after out")
            }
            if says("InvalidRequest", "InvalidArgument", "InvalidStorageClass", "MalformedXML") {
                throw SluiceError(
                    .bucketRefused, .config, error.message,
                    mend: "see which days and storage classes the server takes: warm_after, cold_after, warm_class, cold_class")
            }
            throw error
        }
    }
}
