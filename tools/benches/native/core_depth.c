/* What one command to the core takes against how many orders rest in its market; the results as one line of JSON.
 *
 *     core_depth DEPTH LEVELS ROUNDS
 *
 * DEPTH orders of 10,000 accounts rest on LEVELS neighbouring prices a side. A round is a record each of: orders that rest,
 * cancels, amends (a tick further away, so they go to the back), and orders that each fill the best one; all but the last
 * anywhere in the book, by chance. A record has up to 64 commands, and fewer than a quarter of the orders; what a record with
 * nothing but a tick takes comes off, so what is left is the commands' own. After a round as many orders rest as before.
 *
 * The first 50,000 orders are not timed: ids spread over all of their map, and until each of its pages has been touched once
 * the kernel's work would be measured. */

#define _POSIX_C_SOURCE 200112L

#include <inttypes.h>
#include <stdlib.h>

#include "core.h"
#include "market.h"
#include "timing.h"

enum { LOTS = 10, MOST_COMMANDS = 64, SHARDS = 1024, WARM_ORDERS = 50000 };
enum operation { PLACE, CANCEL, AMEND, FILL, TICK, OPERATIONS };
static const char *const names[OPERATIONS] = {"place", "cancel", "amend", "fill", "tick"};

/* An order as its sender knows it. Ids are their numbers here × 1024. */
struct known {
    int64_t price_ticks;
    uint32_t position; /* in resting */
    uint32_t account;
    uint8_t side;
};

struct bench {
    struct market *market;
    uint64_t chance;
    struct known *known; /* by number, from 1 */
    uint32_t *resting;   /* numbers, in any order */
    uint32_t last, count;
    uint32_t levels;
    uint32_t commands; /* in a record */
    uint32_t *took_ns[OPERATIONS];
    uint32_t rounds;
};

/* xorshift64 (Marsaglia 2003). */
static uint32_t draw_below(struct bench *bench, uint32_t limit) {
    bench->chance ^= bench->chance << 13;
    bench->chance ^= bench->chance >> 7;
    bench->chance ^= bench->chance << 17;
    return (uint32_t)((bench->chance >> 32) * limit >> 32);
}

static const struct book *book_of(const struct bench *bench) { return bench->market->core->instruments[0].book; }

static void forget(struct bench *bench, uint32_t number) {
    uint32_t last = bench->resting[--bench->count];
    bench->resting[bench->known[number].position] = last;
    bench->known[last].position = bench->known[number].position;
}

/* ---- Commands ------------------------------------------------------------------------------------------------- */

static void place_at(struct bench *bench, uint8_t side, int64_t price_ticks) {
    uint32_t number = ++bench->last, account = draw_below(bench, SCENARIO_ACCOUNTS);
    bench->known[number] = (struct known){price_ticks, bench->count, account, side};
    bench->resting[bench->count++] = number;
    market_place(bench->market, 0, account, side, price_ticks, LOTS, false);
}

static int64_t price_at(uint8_t side, uint32_t level) {
    return side == BOOK_SELL ? SCENARIO_MIDDLE + 1 + level : SCENARIO_MIDDLE - 1 - level;
}

static void place_anywhere(struct bench *bench) {
    uint8_t side = (uint8_t)draw_below(bench, 2);
    place_at(bench, side, price_at(side, draw_below(bench, bench->levels)));
}

static void cancel_any(struct bench *bench) {
    uint32_t number = bench->resting[draw_below(bench, bench->count)];
    struct codec_command *command = market_next(bench->market, COMMAND_CANCEL_ORDER, bench->known[number].account);
    command->cancel_order.order_id = (uint64_t)number * SHARDS;
    forget(bench, number);
}

static void amend_any(struct bench *bench) {
    uint32_t number = bench->resting[draw_below(bench, bench->count)];
    struct known *known = &bench->known[number];
    known->price_ticks += known->side == BOOK_SELL ? 1 : -1;
    struct codec_command *command = market_next(bench->market, COMMAND_AMEND_ORDER, known->account);
    command->amend_order.order_id = (uint64_t)number * SHARDS;
    command->amend_order.price_ticks = known->price_ticks;
}

/* ---- Records -------------------------------------------------------------------------------------------------- */

static void apply(struct bench *bench, enum operation operation) {
    if (operation == TICK) {
        market_tick(bench->market);
    } else {
        market_flush(bench->market);
    }
    bench->took_ns[operation][bench->rounds] = (uint32_t)bench->market->ns;
}

/* The best orders of one side are filled one by one, and as many placed where they were. All orders are of one size. */
static void fill_best(struct bench *bench) {
    uint8_t side = (uint8_t)draw_below(bench, 2);
    int64_t prices[MOST_COMMANDS];
    if (book_of(bench)->half[side].order_count < bench->commands) side ^= 1;
    uint32_t slot = book_best_order(book_of(bench), side);
    for (uint32_t i = 0; i < bench->commands; i++) {
        const struct book_order *order = book_order_at(bench->market->core->pool, slot);
        prices[i] = order->price_ticks;
        forget(bench, (uint32_t)(order->order_id / SHARDS));
        slot = book_next_order(book_of(bench), slot);
        /* An account that has no orders: it trades with everybody. */
        market_place(bench->market, 0, SCENARIO_ACCOUNTS, side ^ 1, prices[i], LOTS, true);
        bench->last++;
    }
    apply(bench, FILL);
    for (uint32_t i = 0; i < bench->commands; i++) place_at(bench, side, prices[i]);
    market_flush(bench->market);
}

static void run_round(struct bench *bench) {
    for (uint32_t i = 0; i < bench->commands; i++) place_anywhere(bench);
    apply(bench, PLACE);
    for (uint32_t i = 0; i < bench->commands; i++) cancel_any(bench);
    apply(bench, CANCEL);
    for (uint32_t i = 0; i < bench->commands; i++) amend_any(bench);
    apply(bench, AMEND);
    fill_best(bench);
    apply(bench, TICK);
}

static void *room(size_t count, size_t size) {
    void *made = calloc(count, size);
    if (!made) exit(1);
    return made;
}

static void print_figures(struct bench *bench) {
    uint32_t medians[OPERATIONS];
    for (int i = 0; i < OPERATIONS; i++) {
        timing_sort(bench->took_ns[i], bench->rounds);
        medians[i] = timing_quantile(bench->took_ns[i], bench->rounds, 0.5);
    }
    for (int i = 0; i < TICK; i++) {
        double own_ns = medians[i] > medians[TICK] ? medians[i] - medians[TICK] : 0;
        printf("\"%s_ns\": %.1f, ", names[i], own_ns / bench->commands);
    }
    printf("\"tick_ns\": %" PRIu32 ", \"commands\": %" PRIu32 "}\n", medians[TICK], bench->commands);
}

int main(int count, char **arguments) {
    if (count != 4) {
        fprintf(stderr, "What this takes stands at the top of core_depth.c.\n");
        return 2;
    }
    uint32_t depth = (uint32_t)strtoul(arguments[1], NULL, 10), rounds = (uint32_t)strtoul(arguments[3], NULL, 10);
    struct bench bench = {.market = market_open(1, SCENARIO_ACCOUNTS + 1, NULL), .chance = 88172645463325252u};
    bench.levels = (uint32_t)strtoul(arguments[2], NULL, 10);
    bench.commands = depth / 4 < MOST_COMMANDS ? depth / 4 : MOST_COMMANDS;
    bench.known = room(depth + WARM_ORDERS + 3 * ((size_t)rounds + 1) * MOST_COMMANDS, sizeof *bench.known);
    bench.resting = room((size_t)depth + MOST_COMMANDS, sizeof *bench.resting);
    for (int i = 0; i < OPERATIONS; i++) bench.took_ns[i] = room(rounds, sizeof *bench.took_ns[i]);
    for (uint32_t i = 0; i < depth; i++) place_at(&bench, i & 1, price_at(i & 1, i / 2 % bench.levels));
    market_flush(bench.market);
    while (bench.last < WARM_ORDERS) run_round(&bench);
    for (; bench.rounds < rounds; bench.rounds++) run_round(&bench);
    if (bench.market->core->pool->order_count != depth || core_validate(bench.market->core) != 0) return 1;
    printf("{\"orders\": %" PRIu32 ", \"levels\": %" PRIu32 ", ", depth,
           book_of(&bench)->half[0].level_count + book_of(&bench)->half[1].level_count);
    print_figures(&bench);
    market_close(bench.market);
    free(bench.known);
    free(bench.resting);
    for (int i = 0; i < OPERATIONS; i++) free(bench.took_ns[i]);
    return 0;
}
