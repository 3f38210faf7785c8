// One thread runs all transfers. Requests come in through a list under a mutex, results leave through one callback.
#include "include/ccurl.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

// How often the limits that libcurl does not know (first byte, throughput) are looked at.
#define SCAN_MS 50
#define SPARE_HANDLES 64
#define UPLOAD_BUFFER (512 << 10)

typedef struct transfer {
    struct transfer *next, *previous;
    CURL *easy;
    struct curl_slist *headers;
    ccurl_request request;     // its pointers point behind this struct
    ccurl_result result;
    size_t capacity, header_bytes;
    int64_t started, window_start, window_bytes;
    bool first_byte, head_complete, too_large, no_memory;
    char error[CURL_ERROR_SIZE];
} transfer;

struct ccurl_loop {
    CURLM *multi;
    ccurl_done done;
    size_t receive_buffer;
    pthread_t thread;
    pthread_mutex_t mutex;
    // Guarded by the mutex.
    transfer *submitted, **submitted_tail;
    uint64_t *cancelled;
    size_t cancelled_count, cancelled_room;
    bool stopping;
    // The thread's own.
    transfer *active;
    CURL *spare[SPARE_HANDLES];
    int spare_count;
    int64_t last_scan;
    _Atomic uint64_t next_id, requests, connections, received;
};

static pthread_once_t global_once = PTHREAD_ONCE_INIT;
static void global_init(void) { curl_global_init(CURL_GLOBAL_DEFAULT); }

static int64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

// MARK: what libcurl calls

static bool reserve(transfer *t, size_t want) {
    void *grown = realloc(t->result.body, want + CCURL_PADDING);
    if (!grown) { t->no_memory = true; return false; }
    t->result.body = grown;
    t->capacity = want;
    return true;
}

static size_t on_body(char *data, size_t size, size_t count, void *user) {
    transfer *t = user;
    size_t bytes = size * count, need = t->result.length + bytes;
    if (need > t->request.cap) { t->too_large = true; return 0; }
    if (need > t->capacity) {
        size_t want = t->capacity * 2;
        if (t->capacity == 0) {
            // The declared length, trusted only as far as memory goes that is not touched before bytes come.
            curl_off_t declared = -1;
            curl_easy_getinfo(t->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &declared);
            want = declared > 0 && (uint64_t)declared <= t->request.cap ? (size_t)declared : 64 * 1024;
        }
        if (want < need) want = need;
        if (!reserve(t, want)) return 0;
    }
    memcpy((char *)t->result.body + t->result.length, data, bytes);
    t->result.length = need;
    return bytes;
}

static bool header_value(const char *line, size_t length, const char *name, char *target, size_t room) {
    size_t n = strlen(name);
    if (length <= n || line[n] != ':' || strncasecmp(line, name, n) != 0) return false;
    const char *from = line + n + 1, *end = line + length;
    while (from < end && (*from == ' ' || *from == '\t')) from++;
    while (end > from && (end[-1] == '\r' || end[-1] == '\n' || end[-1] == ' ')) end--;
    size_t count = (size_t)(end - from);
    if (count >= room) count = room - 1;
    memcpy(target, from, count);
    target[count] = 0;
    return true;
}

static int encoding_named(const char *name) {
    if (!*name || !strcasecmp(name, "identity")) return CCURL_IDENTITY;
    if (!strcasecmp(name, "gzip") || !strcasecmp(name, "x-gzip")) return CCURL_GZIP;
    if (!strcasecmp(name, "zstd")) return CCURL_ZSTD;
    if (!strcasecmp(name, "br")) return CCURL_BROTLI;
    return CCURL_UNKNOWN_ENCODING;
}

static size_t on_header(char *data, size_t size, size_t count, void *user) {
    transfer *t = user;
    size_t length = size * count;
    t->header_bytes += length;
    if (!t->first_byte) {
        t->first_byte = true;
        t->window_start = now_ms();
        t->window_bytes = 0;
    }
    if (length >= 5 && !memcmp(data, "HTTP/", 5)) {
        // A new response: what a 1xx before it brought does not count.
        t->result.retry_after[0] = t->result.content_type[0] = t->result.date[0] = 0;
        t->result.encoding = CCURL_IDENTITY;
        t->head_complete = false;
        return length;
    }
    if (data[0] == '\r' || data[0] == '\n') {
        t->head_complete = true;
        return length;
    }
    char coding[32], declared[32];
    switch (data[0] | 0x20) {
    case 'r': header_value(data, length, "retry-after", t->result.retry_after, sizeof t->result.retry_after); break;
    case 'd': header_value(data, length, "date", t->result.date, sizeof t->result.date); break;
    case 'c':
        if (header_value(data, length, "content-type", t->result.content_type, sizeof t->result.content_type)) break;
        if (header_value(data, length, "content-encoding", coding, sizeof coding)) {
            int encoding = encoding_named(coding);
            bool stacked = t->result.encoding != CCURL_IDENTITY && encoding != CCURL_IDENTITY;
            t->result.encoding = stacked ? CCURL_UNKNOWN_ENCODING : encoding == CCURL_IDENTITY ? t->result.encoding : encoding;
        } else if (header_value(data, length, "content-length", declared, sizeof declared)
                   && strtoull(declared, NULL, 10) > t->request.cap) {
            t->too_large = true;
            return 0;
        }
        break;
    }
    return length;
}

// MARK: the life of a transfer

static void finish(ccurl_loop *loop, transfer *t) {
    ccurl_result *r = &t->result;
    if (r->phase != CCURL_OK) {
        free(r->body);
        r->body = NULL;
        r->length = 0;
    } else if (r->body) {
        if (t->capacity - r->length > r->length / 4 + 4096) {
            void *smaller = realloc(r->body, r->length + CCURL_PADDING);
            if (smaller) r->body = smaller;
        }
        memset((char *)r->body + r->length, 0, CCURL_PADDING);
    }
    loop->done(r);
    curl_slist_free_all(t->headers);
    free(t);
}

static void fail(transfer *t, int phase, bool timed_out, const char *message) {
    t->result.phase = phase;
    t->result.timed_out = timed_out;
    snprintf(t->result.message, sizeof t->result.message, "%s", message);
}

static bool configure(ccurl_loop *loop, transfer *t) {
    CURL *e = t->easy;
    const ccurl_request *q = &t->request;
    bool tls = !strncasecmp(q->url, "https:", 6);
    curl_easy_setopt(e, CURLOPT_PRIVATE, t);
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, t->error);
    if (curl_easy_setopt(e, CURLOPT_URL, q->url) != CURLE_OK) return false;
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(e, CURLOPT_HTTP09_ALLOWED, 0L);
    curl_easy_setopt(e, CURLOPT_BUFFERSIZE, (long)loop->receive_buffer);
    // Multiplexing is only waited for where it can come: it would make plain connections queue behind each other.
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, tls ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1);
    if (tls) curl_easy_setopt(e, CURLOPT_PIPEWAIT, 1L);
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)q->connect_ms);
    curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)q->total_ms);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, t);
    bool get = !strcmp(q->method, "GET"), head = !strcmp(q->method, "HEAD");
    if (head) curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
    if (q->body || !(get || head)) {
        curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body_length);
        curl_easy_setopt(e, CURLOPT_POSTFIELDS, q->body ? q->body : "");
        // Fewer, larger writes for what is large.
        if (q->body_length > UPLOAD_BUFFER) curl_easy_setopt(e, CURLOPT_UPLOAD_BUFFERSIZE, (long)UPLOAD_BUFFER);
    }
    if (!head && strcmp(q->method, q->body ? "POST" : "GET") != 0) curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, q->method);
    char accept[64];
    snprintf(accept, sizeof accept, "Accept-Encoding: %s", ccurl_accept_encoding());
    t->headers = curl_slist_append(curl_slist_append(NULL, "Expect:"), accept);
    // Each line becomes its own string; the copy is ours to cut.
    for (char *line = (char *)q->headers, *end; line && (end = strchr(line, '\n')); line = end + 1) {
        *end = 0;
        t->headers = curl_slist_append(t->headers, line);
    }
    curl_easy_setopt(e, CURLOPT_HTTPHEADER, t->headers);
    return true;
}

static void begin(ccurl_loop *loop, transfer *t) {
    t->started = now_ms();
    t->easy = loop->spare_count > 0 ? loop->spare[--loop->spare_count] : curl_easy_init();
    if (!t->easy || !configure(loop, t)) {
        fail(t, CCURL_BAD_REQUEST, false, "the request cannot be made: malformed url");
        if (t->easy) curl_easy_cleanup(t->easy);
        finish(loop, t);
        return;
    }
    CURLMcode code = curl_multi_add_handle(loop->multi, t->easy);
    if (code != CURLM_OK) {
        fail(t, CCURL_BAD_REQUEST, false, curl_multi_strerror(code));
        curl_easy_cleanup(t->easy);
        finish(loop, t);
        return;
    }
    t->next = loop->active;
    t->previous = NULL;
    if (loop->active) loop->active->previous = t;
    loop->active = t;
}

// Takes the transfer off libcurl (which closes its connection when it is not done) and reports it.
static void end(ccurl_loop *loop, transfer *t) {
    long connects = 0, status = 0;
    curl_off_t received = 0;
    curl_easy_getinfo(t->easy, CURLINFO_NUM_CONNECTS, &connects);
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(t->easy, CURLINFO_SIZE_DOWNLOAD_T, &received);
    t->result.status = (int)status;
    loop->connections += (uint64_t)connects;
    loop->received += (uint64_t)received;
    curl_multi_remove_handle(loop->multi, t->easy);
    curl_easy_reset(t->easy);
    if (loop->spare_count < SPARE_HANDLES) loop->spare[loop->spare_count++] = t->easy;
    else curl_easy_cleanup(t->easy);
    if (t->next) t->next->previous = t->previous;
    if (t->previous) t->previous->next = t->next;
    else loop->active = t->next;
    finish(loop, t);
}

static int reached(transfer *t) {
    curl_off_t resolved = 0, connected = 0, secured = 0, ready = 0, sent = 0;
    curl_easy_getinfo(t->easy, CURLINFO_NAMELOOKUP_TIME_T, &resolved);
    curl_easy_getinfo(t->easy, CURLINFO_CONNECT_TIME_T, &connected);
    curl_easy_getinfo(t->easy, CURLINFO_APPCONNECT_TIME_T, &secured);
    curl_easy_getinfo(t->easy, CURLINFO_PRETRANSFER_TIME_T, &ready);
    curl_easy_getinfo(t->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
    if (t->first_byte) return CCURL_RECEIVE;
    if (ready > 0) return (size_t)sent < t->request.body_length ? CCURL_SEND : CCURL_FIRST_BYTE;
    if (resolved == 0) return CCURL_RESOLVE;
    bool tls = !strncasecmp(t->request.url, "https:", 6);
    // libcurl stamps the connect time only when TLS is through as well; its message is what tells them apart.
    bool handshake = tls && strstr(t->error, "SSL") != NULL;
    return handshake ? CCURL_TLS : connected == 0 || !tls ? CCURL_CONNECT : secured == 0 ? CCURL_TLS : CCURL_SEND;
}

static void judge(transfer *t, CURLcode code) {
    const char *text = t->error[0] ? t->error : curl_easy_strerror(code);
    if (t->too_large) return fail(t, CCURL_TOO_LARGE, false, "the response is larger than the cap");
    if (t->no_memory) return fail(t, CCURL_RECEIVE, false, "no memory for the response");
    switch (code) {
    case CURLE_OK:
        // libcurl takes a response that ends within its headers for one without a body.
        if (!t->head_complete) fail(t, t->first_byte ? CCURL_RECEIVE : CCURL_FIRST_BYTE, false, "the response ended within its headers");
        return;
    case CURLE_UNSUPPORTED_PROTOCOL: case CURLE_URL_MALFORMAT: return fail(t, CCURL_BAD_REQUEST, false, text);
    case CURLE_COULDNT_RESOLVE_HOST: case CURLE_COULDNT_RESOLVE_PROXY: return fail(t, CCURL_RESOLVE, false, text);
    case CURLE_COULDNT_CONNECT: return fail(t, CCURL_CONNECT, false, text);
    case CURLE_SSL_CONNECT_ERROR: case CURLE_PEER_FAILED_VERIFICATION: case CURLE_SSL_CERTPROBLEM: case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR: case CURLE_SSL_CIPHER: case CURLE_SSL_INVALIDCERTSTATUS: return fail(t, CCURL_TLS, false, text);
    case CURLE_OPERATION_TIMEDOUT: return fail(t, reached(t), true, text);
    case CURLE_GOT_NOTHING: return fail(t, CCURL_FIRST_BYTE, false, text);
    case CURLE_SEND_ERROR: return fail(t, CCURL_SEND, false, text);
    default: return fail(t, reached(t), false, text);
    }
}

// MARK: the loop

// The limits that libcurl does not have, or has only in whole seconds.
static void scan(ccurl_loop *loop) {
    int64_t now = now_ms();
    if (now - loop->last_scan < SCAN_MS) return;
    loop->last_scan = now;
    for (transfer *t = loop->active, *next; t; t = next) {
        next = t->next;
        if (!t->first_byte) {
            curl_off_t ready = 0;
            curl_easy_getinfo(t->easy, CURLINFO_PRETRANSFER_TIME_T, &ready);
            if (ready == 0 || now - t->started - ready / 1000 < t->request.first_byte_ms) continue;
            fail(t, reached(t), true, "no response within the time for the first byte");
            end(loop, t);
        } else if (now - t->window_start >= t->request.window_ms) {
            curl_off_t body = 0;
            curl_easy_getinfo(t->easy, CURLINFO_SIZE_DOWNLOAD_T, &body);
            int64_t bytes = body + (int64_t)t->header_bytes;
            if (bytes - t->window_bytes < t->request.window_bytes) {
                fail(t, CCURL_RECEIVE, true, "the response comes slower than the least throughput");
                end(loop, t);
            } else {
                t->window_start = now;
                t->window_bytes = bytes;
            }
        }
    }
}

static void cancel_one(ccurl_loop *loop, uint64_t id) {
    for (transfer *t = loop->active; t; t = t->next) {
        if (t->request.id != id) continue;
        fail(t, CCURL_CANCELLED, false, "cancelled");
        end(loop, t);
        return;
    }
}

static void *run(void *user) {
    ccurl_loop *loop = user;
    for (;;) {
        pthread_mutex_lock(&loop->mutex);
        transfer *arrived = loop->submitted;
        loop->submitted = NULL;
        loop->submitted_tail = &loop->submitted;
        uint64_t *cancelled = loop->cancelled;
        size_t cancelled_count = loop->cancelled_count;
        loop->cancelled = NULL;
        loop->cancelled_count = loop->cancelled_room = 0;
        bool stopping = loop->stopping;
        pthread_mutex_unlock(&loop->mutex);

        for (transfer *next; arrived; arrived = next) {
            next = arrived->next;
            begin(loop, arrived);
        }
        for (size_t i = 0; i < cancelled_count; i++) cancel_one(loop, cancelled[i]);
        free(cancelled);
        if (stopping) break;

        int running = 0, left = 0;
        curl_multi_perform(loop->multi, &running);
        for (CURLMsg *message; (message = curl_multi_info_read(loop->multi, &left));) {
            if (message->msg != CURLMSG_DONE) continue;
            transfer *t = NULL;
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &t);
            judge(t, message->data.result);
            end(loop, t);
        }
        scan(loop);
        curl_multi_poll(loop->multi, NULL, 0, loop->active ? SCAN_MS : 60000, NULL);
    }
    while (loop->active) {
        fail(loop->active, CCURL_CANCELLED, false, "the client was shut down");
        end(loop, loop->active);
    }
    while (loop->spare_count > 0) curl_easy_cleanup(loop->spare[--loop->spare_count]);
    return NULL;
}

// MARK: called from other threads

ccurl_loop *ccurl_start(ccurl_done done, size_t receive_buffer, long idle_connections) {
    pthread_once(&global_once, global_init);
    ccurl_loop *loop = calloc(1, sizeof *loop);
    if (!loop) return NULL;
    loop->done = done;
    loop->receive_buffer = receive_buffer;
    loop->submitted_tail = &loop->submitted;
    pthread_mutex_init(&loop->mutex, NULL);
    loop->multi = curl_multi_init();
    if (loop->multi) {
        curl_multi_setopt(loop->multi, CURLMOPT_MAXCONNECTS, idle_connections);
        curl_multi_setopt(loop->multi, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
        if (pthread_create(&loop->thread, NULL, run, loop) == 0) return loop;
        curl_multi_cleanup(loop->multi);
    }
    pthread_mutex_destroy(&loop->mutex);
    free(loop);
    return NULL;
}

void ccurl_stop(ccurl_loop *loop) {
    pthread_mutex_lock(&loop->mutex);
    bool first = !loop->stopping;
    loop->stopping = true;
    pthread_mutex_unlock(&loop->mutex);
    if (!first) return;
    curl_multi_wakeup(loop->multi);
    pthread_join(loop->thread, NULL);
    pthread_mutex_lock(&loop->mutex);
    curl_multi_cleanup(loop->multi);
    loop->multi = NULL;
    pthread_mutex_unlock(&loop->mutex);
}

void ccurl_free(ccurl_loop *loop) {
    ccurl_stop(loop);
    free(loop->cancelled);
    pthread_mutex_destroy(&loop->mutex);
    free(loop);
}

uint64_t ccurl_next_id(ccurl_loop *loop) { return ++loop->next_id; }

static char *copy_into(char **at, const void *from, size_t length) {
    char *start = *at;
    memcpy(start, from, length);
    start[length] = 0;
    *at += length + 1;
    return start;
}

void ccurl_submit(ccurl_loop *loop, const ccurl_request *q) {
    size_t url = strlen(q->url), method = strlen(q->method), headers = q->headers ? strlen(q->headers) : 0;
    size_t copied = q->body && !q->body_stays ? q->body_length : 0;
    transfer *t = calloc(1, sizeof *t + url + method + headers + copied + 4);
    if (!t) {
        ccurl_result result = {.context = q->context, .phase = CCURL_SEND, .message = "no memory for the request"};
        loop->done(&result);
        return;
    }
    char *at = (char *)(t + 1);
    t->request = *q;
    t->request.url = copy_into(&at, q->url, url);
    t->request.method = copy_into(&at, q->method, method);
    t->request.headers = q->headers ? copy_into(&at, q->headers, headers) : NULL;
    if (q->body && !q->body_stays) t->request.body = copy_into(&at, q->body, q->body_length);
    t->result.context = q->context;
    loop->requests++;

    pthread_mutex_lock(&loop->mutex);
    bool stopping = loop->stopping, wake = loop->submitted == NULL;
    if (!stopping) {
        *loop->submitted_tail = t;
        loop->submitted_tail = &t->next;
        if (wake) curl_multi_wakeup(loop->multi);
    }
    pthread_mutex_unlock(&loop->mutex);
    if (stopping) {
        fail(t, CCURL_CANCELLED, false, "the client was shut down");
        finish(loop, t);
    }
}

void ccurl_cancel(ccurl_loop *loop, uint64_t id) {
    pthread_mutex_lock(&loop->mutex);
    if (!loop->stopping) {
        if (loop->cancelled_count == loop->cancelled_room) {
            size_t room = loop->cancelled_room ? loop->cancelled_room * 2 : 16;
            uint64_t *grown = realloc(loop->cancelled, room * sizeof *grown);
            // Without memory the transfer runs into its time limit instead.
            if (grown) { loop->cancelled = grown; loop->cancelled_room = room; }
        }
        if (loop->cancelled_count < loop->cancelled_room) {
            loop->cancelled[loop->cancelled_count++] = id;
            curl_multi_wakeup(loop->multi);
        }
    }
    pthread_mutex_unlock(&loop->mutex);
}

ccurl_counters ccurl_count(ccurl_loop *loop) {
    return (ccurl_counters){loop->requests, loop->connections, loop->received};
}
