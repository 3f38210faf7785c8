#ifndef SLUICE_CHIREDIS_SHIM_H
#define SLUICE_CHIREDIS_SHIM_H

#include <hiredis/hiredis.h>
#include <string.h>

/* What answers are worth knowing of when there are very many: no object is made of any. */
struct sluice_tally {
    /* Whole answers that came, and of which kind (REDIS_REPLY_...) the last one was. */
    long seen;
    int kind;
    /* The place, from 0, and the words of the first whole answer that is an error; -1 for none. */
    long refused_at;
    char refused[256];
    /* The same of the first error inside of the last answer, by its place in that. */
    long broken_at;
    char broken[256];
    redisReply nothing;
};

static inline void *sluice_tally_note(const redisReadTask *task, int kind) {
    struct sluice_tally *tally = (struct sluice_tally *)task->privdata;
    if (task->parent == NULL) {
        tally->seen++;
        tally->kind = kind;
        tally->broken_at = -1;
    }
    return &tally->nothing;
}

static inline void *sluice_tally_string(const redisReadTask *task, char *text, size_t length) {
    struct sluice_tally *tally = (struct sluice_tally *)task->privdata;
    void *reply = sluice_tally_note(task, task->type);
    if (task->type == REDIS_REPLY_ERROR) {
        size_t count = length < sizeof(tally->refused) ? length : sizeof(tally->refused) - 1;
        if (task->parent == NULL && tally->refused_at < 0) {
            tally->refused_at = tally->seen - 1;
            memcpy(tally->refused, text, count);
            tally->refused[count] = 0;
        } else if (task->parent != NULL && tally->broken_at < 0) {
            tally->broken_at = task->idx;
            memcpy(tally->broken, text, count);
            tally->broken[count] = 0;
        }
    }
    return reply;
}

#if HIREDIS_MAJOR >= 1
static inline void *sluice_tally_array(const redisReadTask *task, size_t count) {
#else
static inline void *sluice_tally_array(const redisReadTask *task, int count) {
#endif
    (void)count;
    return sluice_tally_note(task, REDIS_REPLY_ARRAY);
}

static inline void *sluice_tally_integer(const redisReadTask *task, long long value) {
    (void)value;
    return sluice_tally_note(task, REDIS_REPLY_INTEGER);
}

static inline void *sluice_tally_nil(const redisReadTask *task) { return sluice_tally_note(task, REDIS_REPLY_NIL); }

/* Receives so many answers into a tally. Returns what redisGetReply returns. */
static inline int sluice_tally_receive(redisContext *context, long count, struct sluice_tally *tally) {
    redisReplyObjectFunctions *usual = context->reader->fn;
    void *data = context->reader->privdata;
    redisReplyObjectFunctions functions;
    int outcome = REDIS_OK;
    memset(&functions, 0, sizeof(functions));
    functions.createString = sluice_tally_string;
    functions.createArray = sluice_tally_array;
    functions.createInteger = sluice_tally_integer;
    functions.createNil = sluice_tally_nil;
    memset(tally, 0, sizeof(*tally));
    tally->refused_at = tally->broken_at = -1;
    tally->nothing.type = REDIS_REPLY_STATUS;
    context->reader->fn = &functions;
    context->reader->privdata = tally;
    while (tally->seen < count && outcome == REDIS_OK) {
        void *reply = NULL;
        outcome = redisGetReply(context, &reply);
    }
    context->reader->fn = usual;
    context->reader->privdata = data;
    return outcome;
}

#endif
