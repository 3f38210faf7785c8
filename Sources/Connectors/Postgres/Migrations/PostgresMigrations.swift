import SluiceCore

/// All migrations of PostgreSQL. Their order, numbers and texts are fixed: what must change is a new one at the end.
enum PostgresMigrations {
    static let all: [PostgresScript] = [bookkeeping, networkMetrics, networkMetricsRollups, providerImportsChain, providerImportsFiles]

    /// Which streams write here, how far they are, and which tables are theirs. Databases that were made before migrations were numbered have
    /// these tables already: for them this is only recorded.
    static let bookkeeping = PostgresScript(
        1, "bookkeeping",
        [
            .sql(
                """
                CREATE TABLE IF NOT EXISTS sluice.streams (tables_in text, stream text, chain_id numeric(20,0), epoch bigint NOT NULL, opened timestamptz NOT NULL,
                  PRIMARY KEY (tables_in, stream, chain_id))
                """),
            .sql(
                """
                CREATE TABLE IF NOT EXISTS sluice.segments (tables_in text, stream text, chain_id numeric(20,0), first bigint, number bigint NOT NULL, hash bytea NOT NULL,
                  PRIMARY KEY (tables_in, stream, chain_id, first))
                """),
            .sql(
                """
                CREATE TABLE IF NOT EXISTS sluice.owners (tables_in text, table_name text, chain_id numeric(20,0), stream text NOT NULL,
                  PRIMARY KEY (tables_in, table_name, chain_id))
                """),
        ])
}
