// Content codings, decoded whole: a body that ends before its stream does is an error, which libcurl itself does not see.
#include "include/ccurl.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

// Browsers and RFC 8878 agree on 8 MiB as the largest window a client has to offer.
#define ZSTD_WINDOW_LOG 23

typedef struct {
    unsigned char *data;
    size_t length, capacity, cap;
} block;

// Makes room for at least one more byte; false when the cap is reached or memory is out.
static bool grow(block *b, size_t hint) {
    if (b->length < b->capacity) return true;
    if (b->length > b->cap) return false;
    size_t want = b->capacity ? b->capacity * 2 : hint;
    if (want < 4096) want = 4096;
    if (want > b->cap + 1) want = b->cap + 1;  // one more than allowed, to see that it is exceeded
    unsigned char *data = realloc(b->data, want + CCURL_PADDING);
    if (!data) return false;
    b->data = data;
    b->capacity = want;
    return true;
}

static int gunzip(const unsigned char *source, size_t length, block *out) {
    z_stream z = {0};
    if (inflateInit2(&z, 15 + 16) != Z_OK) return CCURL_DECODE;
    // The last four bytes of a member tell its size modulo 2^32: a good first guess, checked by nobody.
    size_t hint = 0;
    if (length >= 18) {
        const unsigned char *tail = source + length - 4;
        hint = (size_t)tail[0] | (size_t)tail[1] << 8 | (size_t)tail[2] << 16 | (size_t)tail[3] << 24;
        if (hint > length * 64) hint = length * 8;
        hint += 1;
    }
    size_t at = 0;
    int state = Z_OK, result = CCURL_DECODE;
    for (;;) {
        if (!grow(out, hint)) { result = CCURL_TOO_LARGE; break; }
        size_t input = length - at > (1u << 30) ? (1u << 30) : length - at;
        size_t room = out->capacity - out->length > (1u << 30) ? (1u << 30) : out->capacity - out->length;
        z.next_in = (unsigned char *)source + at;
        z.avail_in = (uInt)input;
        z.next_out = out->data + out->length;
        z.avail_out = (uInt)room;
        state = inflate(&z, Z_NO_FLUSH);
        at += input - z.avail_in;
        out->length += room - z.avail_out;
        if (state == Z_STREAM_END) {
            if (at == length) { result = CCURL_OK; break; }
            if (inflateReset(&z) != Z_OK) break;  // another member follows
        } else if (state != Z_OK) {
            // Room was there, so a buffer error means that the input ended too early.
            break;
        }
    }
    inflateEnd(&z);
    return result;
}

static int unzstd(const unsigned char *source, size_t length, block *out) {
    ZSTD_DCtx *context = ZSTD_createDCtx();
    if (!context) return CCURL_DECODE;
    int result = CCURL_DECODE;
    unsigned long long size = ZSTD_getFrameContentSize(source, length);
    if (size == ZSTD_CONTENTSIZE_ERROR) goto end;
    if (size != ZSTD_CONTENTSIZE_UNKNOWN && size > out->cap) { result = CCURL_TOO_LARGE; goto end; }
    if (size != ZSTD_CONTENTSIZE_UNKNOWN && ZSTD_findFrameCompressedSize(source, length) == length) {
        // The usual case, one frame of known size: in one go and without a window. The claim of a tiny body is not
        // believed with memory; pages are only touched as they are written.
        out->data = malloc((size_t)size + CCURL_PADDING);
        if (!out->data) goto end;
        out->capacity = (size_t)size;
        size_t got = ZSTD_decompressDCtx(context, out->data, out->capacity, source, length);
        if (!ZSTD_isError(got)) { out->length = got; result = CCURL_OK; }
        goto end;
    }
    ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG);
    ZSTD_inBuffer in = {source, length, 0};
    size_t left = 1;
    while (in.pos < in.size || left != 0) {
        if (!grow(out, length * 6)) { result = CCURL_TOO_LARGE; goto end; }
        ZSTD_outBuffer target = {out->data, out->capacity, out->length};
        size_t before = in.pos;
        left = ZSTD_decompressStream(context, &target, &in);
        if (ZSTD_isError(left)) goto end;
        bool moved = in.pos != before || target.pos != out->length;
        out->length = target.pos;
        if (!moved) goto end;
    }
    result = CCURL_OK;
end:
    ZSTD_freeDCtx(context);
    return result;
}

// libcurl itself depends on the brotli library, so it is there at run time; its headers need not be at build time.
static struct {
    void *(*create)(void *, void *, void *);
    int (*run)(void *, size_t *, const uint8_t **, size_t *, uint8_t **, size_t *);
    void (*destroy)(void *);
} brotli;
static pthread_once_t brotli_once = PTHREAD_ONCE_INIT;

static void load_brotli(void) {
    void *library = dlopen("libbrotlidec.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library) return;
    *(void **)&brotli.create = dlsym(library, "BrotliDecoderCreateInstance");
    *(void **)&brotli.destroy = dlsym(library, "BrotliDecoderDestroyInstance");
    *(void **)&brotli.run = dlsym(library, "BrotliDecoderDecompressStream");
    if (!brotli.create || !brotli.destroy) brotli.run = NULL;
}

static int unbrotli(const unsigned char *source, size_t length, block *out) {
    pthread_once(&brotli_once, load_brotli);
    if (!brotli.run) return CCURL_DECODE;
    void *state = brotli.create(NULL, NULL, NULL);
    if (!state) return CCURL_DECODE;
    size_t left = length;
    int result = CCURL_DECODE;
    for (;;) {
        if (!grow(out, length * 6)) { result = CCURL_TOO_LARGE; break; }
        size_t room = out->capacity - out->length;
        uint8_t *target = out->data + out->length;
        int code = brotli.run(state, &left, &source, &room, &target, NULL);
        out->length = out->capacity - room;
        // 0 error, 1 done, 2 needs more input, 3 needs more output.
        if (code == 1 && left == 0) result = CCURL_OK;
        if (code != 3) break;
    }
    brotli.destroy(state);
    return result;
}

const char *ccurl_accept_encoding(void) {
    pthread_once(&brotli_once, load_brotli);
    return brotli.run ? "zstd, br, gzip" : "zstd, gzip";
}

int ccurl_decode(int encoding, const void *source, size_t length, size_t cap, void **out, size_t *out_length) {
    block b = {NULL, 0, 0, cap};
    int result = CCURL_DECODE;
    if (length == 0) result = CCURL_DECODE;  // every coding has at least a header
    else if (encoding == CCURL_GZIP) result = gunzip(source, length, &b);
    else if (encoding == CCURL_ZSTD) result = unzstd(source, length, &b);
    else if (encoding == CCURL_BROTLI) result = unbrotli(source, length, &b);
    if (result == CCURL_OK && b.length > cap) result = CCURL_TOO_LARGE;
    if (result != CCURL_OK) {
        free(b.data);
        *out = NULL;
        *out_length = 0;
        return result;
    }
    if (b.capacity - b.length > b.length / 4 + 4096) {
        void *smaller = realloc(b.data, b.length + CCURL_PADDING);
        if (smaller) b.data = smaller;
    }
    if (b.data) memset(b.data + b.length, 0, CCURL_PADDING);
    *out = b.data;
    *out_length = b.length;
    return CCURL_OK;
}

size_t ccurl_gzip_bound(size_t length) { return compressBound(length) + 18; }

size_t ccurl_gzip(int level, const void *source, size_t length, void *target, size_t capacity) {
    z_stream z = {0};
    if (deflateInit2(&z, level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) return 0;
    z.next_in = (unsigned char *)source;
    z.next_out = target;
    int state = Z_OK;
    size_t in = length, out = capacity;
    // zlib counts in 32 bits.
    while (state == Z_OK) {
        if (z.avail_in == 0) {
            z.avail_in = in > (1u << 30) ? (1u << 30) : (uInt)in;
            in -= z.avail_in;
        }
        if (z.avail_out == 0) {
            if (out == 0) break;
            z.avail_out = out > (1u << 30) ? (1u << 30) : (uInt)out;
            out -= z.avail_out;
        }
        state = deflate(&z, in == 0 ? Z_FINISH : Z_NO_FLUSH);
    }
    size_t made = state == Z_STREAM_END ? (size_t)(z.next_out - (unsigned char *)target) : 0;
    deflateEnd(&z);
    return made;
}
