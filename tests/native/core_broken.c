/* A core in which one word is wrong: does core_validate say so? Every word of everything that stands in a small state is changed
 * in several ways, one at a time, and put back.
 *
 * Prints a line for each kind of thing: how many changes were made, how many were noticed, how many were not, and how many
 * ended the walk by a signal (a place far outside its array) or never came to an end. What is not noticed are words that mean
 * nothing: children that a node does not have, numbers a session has forgotten, what fills up a struct. How many such words
 * a thing has is its `harmless_percent`, roughly.
 *
 * Not for a sanitizer: the walk goes wherever the wrong word says. */

#define _GNU_SOURCE

#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "book_inner.h"
#include "fuzz/driven.h"

/* ---- A walk that may go astray -------------------------------------------------------------------------------------- */

enum { PATIENCE_S = 2, MOST_LINES = 60000 };
enum outcome { NOTICED, UNNOTICED, SIGNALLED, STUCK, OUTCOMES };

static sigjmp_buf before_walk;
static bool lines[MOST_LINES];

static void on_signal(int number) { siglongjmp(before_walk, number); }

static enum outcome walk(const core *core) {
    int number = sigsetjmp(before_walk, 1);
    if (number != 0) {
        alarm(0);
        return number == SIGALRM ? STUCK : SIGNALLED;
    }
    alarm(PATIENCE_S);
    int line = core_validate(core);
    alarm(0);
    if (line > 0 && line < MOST_LINES) lines[line] = true;
    return line == 0 ? UNNOTICED : NOTICED;
}

/* ---- Wrong words ---------------------------------------------------------------------------------------------------- */

struct tally {
    const char *what;
    long outcomes[OUTCOMES];
    long harmless_percent;
};

static uint32_t changed(uint32_t word, int way) {
    switch (way) {
    case 0: return word + 1;
    case 1: return word - 1;
    case 2: return word ^ UINT32_C(0x80000000);
    case 3: return word ^ UINT32_C(0x00800000);
    case 4: return word ^ UINT32_C(0x00008000);
    case 5: return word ^ UINT32_C(0x40000000);
    default: return word == 0 ? 7 : 0;
    }
}
enum { WAYS = 7 };

/* Change each word of a thing, in each way. */
static void spoil(const core *core, struct tally *tally, void *thing, size_t size) {
    for (size_t at = 0; at + 4 <= size; at += 4) {
        uint8_t *place = (uint8_t *)thing + at;
        uint32_t right;
        memcpy(&right, place, 4);
        for (int way = 0; way < WAYS; way++) {
            uint32_t wrong = changed(right, way);
            memcpy(place, &wrong, 4);
            enum outcome outcome = walk(core);
            memcpy(place, &right, 4);
            tally->outcomes[outcome]++;
        }
    }
    FUZZ_CHECK_ZERO(core_validate(core));
}

static int tell(const struct tally *tally) {
    printf("%s: %ld noticed, %ld not, %ld signalled, %ld stuck\n", tally->what, tally->outcomes[NOTICED],
           tally->outcomes[UNNOTICED], tally->outcomes[SIGNALLED], tally->outcomes[STUCK]);
    long all = tally->outcomes[NOTICED] + tally->outcomes[UNNOTICED] + tally->outcomes[SIGNALLED];
    bool is_well = 100 * tally->outcomes[UNNOTICED] <= tally->harmless_percent * all && tally->outcomes[STUCK] == 0;
    if (!is_well) printf("  more than the %ld %% that mean nothing\n", tally->harmless_percent);
    return !is_well;
}

/* ---- Its things ----------------------------------------------------------------------------------------------------- */

static int spoil_money(core *core) {
    struct risk *risk = &core->risk;
    struct tally accounts = {.what = "accounts", .harmless_percent = 5}, assets = {.what = "assets", .harmless_percent = 30};
    struct tally balances = {.what = "balances"}, counts = {.what = "money's counts"};
    for (uint32_t i = 1; i <= risk->account_count; i++) spoil(core, &accounts, &risk->accounts[i], sizeof *risk->accounts);
    for (uint32_t i = 1; i <= risk->asset_count; i++) spoil(core, &assets, &risk->assets[i], sizeof *risk->assets);
    for (uint32_t i = 1; i <= risk->balance_count; i++) {
        spoil(core, &balances, &risk->balances[i], sizeof *risk->balances);
        spoil(core, &balances, &risk->after[i], sizeof *risk->after);
    }
    spoil(core, &counts, &risk->account_count, sizeof risk->account_count);
    spoil(core, &counts, &risk->balance_count, sizeof risk->balance_count);
    spoil(core, &counts, &risk->asset_count, sizeof risk->asset_count);
    spoil(core, &counts, &risk->hash, 16);
    spoil(core, &counts, &risk->account_ids.count, 4);
    return tell(&accounts) + tell(&assets) + tell(&balances) + tell(&counts);
}

static int spoil_names(core *core) {
    struct names *names = &core->names;
    struct tally all = {.what = "names", .harmless_percent = 6}, counts = {.what = "names' counts"};
    struct tally entries = {.what = "names' table"};
    for (uint32_t i = 1; i <= names->fresh; i++) spoil(core, &all, &names->names[i], sizeof *names->names);
    for (uint64_t i = 0; i <= table_mask(&names->table); i++) {
        if (names->table.entries[i].place != 0) spoil(core, &entries, &names->table.entries[i].place, 4);
    }
    spoil(core, &counts, &names->count, sizeof names->count);
    spoil(core, &counts, &names->ended, sizeof names->ended);
    spoil(core, &counts, &names->first_ended, sizeof names->first_ended);
    spoil(core, &counts, &names->last_ended, sizeof names->last_ended);
    spoil(core, &counts, &names->hash, sizeof names->hash);
    spoil(core, &counts, &names->table.count, sizeof names->table.count);
    return tell(&all) + tell(&counts) + tell(&entries);
}

static int spoil_sessions(core *core) {
    struct sessions *sessions = &core->sessions;
    struct tally all = {.what = "sessions", .harmless_percent = 40}, sources = {.what = "sources"};
    for (uint32_t rank = 0; rank < sessions->count; rank++) {
        spoil(core, &all, &sessions->sessions[sessions->places[rank]], 24 + 40 * sizeof(struct session_batch));
        spoil(core, &all, &sessions->places[rank], 4);
    }
    spoil(core, &all, &sessions->count, sizeof sessions->count);
    spoil(core, &all, &sessions->hash, sizeof sessions->hash);
    spoil(core, &sources, sessions->sources, sizeof sessions->sources);
    return tell(&all) + tell(&sources);
}

static int spoil_orders(core *core) {
    struct book_pool *pool = core->pool;
    struct tally hot = {.what = "orders", .harmless_percent = 4}, levels = {.what = "levels"};
    struct tally cold = {.what = "orders' cold halves", .harmless_percent = 10};
    struct tally nodes = {.what = "far nodes", .harmless_percent = 85}, ids = {.what = "orders' ids"}, counts = {.what = "the pool's counts"};
    for (uint32_t slot = 1; slot < pool->fresh_order; slot++) {
        if (book_find(pool, pool->orders[slot].order_id) != slot) continue;
        spoil(core, &hot, &pool->orders[slot], sizeof *pool->orders);
        spoil(core, &cold, &core->cold[slot], sizeof *core->cold);
    }
    for (uint32_t level = 1; level < pool->fresh_level; level++) {
        if (pool->levels[level].orders != 0) spoil(core, &levels, &pool->levels[level], sizeof *pool->levels);
    }
    for (uint32_t node = 1; node < pool->fresh_node; node++) spoil(core, &nodes, &pool->nodes[node], sizeof *pool->nodes);
    for (uint64_t home = 0; home <= pool->ids.mask; home++) {
        uint32_t link = pool->ids.first[home];
        if (link != BOOK_NONE) spoil(core, &ids, &pool->ids.first[home], 4);
        if ((link & BOOK_ID_SHARED) != 0) spoil(core, &ids, &pool->ids.next[link & ~BOOK_ID_SHARED], 4);
    }
    spoil(core, &counts, &pool->order_count, (size_t)((uint8_t *)(&pool->fresh_node + 1) - (uint8_t *)&pool->order_count));
    return tell(&hot) + tell(&cold) + tell(&levels) + tell(&nodes) + tell(&ids) + tell(&counts);
}

/* What is more of orders that have more, what levels hide, and what is due. */
static int spoil_more(core *core) {
    struct tally more = {.what = "what is more of orders", .harmless_percent = 25}, hidden = {.what = "hidden lots", .harmless_percent = 20};
    struct tally timers = {.what = "timers", .harmless_percent = 19};
    const struct book_pool *pool = core->pool;
    for (uint32_t slot = 1; slot < pool->fresh_order; slot++) {
        bool is_there = book_find(pool, pool->orders[slot].order_id) == slot && core->cold[slot].has_more;
        if (is_there) spoil(core, &more, &core->more[slot], sizeof *core->more);
    }
    for (uint32_t level = 1; level < pool->fresh_level; level++) {
        if (pool->levels[level].orders != 0) spoil(core, &hidden, &core->hidden[level], sizeof *core->hidden);
    }
    for (uint32_t place = 1; place <= core->timers.count; place++) {
        struct timer *timer = &core->timers.heap[place];
        spoil(core, &timers, timer, sizeof *timer);
        spoil(core, &timers, &core->timers.at[timer->handle], sizeof *core->timers.at);
    }
    spoil(core, &timers, &core->timers.count, sizeof core->timers.count);
    return tell(&more) + tell(&hidden) + tell(&timers);
}

static int spoil_markets(core *core) {
    struct tally all = {.what = "instruments", .harmless_percent = 5}, books = {.what = "books", .harmless_percent = 5};
    struct tally head = {.what = "the core", .harmless_percent = 50};
    for (uint32_t i = 0; i < core->instrument_count; i++) {
        struct core_instrument *instrument = &core->instruments[i];
        spoil(core, &all, (uint8_t *)instrument + sizeof instrument->book, sizeof *instrument - sizeof instrument->book);
        spoil(core, &books, &instrument->book->next_priority, offsetof(struct book, window) - sizeof(void *));
    }
    spoil(core, &head, &core->shard, 8);
    spoil(core, &head, &core->clock_us, sizeof core->clock_us);
    spoil(core, &head, &core->orders_given, sizeof core->orders_given);
    spoil(core, &head, &core->sizes, sizeof core->sizes);
    spoil(core, &head, &core->instrument_count, sizeof core->instrument_count);
    spoil(core, &head, &core->touched_count, sizeof core->touched_count);
    spoil(core, &head, &core->parked, sizeof core->parked);
    spoil(core, &head, &core->queue.first, sizeof core->queue.first);
    spoil(core, &head, &core->link_count, sizeof core->link_count);
    spoil(core, &head, &core->halt_sequence, sizeof core->halt_sequence);
    spoil(core, &head, &core->resume_sequence, sizeof core->resume_sequence);
    spoil(core, &head, &core->hash, sizeof core->hash);
    return tell(&all) + tell(&books) + tell(&head);
}

/* How much there is room for: more than there is does no harm, less than there must be does. */
static int spoil_rooms(core *core) {
    struct tally rooms = {.what = "rooms", .harmless_percent = 70};
    spoil(core, &rooms, &core->cold_room, sizeof core->cold_room);
    spoil(core, &rooms, &core->instrument_room, sizeof core->instrument_room);
    spoil(core, &rooms, &core->book_count, sizeof core->book_count);
    spoil(core, &rooms, &core->risk.account_room, sizeof core->risk.account_room);
    spoil(core, &rooms, &core->risk.balance_room, sizeof core->risk.balance_room);
    spoil(core, &rooms, &core->names.room, sizeof core->names.room);
    spoil(core, &rooms, &core->names.fresh, sizeof core->names.fresh);
    spoil(core, &rooms, &core->sessions.room, sizeof core->sessions.room);
    spoil(core, &rooms, &core->pool->reserved, sizeof core->pool->reserved);
    spoil(core, &rooms, &core->pool->order_limit, sizeof core->pool->order_limit);
    return tell(&rooms);
}

/* A list of what is free that comes back to where it began. */
static void notice_rings(core *core) {
    struct book_pool *pool = core->pool;
    uint32_t *const links[] = {&pool->orders[pool->free_order].next, &pool->levels[pool->free_level].first,
                               &pool->nodes[pool->free_node].child[0]};
    const uint32_t firsts[] = {pool->free_order, pool->free_level, pool->free_node};
    for (int i = 0; i < 3; i++) {
        if (firsts[i] == 0) continue;
        uint32_t right = *links[i];
        *links[i] = firsts[i];
        FUZZ_CHECK(walk(core) == NOTICED);
        *links[i] = right;
    }
    FUZZ_CHECK_ZERO(core_validate(core));
}

/* core_verify says what core_validate found. */
static void tell_by_verify(core *core) {
    static uint8_t answer[65536];
    uint64_t cursor = 0;
    core->hash++;
    int64_t length = core_verify(core, &cursor, answer, sizeof answer);
    core->hash--;
    FUZZ_CHECK(length > 0 && memmem(answer, (size_t)length, "core_validate says 000", 22) != NULL);
}

int main(void) {
    struct driven driven;
    struct grammar grammar;
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    sigaction(SIGABRT, &action, NULL);
    sigaction(SIGALRM, &action, NULL);
    driven_world(&driven, &grammar, CORE_KNOWN_RULES);
    int broken = spoil_money(driven.core) + spoil_names(driven.core) + spoil_sessions(driven.core);
    broken += spoil_orders(driven.core) + spoil_more(driven.core) + spoil_markets(driven.core);
    broken += spoil_rooms(driven.core);
    notice_rings(driven.core);
    tell_by_verify(driven.core);
    int rules = 0;
    for (int line = 0; line < MOST_LINES; line++) rules += lines[line];
    printf("%d rules found something\n", rules);
    driven_close(&driven);
    return broken != 0;
}
