/* Long random runs of several books of one pool against the simple reference: equal results, equal reports, equal
 * books, every rule of the validators kept; now and then a book is written down and built anew, or the pool grows.
 *
 *     book_random SEED COMMANDS
 *
 * The seed also chooses how prices move, since each way wears another part of the book. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "book.h"
#include "book_reference.h"

#define BOOKS 3
#define OWNERS 6
#define NO_ORDER UINT64_MAX

#define CHECK(holds)                                                                                                  \
    do {                                                                                                              \
        if (!(holds)) {                                                                                               \
            fprintf(stderr, "%s:%d: seed %" PRIu64 " command %ld: %s\n", __FILE__, __LINE__, run.seed, run.command,   \
                    #holds);                                                                                          \
            exit(1);                                                                                                  \
        }                                                                                                             \
    } while (0)

/* How prices are chosen around a middle that moves. */
enum style { TIGHT, WIDE, CRASH, GAPS, EXTREME, STYLES };

static struct {
    uint64_t seed;
    uint64_t state;
    long command;
    enum style style;
    uint64_t next_id;
    uint32_t open_target;
    int64_t middle_ticks;
    struct book_pool *pool;
    struct book *book[BOOKS];
    struct reference_pool shared;
    struct reference *reference[BOOKS];
    struct book_report reports[REFERENCE_REPORTS];
    int report_count;
    long results[BOOK_POST_ONLY_WOULD_TRADE + 1];
    long trades;
    uint32_t most_orders;
    uint32_t most_levels;
    uint32_t most_nodes;
} run;

/* splitmix64 */
static uint64_t random64(void) {
    uint64_t z = run.state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

static int64_t below(int64_t bound) { return (int64_t)(random64() % (uint64_t)bound); }

/* Mostly near 0, sometimes near the bound. */
static int64_t far_out(int64_t bound) {
    int64_t range = 1 + below(bound);
    range = 1 + below(range);
    return below(1 + below(range));
}

static int64_t within(int64_t value, int64_t least, int64_t most) {
    return value < least ? least : value > most ? most : value;
}

static void move_middle(void) {
    int64_t step = 0;
    if (run.style == WIDE) step = below(21) - 10;
    if (run.style == CRASH) step = (run.command / 3000 % 2 ? 1 : -1) * below(30);
    if (run.style == GAPS && below(500) == 0) step = below(40001) - 20000;
    run.middle_ticks = within(run.middle_ticks + step, 1000, 10000000);
}

/* Usually on its own side of the middle; sometimes across it. */
static int64_t some_price(int side) {
    if (run.style == EXTREME) return within(INT64_C(1) << below(63), 1, BOOK_MAX_PRICE - below(2));
    int64_t spread[STYLES] = {[TIGHT] = 20, [WIDE] = 30000, [CRASH] = 2000, [GAPS] = 12000};
    int64_t away = far_out(spread[run.style]) - (below(10) == 0 ? far_out(spread[run.style]) : 0);
    if (run.style == GAPS && below(3) > 0) away = 5000 + below(6000) / 3 * 3;
    return within(side == BOOK_BUY ? run.middle_ticks - away : run.middle_ticks + away, 1, BOOK_MAX_PRICE);
}

static int64_t some_lots(void) {
    if (run.style == EXTREME && below(4) == 0) return within((INT64_C(1) << below(63)) + below(3), 1, BOOK_MAX_LOTS);
    return 1 + far_out(50);
}

static int some_book(void) { return (int)below(BOOKS); }

/* The id of an order that rests, mostly; else one that never was. */
static uint64_t some_id(int at) {
    int side = (int)below(2);
    if (run.reference[at]->side[side].count == 0) side = !side;
    struct reference_side *from = &run.reference[at]->side[side];
    if (from->count == 0 || below(50) == 0) return NO_ORDER;
    int64_t index = below(3) ? below(from->count) : far_out(from->count);
    return from->orders[index].order_id;
}

static uint64_t new_id(int at) {
    uint64_t taken = below(100) == 0 ? some_id(at) : NO_ORDER;
    if (taken != NO_ORDER) return taken;
    run.next_id += run.seed % 3 == 0 ? 1 : run.seed % 3 == 1 ? 1024 : 1 + random64() % (UINT64_C(1) << 40);
    return run.next_id;
}

/* Call the book with buffers of random sizes until it is done, gathering all reports. */
static enum book_result drain(enum book_result result, struct book *book, struct book_taker *taker, size_t used) {
    run.report_count = (int)used;
    while (result == BOOK_MORE) {
        size_t capacity = BOOK_MIN_REPORTS + (size_t)below(20);
        size_t more = 0;
        CHECK(run.report_count + capacity <= REFERENCE_REPORTS);
        result = book_continue(book, taker, run.reports + run.report_count, capacity, &more);
        CHECK(more <= capacity && (more > 0 || result == BOOK_MORE));
        run.report_count += (int)more;
    }
    return result;
}

static void compare(int at, enum book_result ours, enum book_result theirs) {
    struct reference *reference = run.reference[at];
    if (ours != theirs) fprintf(stderr, "result %d, expected %d\n", ours, theirs);
    CHECK(ours == theirs);
    CHECK(run.report_count == reference->report_count);
    CHECK(memcmp(run.reports, reference->reports, sizeof *run.reports * (size_t)run.report_count) == 0);
    run.results[ours]++;
    for (int n = 0; n < run.report_count; n++) run.trades += run.reports[n].kind == BOOK_TRADE;
}

static void place(int at) {
    struct book_taker taker = {0};
    int side = (int)below(2);
    taker.entry = (struct book_entry){new_id(at), (uint32_t)below(OWNERS), (uint8_t)side, (uint8_t)below(5),
                                      below(10) == 0};
    taker.type = below(12) == 0 ? BOOK_MARKET : BOOK_LIMIT;
    taker.time_in_force = taker.type == BOOK_MARKET ? BOOK_IOC : (uint8_t)within(below(12) - 9, 0, 2);
    taker.price_ticks = taker.type == BOOK_MARKET && below(2) ? BOOK_ANY_PRICE : some_price(side);
    taker.lots = below(40) == 0 ? 1 + below(3000) : some_lots();
    if (below(300) == 0) taker.lots = below(3) - 2;
    struct book_taker copy = taker;
    size_t used = 0;
    enum book_result result =
        book_place(run.book[at], &taker, run.reports, BOOK_MIN_REPORTS + (size_t)below(20), &used);
    result = drain(result, run.book[at], &taker, used);
    compare(at, result, reference_place(run.reference[at], copy));
}

static void amend(int at) {
    struct book_taker taker = {0};
    taker.entry.order_id = some_id(at);
    struct reference_order *order = reference_find(run.reference[at], taker.entry.order_id);
    taker.price_ticks = order == NULL ? 100 : below(2) ? order->price_ticks : some_price(order->side);
    taker.lots = order == NULL || below(2) ? some_lots() : 1 + below(order->lots);
    struct book_taker copy = taker;
    size_t used = 0;
    enum book_result result =
        book_amend(run.book[at], &taker, run.reports, BOOK_MIN_REPORTS + (size_t)below(20), &used);
    result = drain(result, run.book[at], &taker, used);
    compare(at, result, reference_amend(run.reference[at], copy.entry.order_id, copy.price_ticks, copy.lots));
}

static void cancel(int at) {
    uint64_t order_id = some_id(at);
    size_t used = 0;
    enum book_result result = book_cancel(run.book[at], order_id, run.reports, BOOK_MIN_REPORTS, &used);
    run.report_count = (int)used;
    compare(at, result, reference_cancel(run.reference[at], order_id));
}

/* Every order where the reference has it. */
static void compare_books(int at) {
    struct book *book = run.book[at];
    CHECK(book->next_priority == run.reference[at]->next_priority);
    for (int side = 0; side < 2; side++) {
        struct reference_side *theirs = &run.reference[at]->side[side];
        uint32_t slot = book_best_order(book, (enum book_side)side);
        for (int n = 0; n < theirs->count; n++, slot = book_next_order(book, slot)) {
            CHECK(slot != BOOK_NONE);
            const struct book_order *ours = book_order_at(run.pool, slot);
            CHECK(ours->order_id == theirs->orders[n].order_id && ours->owner == theirs->orders[n].owner);
            CHECK(ours->price_ticks == theirs->orders[n].price_ticks);
            CHECK(ours->remaining_lots == theirs->orders[n].lots);
            CHECK(ours->priority == theirs->orders[n].priority);
            CHECK(book_find(run.pool, ours->order_id) == slot);
        }
        CHECK(slot == BOOK_NONE);
    }
}

static void validate(void) {
    for (int at = 0; at < BOOKS; at++) {
        int broken = book_validate(run.book[at]);
        if (broken) fprintf(stderr, "book_validate.c:%d\n", broken);
        CHECK(broken == 0);
        compare_books(at);
    }
    int broken = book_pool_validate(run.pool);
    if (broken) fprintf(stderr, "book_validate.c:%d\n", broken);
    CHECK(broken == 0);
    CHECK(run.pool->order_count == run.shared.order_count);
}

/* Copy the orders of a book into an empty one: stamps and all, as a restore does. */
static void copy_book(const struct book *from, struct book *to) {
    for (int side = 0; side < 2; side++) {
        uint32_t slot = book_best_order(from, (enum book_side)side);
        for (; slot != BOOK_NONE; slot = book_next_order(from, slot)) {
            const struct book_order *order = book_order_at(from->pool, slot);
            struct book_entry entry = {order->order_id, order->owner, order->side, order->self_trade, order->post_only};
            uint32_t copy = book_claim(to, &entry);
            CHECK(copy != BOOK_NONE);
            book_attach_stamped(to, copy, order->price_ticks, order->remaining_lots, order->priority);
        }
    }
    CHECK(to->next_priority <= from->next_priority);
    to->next_priority = from->next_priority;
}

/* Go on with copies of the books in a new pool. */
static void restore(void) {
    struct book_pool *pool = book_pool_open(run.shared.order_limit, run.pool->ids.id_shift);
    for (int at = 0; at < BOOKS; at++) {
        struct book *book = book_open(pool, (uint32_t)at);
        copy_book(run.book[at], book);
        book_close(run.book[at]);
        run.book[at] = book;
    }
    book_pool_close(run.pool);
    run.pool = pool;
}

static void set_limit(void) {
    uint32_t limit = 1 + (uint32_t)below(2 * run.open_target);
    CHECK(book_pool_set_limit(run.pool, limit));
    /* A limit below what is open refuses, but a restored pool must be able to hold it. */
    if (limit < run.pool->order_count) {
        limit = run.pool->order_count;
        CHECK(book_pool_set_limit(run.pool, limit));
    }
    run.shared.order_limit = limit;
}

/* Now and then everything goes, as in a mass cancel. */
static void cancel_everything(int at) {
    for (int side = 0; side < 2; side++) {
        while (run.reference[at]->side[side].count > 0) {
            uint64_t order_id = run.reference[at]->side[side].orders[0].order_id;
            size_t used = 0;
            enum book_result result = book_cancel(run.book[at], order_id, run.reports, BOOK_MIN_REPORTS, &used);
            run.report_count = (int)used;
            compare(at, result, reference_cancel(run.reference[at], order_id));
        }
    }
}

static uint32_t larger(uint32_t one, uint32_t other) { return one > other ? one : other; }

/* How much of the book the run has worn. */
static void note_sizes(void) {
    run.most_orders = larger(run.most_orders, run.pool->order_count);
    run.most_levels = larger(run.most_levels, run.pool->level_count);
    run.most_nodes = larger(run.most_nodes, run.pool->node_count);
}

static void one_command(void) {
    int at = some_book();
    move_middle();
    int64_t choice = below(100);
    bool full = run.shared.order_count > run.open_target;
    if (choice < (full ? 30 : 70)) {
        place(at);
    } else if (choice < (full ? 45 : 80)) {
        amend(at);
    } else {
        cancel(at);
    }
    note_sizes();
    if (below(20000) == 0) cancel_everything(at);
    if (below(5000) == 0) set_limit();
    if (below(2000) == 0) restore();
    if (below(200) == 0) validate();
}

static void begin(uint64_t seed) {
    run.seed = run.state = seed;
    run.style = (enum style)(seed % STYLES);
    run.open_target = seed / STYLES % 3 == 0 ? 60 : seed / STYLES % 3 == 1 ? 600 : 3000;
    run.middle_ticks = 100000;
    run.next_id = seed % 3 == 1 ? 7 : 0;
    run.shared = (struct reference_pool){0, run.open_target + run.open_target / 2};
    run.pool = book_pool_open(run.shared.order_limit, seed % 3 == 1 ? 10 : 0);
    for (int at = 0; at < BOOKS; at++) {
        run.book[at] = book_open(run.pool, (uint32_t)at);
        run.reference[at] = malloc(sizeof *run.reference[at]);
        reference_open(run.reference[at], &run.shared);
    }
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    begin(strtoull(argv[1], NULL, 10));
    long commands = strtol(argv[2], NULL, 10);
    for (run.command = 0; run.command < commands; run.command++) one_command();
    validate();
    printf("seed %" PRIu64 ": %ld commands, %ld trades, results", run.seed, commands, run.trades);
    for (int n = 0; n <= BOOK_POST_ONLY_WOULD_TRADE; n++) printf(" %ld", run.results[n]);
    printf(", at most %u orders, %u levels, %u far nodes\n", run.most_orders, run.most_levels, run.most_nodes);
    for (int at = 0; at < BOOKS; at++) {
        book_close(run.book[at]);
        free(run.reference[at]);
    }
    book_pool_close(run.pool);
    return 0;
}
