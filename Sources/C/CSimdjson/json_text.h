// Whether some bytes are one JSON value, nothing more and nothing less. For the few values that are kept as text.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace json_text {

class Check {
    const char *at, *end;

    bool literal(const char *word, size_t length) {
        if (size_t(end - at) < length || memcmp(at, word, length) != 0) return false;
        at += length;
        return true;
    }
    void spaces() {
        while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) at++;
    }
    bool digits() {
        const char *start = at;
        while (at < end && *at >= '0' && *at <= '9') at++;
        return at > start;
    }
    bool number() {
        if (at < end && *at == '-') at++;
        if (at < end && *at == '0') at++;
        else if (!digits()) return false;
        if (at < end && *at == '.' && (at++, !digits())) return false;
        if (at < end && (*at == 'e' || *at == 'E')) {
            at++;
            if (at < end && (*at == '+' || *at == '-')) at++;
            return digits();
        }
        return true;
    }
    bool string() {
        for (at++; at < end; at++) {
            if (*at == '"') return at++, true;
            if (uint8_t(*at) < 0x20) return false;
            if (*at != '\\') continue;
            if (++at == end) return false;
            if (*at != 'u') {
                if (!strchr("\"\\/bfnrt", *at) || *at == 0) return false;
                continue;
            }
            for (int i = 0; i < 4; i++)
                if (++at == end || hex::digits.value[uint8_t(*at)] > 15) return false;
        }
        return false;
    }
    bool key() {
        spaces();
        if (at == end || *at != '"' || !string()) return false;
        spaces();
        if (at == end || *at != ':') return false;
        at++;
        return true;
    }

public:
    Check(const char *text, size_t length) : at(text), end(text + length) {}

    bool run() {
        constexpr int deepest = 256;
        bool in_object[deepest];
        int depth = 0;
        while (true) {
            spaces();
            if (at == end) return false;
            bool is_open = *at == '{' || *at == '[';
            if (is_open) {
                if (depth == deepest) return false;
                in_object[depth++] = *at++ == '{';
                spaces();
                if (at < end && *at == (in_object[depth - 1] ? '}' : ']')) {
                    at++;
                    depth--;
                } else if (in_object[depth - 1]) {
                    if (!key()) return false;
                    continue;
                } else {
                    continue;
                }
            } else {
                bool good = *at == '"' ? string() : *at == 't' ? literal("true", 4) : *at == 'f' ? literal("false", 5)
                    : *at == 'n' ? literal("null", 4) : number();
                if (!good) return false;
            }
            // A value ended: so may what it stands in.
            while (true) {
                spaces();
                if (depth == 0) return at == end;
                if (at == end) return false;
                if (*at == ',') break;
                if (*at != (in_object[depth - 1] ? '}' : ']')) return false;
                at++;
                depth--;
            }
            at++;
            if (in_object[depth - 1] && !key()) return false;
        }
    }
};

inline bool is_valid(const char *text, size_t length) { return Check(text, length).run(); }

}  // namespace json_text
