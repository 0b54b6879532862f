/* Small stories about the book, one a rule or a limit. Run without arguments: all of them, in this order; stops at the
 * first that fails, with its line. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "book.h"

#define CHECK(holds)                                                                                                  \
    do {                                                                                                              \
        if (!(holds)) {                                                                                               \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #holds);                                               \
            exit(1);                                                                                                  \
        }                                                                                                             \
    } while (0)

/* One pool, one book, the last call's reports. */
static struct {
    struct book_pool *pool;
    struct book *book;
    struct book_report reports[256];
    size_t used;
} at;

enum { ALICE = 1, BOB = 2, CAROL = 3 };

static void begin(uint32_t order_limit) {
    at.pool = book_pool_open(order_limit, 0);
    at.book = at.pool ? book_open(at.pool, 7) : NULL;
    CHECK(at.book != NULL);
}

static void end(void) {
    CHECK(book_validate(at.book) == 0);
    CHECK(book_pool_validate(at.pool) == 0);
    book_close(at.book);
    book_pool_close(at.pool);
}

static struct book_taker limit(uint64_t id, uint32_t owner, enum book_side side, int64_t lots, int64_t price_ticks) {
    return (struct book_taker){.entry = {.order_id = id, .owner = owner, .side = (uint8_t)side},
                               .price_ticks = price_ticks,
                               .lots = lots};
}

static enum book_result place(struct book_taker taker) {
    at.used = 0;
    return book_place(at.book, &taker, at.reports, 256, &at.used);
}

static enum book_result rest(uint64_t id, uint32_t owner, enum book_side side, int64_t lots, int64_t price_ticks) {
    return place(limit(id, owner, side, lots, price_ticks));
}

static enum book_result cancel(uint64_t id) {
    at.used = 0;
    return book_cancel(at.book, id, at.reports, 256, &at.used);
}

static enum book_result amend(uint64_t id, int64_t lots, int64_t price_ticks) {
    struct book_taker taker = limit(id, 0, BOOK_BUY, lots, price_ticks);
    at.used = 0;
    return book_amend(at.book, &taker, at.reports, 256, &at.used);
}

static bool said(size_t n, int kind, uint64_t order_id, int64_t lots, int64_t left_lots) {
    const struct book_report *report = &at.reports[n];
    return n < at.used && report->kind == kind && report->order_id == order_id && report->lots == lots &&
           report->left_lots == left_lots;
}

static bool ended(size_t n, uint64_t order_id, int64_t left_lots, int reason) {
    return said(n, BOOK_ENDED, order_id, 0, left_lots) && at.reports[n].reason == reason;
}

static const struct book_order *order(uint64_t id) {
    uint32_t slot = book_find(at.pool, id);
    return slot == BOOK_NONE ? NULL : book_order_at(at.pool, slot);
}

/* ---- Rules ---------------------------------------------------------------------------------------------------- */

static void best_price_then_oldest_first_at_the_resting_price(void) {
    begin(10);
    rest(1, ALICE, BOOK_SELL, 5, 101);
    rest(2, BOB, BOOK_SELL, 5, 100);
    rest(3, ALICE, BOOK_SELL, 5, 100);
    CHECK(rest(4, CAROL, BOOK_BUY, 12, 105) == BOOK_DONE);
    CHECK(said(0, BOOK_ACCEPTED, 4, 12, 12) && at.reports[0].price_ticks == 105);
    CHECK(said(1, BOOK_TRADE, 2, 5, 0) && at.reports[1].price_ticks == 100 && at.reports[1].other_id == 4);
    CHECK(said(2, BOOK_TRADE, 3, 5, 0) && at.reports[2].price_ticks == 100);
    CHECK(said(3, BOOK_TRADE, 1, 2, 3) && at.reports[3].price_ticks == 101);
    CHECK(ended(4, 4, 0, BOOK_FILLED) && at.used == 5);
    CHECK(order(1)->remaining_lots == 3 && order(2) == NULL);
    end();
}

static void a_remainder_rests_expires_or_finds_no_liquidity(void) {
    begin(10);
    rest(1, ALICE, BOOK_SELL, 1, 100);
    CHECK(rest(2, BOB, BOOK_BUY, 3, 100) == BOOK_DONE && said(2, BOOK_RESTED, 2, 0, 2));
    struct book_taker taker = limit(3, CAROL, BOOK_SELL, 5, 100);
    taker.time_in_force = BOOK_IOC;
    CHECK(place(taker) == BOOK_DONE && ended(2, 3, 3, BOOK_IOC_REMAINDER));
    rest(4, ALICE, BOOK_BUY, 1, 90);
    rest(5, ALICE, BOOK_BUY, 1, 80);
    taker = limit(6, CAROL, BOOK_SELL, 5, 85);
    taker.type = BOOK_MARKET;
    taker.time_in_force = BOOK_IOC;
    CHECK(place(taker) == BOOK_DONE && said(1, BOOK_TRADE, 4, 1, 0) && ended(2, 6, 4, BOOK_NO_LIQUIDITY));
    taker.price_ticks = BOOK_ANY_PRICE;
    CHECK(place(taker) == BOOK_DONE && said(1, BOOK_TRADE, 5, 1, 0) && ended(2, 6, 4, BOOK_NO_LIQUIDITY));
    end();
}

/* Own order of 5, then one of another of 5 behind it; an incoming own order of 7 in each mode. */
static void self_trade(enum book_self_trade mode, int64_t lots) {
    begin(10);
    rest(1, ALICE, BOOK_SELL, 5, 100);
    rest(2, BOB, BOOK_SELL, 5, 100);
    struct book_taker taker = limit(3, ALICE, BOOK_BUY, lots, 100);
    taker.entry.self_trade = (uint8_t)mode;
    CHECK(place(taker) == BOOK_DONE);
}

static void self_trade_prevention_in_each_mode(void) {
    self_trade(BOOK_SELF_TRADE_NONE, 7);
    CHECK(said(1, BOOK_TRADE, 1, 5, 0) && said(2, BOOK_TRADE, 2, 2, 3) && ended(3, 3, 0, BOOK_FILLED));
    end();
    self_trade(BOOK_SELF_TRADE_CANCEL_MAKER, 7);
    CHECK(ended(1, 1, 5, BOOK_SELF_TRADE) && said(2, BOOK_TRADE, 2, 5, 0) && said(3, BOOK_RESTED, 3, 0, 2));
    end();
    self_trade(BOOK_SELF_TRADE_CANCEL_TAKER, 7);
    CHECK(ended(1, 3, 7, BOOK_SELF_TRADE) && at.used == 2 && order(1)->remaining_lots == 5);
    end();
    self_trade(BOOK_SELF_TRADE_CANCEL_BOTH, 7);
    CHECK(ended(1, 1, 5, BOOK_SELF_TRADE) && ended(2, 3, 7, BOOK_SELF_TRADE) && order(2)->remaining_lots == 5);
    end();
    self_trade(BOOK_SELF_TRADE_DECREMENT, 7);
    CHECK(said(1, BOOK_REDUCED, 1, 5, 0) && ended(2, 1, 0, BOOK_SELF_TRADE) && said(3, BOOK_REDUCED, 3, 5, 2));
    CHECK(said(4, BOOK_TRADE, 2, 2, 3) && ended(5, 3, 0, BOOK_FILLED));
    end();
    self_trade(BOOK_SELF_TRADE_DECREMENT, 3);
    CHECK(said(1, BOOK_REDUCED, 1, 3, 2) && said(2, BOOK_REDUCED, 3, 3, 0) && ended(3, 3, 0, BOOK_SELF_TRADE));
    end();
}

static enum book_result fill_or_kill(enum book_self_trade mode, int64_t lots) {
    struct book_taker taker = limit(9, ALICE, BOOK_BUY, lots, 101);
    taker.entry.self_trade = (uint8_t)mode;
    taker.time_in_force = BOOK_FOK;
    return place(taker);
}

static void fill_or_kill_looks_ahead_in_its_own_mode(void) {
    begin(10);
    rest(1, BOB, BOOK_SELL, 5, 100);
    rest(2, ALICE, BOOK_SELL, 5, 100);
    rest(3, BOB, BOOK_SELL, 5, 101);
    rest(4, BOB, BOOK_SELL, 5, 102);
    CHECK(fill_or_kill(BOOK_SELF_TRADE_NONE, 16) == BOOK_DONE && ended(1, 9, 16, BOOK_FOK_UNFILLABLE));
    CHECK(fill_or_kill(BOOK_SELF_TRADE_CANCEL_MAKER, 11) == BOOK_DONE && ended(1, 9, 11, BOOK_FOK_UNFILLABLE));
    for (int mode = BOOK_SELF_TRADE_CANCEL_TAKER; mode <= BOOK_SELF_TRADE_DECREMENT; mode++) {
        CHECK(fill_or_kill((enum book_self_trade)mode, 6) == BOOK_DONE && ended(1, 9, 6, BOOK_FOK_UNFILLABLE));
    }
    CHECK(order(2) != NULL && at.pool->order_count == 4);
    CHECK(fill_or_kill(BOOK_SELF_TRADE_DECREMENT, 5) == BOOK_DONE && ended(2, 9, 0, BOOK_FILLED));
    CHECK(order(2)->remaining_lots == 5);
    CHECK(fill_or_kill(BOOK_SELF_TRADE_CANCEL_MAKER, 4) == BOOK_DONE && ended(1, 2, 5, BOOK_SELF_TRADE));
    CHECK(said(2, BOOK_TRADE, 3, 4, 1) && ended(3, 9, 0, BOOK_FILLED));
    end();
}

static void post_only_is_refused_when_it_would_trade_and_stays_so(void) {
    begin(10);
    rest(1, ALICE, BOOK_SELL, 5, 100);
    struct book_taker taker = limit(2, ALICE, BOOK_BUY, 5, 100);
    taker.entry.post_only = 1;
    CHECK(place(taker) == BOOK_POST_ONLY_WOULD_TRADE && at.used == 0);
    taker.price_ticks = 99;
    CHECK(place(taker) == BOOK_DONE);
    CHECK(amend(2, 5, 100) == BOOK_POST_ONLY_WOULD_TRADE && order(2)->price_ticks == 99);
    CHECK(amend(2, 5, 98) == BOOK_DONE && order(2)->price_ticks == 98);
    taker.time_in_force = BOOK_IOC;
    CHECK(place(taker) == BOOK_BAD_ORDER);
    end();
}

static void only_less_at_the_same_price_keeps_the_place(void) {
    begin(10);
    rest(1, ALICE, BOOK_SELL, 5, 100);
    rest(2, BOB, BOOK_SELL, 5, 100);
    CHECK(amend(1, 2, 100) == BOOK_DONE && said(0, BOOK_AMENDED, 1, 2, 2) && at.used == 1);
    CHECK(amend(1, 2, 100) == BOOK_DONE && at.used == 1);
    CHECK(book_best_order(at.book, BOOK_SELL) == book_find(at.pool, 1));
    CHECK(amend(1, 3, 100) == BOOK_DONE && said(1, BOOK_RESTED, 1, 0, 3));
    CHECK(book_best_order(at.book, BOOK_SELL) == book_find(at.pool, 2));
    rest(3, CAROL, BOOK_BUY, 1, 95);
    CHECK(amend(2, 4, 94) == BOOK_DONE && said(1, BOOK_TRADE, 3, 1, 0) && at.reports[1].price_ticks == 95);
    CHECK(said(2, BOOK_RESTED, 2, 0, 3) && order(2)->price_ticks == 94);
    rest(4, CAROL, BOOK_BUY, 9, 90);
    CHECK(amend(2, 3, 90) == BOOK_DONE && ended(2, 2, 0, BOOK_FILLED) && order(2) == NULL);
    end();
}

/* ---- Refusals and limits -------------------------------------------------------------------------------------- */

static void refusals_change_nothing(void) {
    begin(2);
    CHECK(rest(1, ALICE, BOOK_BUY, 0, 100) == BOOK_BAD_ORDER && rest(1, ALICE, BOOK_BUY, 1, 0) == BOOK_BAD_ORDER);
    CHECK(rest(1, ALICE, BOOK_BUY, BOOK_MAX_LOTS + 1, 100) == BOOK_BAD_ORDER);
    CHECK(rest(1, ALICE, BOOK_BUY, 1, BOOK_MAX_PRICE + 1) == BOOK_BAD_ORDER);
    CHECK(cancel(1) == BOOK_ORDER_UNKNOWN && amend(1, 1, 1) == BOOK_ORDER_UNKNOWN);
    CHECK(rest(1, ALICE, BOOK_BUY, 1, 100) == BOOK_DONE && rest(1, ALICE, BOOK_BUY, 1, 100) == BOOK_ORDER_EXISTS);
    CHECK(rest(2, BOB, BOOK_BUY, BOOK_MAX_LOTS, 100) == BOOK_SIDE_FULL);
    CHECK(rest(2, BOB, BOOK_BUY, BOOK_MAX_LOTS - 1, 99) == BOOK_DONE);
    CHECK(rest(3, BOB, BOOK_SELL, 1, 101) == BOOK_POOL_FULL);
    CHECK(amend(1, 2, 100) == BOOK_SIDE_FULL && order(1)->remaining_lots == 1);
    struct book_taker taker = limit(3, CAROL, BOOK_SELL, 1, 100);
    CHECK(book_place(at.book, &taker, at.reports, BOOK_MIN_REPORTS - 1, &at.used) == BOOK_BUFFER_TOO_SMALL);
    taker.time_in_force = BOOK_IOC;
    CHECK(place(taker) == BOOK_DONE && said(1, BOOK_TRADE, 1, 1, 0));
    CHECK(rest(4, BOB, BOOK_SELL, 1, 100) == BOOK_DONE && rest(5, BOB, BOOK_SELL, 1, 100) == BOOK_POOL_FULL);
    CHECK(book_pool_set_limit(at.pool, 3) && rest(5, BOB, BOOK_SELL, 1, 100) == BOOK_DONE);
    CHECK(!book_pool_set_limit(at.pool, 0) && !book_pool_set_limit(at.pool, BOOK_MAX_ORDERS + 1));
    end();
}

static void books_of_one_pool_do_not_touch_each_other(void) {
    begin(4);
    struct book *other = book_open(at.pool, 8);
    rest(1, ALICE, BOOK_BUY, 5, 100);
    struct book *first = at.book;
    at.book = other;
    CHECK(rest(2, BOB, BOOK_SELL, 5, 90) == BOOK_DONE && said(1, BOOK_RESTED, 2, 0, 5));
    CHECK(cancel(1) == BOOK_ORDER_UNKNOWN && amend(1, 5, 80) == BOOK_ORDER_UNKNOWN);
    CHECK(rest(1, BOB, BOOK_SELL, 5, 90) == BOOK_ORDER_EXISTS);
    CHECK(book_validate(other) == 0 && order(2)->book == 8);
    at.book = first;
    book_close(other);
    end();
}

static void the_ends_of_the_number_line(void) {
    begin(8);
    rest(1, ALICE, BOOK_BUY, BOOK_MAX_LOTS, 1);
    rest(2, ALICE, BOOK_SELL, BOOK_MAX_LOTS, BOOK_MAX_PRICE);
    CHECK(book_validate(at.book) == 0);
    CHECK(book_best_price(at.book, BOOK_BUY) == 1 && book_best_price(at.book, BOOK_SELL) == BOOK_MAX_PRICE);
    struct book_taker taker = limit(3, BOB, BOOK_BUY, BOOK_MAX_LOTS, BOOK_MAX_PRICE);
    taker.time_in_force = BOOK_IOC;
    CHECK(place(taker) == BOOK_DONE && said(1, BOOK_TRADE, 2, BOOK_MAX_LOTS, 0));
    CHECK(rest(4, BOB, BOOK_SELL, BOOK_MAX_LOTS, 2) == BOOK_DONE && amend(4, 1, BOOK_MAX_PRICE) == BOOK_DONE);
    CHECK(rest(5, BOB, BOOK_SELL, 1, 2) == BOOK_DONE);
    CHECK(rest(6, BOB, BOOK_SELL, BOOK_MAX_LOTS - 2, 1) == BOOK_DONE && order(1)->remaining_lots == 2);
    end();
}

/* ---- Size ----------------------------------------------------------------------------------------------------- */

static void a_sweep_of_five_thousand_goes_on_through_a_small_buffer(void) {
    begin(5000);
    for (uint64_t id = 1; id <= 5000; id++) rest(id, ALICE, BOOK_SELL, 2, 100 + (int64_t)(id % 50));
    struct book_taker taker = limit(9999, BOB, BOOK_BUY, 10001, 200);
    taker.time_in_force = BOOK_IOC;
    struct book_report guarded[BOOK_MIN_REPORTS + 1];
    memset(guarded, 0x5A, sizeof guarded);
    size_t used = 0;
    uint64_t trades = 0;
    enum book_result result = book_place(at.book, &taker, guarded, BOOK_MIN_REPORTS, &used);
    for (;;) {
        CHECK(used >= 1 && used <= BOOK_MIN_REPORTS && guarded[BOOK_MIN_REPORTS].kind == 0x5A);
        for (size_t n = 0; n < used; n++) trades += guarded[n].kind == BOOK_TRADE;
        CHECK(book_validate(at.book) == 0);
        if (result == BOOK_DONE) break;
        CHECK(result == BOOK_MORE);
        CHECK(book_continue(at.book, &taker, guarded, used + 1, &used) == BOOK_BUFFER_TOO_SMALL);
        used = 0;
        result = book_continue(at.book, &taker, guarded, BOOK_MIN_REPORTS, &used);
    }
    CHECK(trades == 5000 && taker.lots == 1 && guarded[used - 1].reason == BOOK_IOC_REMAINDER);
    CHECK(at.pool->order_count == 0 && at.pool->level_count == 0);
    end();
}

static void one_level_of_twenty_thousand_orders(void) {
    begin(20000);
    for (uint64_t id = 1; id <= 20000; id++) rest(id, ALICE, BOOK_BUY, 1, 500);
    for (uint64_t id = 2; id <= 20000; id += 2) CHECK(cancel(id) == BOOK_DONE);
    CHECK(book_validate(at.book) == 0);
    const struct book_level *level = book_level_at(at.book, book_best_level(at.book, BOOK_BUY));
    CHECK(level->orders == 10000 && level->lots == 10000);
    uint64_t expected = 1;
    for (uint32_t slot = book_best_order(at.book, BOOK_BUY); slot; slot = book_next_order(at.book, slot)) {
        CHECK(book_order_at(at.pool, slot)->order_id == expected);
        expected += 2;
    }
    CHECK(expected == 20001);
    end();
}

/* Ten thousand levels a side, `apart` ticks from one another, placed in a scattered order. */
static void levels_apart(int64_t apart) {
    const int levels = 10000;
    begin(20000);
    for (int n = 0; n < levels; n++) {
        int64_t away = apart * (1 + (int64_t)n * 7919 % levels);
        CHECK(rest((uint64_t)n * 2 + 1, ALICE, BOOK_BUY, 1, 100000000 - away) == BOOK_DONE);
        CHECK(rest((uint64_t)n * 2 + 2, ALICE, BOOK_SELL, 1, 100000000 + away) == BOOK_DONE);
    }
    CHECK(book_validate(at.book) == 0);
    for (int side = 0; side < 2; side++) {
        int64_t away = 0;
        uint32_t level = book_best_level(at.book, (enum book_side)side);
        for (; level != BOOK_NONE; level = book_next_level(at.book, level)) {
            away += apart;
            CHECK(book_level_price(at.book, level) == 100000000 + (side == BOOK_BUY ? -away : away));
        }
        CHECK(away == apart * levels);
    }
    struct book_taker taker = limit(99999, BOB, BOOK_SELL, levels, 1);
    taker.time_in_force = BOOK_FOK;
    size_t used = 0;
    enum book_result result = book_place(at.book, &taker, at.reports, 256, &used);
    while (result == BOOK_MORE) {
        used = 0;
        result = book_continue(at.book, &taker, at.reports, 256, &used);
    }
    CHECK(result == BOOK_DONE && at.reports[used - 1].reason == BOOK_FILLED);
    CHECK(book_best_price(at.book, BOOK_BUY) == 0 && at.pool->level_count == 10000);
    end();
}

static void ten_thousand_levels_a_side(void) {
    levels_apart(1);
    levels_apart(17);
    levels_apart(4096);
}

/* Each visit makes the window leave a crowd of levels behind, and come back when it goes. */
static void one_order_that_comes_and_goes_far_above_a_crowd(void) {
    begin(9000);
    for (uint64_t id = 1; id <= 8000; id++) rest(id, ALICE, BOOK_BUY, 1, 100000 - (int64_t)id);
    for (int visit = 0; visit < 2000; visit++) {
        CHECK(rest(9000, BOB, BOOK_BUY, 1, 500000 - visit * 195) == BOOK_DONE);
        CHECK(book_best_price(at.book, BOOK_BUY) == 500000 - visit * 195);
        CHECK(rest(9001, BOB, BOOK_BUY, 1, 90000 - visit) == BOOK_DONE);
        CHECK(cancel(9000) == BOOK_DONE && book_best_price(at.book, BOOK_BUY) == 99999);
        CHECK(cancel(9001) == BOOK_DONE);
        if (visit % 200 == 0) CHECK(book_validate(at.book) == 0);
    }
    end();
}

static void ids_of_every_pattern(void) {
    begin(50000);
    static const uint64_t stride[] = {1, 8, 1024, UINT64_C(1) << 32, UINT64_C(1) << 45, UINT64_C(0x9E3779B97F4A7C15)};
    for (size_t pattern = 0; pattern < sizeof stride / sizeof *stride; pattern++) {
        for (uint64_t n = 1; n <= 50000; n++) CHECK(rest(n * stride[pattern], ALICE, BOOK_BUY, 1, 7) == BOOK_DONE);
        CHECK(book_pool_validate(at.pool) == 0);
        for (uint64_t n = 1; n < 50000; n++) CHECK(cancel(n * 7 % 50000 * stride[pattern]) == BOOK_DONE);
        CHECK(cancel(50000 * stride[pattern]) == BOOK_DONE && at.pool->order_count == 0);
    }
    end();
}

/* ---- Steps ---------------------------------------------------------------------------------------------------- */

static void an_engine_uses_the_steps_one_by_one(void) {
    begin(4);
    struct book_entry maker = {.order_id = 1, .owner = ALICE, .side = BOOK_SELL};
    struct book_entry taker = {.order_id = 2, .owner = BOB, .side = BOOK_BUY, .self_trade = 3, .post_only = 1};
    uint32_t resting = book_rest(at.book, &maker, 100, 5);
    uint32_t incoming = book_claim(at.book, &taker);
    book_order_at(at.pool, incoming)->caller_word = 77;
    CHECK(book_find(at.pool, 2) == incoming && book_validate(at.book) == 0 && cancel(2) == BOOK_ORDER_UNKNOWN);
    CHECK(book_meet(at.book, BOOK_BUY, 99) == BOOK_NONE && book_meet(at.book, BOOK_BUY, 100) == resting);
    CHECK(book_fill(at.book, resting, 2) == 3 && book_meet(at.book, BOOK_BUY, BOOK_ANY_PRICE) == resting);
    book_reduce(at.book, resting, 1);
    CHECK(book_fill(at.book, resting, 2) == 0 && book_meet(at.book, BOOK_BUY, 100) == BOOK_NONE);
    book_attach(at.book, incoming, 100, 6);
    const struct book_order *rests = book_order_at(at.pool, incoming);
    CHECK(rests->caller_word == 77 && rests->priority == 2 && rests->self_trade == 3 && rests->post_only == 1);
    book_detach(at.book, incoming);
    CHECK(book_find(at.pool, 2) == incoming && rests->remaining_lots == 6 && book_validate(at.book) == 0);
    book_attach(at.book, incoming, 98, 4);
    CHECK(rests->priority == 3 && rests->caller_word == 77 && book_best_price(at.book, BOOK_BUY) == 98);
    book_detach(at.book, incoming);
    book_release(at.book, incoming);
    CHECK(book_pool_room(at.pool) == 4 && book_find(at.pool, 2) == BOOK_NONE);
    end();
}

/* Break one field, see that a validator notices, mend it. */
#define NOTICED(field, broken)                                                                                        \
    do {                                                                                                              \
        uint64_t whole = (uint64_t)(field);                                                                           \
        (field) = (broken);                                                                                           \
        CHECK(book_validate(at.book) != 0 || book_pool_validate(at.pool) != 0);                                       \
        memcpy(&(field), &whole, sizeof(field));                                                                      \
        CHECK(book_validate(at.book) == 0 && book_pool_validate(at.pool) == 0);                                       \
    } while (0)

static void the_validators_notice_what_is_broken(void) {
    begin(10);
    rest(1, ALICE, BOOK_SELL, 5, 100);
    rest(2, BOB, BOOK_SELL, 5, 100);
    rest(3, BOB, BOOK_SELL, 5, 9100);
    rest(4, BOB, BOOK_SELL, 5, 99100);
    struct book_order *second = book_order_at(at.pool, book_find(at.pool, 2));
    struct book_level *level = &at.pool->levels[second->level];
    struct book_half *half = &at.book->half[BOOK_SELL];
    NOTICED(second->previous, BOOK_NONE);
    NOTICED(second->priority, 1);
    NOTICED(second->remaining_lots, 6);
    NOTICED(second->price_ticks, 101);
    NOTICED(second->order_id, 22);
    NOTICED(second->book, 8);
    NOTICED(level->lots, 9);
    NOTICED(level->orders, 3);
    NOTICED(level->last, level->first);
    NOTICED(half->words_in_use, 0);
    NOTICED(half->words[100 / 64], 0);
    NOTICED(half->lots, 19);
    NOTICED(half->best_key, 99);
    NOTICED(half->far_root, 0);
    NOTICED(half->edge_key, 100);
    NOTICED(half->level_count, 4);
    NOTICED(at.book->half[BOOK_BUY].key_mask, 0);
    NOTICED(at.book->next_priority, 2);
    NOTICED(at.pool->ids.mask, 7);
    NOTICED(at.pool->ids.bits, 3);
    NOTICED(at.pool->order_count, 3);
    NOTICED(at.pool->free_level, 1);
    NOTICED(at.pool->nodes[half->far_root].present, 1);
    end();
}

static const struct {
    const char *name;
    void (*run)(void);
} stories[] = {
#define STORY(name) {#name, name}
    STORY(best_price_then_oldest_first_at_the_resting_price),
    STORY(a_remainder_rests_expires_or_finds_no_liquidity),
    STORY(self_trade_prevention_in_each_mode),
    STORY(fill_or_kill_looks_ahead_in_its_own_mode),
    STORY(post_only_is_refused_when_it_would_trade_and_stays_so),
    STORY(only_less_at_the_same_price_keeps_the_place),
    STORY(refusals_change_nothing),
    STORY(books_of_one_pool_do_not_touch_each_other),
    STORY(the_ends_of_the_number_line),
    STORY(a_sweep_of_five_thousand_goes_on_through_a_small_buffer),
    STORY(one_level_of_twenty_thousand_orders),
    STORY(ten_thousand_levels_a_side),
    STORY(one_order_that_comes_and_goes_far_above_a_crowd),
    STORY(ids_of_every_pattern),
    STORY(an_engine_uses_the_steps_one_by_one),
    STORY(the_validators_notice_what_is_broken),
};

int main(void) {
    for (size_t n = 0; n < sizeof stories / sizeof *stories; n++) {
        printf("%s\n", stories[n].name);
        fflush(stdout);
        stories[n].run();
    }
    return 0;
}
