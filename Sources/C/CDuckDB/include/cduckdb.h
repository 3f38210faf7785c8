// DuckDB's C interface, as far as Sluice uses it, resolved at run time: nothing links against DuckDB. Handles are plain
// pointers here, and every function is named `duck_` where the library says `duckdb_`.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef void *duck_handle;
typedef void *duck_string_list;

// What a query leaves behind. The library owns the fields; callers only keep the memory.
typedef struct {
    uint64_t reserved[3];
    void *columns;
    void *error;
    void *inner;
} duck_result;

// A text or blob inside a vector: up to 12 bytes are kept in place, longer ones are pointed to.
typedef struct {
    uint32_t length;
    char head[4];
    const char *pointer;
} duck_string;

typedef void (*duck_callback)(void *info);
typedef void (*duck_destructor)(void *data);

// X(result, name, parameters, arguments)
#define DUCK_FUNCTIONS(X)                                                                                                    \
    X(const char *, library_version, (void), ())                                                                             \
    X(int, create_config, (duck_handle * out), (out))                                                                        \
    X(int, set_config, (duck_handle config, const char *name, const char *value), (config, name, value))                     \
    X(void, destroy_config, (duck_handle * config), (config))                                                                \
    X(int, open_ext, (const char *path, duck_handle *out, duck_handle config, char **error), (path, out, config, error))     \
    X(void, close, (duck_handle * database), (database))                                                                     \
    X(int, connect, (duck_handle database, duck_handle *out), (database, out))                                               \
    X(void, disconnect, (duck_handle * connection), (connection))                                                            \
    X(void, interrupt, (duck_handle connection), (connection))                                                               \
    X(void, free, (void *memory), (memory))                                                                                  \
    X(int, query, (duck_handle connection, const char *sql, duck_result *out), (connection, sql, out))                       \
    X(void, destroy_result, (duck_result * result), (result))                                                                \
    X(const char *, result_error, (duck_result * result), (result))                                                          \
    X(int, result_error_type, (duck_result * result), (result))                                                              \
    X(uint64_t, column_count, (duck_result * result), (result))                                                              \
    X(const char *, column_name, (duck_result * result, uint64_t column), (result, column))                                  \
    X(duck_handle, column_logical_type, (duck_result * result, uint64_t column), (result, column))                           \
    X(duck_handle, fetch_chunk, (duck_result result), (result))                                                              \
    X(int, prepare, (duck_handle connection, const char *sql, duck_handle *out), (connection, sql, out))                     \
    X(const char *, prepare_error, (duck_handle statement), (statement))                                                     \
    X(void, destroy_prepare, (duck_handle * statement), (statement))                                                         \
    X(int, prepared_statement_type, (duck_handle statement), (statement))                                                    \
    X(uint64_t, prepared_statement_column_count, (duck_handle statement), (statement))                                       \
    X(const char *, prepared_statement_column_name, (duck_handle statement, uint64_t column), (statement, column))           \
    X(int, prepared_statement_column_type, (duck_handle statement, uint64_t column), (statement, column))                    \
    X(int, pending_prepared_streaming, (duck_handle statement, duck_handle *out), (statement, out))                          \
    X(void, destroy_pending, (duck_handle * pending), (pending))                                                             \
    X(const char *, pending_error, (duck_handle pending), (pending))                                                         \
    X(int, pending_execute_task, (duck_handle pending), (pending))                                                           \
    X(bool, pending_execution_is_finished, (int state), (state))                                                             \
    X(int, execute_pending, (duck_handle pending, duck_result *out), (pending, out))                                         \
    X(uint64_t, data_chunk_get_size, (duck_handle chunk), (chunk))                                                           \
    X(void, data_chunk_set_size, (duck_handle chunk, uint64_t size), (chunk, size))                                          \
    X(uint64_t, data_chunk_get_column_count, (duck_handle chunk), (chunk))                                                   \
    X(duck_handle, data_chunk_get_vector, (duck_handle chunk, uint64_t column), (chunk, column))                             \
    X(void, destroy_data_chunk, (duck_handle * chunk), (chunk))                                                              \
    X(uint64_t, vector_size, (void), ())                                                                                     \
    X(void *, vector_get_data, (duck_handle vector), (vector))                                                               \
    X(uint64_t *, vector_get_validity, (duck_handle vector), (vector))                                                       \
    X(void, vector_ensure_validity_writable, (duck_handle vector), (vector))                                                 \
    X(void, vector_assign_string_element_len, (duck_handle vector, uint64_t row, const char *text, uint64_t count),          \
      (vector, row, text, count))                                                                                            \
    X(duck_handle, create_logical_type, (int type), (type))                                                                  \
    X(duck_handle, create_decimal_type, (uint8_t width, uint8_t scale), (width, scale))                                      \
    X(void, destroy_logical_type, (duck_handle * type), (type))                                                              \
    X(int, get_type_id, (duck_handle type), (type))                                                                          \
    X(uint8_t, decimal_scale, (duck_handle type), (type))                                                                    \
    X(int, decimal_internal_type, (duck_handle type), (type))                                                                \
    X(int64_t, get_int64, (duck_handle value), (value))                                                                      \
    X(void, destroy_value, (duck_handle * value), (value))                                                                   \
    X(duck_handle, create_table_function, (void), ())                                                                        \
    X(void, destroy_table_function, (duck_handle * function), (function))                                                    \
    X(void, table_function_set_name, (duck_handle function, const char *name), (function, name))                             \
    X(void, table_function_add_parameter, (duck_handle function, duck_handle type), (function, type))                        \
    X(void, table_function_set_extra_info, (duck_handle function, void *info, duck_destructor drop), (function, info, drop)) \
    X(void, table_function_set_bind, (duck_handle function, duck_callback bind), (function, bind))                           \
    X(void, table_function_set_init, (duck_handle function, duck_callback init), (function, init))                           \
    X(void, table_function_set_function, (duck_handle function, void (*fill)(void *, void *)), (function, fill))             \
    X(int, register_table_function, (duck_handle connection, duck_handle function), (connection, function))                  \
    X(void *, bind_get_extra_info, (void *info), (info))                                                                     \
    X(duck_handle, bind_get_parameter, (void *info, uint64_t index), (info, index))                                          \
    X(void, bind_add_result_column, (void *info, const char *name, duck_handle type), (info, name, type))                    \
    X(void, bind_set_bind_data, (void *info, void *data, duck_destructor drop), (info, data, drop))                          \
    X(void, bind_set_error, (void *info, const char *text), (info, text))                                                    \
    X(void, init_set_max_threads, (void *info, uint64_t count), (info, count))                                               \
    X(void *, function_get_bind_data, (void *info), (info))                                                                  \
    X(void, function_set_error, (void *info, const char *text), (info, text))

#define X(result, name, parameters, arguments) result duck_##name parameters;
DUCK_FUNCTIONS(X)
#undef X

// Loads the library. `candidates` is a list of paths or sonames, each ended by a NUL, the list ended by an empty one. A
// candidate that is a Python wheel's library is preceded by the library that gives it Python's symbols, joined with `|`.
// Returns 0, and writes which candidate it was; or 1, and writes what was tried and why each failed. Call it once at a time.
int duck_load(const char *candidates, char *report, size_t room);

// ---- the bulk path: our columns as a table function ---------------------------------------------------------------------

// How a column of ours becomes a vector of DuckDB's.
typedef enum {
    DUCK_COPY_1 = 1,      // one byte a value, as it is
    DUCK_COPY_8 = 8,      // eight bytes a value, as they are
    DUCK_COPY_16 = 16,    // sixteen bytes a value, as they are
    DUCK_FIXED = 17,      // bytes of one width: pointed to
    DUCK_TEXT = 18,       // UTF-8: checked, and pointed to
    DUCK_BYTES = 19,      // bytes of any length: pointed to
    DUCK_U256_BIGNUM = 20,
    DUCK_U256_TEXT = 21,  // decimal digits
    DUCK_U256_DOUBLE = 22,
} duck_encoding;

// A column of the result: what it is called, its DuckDB type (the library's type code; for a decimal of 38 digits, 19), and
// which column of the tables it is made from.
typedef struct {
    const char *name;
    int type;
    duck_encoding encoding;
    uint32_t source;
    uint32_t width; // DUCK_FIXED: bytes a value
} duck_scan_column;

// One column of a table: the layout of SluiceCore's `Column`.
typedef struct {
    const uint8_t *values;
    const uint8_t *offsets;  // count + 1 of int32, or NULL
    const uint8_t *validity; // bit i set: row i is there; NULL: all are
} duck_source_column;

// Rows `first ..< end` of one table.
typedef struct {
    const duck_source_column *columns;
    uint64_t first;
    uint64_t end;
} duck_slice;

// Where slices come from. `next` gives the next one (1), the end (0) or a failure (-1, with a text that lives until the next
// call); it may block. `done` says that nothing before the slice given last is pointed to any more.
typedef struct {
    void *context;
    int (*next)(void *context, duck_slice *out, const char **error);
    void (*done)(void *context);
} duck_feed;

typedef struct duck_scans duck_scans;

// The sources of one database, by number; and the table function `sluice_scan(number)` over them.
duck_scans *duck_scans_create(void);
int duck_scans_register(duck_scans *scans, duck_handle connection);
// Opens a source: from now on `sluice_scan(number)` reads it, once. All names are copied. Returns its number, 0 without memory.
int64_t duck_scans_add(duck_scans *scans, const duck_scan_column *columns, uint32_t count, duck_feed feed);
// Closes it. No statement may be reading it.
void duck_scans_remove(duck_scans *scans, int64_t number);
void duck_scans_destroy(duck_scans *scans);

// Decimal digits of 32 bytes, least significant first; writes up to 78 characters and returns how many.
size_t duck_u256_decimal(const uint8_t *value, char *out);

// Gives the pages of the library's code back; those that are needed come again from the page cache. Loading and starting DuckDB
// touches some 20 MB of code that is then never run again, and planning a statement nearly as much.
void duck_forget_code(void);
