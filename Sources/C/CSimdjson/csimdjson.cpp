#include "csimdjson.h"
#include <new>
#include <string_view>
#include "simdjson.h"
#include "columns.h"
#include "hex.h"
#include "json_text.h"

using namespace simdjson;
using std::string_view;

struct csj_parser {
    ondemand::parser parser;
};

namespace {

struct Walk {
    const uint8_t *body;
    csj_error *error;

    int fail(int code, const csj_plan *plan, int field, size_t row, int detail = 0) {
        *error = csj_error{code, detail, plan, field, row};
        return code;
    }
    int rows(ondemand::array array, csj_call &call, int table, size_t parent);
    int row(ondemand::object object, csj_call &call, int table, size_t parent);
    int value(ondemand::value &value, csj_call &call, csj_table &table, int field);
    int spread(ondemand::value &value, csj_table &table, int field);
    int extra(csj_column &column, bool &open, string_view key, ondemand::value &value, csj_table &table);
    int close_extra(csj_column &column, bool open);
    int single(string_view token, csj_column &column, const csj_field &field, const csj_plan *plan, int index, size_t row);
    int result(ondemand::value &value, csj_call &call);
    int rpc_error(ondemand::value &value, csj_call &into, bool &said);
    int envelope(ondemand::object reply, int64_t first_id, csj_call *calls, int32_t count, ondemand::document *root);
};

string_view trimmed(string_view token) {
    size_t n = token.size();
    while (n && (token[n - 1] == ' ' || token[n - 1] == '\n' || token[n - 1] == '\r' || token[n - 1] == '\t')) n--;
    return token.substr(0, n);
}

void set_error(csj_call &call, const csj_call &error) {
    call.status = CSJ_RPC_ERROR;
    call.error_code = error.error_code;
    call.text_offset = error.text_offset;
    call.text_length = error.text_length;
}

// The digits behind `"0x`, without the closing quote; false for any other token.
bool hex_digits(string_view token, string_view &digits) {
    if (token.size() < 4 || token[0] != '"' || token.back() != '"' || token[1] != '0' || (token[2] | 0x20) != 'x') return false;
    digits = token.substr(3, token.size() - 4);
    return true;
}

// Up to `words` little-endian words from hex digits. Returns a csj_error_code.
int quantity(string_view digits, uint64_t *words, size_t count) {
    if (digits.empty()) return CSJ_HEX;
    size_t skip = 0;
    while (skip + 1 < digits.size() && digits[skip] == '0') skip++;
    digits.remove_prefix(skip);
    if (digits.size() > count * 16) {
        for (char c : digits) if (hex::digits.value[uint8_t(c)] > 15) return CSJ_HEX;
        return CSJ_OVERFLOW;
    }
    uint8_t bad = 0;
    for (size_t word = 0; word < count; word++) {
        uint64_t value = 0;
        size_t end = digits.size() > word * 16 ? digits.size() - word * 16 : 0, start = end > 16 ? end - 16 : 0;
        for (size_t i = start; i < end; i++) {
            uint8_t digit = hex::digits.value[uint8_t(digits[i])];
            bad |= digit;
            value = value << 4 | (digit & 15);
        }
        words[word] = value;
    }
    return bad & 0xf0 ? CSJ_HEX : CSJ_OK;
}

// Text of any value as it stands; consumes it. It is walked again by itself: what the parser skips it does not validate.
error_code raw_text(ondemand::value &value, string_view &text) {
    switch (value.raw_json_token().empty() ? 0 : value.raw_json_token()[0]) {
    case '{': {
        ondemand::object object;
        if (auto e = value.get_object().get(object)) return e;
        if (auto e = object.raw_json().get(text)) return e;
        break;
    }
    case '[': {
        ondemand::array array;
        if (auto e = value.get_array().get(array)) return e;
        if (auto e = array.raw_json().get(text)) return e;
        break;
    }
    default:
        text = value.raw_json_token();
    }
    text = trimmed(text);
    return json_text::is_valid(text.data(), text.size()) ? SUCCESS : TAPE_ERROR;
}

int Walk::single(string_view token, csj_column &column, const csj_field &field, const csj_plan *plan, int index, size_t row) {
    if (field.kind == CSJ_BOOL) {
        if (token != "true" && token != "false") return fail(CSJ_TYPE, plan, index, row);
        uint8_t *at = columns::next_fixed(column);
        if (!at) return fail(CSJ_MEMORY, plan, index, row);
        *at = token == "true";
        return columns::commit_fixed(column) ? CSJ_OK : fail(CSJ_MEMORY, plan, index, row);
    }
    string_view digits;
    if (!hex_digits(token, digits)) return fail(CSJ_TYPE, plan, index, row);
    bool stored;
    switch (field.kind) {
    case CSJ_QUANTITY64:
    case CSJ_QUANTITY63:
    case CSJ_SECONDS: {
        uint64_t word;
        if (int e = quantity(digits, &word, 1)) return fail(e, plan, index, row);
        if (field.kind == CSJ_QUANTITY63 && word >> 63) return fail(CSJ_OVERFLOW, plan, index, row);
        if (field.kind == CSJ_SECONDS) {
            if (word > uint64_t(INT64_MAX) / 1000000) return fail(CSJ_OVERFLOW, plan, index, row);
            word *= 1000000;
        }
        stored = columns::append_u64(column, word);
        break;
    }
    case CSJ_QUANTITY128: {
        uint64_t words[2];
        if (int e = quantity(digits, words, 2)) return fail(e, plan, index, row);
        if (words[1] >> 63) return fail(CSJ_OVERFLOW, plan, index, row);
        uint8_t *at = columns::next_fixed(column);
        if (!at) return fail(CSJ_MEMORY, plan, index, row);
        memcpy(at, words, 16);
        stored = columns::commit_fixed(column);
        break;
    }
    case CSJ_QUANTITY256: {
        uint64_t words[4];
        if (int e = quantity(digits, words, 4)) return fail(e, plan, index, row);
        uint8_t *at = columns::next_fixed(column);
        if (!at) return fail(CSJ_MEMORY, plan, index, row);
        memcpy(at, words, 32);
        stored = columns::commit_fixed(column);
        break;
    }
    case CSJ_FIXED: {
        if (digits.size() != size_t(field.width) * 2) return fail(CSJ_LENGTH, plan, index, row);
        uint8_t *at = columns::next_fixed(column);
        if (!at) return fail(CSJ_MEMORY, plan, index, row);
        if (!hex::decode(at, digits.data(), field.width)) return fail(CSJ_HEX, plan, index, row);
        stored = columns::commit_fixed(column);
        break;
    }
    default: {  // CSJ_BYTES
        if (digits.size() & 1) return fail(CSJ_LENGTH, plan, index, row);
        size_t length = digits.size() / 2;
        uint8_t *at = columns::next_variable(column, length);
        if (!at) return fail(CSJ_MEMORY, plan, index, row);
        if (!hex::decode(at, digits.data(), length)) return fail(CSJ_HEX, plan, index, row);
        stored = columns::commit_variable(column, length);
    }
    }
    return stored ? CSJ_OK : fail(CSJ_MEMORY, plan, index, row);
}

int Walk::spread(ondemand::value &value, csj_table &table, int index) {
    const csj_field &field = table.plan->fields[index];
    ondemand::array array;
    if (auto e = value.get_array().get(array)) return fail(e == INCORRECT_TYPE ? CSJ_TYPE : CSJ_JSON, table.plan, index, table.rows, e);
    int filled = 0;
    csj_field element = field;
    element.kind = CSJ_FIXED;
    for (auto item : array) {
        ondemand::value v;
        if (auto e = item.get(v)) return fail(CSJ_JSON, table.plan, index, table.rows, e);
        if (filled == field.spread) return fail(CSJ_SPREAD_COUNT, table.plan, index, table.rows);
        if (int e = single(trimmed(v.raw_json_token()), table.columns[field.column + filled], element, table.plan, index, table.rows)) return e;
        filled++;
    }
    for (; filled < field.spread; filled++)
        if (!columns::append_null(table.columns[field.column + filled])) return fail(CSJ_MEMORY, table.plan, index, table.rows);
    return CSJ_OK;
}

int Walk::value(ondemand::value &value, csj_call &call, csj_table &table, int index) {
    const csj_field &field = table.plan->fields[index];
    if (field.kind == CSJ_SKIP) return CSJ_OK;
    string_view token = value.raw_json_token();
    if (!token.empty() && token[0] == 'n') {
        if (trimmed(token) != "null") return fail(CSJ_JSON, table.plan, index, table.rows);
        if (!field.nullable) return fail(CSJ_MISSING, table.plan, index, table.rows);
        for (int i = 0; field.column >= 0 && i < (field.kind == CSJ_SPREAD ? field.spread : 1); i++)
            if (!columns::append_null(table.columns[field.column + i])) return fail(CSJ_MEMORY, table.plan, index, table.rows);
        return CSJ_OK;
    }
    switch (field.kind) {
    case CSJ_ROWS: {
        ondemand::array array;
        if (auto e = value.get_array().get(array)) return fail(e == INCORRECT_TYPE ? CSJ_TYPE : CSJ_JSON, table.plan, index, table.rows, e);
        size_t before = call.tables[field.child].rows;
        if (int e = rows(array, call, field.child, table.rows)) return e;
        if (field.column >= 0 && !columns::append_u64(table.columns[field.column], call.tables[field.child].rows - before))
            return fail(CSJ_MEMORY, table.plan, index, table.rows);
        return CSJ_OK;
    }
    case CSJ_COUNT: {
        ondemand::array array;
        size_t count;
        if (auto e = value.get_array().get(array)) return fail(e == INCORRECT_TYPE ? CSJ_TYPE : CSJ_JSON, table.plan, index, table.rows, e);
        if (auto e = array.count_elements().get(count)) return fail(CSJ_JSON, table.plan, index, table.rows, e);
        return columns::append_u64(table.columns[field.column], count) ? CSJ_OK : fail(CSJ_MEMORY, table.plan, index, table.rows);
    }
    case CSJ_SPREAD:
        return spread(value, table, index);
    case CSJ_RAW: {
        string_view text;
        if (auto e = raw_text(value, text)) return fail(CSJ_JSON, table.plan, index, table.rows, e);
        csj_column &column = table.columns[field.column];
        uint8_t *at = columns::next_variable(column, text.size());
        if (!at) return fail(CSJ_MEMORY, table.plan, index, table.rows);
        memcpy(at, text.data(), text.size());
        return columns::commit_variable(column, text.size()) ? CSJ_OK : fail(CSJ_MEMORY, table.plan, index, table.rows);
    }
    default:
        return single(trimmed(token), table.columns[field.column], field, table.plan, index, table.rows);
    }
}

int Walk::extra(csj_column &column, bool &open, string_view key, ondemand::value &value, csj_table &table) {
    string_view text;
    if (auto e = raw_text(value, text)) return fail(CSJ_JSON, table.plan, -1, table.rows, e);
    uint8_t *at = columns::next_variable(column, key.size() + text.size() + 5);
    if (!at) return fail(CSJ_MEMORY, table.plan, -1, table.rows);
    uint8_t *start = at;
    *at++ = open ? ',' : '{';
    *at++ = '"';
    memcpy(at, key.data(), key.size());
    at += key.size();
    *at++ = '"';
    *at++ = ':';
    memcpy(at, text.data(), text.size());
    at += text.size();
    column.values_size += size_t(at - start);
    open = true;
    return CSJ_OK;
}

int Walk::close_extra(csj_column &column, bool open) {
    if (!open) return columns::append_null(column) ? CSJ_OK : CSJ_MEMORY;
    uint8_t *at = columns::next_variable(column, 1);
    if (!at) return CSJ_MEMORY;
    *at = '}';
    return columns::commit_variable(column, 1) ? CSJ_OK : CSJ_MEMORY;
}

int Walk::row(ondemand::object object, csj_call &call, int table_index, size_t parent) {
    csj_table &table = call.tables[table_index];
    const csj_plan &plan = *table.plan;
    uint64_t seen = 0;
    int previous = 64;
    bool extra_open = false;
    for (auto item : object) {
        ondemand::field field;
        if (auto e = std::move(item).get(field)) return fail(CSJ_JSON, &plan, -1, table.rows, e);
        const char *key = reinterpret_cast<const char *>(field.key().raw());
        // Most often a key is followed by the one that followed it in the objects before.
        int index = -1, guess = table.next[previous];
        if (guess < plan.field_count) {
            const csj_field &f = plan.fields[guess];
            if (memcmp(key, f.key, f.key_length) == 0 && key[f.key_length] == '"') index = guess;
        }
        if (index < 0) {
            for (int i = 0; i < plan.field_count; i++) {
                const csj_field &f = plan.fields[i];
                if (memcmp(key, f.key, f.key_length) == 0 && key[f.key_length] == '"') { index = i; break; }
            }
            if (index >= 0) table.next[previous] = uint8_t(index);
        }
        if (index >= 0) previous = index;
        ondemand::value v = field.value();
        if (index < 0) {
            if (plan.extra_column < 0) continue;
            size_t length = 0;
            while (key[length] != '"') length += key[length] == '\\' ? 2 : 1;
            if (!json_text::is_valid(key - 1, length + 2)) return fail(CSJ_JSON, &plan, -1, table.rows, STRING_ERROR);
            if (int e = extra(table.columns[plan.extra_column], extra_open, string_view(key, length), v, table)) return e;
            continue;
        }
        if (seen >> index & 1) return fail(CSJ_DUPLICATE, &plan, index, table.rows);
        seen |= uint64_t(1) << index;
        if (int e = value(v, call, table, index)) return e;
    }
    for (int i = 0; i < plan.field_count; i++) {
        const csj_field &f = plan.fields[i];
        if (seen >> i & 1 || f.kind == CSJ_SKIP) continue;
        if (!f.nullable) return fail(CSJ_MISSING, &plan, i, table.rows);
        for (int k = 0; f.column >= 0 && k < (f.kind == CSJ_SPREAD ? f.spread : 1); k++)
            if (!columns::append_null(table.columns[f.column + k])) return fail(CSJ_MEMORY, &plan, i, table.rows);
    }
    if (plan.parent_column >= 0 && !columns::append_u64(table.columns[plan.parent_column], parent))
        return fail(CSJ_MEMORY, &plan, -1, table.rows);
    if (plan.extra_column >= 0)
        if (int e = close_extra(table.columns[plan.extra_column], extra_open)) return fail(e, &plan, -1, table.rows);
    table.rows++;
    return CSJ_OK;
}

int Walk::rows(ondemand::array array, csj_call &call, int table, size_t parent) {
    const csj_plan *plan = call.tables[table].plan;
    for (auto item : array) {
        ondemand::value v;
        if (auto e = item.get(v)) return fail(CSJ_JSON, plan, -1, call.tables[table].rows, e);
        ondemand::object object;
        if (auto e = v.get_object().get(object))
            return fail(e == INCORRECT_TYPE ? CSJ_TYPE : CSJ_JSON, plan, -1, call.tables[table].rows, e);
        if (int e = row(object, call, table, parent)) return e;
    }
    return CSJ_OK;
}

// The result of a call into its tables, or where its text lies.
int Walk::result(ondemand::value &result, csj_call &call) {
    string_view token = result.raw_json_token();
    if (token.empty()) return fail(CSJ_JSON, nullptr, -1, 0);
    call.status = CSJ_ROW;
    if (call.root < 0) {
        string_view text;
        if (auto f = raw_text(result, text)) return fail(CSJ_JSON, nullptr, -1, 0, f);
        call.text_offset = size_t(reinterpret_cast<const uint8_t *>(text.data()) - body);
        call.text_length = text.size();
        if (text == "null") call.status = CSJ_NULL;
        return CSJ_OK;
    }
    const csj_plan *plan = call.tables[call.root].plan;
    if (token[0] == '{' && call.shape != CSJ_ARRAY) {
        ondemand::object object;
        if (auto f = result.get_object().get(object)) return fail(CSJ_JSON, plan, -1, 0, f);
        return row(object, call, call.root, 0);
    }
    if (token[0] == '[' && call.shape != CSJ_OBJECT) {
        ondemand::array array;
        if (auto f = result.get_array().get(array)) return fail(CSJ_JSON, plan, -1, 0, f);
        return rows(array, call, call.root, 0);
    }
    if (trimmed(token) != "null") return fail(CSJ_TYPE, plan, -1, 0);
    call.status = CSJ_NULL;
    return CSJ_OK;
}

// The code and message of an error; `said` is set unless it is null. An error that is a text alone is its own message.
int Walk::rpc_error(ondemand::value &value, csj_call &into, bool &said) {
    string_view token = trimmed(value.raw_json_token());
    if (token.empty()) return fail(CSJ_JSON, nullptr, -1, 0);
    if (token == "null") return CSJ_OK;
    said = true;
    if (token[0] == '"') {
        into.text_offset = size_t(reinterpret_cast<const uint8_t *>(token.data()) - body);
        into.text_length = token.size();
        return CSJ_OK;
    }
    ondemand::object error;
    if (auto f = value.get_object().get(error)) return fail(CSJ_ENVELOPE, nullptr, -1, 0, f);
    for (auto item : error) {
        ondemand::field field;
        if (auto f = std::move(item).get(field)) return fail(CSJ_JSON, nullptr, -1, 0, f);
        if (field.key() == "code") {
            if (field.value().get_int64().get(into.error_code)) into.error_code = 0;
        } else if (field.key() == "message") {
            string_view text = trimmed(field.value().raw_json_token());
            into.text_offset = size_t(reinterpret_cast<const uint8_t *>(text.data()) - body);
            into.text_length = text.size();
        }
    }
    return CSJ_OK;
}

// {"jsonrpc":"2.0","id":1,"result":...} or ...,"error":{"code":..,"message":..}}, in any order, walked to its end.
int Walk::envelope(ondemand::object reply, int64_t first_id, csj_call *calls, int32_t count, ondemand::document *root) {
    csj_call *call = nullptr;
    csj_call error_call{};
    bool has_id = false, is_for_all = false, has_result = false, has_error = false, is_late = false;
    for (auto item : reply) {
        ondemand::field field;
        if (auto e = std::move(item).get(field)) return fail(CSJ_JSON, nullptr, -1, 0, e);
        auto key = field.key();
        ondemand::value v = field.value();
        if (key == "id") {
            if (has_id) return fail(CSJ_ENVELOPE, nullptr, -1, 0);
            has_id = true;
            if (trimmed(v.raw_json_token()) == "null") {
                is_for_all = true;
                continue;
            }
            int64_t id;
            if (auto e = v.get_int64().get(id)) return fail(CSJ_UNKNOWN_ID, nullptr, -1, 0, e);
            if (id < first_id || id - first_id >= count) return fail(CSJ_UNKNOWN_ID, nullptr, -1, size_t(id));
            call = &calls[id - first_id];
            if (call->status != CSJ_UNANSWERED) return fail(CSJ_DUPLICATE_ID, nullptr, -1, size_t(id - first_id));
        } else if (key == "result") {
            if (has_result) return fail(CSJ_ENVELOPE, nullptr, -1, 0);
            has_result = true;
            // The result may come before its id: then it is read when the rest is known.
            if (!call) is_late = true;
            else if (int f = result(v, *call)) return f;
        } else if (key == "error") {
            if (int f = rpc_error(v, error_call, has_error)) return f;
        }
    }
    if (root) {
        const char *behind;
        if (root->current_location().get(behind) == SUCCESS) return fail(CSJ_JSON, nullptr, -1, 0, TRAILING_CONTENT);
    }
    if (!has_result && !has_error) return fail(CSJ_ENVELOPE, nullptr, -1, 0);
    // A server that could not read a request, or that takes no batches, answers once without an id: that speaks for all calls.
    if (!call && has_error && root) {
        for (int32_t i = 0; i < count; i++) set_error(calls[i], error_call);
        return CSJ_OK;
    }
    if (!call) {
        if (!is_for_all || count != 1 || !has_result) return fail(CSJ_ENVELOPE, nullptr, -1, 0);
        call = &calls[0];
        if (call->status != CSJ_UNANSWERED) return fail(CSJ_DUPLICATE_ID, nullptr, -1, 0);
    }
    if (is_late) {
        ondemand::value v;
        bool is_empty;
        if (auto e = reply.reset().get(is_empty)) return fail(CSJ_JSON, nullptr, -1, 0, e);
        if (auto e = reply.find_field("result").get(v)) return fail(CSJ_JSON, nullptr, -1, 0, e);
        if (int f = result(v, *call)) return f;
    }
    // Some servers send a null result beside the error.
    if (has_error && (!has_result || call->status == CSJ_NULL)) set_error(*call, error_call);
    else if (has_error) return fail(CSJ_ENVELOPE, nullptr, -1, 0);
    return CSJ_OK;
}

}  // namespace

extern "C" {

csj_parser *csj_parser_new(void) { return new (std::nothrow) csj_parser(); }
void csj_parser_free(csj_parser *parser) { delete parser; }
const char *csj_simdjson_message(int32_t code) { return error_message(error_code(code)); }
int csj_hex_decode(uint8_t *target, const char *source, size_t count) { return hex::decode(target, source, count); }

int csj_decode(csj_parser *parser, const uint8_t *body, size_t length, int64_t first_id, csj_call *calls, int32_t count, csj_error *error) {
    Walk walk{body, error};
    *error = csj_error{CSJ_OK, 0, nullptr, -1, 0};
    ondemand::document document;
    auto e = parser->parser.iterate(padded_string_view(reinterpret_cast<const char *>(body), length, length + SIMDJSON_PADDING)).get(document);
    if (e) return walk.fail(CSJ_JSON, nullptr, -1, 0, e);
    ondemand::json_type type;
    if (auto f = document.type().get(type)) return walk.fail(CSJ_JSON, nullptr, -1, 0, f);
    if (type == ondemand::json_type::object) {
        ondemand::object reply;
        if (auto f = document.get_object().get(reply)) return walk.fail(CSJ_JSON, nullptr, -1, 0, f);
        if (int f = walk.envelope(reply, first_id, calls, count, &document)) return f;
    } else if (type == ondemand::json_type::array) {
        ondemand::array replies;
        if (auto f = document.get_array().get(replies)) return walk.fail(CSJ_JSON, nullptr, -1, 0, f);
        for (auto item : replies) {
            ondemand::object reply;
            if (auto f = item.get_object().get(reply)) return walk.fail(f == INCORRECT_TYPE ? CSJ_ENVELOPE : CSJ_JSON, nullptr, -1, 0, f);
            if (int f = walk.envelope(reply, first_id, calls, count, nullptr)) return f;
        }
        const char *behind;
        if (document.current_location().get(behind) == SUCCESS) return walk.fail(CSJ_JSON, nullptr, -1, 0, TAPE_ERROR);
    } else {
        return walk.fail(CSJ_ENVELOPE, nullptr, -1, 0);
    }
    return CSJ_OK;
}

void csj_column_init(csj_column *column, uint32_t width, size_t rows_hint, size_t bytes_hint) {
    memset(column, 0, sizeof *column);
    column->width = width;
    size_t bytes = (width ? width * rows_hint : bytes_hint) + 64;
    column->values = static_cast<uint8_t *>(malloc(bytes));
    column->values_capacity = column->values ? bytes : 0;
    if (width == 0) {
        column->offsets_capacity = rows_hint + 2;
        column->offsets = static_cast<int32_t *>(malloc(column->offsets_capacity * sizeof(int32_t)));
        if (column->offsets) column->offsets[0] = 0;
        else column->offsets_capacity = 0;
    }
}

void csj_column_free(csj_column *column) {
    free(column->values);
    free(column->offsets);
    free(column->validity);
    memset(column, 0, sizeof *column);
}

}  // extern "C"
