/* Checking everything: every part by itself, and what holds between them; see core.h. Linear in the state. */

#include "core.h"

#define CHECK(rule) \
    do { \
        if (!(rule)) return __LINE__; \
    } while (0)

/* Rules of other files: their lines are told from these by a factor. */
enum { FILE_RISK = 10000, FILE_NAMES = 20000, FILE_SESSIONS = 30000, FILE_BOOK = 40000 };
#define CHECK_FILE(file, call) \
    do { \
        int line_there = (call); \
        if (line_there != 0) return (file) + line_there; \
    } while (0)

/* What is counted on the way. */
struct counted {
    uint32_t orders;
    uint32_t named; /* orders with a name */
    uint64_t hash;
};

/* One resting order: fields in range, its account's and its name's, and what it holds. */
static int validate_order(const struct core *c, const struct core_instrument *instrument, uint32_t slot, struct counted *counted) {
    const struct book_order *order = book_order_at(c->pool, slot);
    const struct core_cold *cold = &c->cold[slot];
    const struct risk *risk = &c->risk;
    CHECK(order->order_id % CORE_SHARDS == c->shard && order->order_id / CORE_SHARDS <= c->orders_given);
    CHECK(order->owner >= 1 && order->owner <= risk->account_count);
    CHECK(order->remaining_lots <= cold->quantity_lots && cold->filled_quote_minor >= 0);
    CHECK(cold->sequence >= 1 && cold->sequence <= c->sequence);
    uint32_t gives = risk_find_balance(risk, order->owner, core_asset_given(instrument, order->side));
    uint32_t receives = risk_find_balance(risk, order->owner, core_asset_received(instrument, order->side));
    CHECK(gives != RISK_NONE && receives != RISK_NONE && order->caller_word == core_balances_word(gives, receives));
    risk_wide held = core_hold(instrument, order->side, order->price_ticks, order->remaining_lots);
    CHECK(held <= risk->balances[gives].held_minor - risk->counted[gives]);
    risk->counted[gives] += (int64_t)held;
    if (cold->name != NAMES_NONE) {
        CHECK(cold->name <= c->names.fresh);
        const struct name *name = &c->names.names[cold->name];
        CHECK(name->order_id == order->order_id && name->account == order->owner && name->ended_us == NAMES_OPEN);
        counted->named++;
    }
    counted->orders++;
    counted->hash += core_order_hash(c, slot);
    return 0;
}

/* One instrument: its settings, its book, its orders. */
static int validate_instrument(const struct core *c, uint32_t place, struct counted *counted) {
    const struct core_instrument *instrument = &c->instruments[place];
    CHECK(instrument->id == (place + 1) * CORE_SHARDS + c->shard && instrument->is_touched == 0);
    CHECK(instrument->base >= 1 && instrument->base <= c->risk.asset_count && instrument->base != instrument->quote);
    CHECK(instrument->quote >= 1 && instrument->quote <= c->risk.asset_count);
    CHECK(instrument->lot_minor >= 1 && instrument->tick_lot_minor >= 1 && instrument->last_price_ticks >= 0);
    CHECK(instrument->market_hash == core_market_hash(instrument));
    counted->hash += instrument->market_hash + core_instrument_hash(instrument);
    CHECK_FILE(FILE_BOOK, book_validate(instrument->book));
    for (uint32_t side = BOOK_BUY; side <= BOOK_SELL; side++) {
        uint32_t slot = book_best_order(instrument->book, side);
        for (; slot != BOOK_NONE; slot = book_next_order(instrument->book, slot)) {
            int line = validate_order(c, instrument, slot, counted);
            if (line != 0) return line;
        }
    }
    return 0;
}

/* One account's list of open orders: linked both ways, by ascending id, complete. */
static int validate_account(const struct core *c, uint32_t place, struct counted *counted) {
    const struct risk_account *account = &c->risk.accounts[place];
    uint32_t orders = 0;
    uint32_t older = BOOK_NONE;
    uint64_t last_id = 0;
    for (uint32_t slot = account->first_order; slot != BOOK_NONE; slot = c->cold[slot].younger) {
        const struct book_order *order = book_order_at(c->pool, slot);
        CHECK(++orders <= account->open_orders && order->owner == place);
        CHECK(c->cold[slot].older == older && order->order_id > last_id);
        CHECK(book_find(c->pool, order->order_id) == slot);
        older = slot;
        last_id = order->order_id;
    }
    CHECK(orders == account->open_orders && account->last_order == older);
    CHECK(orders <= c->sizes.orders_per_account);
    counted->orders += orders;
    return 0;
}

/* What is held is what open orders hold. */
static int validate_holds(const struct core *c) {
    for (uint32_t place = 1; place <= c->risk.balance_count; place++) {
        CHECK(c->risk.counted[place] == c->risk.balances[place].held_minor);
    }
    return 0;
}

/* Nothing is above its size. */
static int validate_sizes(const struct core *c) {
    const struct codec_set_sizes *sizes = &c->sizes;
    CHECK(c->pool->order_count <= sizes->orders && sizes->orders <= c->cold_room && sizes->orders <= c->pool->reserved);
    CHECK(c->risk.account_count <= sizes->accounts && sizes->accounts <= c->risk.account_room);
    CHECK(c->risk.balance_count <= sizes->balances && sizes->balances <= c->risk.balance_room);
    CHECK(c->names.count <= sizes->client_order_ids && sizes->client_order_ids <= c->names.room);
    CHECK(c->sessions.count <= sizes->sessions && sizes->sessions <= c->sessions.room);
    CHECK(c->instrument_count <= sizes->instruments && sizes->instruments <= c->instrument_room);
    CHECK(c->instrument_count <= c->book_count && c->touched_count == 0);
    CHECK(c->shard < CORE_SHARDS && c->rules >= 1 && c->rules <= CORE_KNOWN_RULES && c->clock_us >= 0);
    return 0;
}

int core_validate(const core *c) {
    struct counted in_books = {0};
    struct counted in_lists = {0};
    uint32_t open_names = 0;
    int line = validate_sizes(c);
    CHECK_FILE(FILE_RISK, risk_validate(&c->risk));
    CHECK_FILE(FILE_NAMES, names_validate(&c->names, &open_names));
    CHECK_FILE(FILE_SESSIONS, sessions_validate(&c->sessions));
    CHECK_FILE(FILE_BOOK, book_pool_validate(c->pool));
    for (uint32_t place = 1; place <= c->risk.balance_count; place++) c->risk.counted[place] = 0;
    for (uint32_t place = 0; place < c->instrument_count && line == 0; place++) line = validate_instrument(c, place, &in_books);
    for (uint32_t place = 1; place <= c->risk.account_count && line == 0; place++) line = validate_account(c, place, &in_lists);
    if (line == 0) line = validate_holds(c);
    if (line != 0) return line;
    CHECK(in_books.orders == c->pool->order_count && in_lists.orders == in_books.orders && in_books.named == open_names);
    CHECK(in_books.hash == c->hash);
    return 0;
}
