/* A core for which memory runs out, at each place where it asks for some: it says so, is as it was, gives back what it had,
 * and does the same thing well when there is memory again.
 *
 * The linker sends what asks for memory here (--wrap). Prints a line for each thing that was done, and how often it failed. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/driven.h"

/* ---- Memory that runs out ------------------------------------------------------------------------------------------- */

static long left = -1; /* below 0: there is always some */

static bool is_had(void) {
    if (left < 0) return true;
    if (left > 0) {
        left--;
        return true;
    }
    errno = ENOMEM;
    return false;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size) { return is_had() ? __real_malloc(size) : NULL; }
void *__wrap_calloc(size_t count, size_t size) { return is_had() ? __real_calloc(count, size) : NULL; }
void *__wrap_aligned_alloc(size_t alignment, size_t size) { return is_had() ? __real_aligned_alloc(alignment, size) : NULL; }

/* ---- What is tried -------------------------------------------------------------------------------------------------- */

static void try_opening(void) {
    core *c = NULL;
    long failed = 0;
    for (;; failed++) {
        left = failed;
        int result = core_new(0, &c);
        left = -1;
        if (result == CORE_OK) break;
        FUZZ_CHECK(result == CORE_NO_ROOM && c == NULL);
    }
    core_free(c);
    printf("open a core: %ld\n", failed);
}

/* A core with something in everything that grows. */
static void open_world(struct driven *driven, struct grammar *g) {
    driven_open(driven, 0);
    grammar_begin(g, driven->core, (struct fuzz_input){NULL, NULL});
    driven_begin(driven, g);
    struct grammar_given named[] = {{"instrument", CORE_SHARDS}, {"client_order_id", 0}, {"side", SIDE_BUY}, {NULL, 0}};
    for (g->account = 1000; g->account < 1004; g->account++) {
        named[1].value = g->account;
        driven_apply(driven, grammar_command(g, COMMAND_PLACE_ORDER, named));
    }
}

/* Apply a record that needs memory to a copy of the core, each time with some more. */
static void try_record(const struct driven *driven, struct grammar_record record, const char *what) {
    static uint8_t events[CORE_PART_BYTES], answers[CORE_ANSWER_BYTES];
    static struct core_answer answered[CORE_MAX_BATCHES];
    struct core_facts before, after;
    size_t length;
    uint8_t *bytes = driven_snapshot(driven->core, 1u << 20, &length);
    int result = CORE_NO_ROOM;
    long failed = 0;
    core_facts(driven->core, &before);
    for (; result != CORE_OK; failed++) {
        struct core_part part = {.events = events, .answers = answers, .index = answered};
        core *copy;
        FUZZ_CHECK_ZERO(core_restore(bytes, length, &copy));
        left = failed;
        result = core_apply(copy, before.next_offset, record.time_us, record.bytes, record.length, 0, &part);
        left = -1;
        FUZZ_CHECK_ZERO(core_validate(copy));
        core_facts(copy, &after);
        FUZZ_CHECK(result == CORE_OK || (result == CORE_NO_ROOM && memcmp(&before, &after, sizeof before) == 0));
        core_free(copy);
    }
    FUZZ_CHECK(after.sequence == before.sequence + 1);
    free(bytes);
    printf("%s: %ld\n", what, failed - 1);
}

static void try_growing(const struct driven *driven, struct grammar *g) {
    struct grammar_given sizes[] = {{"orders", 200},   {"accounts", 100}, {"balances", 300}, {"client_order_ids", 300},
                                    {"sessions", 40},  {"instruments", 40}, {NULL, 0}};
    try_record(driven, grammar_command(g, COMMAND_SET_SIZES, sizes), "grow");
    struct grammar_given instrument[] = {{"symbol", 77}, {"base_asset", 2}, {"quote_asset", 3}, {NULL, 0}};
    try_record(driven, grammar_command(g, COMMAND_ADD_INSTRUMENT, instrument), "add an instrument");
}

static void try_restoring(const struct driven *driven) {
    size_t length;
    core *restored = NULL;
    long failed = 0;
    uint8_t *bytes = driven_snapshot(driven->core, 1u << 20, &length);
    for (;; failed++) {
        left = failed;
        int result = core_restore(bytes, length, &restored);
        left = -1;
        if (result == CORE_OK) break;
        FUZZ_CHECK(result == CORE_NO_ROOM && restored == NULL);
    }
    core_free(restored);
    free(bytes);
    printf("restore: %ld\n", failed);
}

/* A pool by itself says NULL, and false. */
static void try_pool(void) {
    struct book_pool *pool = NULL;
    struct book *book = NULL;
    long failed = 0;
    for (; !pool; failed++) {
        left = failed;
        pool = book_pool_open(10, 0);
    }
    for (; !book; failed++) {
        left = 0;
        if (failed % 2) left = -1;
        book = book_open(pool, 0);
    }
    bool is_grown = false;
    for (long more = 0; !is_grown; more++, failed++) {
        left = more;
        is_grown = book_pool_set_limit(pool, 1000);
        FUZZ_CHECK_ZERO(book_pool_validate(pool));
        FUZZ_CHECK(book_pool_room(pool) == (is_grown ? 1000 : 10));
    }
    left = -1;
    book_close(book);
    book_pool_close(pool);
    printf("a pool and a book: %ld\n", failed);
}

int main(void) {
    struct driven driven;
    struct grammar grammar;
    try_opening();
    open_world(&driven, &grammar);
    try_growing(&driven, &grammar);
    try_restoring(&driven);
    driven_close(&driven);
    try_pool();
    return 0;
}
