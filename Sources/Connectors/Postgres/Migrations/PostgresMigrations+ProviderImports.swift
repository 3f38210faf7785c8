// Blocks and prices as providers hand them over. Numbers are numbers and hashes are bytes, as in all tables of Sluice. Keys that point to other tables
// are looked at when a transaction ends, so that its tables may be loaded and undone in any order.
extension PostgresMigrations {
    static let providerImportsChain = PostgresScript(
        4, "provider_imports_chain", set: .providerImports,
        [
            .sql(
                """
                CREATE TABLE {schema}.eth_blocks (
                  id bigint, jsonrpc text, chain_id bigint NOT NULL DEFAULT 1, block_number bigint NOT NULL,
                  basefeepergas numeric(38,0), blobgasused bigint, difficulty numeric(78,0), excessblobgas bigint, extradata bytea,
                  gaslimit bigint NOT NULL, gasused bigint NOT NULL, hash bytea NOT NULL, logsbloom bytea, miner bytea, mixhash bytea, nonce bytea,
                  number bigint GENERATED ALWAYS AS (block_number) STORED, parentbeaconblockroot bytea, parenthash bytea NOT NULL,
                  receiptsroot bytea, sha3uncles bytea, size bigint, stateroot bytea, "timestamp" timestamp with time zone NOT NULL,
                  totaldifficulty numeric(78,0), transactionsroot bytea, withdrawalsroot bytea,
                  created_at timestamp with time zone NOT NULL DEFAULT now(),
                  PRIMARY KEY (chain_id, block_number))
                """),
            .sql("CREATE INDEX eth_blocks_hash ON {schema}.eth_blocks (hash)"),
            .sql("CREATE INDEX eth_blocks_timestamp ON {schema}.eth_blocks (\"timestamp\")"),
            .sql(
                """
                CREATE TABLE {schema}.eth_transactions (
                  chain_id bigint NOT NULL DEFAULT 1, hash bytea NOT NULL, block_number bigint NOT NULL, block_id bigint, blockhash bytea NOT NULL,
                  chainid bigint, from_address bytea NOT NULL, to_address bytea, gas bigint NOT NULL, gasprice numeric(38,0), input bytea,
                  maxfeepergas numeric(38,0), maxpriorityfeepergas numeric(38,0), nonce bigint NOT NULL, r numeric(78,0), s numeric(78,0),
                  v numeric(78,0), yparity bigint, transactionindex bigint NOT NULL, type bigint, value numeric(78,0) NOT NULL,
                  created_at timestamp with time zone NOT NULL DEFAULT now(),
                  PRIMARY KEY (chain_id, hash),
                  FOREIGN KEY (chain_id, block_number) REFERENCES {schema}.eth_blocks ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED)
                """),
            .sql("CREATE INDEX eth_transactions_block ON {schema}.eth_transactions (chain_id, block_number)"),
            .sql("CREATE INDEX eth_transactions_from ON {schema}.eth_transactions (from_address)"),
            .sql("CREATE INDEX eth_transactions_to ON {schema}.eth_transactions (to_address)"),
            .sql(
                """
                CREATE TABLE {schema}.eth_transaction_access_list (
                  id uuid NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY, chain_id bigint NOT NULL DEFAULT 1, block_number bigint NOT NULL,
                  transaction_hash bytea NOT NULL, index bigint NOT NULL, address bytea NOT NULL, storagekeys bytea[] NOT NULL DEFAULT '{}',
                  CONSTRAINT eth_transaction_access_list_once UNIQUE (chain_id, transaction_hash, index),
                  FOREIGN KEY (chain_id, transaction_hash) REFERENCES {schema}.eth_transactions ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED)
                """),
            .sql("CREATE INDEX eth_transaction_access_list_block ON {schema}.eth_transaction_access_list (chain_id, block_number)"),
            .sql(
                """
                CREATE TABLE {schema}.eth_withdrawals (
                  id uuid NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY, chain_id bigint NOT NULL DEFAULT 1, block_number bigint NOT NULL,
                  address bytea NOT NULL, amount numeric(20,0) NOT NULL, index bigint NOT NULL, validatorindex bigint NOT NULL,
                  CONSTRAINT eth_withdrawals_once UNIQUE (chain_id, index),
                  FOREIGN KEY (chain_id, block_number) REFERENCES {schema}.eth_blocks ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED)
                """),
            .sql("CREATE INDEX eth_withdrawals_block ON {schema}.eth_withdrawals (chain_id, block_number)"),
            .sql(
                """
                CREATE TABLE {schema}.eth_block_import_status (
                  id uuid NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY, chain_id bigint NOT NULL DEFAULT 1, block_number bigint NOT NULL,
                  created_at timestamp with time zone NOT NULL DEFAULT now(),
                  CONSTRAINT eth_block_import_status_once UNIQUE (chain_id, block_number),
                  FOREIGN KEY (chain_id, block_number) REFERENCES {schema}.eth_blocks ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED)
                """),
            .sql("CREATE INDEX eth_block_import_status_block ON {schema}.eth_block_import_status USING btree (block_number)"),
        ])

    /// Which files were taken is known file by file: one that comes late, or was changed in the same moment as another, is not lost behind
    /// the newest date.
    private static func files(_ name: String) -> [PostgresStep] {
        [
            .sql(
                """
                CREATE TABLE {schema}.\(name) (
                  data_source text NOT NULL, file_modified_date timestamp with time zone NOT NULL, file_path text NOT NULL, etag text,
                  row_count bigint, created_at timestamp with time zone NOT NULL DEFAULT now(),
                  PRIMARY KEY (data_source, file_modified_date, file_path))
                """),
            .sql("CREATE INDEX \(name)_path ON {schema}.\(name) (data_source, file_path)"),
        ]
    }

    static let providerImportsFiles = PostgresScript(
        5, "provider_imports_files", set: .providerImports,
        files("s3_import_status") + files("s3_to_db_import_status") + [
            .sql(
                """
                CREATE TABLE {schema}.provider_to_s3_import_status (
                  data_source text NOT NULL, symbol text NOT NULL, kline_open_time timestamp with time zone NOT NULL,
                  created_at timestamp with time zone NOT NULL DEFAULT now(),
                  PRIMARY KEY (data_source, symbol, kline_open_time))
                """),
            .sql(
                """
                CREATE TABLE {schema}.binance_ticker_metadata (
                  symbol text PRIMARY KEY, status text NOT NULL, base_asset text NOT NULL, base_asset_precision bigint, quote_asset text NOT NULL,
                  quote_asset_precision bigint, min_price numeric(38,18), max_price numeric(38,18), tick_size numeric(38,18),
                  min_quantity numeric(38,18), max_quantity numeric(38,18), step_size numeric(38,18), min_notional numeric(38,18),
                  created_at timestamp with time zone NOT NULL DEFAULT now(), updated_at timestamp with time zone NOT NULL DEFAULT now())
                """),
            .sql(
                """
                CREATE TABLE {schema}.binance_klines_prices (
                  symbol text NOT NULL, kline_interval text NOT NULL DEFAULT '1m', kline_open_time timestamp with time zone NOT NULL,
                  kline_close_time timestamp with time zone NOT NULL, open_price numeric(38,18) NOT NULL, high_price numeric(38,18) NOT NULL,
                  low_price numeric(38,18) NOT NULL, close_price numeric(38,18) NOT NULL, volume numeric(38,18) NOT NULL,
                  quote_asset_volume numeric(38,18), number_of_trades bigint, taker_buy_base_asset_volume numeric(38,18),
                  taker_buy_quote_asset_volume numeric(38,18), created_at timestamp with time zone NOT NULL DEFAULT now(),
                  PRIMARY KEY (symbol, kline_interval, kline_open_time))
                """),
            .sql("CREATE INDEX binance_klines_prices_time ON {schema}.binance_klines_prices (kline_open_time)"),
        ])
}
