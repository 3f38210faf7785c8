// HTTP transfers on one thread over libcurl's multi interface, behind a few plain functions.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

/// Bytes that stay readable behind the end of every body (what a SIMD JSON reader asks for).
#define CCURL_PADDING 64

/// How far a transfer got, or why it was ended.
enum {
    CCURL_OK = 0,
    CCURL_RESOLVE,
    CCURL_CONNECT,
    CCURL_TLS,
    CCURL_SEND,
    CCURL_FIRST_BYTE,
    CCURL_RECEIVE,
    CCURL_DECODE,
    CCURL_TOO_LARGE,
    CCURL_CANCELLED,
    CCURL_BAD_REQUEST,
};

enum { CCURL_IDENTITY = 0, CCURL_GZIP, CCURL_ZSTD, CCURL_BROTLI, CCURL_UNKNOWN_ENCODING };

typedef struct ccurl_loop ccurl_loop;

typedef struct {
    uint64_t id;              // from ccurl_next_id
    const char *method;       // "GET", "POST", ...
    const char *url;
    const char *_Nullable headers; // lines, each ended by '\n'
    const void *_Nullable body; // copied, unless it stays; NULL: none
    size_t body_length;
    bool body_stays;          // it can be read where it is until the callback was called
    int64_t connect_ms;       // resolve, connect and TLS together
    int64_t first_byte_ms;    // from connected until the first line of the response
    int64_t total_ms;
    int64_t window_ms;        // a response must bring at least `window_bytes` in each window
    int64_t window_bytes;
    size_t cap;               // most bytes of body
    void *_Nullable context;  // handed to the callback
} ccurl_request;

typedef struct {
    void *_Nullable context;
    int phase;                // CCURL_OK, or where it failed
    bool timed_out;
    int status;
    int encoding;
    void *_Nullable body;     // from malloc, to be freed by the receiver; NULL when empty
    size_t length;            // bytes in use; CCURL_PADDING zero bytes follow
    char message[200];
    char retry_after[48];
    char content_type[96];
    char date[48];
} ccurl_result;

typedef struct {
    uint64_t requests;
    uint64_t connections;
    uint64_t received_bytes;  // body bytes as they came over the wire
} ccurl_counters;

/// Called once for each submitted request, on the loop thread (or on the submitting one when the loop has stopped).
typedef void (*ccurl_done)(ccurl_result *result);

/// Starts the loop thread; NULL when that fails.
ccurl_loop *_Nullable ccurl_start(ccurl_done done, size_t receive_buffer, long idle_connections);
/// Ends all transfers as cancelled and joins the thread. The loop stays valid for calls until ccurl_free.
void ccurl_stop(ccurl_loop *loop);
void ccurl_free(ccurl_loop *loop);
uint64_t ccurl_next_id(ccurl_loop *loop);
/// Hands a request over; everything in it is copied.
void ccurl_submit(ccurl_loop *loop, const ccurl_request *request);
/// Ends a submitted transfer promptly; does nothing when it is over.
void ccurl_cancel(ccurl_loop *loop, uint64_t id);
ccurl_counters ccurl_count(ccurl_loop *loop);
/// The content codings that can be decoded here, as the value of an Accept-Encoding header.
const char *ccurl_accept_encoding(void);

/// Decodes a whole body into a block from malloc with padding; 0, CCURL_DECODE or CCURL_TOO_LARGE.
int ccurl_decode(int encoding, const void *_Nullable source, size_t length, size_t cap, void *_Nullable *_Nonnull out,
                 size_t *out_length);

/// Most bytes that `length` bytes become by gzip.
size_t ccurl_gzip_bound(size_t length);
/// Compresses into `target`, which has room for the bound; returns how many bytes it became, 0 when there is no memory.
size_t ccurl_gzip(int level, const void *source, size_t length, void *target, size_t capacity);

#pragma clang assume_nonnull end
