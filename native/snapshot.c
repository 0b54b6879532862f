/* Writing a snapshot, piece by piece; see snapshot.h. */

#include "snapshot.h"

/* What is written, in this order. A cursor is a stage and a place within it; place 0: its count comes next. */
enum stage {
    WRITE_HEAD,
    WRITE_ASSETS,
    WRITE_ACCOUNTS,
    WRITE_BALANCES,
    WRITE_INSTRUMENTS,
    WRITE_ORDERS,
    WRITE_ENDED,
    WRITE_SESSIONS,
    WRITE_TAIL,
    WRITE_DONE,
};
#define STAGE_SHIFT 56

static uint8_t *put(uint8_t *at, const uint64_t *words, uint32_t count) {
    for (uint32_t i = 0; i < count; i++, at += 8) hash_store(at, words[i]);
    return at;
}

static uint8_t *put_word(uint8_t *at, uint64_t word) { return put(at, &word, 1); }

/* ---- Things --------------------------------------------------------------------------------------------------- */

static uint8_t *put_head(const struct core *c, uint8_t *at) {
    uint64_t image[CORE_WORDS];
    core_image(c, image);
    at = put_word(at, SNAPSHOT_MAGIC);
    at = put_word(at, core_has_halted(c) ? SNAPSHOT_VERSION : SNAPSHOT_UNHALTED);
    at = put(at, image, CORE_WORDS);
    if (!core_has_halted(c)) return at;
    uint64_t halt[CORE_HALT_WORDS];
    core_halt_image(c, halt);
    return put(at, halt, CORE_HALT_WORDS);
}

static uint8_t *put_asset(const struct core *c, uint8_t *at, uint32_t place) {
    uint64_t image[RISK_ASSET_WORDS];
    risk_asset_image(&c->risk.assets[place], image);
    return put(at, image, RISK_ASSET_WORDS);
}

static uint8_t *put_account(const struct core *c, uint8_t *at, uint32_t place) {
    uint64_t image[RISK_ACCOUNT_WORDS];
    uint64_t limits[RISK_LIMITS_WORDS];
    risk_account_image(&c->risk.accounts[place], image);
    risk_limits_image(&c->risk.accounts[place], limits);
    return put(put(at, image, RISK_ACCOUNT_WORDS), limits, RISK_LIMITS_WORDS);
}

static uint8_t *put_balance(const struct core *c, uint8_t *at, uint32_t place) {
    uint64_t image[RISK_BALANCE_WORDS];
    risk_balance_image(&c->risk.balances[place], image);
    return put(at, image, RISK_BALANCE_WORDS);
}

static uint8_t *put_instrument(const struct core *c, uint8_t *at, uint32_t place) {
    uint64_t image[CORE_INSTRUMENT_WORDS];
    uint64_t market[CORE_MARKET_WORDS];
    core_instrument_image(&c->instruments[place], image);
    uint64_t guards[CORE_GUARDS_WORDS];
    core_guards_image(&c->instruments[place], guards);
    core_market_image(&c->instruments[place], market);
    at = put(put(at, image, CORE_INSTRUMENT_WORDS), guards, CORE_GUARDS_WORDS);
    return put(at, market, CORE_MARKET_WORDS);
}

static uint8_t *put_name(const struct core *c, uint8_t *at, uint32_t place) {
    uint64_t image[NAMES_WORDS];
    names_image(&c->names.names[place], image);
    return put(at, image, NAMES_WORDS);
}

static uint8_t *put_more(const struct core *c, uint8_t *at, uint32_t slot) {
    uint64_t image[CORE_MORE_WORDS];
    core_more_image(c, slot, image);
    return put(at, image, CORE_MORE_WORDS);
}

static uint8_t *put_order(const struct core *c, uint8_t *at, uint32_t slot) {
    uint64_t image[CORE_ORDER_WORDS];
    uint32_t name = c->cold[slot].name;
    core_order_image(c, slot, image);
    bool has_more = c->cold[slot].has_more != 0;
    at = put_word(put(at, image, CORE_ORDER_WORDS), (name != NAMES_NONE ? SNAPSHOT_NAME : 0) | (has_more ? SNAPSHOT_MORE : 0));
    if (has_more) at = put_more(c, at, slot);
    return name == NAMES_NONE ? at : put_name(c, at, name);
}

static uint8_t *put_session(const struct core *c, uint8_t *at, uint32_t rank) {
    const struct session *session = &c->sessions.sessions[c->sessions.places[rank]];
    uint64_t image[SESSION_WORDS];
    struct session_batch remembered[SESSION_RING];
    uint32_t count = session_remembered(session, remembered);
    session_image(session, image);
    at = put_word(put(at, image, SESSION_WORDS), count);
    for (uint32_t i = 0; i < count; i++) at = put_word(put_word(at, remembered[i].number), remembered[i].offset);
    return at;
}

static uint8_t *put_tail(const struct core *c, uint8_t *at) {
    at = put(at, c->sessions.sources + 1, SESSION_SOURCES - 1);
    return put_word(put_word(at, core_state_hash(c)), c->risk.balance_hash);
}

/* ---- Stages --------------------------------------------------------------------------------------------------- */

/* Sides are counted through all instruments, of each its book, then the orders that wait for the last price, for the mark price. */
#define SIDES (2 * SNAPSHOT_BOOKS)

static const struct book *book_of(const struct core *c, uint32_t side) {
    const struct core_instrument *instrument = &c->instruments[side / SIDES];
    uint32_t which = side % SIDES / 2;
    return which == 0 ? instrument->book : instrument->waiting[which - 1];
}

/* The first order at or after a side, then the first of those that are parked; BOOK_NONE after the last. */
static uint32_t first_order(const struct core *c, uint32_t side) {
    for (; side < SIDES * c->instrument_count; side++) {
        uint32_t slot = book_best_order(book_of(c, side), side % 2);
        if (slot != BOOK_NONE) return slot;
    }
    return c->parked.first;
}

/* The order after this one, wherever it is. */
static uint32_t order_after(const struct core *c, uint32_t slot) {
    const struct book_order *order = book_order_at(c->pool, slot);
    uint8_t where = core_whereabouts(c, slot);
    if (where == ORDER_PARKED) return order->next;
    uint32_t side = SIDES * core_order_place(order) + 2 * where + order->side;
    uint32_t next = book_next_order(book_of(c, side), slot);
    return next != BOOK_NONE ? next : first_order(c, side + 1);
}

/* How many things a stage has, its first place, and the place after one: 0 when there are no more. */
static uint32_t count_of(const struct core *c, enum stage stage) {
    switch (stage) {
    case WRITE_ASSETS: return c->risk.asset_count;
    case WRITE_ACCOUNTS: return c->risk.account_count;
    case WRITE_BALANCES: return c->risk.balance_count;
    case WRITE_INSTRUMENTS: return c->instrument_count;
    case WRITE_ORDERS: return c->pool->order_count;
    case WRITE_ENDED: return c->names.ended;
    case WRITE_SESSIONS: return c->sessions.count;
    default: return 0;
    }
}

static uint32_t first_of(const struct core *c, enum stage stage) {
    if (stage == WRITE_ORDERS) return first_order(c, 0);
    if (stage == WRITE_ENDED) return c->names.first_ended;
    return count_of(c, stage) == 0 ? 0 : 1;
}

static uint32_t next_of(const struct core *c, enum stage stage, uint32_t place) {
    if (stage == WRITE_ORDERS) return order_after(c, place);
    if (stage == WRITE_ENDED) return c->names.names[place].later;
    return place == count_of(c, stage) ? 0 : place + 1;
}

static uint8_t *put_thing(const struct core *c, uint8_t *at, enum stage stage, uint32_t place) {
    switch (stage) {
    case WRITE_ASSETS: return put_asset(c, at, place);
    case WRITE_ACCOUNTS: return put_account(c, at, place);
    case WRITE_BALANCES: return put_balance(c, at, place);
    case WRITE_INSTRUMENTS: return put_instrument(c, at, place - 1);
    case WRITE_ORDERS: return put_order(c, at, place);
    case WRITE_ENDED: return put_name(c, at, place);
    default: return put_session(c, at, place - 1);
    }
}

/* Write what comes next and move on. */
static uint8_t *put_next(const struct core *c, uint8_t *at, enum stage *stage, uint32_t *place) {
    if (*stage == WRITE_HEAD || *stage == WRITE_TAIL) {
        at = *stage == WRITE_HEAD ? put_head(c, at) : put_tail(c, at);
        ++*stage;
        return at;
    }
    if (*place == 0) {
        at = put_word(at, count_of(c, *stage));
        *place = first_of(c, *stage);
    } else {
        at = put_thing(c, at, *stage, *place);
        *place = next_of(c, *stage, *place);
    }
    if (*place == 0) ++*stage;
    return at;
}

int64_t core_snapshot(const core *c, uint64_t *cursor, uint8_t *out, uint32_t capacity) {
    if (capacity < SNAPSHOT_ITEM_BYTES) return CORE_SMALL_BUFFER;
    assert(!c->progress.is_under_way && "a state holds together between records");
    enum stage stage = (enum stage)(*cursor >> STAGE_SHIFT);
    uint32_t place = (uint32_t)*cursor;
    uint8_t *at = out;
    while (stage != WRITE_DONE && (uint32_t)(at - out) <= capacity - SNAPSHOT_ITEM_BYTES) at = put_next(c, at, &stage, &place);
    *cursor = stage == WRITE_DONE ? 0 : (uint64_t)stage << STAGE_SHIFT | place;
    return at - out;
}
