import SluiceConfig

/// How brokers are found and spoken to; the same for what is written and what is read.
struct KafkaAccess: Sendable {
    /// `host:port`, several with commas between them.
    var brokers: String
    /// How long a call waits for the brokers.
    var timeout: Duration
    var security: String
    var user: String?
    var password: Secret?
    var mechanism: String
    var authority: String?
    /// Further settings of librdkafka, by name.
    var properties: [String: Secret]

    var timeoutMilliseconds: Int32 { timeout.milliseconds }

    /// What all clients are told.
    var connection: [(String, String)] {
        var all = [
            ("bootstrap.servers", brokers), ("client.id", "sluice"), ("security.protocol", security), ("reconnect.backoff.max.ms", "1000"),
            ("log.connection.close", "false"), ("socket.keepalive.enable", "true"), ("topic.metadata.refresh.interval.ms", "60000"),
        ]
        if security.hasPrefix("sasl") { all.append(("sasl.mechanism", mechanism)) }
        if let user { all.append(("sasl.username", user)) }
        if let password { all.append(("sasl.password", password.reveal())) }
        if let authority { all.append(("ssl.ca.location", authority)) }
        return all
    }

    /// What a configuration may say of it.
    static let security: [FieldSpec] = [
        FieldSpec(
            "security", .choice(["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"]), "How brokers are spoken to.", default: "plaintext"),
        FieldSpec(
            "mechanism", .choice(["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]), "How user and password are shown to brokers.",
            default: "SCRAM-SHA-512"),
        FieldSpec("user", .string, "The user, for `sasl_*`."),
        FieldSpec("password", .string, "Its password.", secret: true),
        FieldSpec("ca_file", .path, "Certificates of authorities that brokers' certificates are checked by."),
        FieldSpec(
            "properties", .map(.string, keys: .header),
            "Further settings of librdkafka, by its names. Those that Sluice sets itself keep its values.", default: "{}",
            secret: true),
    ]

    /// Out of checked options.
    init(_ options: ConfigObject) {
        brokers = options.string("brokers")
        timeout = options.duration("timeout")
        security = options.string("security")
        mechanism = options.string("mechanism")
        user = options.string(ifSet: "user")
        password = options.secret(ifSet: "password")
        authority = options.string(ifSet: "ca_file")
        properties = Dictionary(
            options.map("properties").compactMap { entry in entry.value.secret.map { (entry.key, $0) } },
            uniquingKeysWith: { _, last in last })
    }

    init(
        brokers: String, timeout: Duration, security: String, user: String?, password: Secret?, mechanism: String, authority: String?,
        properties: [String: Secret]
    ) {
        self.brokers = brokers
        self.timeout = timeout
        self.security = security
        self.user = user
        self.password = password
        self.mechanism = mechanism
        self.authority = authority
        self.properties = properties
    }
}

extension KafkaSinkOptions {
    var access: KafkaAccess {
        KafkaAccess(
            brokers: brokers, timeout: timeout, security: security, user: user, password: password, mechanism: mechanism,
            authority: authority, properties: properties)
    }

    var timeoutMilliseconds: Int32 { timeout.milliseconds }
}

extension Duration {
    /// As the library counts.
    var milliseconds: Int32 { Int32(clamping: components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000) }
}
