/* What one operation on a book takes against how many orders rest there; the results as one line of JSON.
 *
 *     book_depth time DEPTH LEVELS ROUNDS      each operation by itself
 *     book_depth count DEPTH LEVELS ROUNDS     the same without clocks, to count instructions under
 *
 * DEPTH orders rest on LEVELS neighbouring prices a side. A round is: place one that rests, cancel one, amend one (a tick
 * further away and one lot more, so it goes to the back), and fill the best one. All but the last are anywhere in the book,
 * by chance, so that what they touch is as cold as it is deep. After a round as many orders rest as before. */

#define _POSIX_C_SOURCE 200112L

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "book.h"
#include "timing.h"

#define MIDDLE INT64_C(6700800)
#define LOTS 10
#define REPORTS 64

enum operation { PLACE, CANCEL, AMEND, FILL, OPERATIONS };
static const char *const names[OPERATIONS] = {"place", "cancel", "amend", "fill"};

/* An order as its sender knows it: looking into the book would warm what is to be measured cold. */
struct known {
    int64_t price_ticks;
    int64_t lots;
    uint32_t position; /* in resting */
    uint8_t side;
};

struct bench {
    struct book *book;
    uint64_t chance;
    uint64_t last_id;
    uint64_t *resting;  /* ids, in any order */
    struct known *known; /* by id */
    uint32_t count;
    uint32_t levels;
    bool has_clock;
    uint32_t overhead;
    uint32_t *ticks[OPERATIONS];
    uint32_t rounds;
};

static struct book_report reports[REPORTS];

/* xorshift64 (Marsaglia 2003). */
static uint32_t draw_below(struct bench *bench, uint32_t limit) {
    bench->chance ^= bench->chance << 13;
    bench->chance ^= bench->chance >> 7;
    bench->chance ^= bench->chance << 17;
    return (uint32_t)((bench->chance >> 32) * limit >> 32);
}

static void must(enum book_result result) {
    if (result != BOOK_DONE) exit(1);
}

/* ---- What rests ----------------------------------------------------------------------------------------------- */

static void remember(struct bench *bench, const struct book_taker *taker, int64_t lots) {
    uint64_t id = taker->entry.order_id;
    bench->known[id] = (struct known){taker->price_ticks, lots, bench->count, taker->entry.side};
    bench->resting[bench->count++] = id;
}

static void forget(struct bench *bench, uint64_t id) {
    uint64_t last = bench->resting[--bench->count];
    bench->resting[bench->known[id].position] = last;
    bench->known[last].position = bench->known[id].position;
}

static uint64_t any_resting(struct bench *bench) { return bench->resting[draw_below(bench, bench->count)]; }

static int64_t price_at(uint8_t side, uint32_t level) { return side == BOOK_SELL ? MIDDLE + 1 + level : MIDDLE - 1 - level; }

/* ---- Operations, each between two readings of the clock -------------------------------------------------------- */

static void keep(struct bench *bench, enum operation operation, uint64_t ticks) {
    if (bench->has_clock) bench->ticks[operation][bench->rounds] = ticks > bench->overhead ? (uint32_t)ticks - bench->overhead : 0;
}

static uint64_t now(const struct bench *bench) { return bench->has_clock ? timing_begin() : 0; }
static uint64_t then(const struct bench *bench) { return bench->has_clock ? timing_end() : 0; }

static uint64_t place(struct bench *bench, uint8_t side, int64_t price_ticks) {
    struct book_taker taker = {
        .entry = {.order_id = ++bench->last_id, .owner = (uint32_t)bench->last_id, .side = side},
        .price_ticks = price_ticks,
        .lots = LOTS,
    };
    size_t used = 0;
    uint64_t begin = now(bench);
    must(book_place(bench->book, &taker, reports, REPORTS, &used));
    uint64_t took = then(bench) - begin;
    remember(bench, &taker, LOTS);
    return took;
}

static uint64_t place_anywhere(struct bench *bench) {
    uint8_t side = (uint8_t)draw_below(bench, 2);
    return place(bench, side, price_at(side, draw_below(bench, bench->levels)));
}

static uint64_t cancel_any(struct bench *bench) {
    uint64_t id = any_resting(bench);
    size_t used = 0;
    uint64_t begin = now(bench);
    must(book_cancel(bench->book, id, reports, REPORTS, &used));
    uint64_t took = then(bench) - begin;
    forget(bench, id);
    return took;
}

static uint64_t amend_any(struct bench *bench) {
    uint64_t id = any_resting(bench);
    struct known *known = &bench->known[id];
    known->price_ticks += known->side == BOOK_SELL ? 1 : -1;
    known->lots++;
    struct book_taker taker = {.entry = {.order_id = id}, .price_ticks = known->price_ticks, .lots = known->lots};
    size_t used = 0;
    uint64_t begin = now(bench);
    must(book_amend(bench->book, &taker, reports, REPORTS, &used));
    return then(bench) - begin;
}

static uint64_t fill_best(struct bench *bench) {
    uint8_t side = (uint8_t)draw_below(bench, 2);
    if (book_best_order(bench->book, side) == BOOK_NONE) side ^= 1;
    struct book_order best = *book_order_at(bench->book->pool, book_best_order(bench->book, side));
    struct book_taker taker = {
        .entry = {.order_id = ++bench->last_id, .side = side ^ 1},
        .price_ticks = best.price_ticks,
        .lots = best.remaining_lots,
        .time_in_force = BOOK_IOC,
    };
    size_t used = 0;
    uint64_t begin = now(bench);
    must(book_place(bench->book, &taker, reports, REPORTS, &used));
    uint64_t took = then(bench) - begin;
    forget(bench, best.order_id);
    place(bench, best.side, best.price_ticks);
    return took;
}

/* ---- Runs ----------------------------------------------------------------------------------------------------- */

/* DEPTH orders, every level in turn, and then the rounds. */
static void run(struct bench *bench, uint32_t depth, uint32_t rounds) {
    for (uint32_t i = 0; i < depth; i++) place(bench, i & 1, price_at(i & 1, i / 2 % bench->levels));
    for (bench->rounds = 0; bench->rounds < rounds; bench->rounds++) {
        keep(bench, PLACE, place_anywhere(bench));
        keep(bench, CANCEL, cancel_any(bench));
        keep(bench, AMEND, amend_any(bench));
        keep(bench, FILL, fill_best(bench));
    }
    if (book_validate(bench->book) != 0) exit(1);
}

/* The mean leaves out the slowest hundredth: interrupts. */
static void print_operation(struct bench *bench, enum operation operation, double ns) {
    uint32_t *ticks = bench->ticks[operation], rounds = bench->rounds;
    timing_sort(ticks, rounds);
    double sum = 0;
    size_t most = rounds - rounds / 100;
    for (size_t i = 0; i < most; i++) sum += ticks[i];
    printf("\"%s_ns\": %.1f, \"%s_p99_ns\": %.1f, ", names[operation], ns * sum / (double)most, names[operation],
           ns * timing_quantile(ticks, rounds, 0.99));
}

static void open_bench(struct bench *bench, uint32_t depth, uint32_t rounds) {
    size_t ids = (size_t)depth + 3 * (size_t)rounds + 1;
    struct book_pool *pool = book_pool_open(depth + 2, 0);
    bench->book = pool ? book_open(pool, 0) : NULL;
    bench->resting = calloc(ids, sizeof *bench->resting);
    bench->known = calloc(ids, sizeof *bench->known);
    if (!bench->book || !bench->resting || !bench->known) exit(1);
    for (int i = 0; i < OPERATIONS; i++) {
        bench->ticks[i] = calloc((size_t)rounds + 1, sizeof *bench->ticks[i]);
        if (!bench->ticks[i]) exit(1);
    }
}

static void close_bench(struct bench *bench) {
    struct book_pool *pool = bench->book->pool;
    book_close(bench->book);
    book_pool_close(pool);
    free(bench->resting);
    free(bench->known);
    for (int i = 0; i < OPERATIONS; i++) free(bench->ticks[i]);
}

int main(int count, char **arguments) {
    if (count != 5) {
        fprintf(stderr, "What this takes stands at the top of book_depth.c.\n");
        return 2;
    }
    uint32_t depth = (uint32_t)strtoul(arguments[2], NULL, 10), rounds = (uint32_t)strtoul(arguments[4], NULL, 10);
    struct bench bench = {.chance = 88172645463325252u, .levels = (uint32_t)strtoul(arguments[3], NULL, 10)};
    bench.has_clock = strcmp(arguments[1], "time") == 0;
    if (bench.has_clock) bench.overhead = timing_overhead();
    open_bench(&bench, depth, rounds);
    run(&bench, depth, rounds);
    uint32_t levels = bench.book->half[0].level_count + bench.book->half[1].level_count;
    printf("{\"orders\": %" PRIu32 ", \"levels\": %" PRIu32 ", ", depth, levels);
    double ns = bench.has_clock ? timing_ns_per_tick() : 0;
    for (int i = 0; bench.has_clock && i < OPERATIONS; i++) print_operation(&bench, (enum operation)i, ns);
    printf("\"rounds\": %" PRIu32 "}\n", bench.rounds);
    close_bench(&bench);
    return 0;
}
