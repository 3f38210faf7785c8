// The table function `sluice_scan(number)`: hands our columns to DuckDB, 2,048 rows at a time. What is longer than 12 bytes is
// not copied but pointed to: the slices live until the statement ends or, for a feed that goes on, until `done`.
//
// A chunk is filled across slices before it is given, so that how rows were cut into slices never shows in what is written.
#include "cduckdb.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned __int128 u128;

typedef struct source {
    int64_t number;
    struct source *next;
    duck_scan_column *columns;
    uint32_t count;
    duck_feed feed;
    duck_slice slice; // rows that are still to be given
    bool started;
    bool ended;
    bool crossed; // a slice ended inside the chunk given last
} source;

struct duck_scans {
    pthread_mutex_t lock;
    int64_t last;
    source *sources;
};

// ---- values -------------------------------------------------------------------------------------------------------------

static u128 load_u128(const uint8_t *at) {
    u128 value;
    memcpy(&value, at, sizeof value);
    return value;
}

size_t duck_u256_decimal(const uint8_t *value, char *out) {
    // Limbs of 64 bits, divided by 10^19 until nothing is left: at most five parts of 19 digits.
    uint64_t limbs[4];
    memcpy(limbs, value, 32);
    uint64_t parts[5];
    int count = 0;
    const uint64_t step = 10000000000000000000u;
    int top = 3;
    do {
        while (top > 0 && limbs[top] == 0) top--;
        uint64_t rest = 0;
        for (int i = top; i >= 0; i--) {
            u128 part = (u128)rest << 64 | limbs[i];
            limbs[i] = (uint64_t)(part / step);
            rest = (uint64_t)(part % step);
        }
        parts[count++] = rest;
    } while (limbs[0] | limbs[1] | limbs[2] | limbs[3]);
    size_t at = 0;
    for (int i = count - 1; i >= 0; i--) {
        char digits[20];
        int length = 0;
        uint64_t part = parts[i];
        do {
            digits[length++] = (char)('0' + part % 10);
            part /= 10;
        } while (part);
        if (i < count - 1)
            while (length < 19) digits[length++] = '0';
        while (length) out[at++] = digits[--length];
    }
    return at;
}

static double u256_double(const uint8_t *value) {
    u128 high = load_u128(value + 16);
    if (!high) return (double)load_u128(value);
    // Rare: by way of the digits, because adding two rounded halves is not always the nearest double.
    char digits[80];
    digits[duck_u256_decimal(value, digits)] = 0;
    return strtod(digits, NULL);
}

static void put_string(duck_string *out, const char *bytes, uint32_t length) {
    out->length = length;
    if (length <= 12) {
        // Zero behind the last byte: equality compares all 16 bytes.
        memset((char *)out + 4, 0, 12);
        memcpy((char *)out + 4, bytes, length);
    } else {
        memcpy(out->head, bytes, 4);
        out->pointer = bytes;
    }
}

// BIGNUM: three bytes of header (0x800000 | count of bytes, for what is not negative), then the magnitude, most significant
// byte first, at least one byte.
static void put_bignum(duck_handle vector, duck_string *data, uint64_t row, const uint8_t *value) {
    char text[35];
    int count = 32;
    while (count > 1 && value[count - 1] == 0) count--;
    text[0] = (char)0x80;
    text[1] = 0;
    text[2] = (char)count;
    for (int i = 0; i < count; i++) text[3 + i] = (char)value[count - 1 - i];
    if (count + 3 <= 12)
        put_string(&data[row], text, (uint32_t)count + 3);
    else
        duck_vector_assign_string_element_len(vector, row, text, (uint64_t)count + 3);
}

static bool is_utf8(const uint8_t *at, size_t count) {
    const uint8_t *end = at + count;
    while (at < end) {
        uint64_t word;
        while (end - at >= 8 && (memcpy(&word, at, 8), !(word & 0x8080808080808080u))) at += 8;
        if (at == end) return true;
        uint8_t first = *at;
        if (first < 0x80) {
            at++;
            continue;
        }
        int more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1;
        if (first < 0xC2 || first > 0xF4 || end - at <= more) return false;
        uint8_t second = at[1];
        if ((second & 0xC0) != 0x80 || (first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F) ||
            (first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F))
            return false;
        for (int i = 2; i <= more; i++)
            if ((at[i] & 0xC0) != 0x80) return false;
        at += more + 1;
    }
    return true;
}

static int32_t offset_at(const uint8_t *offsets, uint64_t row) {
    int32_t offset;
    memcpy(&offset, offsets + row * 4, 4);
    return offset;
}

static bool is_valid(const uint8_t *validity, uint64_t row) { return validity[row >> 3] >> (row & 7) & 1; }

// ---- filling ------------------------------------------------------------------------------------------------------------

// Writes rows `first ..< first + count` of one column behind the `at` rows that the vector has. False: text that is not UTF-8.
static bool fill_column(const duck_scan_column *column, const duck_source_column *from, uint64_t first, uint64_t count,
                        duck_handle vector, uint64_t at) {
    void *data = duck_vector_get_data(vector);
    duck_string *strings = (duck_string *)data + at;
    const uint8_t *valid = from->validity;
    switch (column->encoding) {
        case DUCK_COPY_1:
        case DUCK_COPY_8:
        case DUCK_COPY_16: {
            size_t width = column->encoding;
            memcpy((char *)data + at * width, from->values + first * width, count * width);
            break;
        }
        case DUCK_FIXED: {
            const char *value = (const char *)from->values + first * column->width;
            for (uint64_t i = 0; i < count; i++, value += column->width) put_string(&strings[i], value, column->width);
            break;
        }
        case DUCK_TEXT:
        case DUCK_BYTES: {
            int32_t start = offset_at(from->offsets, first);
            // All values at once: they lie one behind the other. Each must also begin and end between characters.
            bool text = column->encoding == DUCK_TEXT;
            if (text && !is_utf8(from->values + start, (size_t)(offset_at(from->offsets, first + count) - start))) return false;
            for (uint64_t i = 0; i < count; i++) {
                int32_t end = offset_at(from->offsets, first + i + 1);
                if (text && end > start && (from->values[start] & 0xC0) == 0x80) return false;
                put_string(&strings[i], (const char *)from->values + start, (uint32_t)(end - start));
                start = end;
            }
            break;
        }
        case DUCK_U256_BIGNUM:
            for (uint64_t i = 0; i < count; i++)
                put_bignum(vector, (duck_string *)data, at + i, from->values + (first + i) * 32);
            break;
        case DUCK_U256_TEXT:
            for (uint64_t i = 0; i < count; i++) {
                char digits[80];
                size_t length = duck_u256_decimal(from->values + (first + i) * 32, digits);
                if (length <= 12)
                    put_string(&strings[i], digits, (uint32_t)length);
                else
                    duck_vector_assign_string_element_len(vector, at + i, digits, length);
            }
            break;
        case DUCK_U256_DOUBLE:
            for (uint64_t i = 0; i < count; i++) ((double *)data)[at + i] = u256_double(from->values + (first + i) * 32);
            break;
    }
    if (valid) {
        duck_vector_ensure_validity_writable(vector);
        uint64_t *mask = duck_vector_get_validity(vector);
        for (uint64_t i = 0; i < count; i++)
            if (!is_valid(valid, first + i)) mask[(at + i) >> 6] &= ~((uint64_t)1 << ((at + i) & 63));
    }
    return true;
}

static void fill(void *info, void *chunk) {
    source *s = duck_function_get_bind_data(info);
    uint64_t room = duck_vector_size(), at = 0;
    if (s->crossed && s->feed.done) s->feed.done(s->feed.context);
    s->crossed = false;
    while (at < room && !s->ended) {
        if (s->slice.first == s->slice.end) {
            const char *error = NULL;
            int more = s->feed.next(s->feed.context, &s->slice, &error);
            if (more < 0) {
                duck_function_set_error(info, error ? error : "the source of rows failed");
                return;
            }
            if (more == 0) s->ended = true;
            if (s->started) s->crossed = true;
            s->started = true;
            continue;
        }
        uint64_t count = s->slice.end - s->slice.first;
        if (count > room - at) count = room - at;
        for (uint32_t i = 0; i < s->count; i++) {
            const duck_scan_column *column = &s->columns[i];
            if (!fill_column(column, &s->slice.columns[column->source], s->slice.first, count,
                             duck_data_chunk_get_vector(chunk, i), at)) {
                char text[256];
                snprintf(text, sizeof text, "column %s holds text that is not UTF-8", column->name);
                duck_function_set_error(info, text);
                return;
            }
        }
        s->slice.first += count;
        at += count;
    }
    duck_data_chunk_set_size(chunk, at);
}

static void bind(void *info) {
    duck_scans *scans = duck_bind_get_extra_info(info);
    duck_handle value = duck_bind_get_parameter(info, 0);
    int64_t number = duck_get_int64(value);
    duck_destroy_value(&value);
    pthread_mutex_lock(&scans->lock);
    source *s = scans->sources;
    while (s && s->number != number) s = s->next;
    pthread_mutex_unlock(&scans->lock);
    if (!s) {
        duck_bind_set_error(info, "sluice_scan: there is no source of that number");
        return;
    }
    for (uint32_t i = 0; i < s->count; i++) {
        duck_handle type = s->columns[i].type == 19 ? duck_create_decimal_type(38, 0) : duck_create_logical_type(s->columns[i].type);
        duck_bind_add_result_column(info, s->columns[i].name, type);
        duck_destroy_logical_type(&type);
    }
    duck_bind_set_bind_data(info, s, NULL);
}

// One thread, or the order of rows would be lost.
static void init(void *info) { duck_init_set_max_threads(info, 1); }

// ---- the registry -------------------------------------------------------------------------------------------------------

duck_scans *duck_scans_create(void) {
    duck_scans *scans = calloc(1, sizeof *scans);
    if (scans) pthread_mutex_init(&scans->lock, NULL);
    return scans;
}

int duck_scans_register(duck_scans *scans, duck_handle connection) {
    duck_handle function = duck_create_table_function();
    duck_handle type = duck_create_logical_type(5);
    duck_table_function_set_name(function, "sluice_scan");
    duck_table_function_add_parameter(function, type);
    duck_table_function_set_extra_info(function, scans, NULL);
    duck_table_function_set_bind(function, bind);
    duck_table_function_set_init(function, init);
    duck_table_function_set_function(function, fill);
    int failed = duck_register_table_function(connection, function);
    duck_destroy_logical_type(&type);
    duck_destroy_table_function(&function);
    return failed;
}

static void drop(source *s) {
    for (uint32_t i = 0; i < s->count; i++) free((void *)s->columns[i].name);
    free(s->columns);
    free(s);
}

int64_t duck_scans_add(duck_scans *scans, const duck_scan_column *columns, uint32_t count, duck_feed feed) {
    source *s = calloc(1, sizeof *s);
    if (!s) return 0;
    s->columns = calloc(count ? count : 1, sizeof *columns);
    if (!s->columns) return drop(s), 0;
    for (; s->count < count; s->count++) {
        s->columns[s->count] = columns[s->count];
        if (!(s->columns[s->count].name = strdup(columns[s->count].name))) return drop(s), 0;
    }
    s->feed = feed;
    pthread_mutex_lock(&scans->lock);
    s->number = ++scans->last;
    s->next = scans->sources;
    scans->sources = s;
    int64_t number = s->number;
    pthread_mutex_unlock(&scans->lock);
    return number;
}

void duck_scans_remove(duck_scans *scans, int64_t number) {
    pthread_mutex_lock(&scans->lock);
    source **link = &scans->sources, *found;
    while (*link && (*link)->number != number) link = &(*link)->next;
    if ((found = *link)) *link = found->next;
    pthread_mutex_unlock(&scans->lock);
    if (found) drop(found);
}

void duck_scans_destroy(duck_scans *scans) {
    if (!scans) return;
    while (scans->sources) duck_scans_remove(scans, scans->sources->number);
    pthread_mutex_destroy(&scans->lock);
    free(scans);
}
