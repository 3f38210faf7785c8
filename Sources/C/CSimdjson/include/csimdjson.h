// Rows out of JSON-RPC replies, straight into columns.
//
// A *plan* says which keys of an object go to which column and how their text is read; a *table* is a plan with growing columns.
// `csj_decode` walks a reply once with simdjson On-Demand and writes each value where it belongs: no tree, no string, no callback.
// Memory comes from malloc and may be taken over by the caller column by column. Nothing throws across this border.
#pragma once
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum csj_kind {
    CSJ_SKIP = 0,        // known and not wanted
    CSJ_QUANTITY64,      // "0x1f" -> 8 bytes; more than 64 bits is an error
    CSJ_QUANTITY63,      // the same, but more than 63 bits is an error: fits a signed integer
    CSJ_QUANTITY128,     // -> 16 bytes; more than 127 bits is an error
    CSJ_QUANTITY256,     // -> 32 bytes, little-endian
    CSJ_SECONDS,         // quantity of seconds -> microseconds, 8 bytes
    CSJ_FIXED,           // "0x" and exactly `width` bytes
    CSJ_BYTES,           // "0x" and any number of bytes
    CSJ_RAW,             // the JSON text of the value as it stands
    CSJ_BOOL,            // true/false -> 1 byte
    CSJ_ROWS,            // array of objects -> rows of table `child`; their count goes to `column` when that is >= 0
    CSJ_COUNT,           // array -> the number of its elements, 8 bytes
    CSJ_SPREAD,          // array of up to `spread` fixed values -> as many columns from `column` on, the rest null
};

typedef struct {
    const char *key;     // lives as long as the plan
    uint8_t key_length;
    uint8_t kind;
    uint8_t nullable;    // missing or null is a null, not an error
    uint8_t spread;
    uint16_t width;
    int16_t column;      // -1: none
    int16_t child;       // index among the tables of the call, for CSJ_ROWS
} csj_field;

typedef struct {
    const csj_field *fields;
    int32_t field_count;       // at most 64
    int16_t parent_column;     // takes the row number of the object that holds the array; -1: none
    int16_t extra_column;      // takes all unknown keys as one JSON object, null when there are none; -1: unknown keys are left out
} csj_plan;

typedef struct {
    uint8_t *values;
    size_t values_size, values_capacity;
    int32_t *offsets;          // null for fixed width
    size_t offsets_capacity;   // in entries
    uint8_t *validity;         // null while nothing is null
    size_t validity_capacity;
    size_t count, null_count;
    uint32_t width;            // 0: variable length
} csj_column;

typedef struct {
    const csj_plan *plan;
    csj_column *columns;
    int32_t column_count;
    size_t rows;
    uint8_t next[65];          // which field came behind field i the last time (64: at the start); 0xff: not known yet
} csj_table;

enum csj_status {
    CSJ_UNANSWERED = 0, CSJ_ROW = 1, CSJ_NULL = 2, CSJ_RPC_ERROR = 3,
};

enum csj_shape { CSJ_ANY = 0, CSJ_OBJECT = 1, CSJ_ARRAY = 2 };

// One call of a batch, in order of ids: call i has id `first_id + i`.
typedef struct {
    csj_table *tables;         // the tables of this call; `root` is the one that takes the result
    int32_t root;              // -1: the result is one value, `value` takes its text
    int32_t shape;             // what the result must be when it is not null
    int32_t status;
    int64_t error_code;
    size_t text_offset, text_length;   // of the error message, or of a single value, within the body
} csj_call;

enum csj_error_code {
    CSJ_OK = 0, CSJ_JSON = 1, CSJ_MISSING = 2, CSJ_DUPLICATE = 3, CSJ_TYPE = 4, CSJ_HEX = 5, CSJ_LENGTH = 6, CSJ_OVERFLOW = 7,
    CSJ_MEMORY = 8, CSJ_ENVELOPE = 9, CSJ_UNKNOWN_ID = 10, CSJ_DUPLICATE_ID = 11, CSJ_SPREAD_COUNT = 12, CSJ_TOO_MANY_ROWS = 13,
};

typedef struct {
    int32_t code;
    int32_t simdjson_code;
    const csj_plan *plan;      // whose object, null outside of any
    int32_t field;             // index into the plan, -1: the object itself
    size_t row;
} csj_error;

typedef struct csj_parser csj_parser;
csj_parser *csj_parser_new(void);
void csj_parser_free(csj_parser *);

// Walks `body` (`length` bytes, at least 64 more readable behind). The reply is one object, or an array of them for a batch.
// Returns 0, or an error code with the place in `error`; columns are then in an undefined, freeable state.
int csj_decode(csj_parser *, const uint8_t *body, size_t length, int64_t first_id, csj_call *calls, int32_t call_count, csj_error *error);

void csj_column_init(csj_column *, uint32_t width, size_t rows_hint, size_t bytes_hint);
void csj_column_free(csj_column *);

// Reads the digits of `source` (`2 * count` of them) into `count` bytes; 0 when one of them is no hex digit.
int csj_hex_decode(uint8_t *target, const char *source, size_t count);
const char *csj_simdjson_message(int32_t code);

#ifdef __cplusplus
}
#endif
