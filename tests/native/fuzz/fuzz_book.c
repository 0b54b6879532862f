/* Target: two books of one pool, beside the simple reference (book_reference.h): the same results, the same reports, and
 * after each call the validators find nothing. */

#include <stdlib.h>
#include <string.h>

#include "book.h"
#include "book_reference.h"
#include "fuzz.h"

enum { BOOKS = 2, MOST_CALLS = 400, MOST_LIMIT = 64, MOST_CAPACITY = 8 };

static struct reference references[BOOKS];
static struct book_report reports[REFERENCE_REPORTS];

struct run {
    struct book_pool *pool;
    struct book *books[BOOKS];
    struct reference_pool shared;
    struct fuzz_input input;
    uint64_t ids;
};

/* Near others, far out, or where limits lie. */
static int64_t draw_price(struct run *run) {
    uint8_t choice = fuzz_byte(&run->input);
    if (choice < 0x80) return 1000 + choice % 16;
    if (choice < 0xc0) return 1000 + (int64_t)(choice - 0x80) * 97;
    if (choice < 0xe0) return INT64_C(1) << (choice - 0xc0) * 2;
    return (int64_t)fuzz_edge(choice);
}

static int64_t draw_lots(struct run *run) {
    uint8_t choice = fuzz_byte(&run->input);
    return choice < 0xe0 ? choice % 40 : (int64_t)fuzz_edge(choice);
}

/* One that was given, or will be. Ids of the second book are odd: the reference looks for an id in its own book alone, and one
 * that is in use in the other must not be placed. */
static uint64_t draw_id(struct run *run, int at) {
    return (1 + (fuzz_byte(&run->input) + run->ids) % (run->ids + 2)) * BOOKS + (uint64_t)at;
}

static void compare(const struct run *run, int at, int result, int expected, size_t count) {
    const struct reference *reference = &references[at];
    FUZZ_CHECK(result == expected && count == (size_t)reference->report_count);
    FUZZ_CHECK(count == 0 || memcmp(reports, reference->reports, count * sizeof *reports) == 0);
    fuzz_note_state("result", (uint64_t)result);
    for (int book = 0; book < BOOKS; book++) FUZZ_CHECK_ZERO(book_validate(run->books[book]));
    FUZZ_CHECK_ZERO(book_pool_validate(run->pool));
    FUZZ_CHECK(run->pool->order_count == run->shared.order_count);
}

/* Go on until the book is done, the buffer never larger than the input says. */
static size_t finish(struct run *run, struct book *book, struct book_taker *taker, enum book_result *result, size_t used) {
    while (*result == BOOK_MORE) {
        size_t more = 0;
        size_t capacity = BOOK_MIN_REPORTS + fuzz_byte(&run->input) % MOST_CAPACITY;
        FUZZ_CHECK(used + capacity <= REFERENCE_REPORTS);
        *result = book_continue(book, taker, reports + used, capacity, &more);
        FUZZ_CHECK(more <= capacity);
        used += more;
    }
    return used;
}

static void place(struct run *run, int at, uint8_t shape) {
    bool is_new = fuzz_byte(&run->input) < 0xf0;
    struct book_taker taker = {
        .entry = {is_new ? ++run->ids * BOOKS + (uint64_t)at : draw_id(run, at), shape % 3, shape >> 2 & 1,
                  (uint8_t)(shape >> 3) % (BOOK_SELF_TRADE_DECREMENT + 1), shape >= 0xe0},
        .price_ticks = draw_price(run),
        .lots = draw_lots(run),
    };
    uint8_t choice = fuzz_byte(&run->input);
    taker.type = choice % 8 == 7 ? BOOK_MARKET : BOOK_LIMIT;
    taker.time_in_force = choice % 8 == 7 ? BOOK_IOC : choice % 8 < 4 ? BOOK_GTC : choice / 8 % 3;
    struct book_taker copy = taker;
    size_t used = 0;
    size_t capacity = BOOK_MIN_REPORTS + choice % MOST_CAPACITY;
    enum book_result result = book_place(run->books[at], &taker, reports, capacity, &used);
    used = finish(run, run->books[at], &taker, &result, used);
    compare(run, at, result, reference_place(&references[at], copy), used);
}

static void amend(struct run *run, int at, int whose) {
    struct book_taker taker = {0};
    taker.entry.order_id = draw_id(run, whose);
    taker.price_ticks = draw_price(run);
    taker.lots = draw_lots(run);
    struct book_taker copy = taker;
    size_t used = 0;
    enum book_result result = book_amend(run->books[at], &taker, reports, BOOK_MIN_REPORTS, &used);
    used = finish(run, run->books[at], &taker, &result, used);
    int expected = reference_amend(&references[at], copy.entry.order_id, copy.price_ticks, copy.lots);
    compare(run, at, result, expected, used);
}

static void cancel(struct run *run, int at, int whose) {
    uint64_t id = draw_id(run, whose);
    size_t used = 0;
    enum book_result result = book_cancel(run->books[at], id, reports, BOOK_MIN_REPORTS, &used);
    compare(run, at, result, reference_cancel(&references[at], id), used);
}

static void set_limit(struct run *run) {
    uint32_t limit = fuzz_byte(&run->input) % (4 * MOST_LIMIT);
    bool is_possible = limit >= 1;
    FUZZ_CHECK(book_pool_set_limit(run->pool, limit) == is_possible);
    if (is_possible) run->shared.order_limit = limit;
}

static void one_call(struct run *run) {
    uint8_t choice = fuzz_byte(&run->input);
    int at = choice >> 7;
    int whose = choice >> 3 & 7 ? at : !at;
    switch (choice % 8) {
    case 0:
    case 1: cancel(run, at, whose); break;
    case 2: amend(run, at, whose); break;
    case 3: choice / 8 % 8 == 1 ? set_limit(run) : amend(run, at, at); break;
    default: place(run, at, fuzz_byte(&run->input));
    }
}

/* As reference_open, which clears two megabytes. */
static void clear(struct reference *reference, struct reference_pool *shared) {
    reference->pool = shared;
    reference->next_priority = 1;
    reference->side[0].count = reference->side[1].count = reference->report_count = 0;
}

void fuzz_book(const uint8_t *bytes, size_t length) {
    struct run run = {.input = {bytes, bytes + length}};
    uint8_t choice = fuzz_byte(&run.input);
    run.shared = (struct reference_pool){0, 1 + choice % MOST_LIMIT};
    run.pool = book_pool_open(run.shared.order_limit, choice >> 6);
    for (int at = 0; at < BOOKS; at++) {
        run.books[at] = book_open(run.pool, (uint32_t)at);
        clear(&references[at], &run.shared);
    }
    for (int calls = 0; calls < MOST_CALLS && !fuzz_is_over(&run.input); calls++) one_call(&run);
    for (int at = 0; at < BOOKS; at++) book_close(run.books[at]);
    book_pool_close(run.pool);
}
