/* What callers get wrong: buffers too small, parts and offsets out of turn, numbers that are none. Each is refused, and
 * changes nothing. And what is rare: two ids with the same hash, a buffer that is full at the last moment. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "book_inner.h"
#include "fuzz/driven.h"

/* ---- The core ------------------------------------------------------------------------------------------------------- */

static struct core_part part;

static int apply(core *core, uint64_t offset, struct grammar_record record, uint32_t number) {
    return core_apply(core, offset, record.time_us, record.bytes, record.length, number, &part);
}

static void refuse_what_is_not_the_cores(struct driven *driven, struct grammar *g) {
    core *none = NULL;
    struct core_facts facts, after;
    FUZZ_CHECK(core_new(CORE_SHARDS, &none) == CORE_FOREIGN && none == NULL);
    core_free(NULL);
    core_facts(driven->core, &facts);
    struct grammar_record record = grammar_command(g, COMMAND_TICK, NULL);
    FUZZ_CHECK(apply(driven->core, facts.next_offset + 1, record, 0) == CORE_FOREIGN);
    FUZZ_CHECK(apply(driven->core, facts.next_offset, record, 1) == CORE_FOREIGN);
    record.bytes[0] ^= 0x80;
    FUZZ_CHECK(apply(driven->core, facts.next_offset, record, 0) == CORE_FOREIGN);
    driven->core->shard++;
    record = grammar_command(g, COMMAND_TICK, NULL);
    driven->core->shard--;
    FUZZ_CHECK(apply(driven->core, facts.next_offset, record, 0) == CORE_FOREIGN);
    struct grammar_given unknown[] = {{"version", CORE_KNOWN_RULES + 1}, {NULL, 0}};
    record = grammar_command(g, COMMAND_USE_RULES, unknown);
    FUZZ_CHECK(apply(driven->core, facts.next_offset, record, 0) == CORE_UNKNOWN_RULES);
    core_facts(driven->core, &after);
    FUZZ_CHECK(memcmp(&facts, &after, sizeof facts) == 0);
}

/* Between the parts of a record: only its next part, at its offset. */
static void refuse_what_is_out_of_turn(struct driven *driven, struct grammar *g) {
    static const uint8_t shape[] = {0, 255, 0};
    g->input = (struct fuzz_input){shape, shape + sizeof shape};
    uint64_t offset = driven->core->next_offset;
    struct grammar_record record = grammar_burst(g);
    FUZZ_CHECK_ZERO(apply(driven->core, offset, record, 0));
    FUZZ_CHECK(!part.last && "so many orders take more than one part of this size");
    FUZZ_CHECK(apply(driven->core, offset, record, 0) == CORE_FOREIGN);
    FUZZ_CHECK(apply(driven->core, offset, record, 2) == CORE_FOREIGN);
    FUZZ_CHECK(apply(driven->core, offset + 1, record, 1) == CORE_FOREIGN);
    for (uint32_t number = 1; !part.last; number++) FUZZ_CHECK_ZERO(apply(driven->core, offset, record, number));
    FUZZ_CHECK_ZERO(core_validate(driven->core));
}

static void refuse_small_buffers(const core *core) {
    uint8_t little[64];
    uint64_t cursor = 0;
    const uint8_t name[] = "n-1";
    FUZZ_CHECK(core_get_order(core, 1000, 1, name, 0, little, sizeof little) == CORE_SMALL_BUFFER);
    FUZZ_CHECK(core_get_account(core, 1000, little, sizeof little) == CORE_SMALL_BUFFER);
    FUZZ_CHECK(core_list_open_orders(core, 1000, 0, &cursor, little, sizeof little) == CORE_SMALL_BUFFER);
    FUZZ_CHECK(core_get_balances(core, 1000, &cursor, little, sizeof little) == CORE_SMALL_BUFFER);
    FUZZ_CHECK(core_get_depth(core, CORE_SHARDS, &cursor, little, sizeof little) == CORE_SMALL_BUFFER);
    FUZZ_CHECK(core_list_markets(core, &cursor, little, sizeof little) == CORE_SMALL_BUFFER);
    FUZZ_CHECK(core_verify(core, &cursor, little, sizeof little) == CORE_SMALL_BUFFER);
    FUZZ_CHECK(core_snapshot(core, &cursor, little, sizeof little) == CORE_SMALL_BUFFER);
}

/* Sizes: nothing, more than there may be, or less than there is, in each field. */
static void refuse_sizes(struct driven *driven, struct grammar *g) {
    static const char *const fields[] = {"accounts",         "balances",           "instruments", "client_order_id_memory_us",
                                         "client_order_ids", "orders_per_account", "sessions",    "orders"};
    enum { IN_USE = 4 };
    for (size_t field = 0; field < sizeof fields / sizeof *fields; field++) {
        static const uint64_t wrong[] = {0, UINT32_MAX, 1};
        for (size_t i = 0; i < (field < IN_USE ? 3 : 2); i++) {
            struct codec_set_sizes before = driven->core->sizes;
            struct grammar_given given[] = {{fields[field], wrong[i]}, {NULL, 0}};
            driven_apply(driven, grammar_command(g, COMMAND_SET_SIZES, given));
            FUZZ_CHECK(memcmp(&before, &driven->core->sizes, sizeof before) == 0);
        }
    }
}

/* A clock set as far as it goes: what is to come later comes at the end of time, and time stands. */
static void come_to_the_end_of_time(struct driven *driven, struct grammar *g) {
    struct grammar_given end[] = {{"time_us", INT64_MAX}, {NULL, 0}};
    struct grammar_given minute[] = {{"timeout_us", 60000000}, {NULL, 0}};
    driven_use_rules(driven, g);
    driven_apply(driven, grammar_command(g, COMMAND_SET_CLOCK, end));
    driven_apply(driven, grammar_command(g, COMMAND_TICK, NULL));
    driven_apply(driven, grammar_command(g, COMMAND_OPEN_SESSION, NULL));
    g->account = 1000;
    driven_apply(driven, grammar_command(g, COMMAND_SET_DEAD_MAN, minute));
    FUZZ_CHECK(driven->core->timers.count == 1 && driven->core->timers.heap[1].due_us == INT64_MAX);
    driven_restore(driven, 1u << 20);
    driven_apply(driven, grammar_command(g, COMMAND_TICK, NULL));
    FUZZ_CHECK(driven->core->clock_us == INT64_MAX && driven->core->timers.count == 0);
}

/* Halted, skipped and restored: nothing moves, and a Resume lets it. */
static void stand_still(struct driven *driven, struct grammar *g) {
    struct core_facts facts;
    driven_use_rules(driven, g);
    driven_apply(driven, grammar_command(g, COMMAND_HALT, NULL));
    FUZZ_CHECK(driven->core->halt_sequence == driven->core->sequence);
    driven_restore(driven, 1u << 20);
    uint64_t orders_given = driven->core->orders_given;
    g->core = driven->core;
    driven_apply(driven, grammar_command(g, COMMAND_PLACE_ORDER, NULL));
    FUZZ_CHECK(driven->core->orders_given == orders_given);
    struct grammar_given halt[] = {{"sequence", driven->core->halt_sequence}, {NULL, 0}};
    driven_apply(driven, grammar_command(g, COMMAND_RESUME, halt));
    FUZZ_CHECK(driven->core->halt_sequence == 0);
    driven_apply(driven, grammar_command(g, COMMAND_PLACE_ORDER, NULL));
    FUZZ_CHECK(driven->core->orders_given == orders_given + 1);
    core_facts(driven->core, &facts);
    struct grammar_record record = grammar_command(g, COMMAND_PLACE_ORDER, NULL);
    FUZZ_CHECK_ZERO(core_skip(driven->core, facts.next_offset, record.time_us, record.bytes, record.length, 0, &part));
    FUZZ_CHECK(part.last && driven->core->orders_given == orders_given + 1 && driven->core->sequence == facts.sequence + 1);
    FUZZ_CHECK_ZERO(core_validate(driven->core));
}

/* A rule that does not hold comes back as an error, once and for all. */
static void fail(struct driven *driven, struct grammar *g) {
    struct core_failure failure;
    struct grammar_given minute[] = {{"timeout_us", 60000000}, {NULL, 0}};
    uint32_t room = driven->core->risk.account_room;
    core_failed(driven->core, &failure);
    FUZZ_CHECK(failure.rule == NULL);
    driven->core->risk.account_room = driven->core->risk.account_count;
    g->account = 7777;
    struct grammar_record record = grammar_command(g, COMMAND_SET_DEAD_MAN, minute);
    FUZZ_CHECK(apply(driven->core, driven->core->next_offset, record, 0) == CORE_FAILED);
    core_failed(driven->core, &failure);
    FUZZ_CHECK(strstr(failure.rule, "account_room") && strstr(failure.file, "risk.c") && failure.line > 0);
    driven->core->risk.account_room = room;
    FUZZ_CHECK(apply(driven->core, driven->core->next_offset, record, 0) == CORE_FAILED);
    FUZZ_CHECK(insist_here == NULL);
}

/* A snapshot that speaks of what there is not, its hash put right: not let in. */
static void refuse_a_snapshot_of(struct driven *driven, uint32_t *word, uint32_t wrong) {
    struct core_instrument *instrument = &driven->core->instruments[0];
    uint32_t right = *word;
    uint64_t hash = core_instrument_hash(instrument);
    *word = wrong;
    driven->core->hash += core_instrument_hash(instrument) - hash;
    size_t length;
    uint8_t *bytes = driven_snapshot(driven->core, 1u << 20, &length);
    core *restored = NULL;
    FUZZ_CHECK(core_restore(bytes, length, &restored) == CORE_BROKEN && restored == NULL);
    free(bytes);
    driven->core->hash -= core_instrument_hash(instrument) - hash;
    *word = right;
    FUZZ_CHECK_ZERO(core_validate(driven->core));
}

static void refuse_wrong_snapshots(struct driven *driven) {
    struct core_instrument *instrument = &driven->core->instruments[0];
    refuse_a_snapshot_of(driven, &instrument->fee_market, 4711);
    refuse_a_snapshot_of(driven, &instrument->fee_discount_ppm, RISK_PPM + 1);
}

/* Before anything was applied: a place in the log that is none yet. */
static void ask_the_newest(void) {
    struct driven driven;
    static uint8_t answer[1u << 16];
    uint64_t cursor = 0;
    driven_open(&driven, 3);
    FUZZ_CHECK(core_get_depth(driven.core, CORE_SHARDS, &cursor, answer, sizeof answer) >= 0);
    FUZZ_CHECK(core_verify(driven.core, &cursor, answer, sizeof answer) >= 0);
    driven_close(&driven);
}

/* ---- The book ------------------------------------------------------------------------------------------------------- */

static enum book_result place(struct book *book, struct book_taker taker, size_t capacity) {
    struct book_report reports[64];
    size_t used = 0;
    return book_place(book, &taker, reports, capacity, &used);
}

static void refuse_what_is_no_order(struct book *book) {
    struct book_taker good = {.entry = {.order_id = 1}, .price_ticks = 100, .lots = 1};
    struct book_taker bad[9];
    for (int i = 0; i < 9; i++) bad[i] = good;
    bad[0].entry.side = 2;
    bad[1].entry.self_trade = BOOK_SELF_TRADE_DECREMENT + 1;
    bad[2].entry.post_only = 2;
    bad[3].type = BOOK_MARKET + 1;
    bad[4].time_in_force = BOOK_FOK + 1;
    bad[5].type = BOOK_MARKET;
    bad[6].lots = 0;
    bad[7].price_ticks = BOOK_ANY_PRICE;
    bad[8].entry.post_only = 1;
    bad[8].time_in_force = BOOK_IOC;
    for (int i = 0; i < 9; i++) FUZZ_CHECK(place(book, bad[i], 64) == BOOK_BAD_ORDER);
    FUZZ_CHECK(place(book, good, BOOK_MIN_REPORTS - 1) == BOOK_BUFFER_TOO_SMALL);
    FUZZ_CHECK(place(book, good, BOOK_MIN_REPORTS) == BOOK_DONE);
    struct book_report reports[64];
    size_t used = 65;
    FUZZ_CHECK(book_amend(book, &good, reports, 64, &used) == BOOK_BUFFER_TOO_SMALL);
    FUZZ_CHECK(book_cancel(book, 1, reports, 64, &used) == BOOK_BUFFER_TOO_SMALL);
    FUZZ_CHECK(book_place(book, &good, reports, 64, &used) == BOOK_BUFFER_TOO_SMALL);
    FUZZ_CHECK(used == 65 && book_rest(book, &good.entry, 100, 1) == BOOK_NONE && "the pool is full");
}

static void refuse_what_is_no_pool(struct book_pool *pool) {
    FUZZ_CHECK(!book_pool_open(0, 0) && !book_pool_open(BOOK_MAX_ORDERS + 1, 0) && !book_pool_open(1, 64));
    FUZZ_CHECK(!book_pool_set_limit(pool, 0) && !book_pool_set_limit(pool, BOOK_MAX_ORDERS + 1));
    book_pool_close(NULL);
    book_close(NULL);
}

/* Ids that share a home: found all the same, dropped all the same, wherever they stand among those that share it. */
static void tell_shared_homes_apart(void) {
    struct book_pool *pool = book_pool_open(8, 0);
    struct book *book = book_open(pool, 0);
    uint64_t ids[3];
    uint32_t count = 0;
    for (uint64_t id = 1; count < 3; id++) {
        if (ids_home(&pool->ids, id) == ids_home(&pool->ids, 1)) ids[count++] = id;
    }
    for (uint32_t dropped = 0; dropped < 3; dropped++) {
        for (uint32_t i = 0; i < 3; i++) {
            struct book_entry entry = {.order_id = ids[i]};
            FUZZ_CHECK(book_rest(book, &entry, 100 + i, 1) != BOOK_NONE);
        }
        FUZZ_CHECK(book_guess(pool, ids[0]) == book_find(pool, ids[2]) && book_guess(pool, 12345) == BOOK_NONE);
        FUZZ_CHECK_ZERO(book_pool_validate(pool));
        book_remove(book, book_find(pool, ids[dropped]));
        for (uint32_t i = 0; i < 3; i++) {
            uint32_t slot = book_find(pool, ids[i]);
            FUZZ_CHECK(i == dropped ? slot == BOOK_NONE : book_order_at(pool, slot)->order_id == ids[i]);
        }
        FUZZ_CHECK_ZERO(book_validate(book));
        FUZZ_CHECK_ZERO(book_pool_validate(pool));
        for (uint32_t i = 0; i < 3; i++) {
            if (i != dropped) book_remove(book, book_find(pool, ids[i]));
        }
    }
    book_close(book);
    book_pool_close(pool);
}

int main(void) {
    struct driven driven;
    struct grammar grammar;
    part.events = malloc(CORE_PART_BYTES);
    part.answers = malloc(CORE_ANSWER_BYTES);
    part.index = malloc(CORE_MAX_BATCHES * sizeof *part.index);
    driven_open(&driven, 3);
    grammar_begin(&grammar, driven.core, (struct fuzz_input){NULL, NULL});
    driven_begin(&driven, &grammar);
    refuse_what_is_not_the_cores(&driven, &grammar);
    refuse_sizes(&driven, &grammar);
    refuse_what_is_out_of_turn(&driven, &grammar);
    refuse_small_buffers(driven.core);
    refuse_wrong_snapshots(&driven);
    ask_the_newest();
    come_to_the_end_of_time(&driven, &grammar);
    driven_close(&driven);
    driven_open(&driven, 0);
    grammar_begin(&grammar, driven.core, (struct fuzz_input){NULL, NULL});
    driven_begin(&driven, &grammar);
    stand_still(&driven, &grammar);
    fail(&driven, &grammar);
    driven_close(&driven);
    struct book_pool *pool = book_pool_open(1, 10);
    struct book *book = book_open(pool, 0);
    refuse_what_is_no_order(book);
    refuse_what_is_no_pool(pool);
    tell_shared_homes_apart();
    book_close(book);
    book_pool_close(pool);
    free(part.events);
    free(part.answers);
    free(part.index);
    printf("all refused\n");
    return 0;
}
