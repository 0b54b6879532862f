/* Checking everything: every part by itself, and what holds between them; see core.h. Linear in the state. */

#include "core.h"

#define CHECK(rule) \
    do { \
        if (!(rule)) return __LINE__; \
    } while (0)

/* Rules of other files: their lines are told from these by a factor. */
enum { FILE_RISK = 10000, FILE_NAMES = 20000, FILE_SESSIONS = 30000, FILE_BOOK = 40000, FILE_TIMERS = 50000 };
#define CHECK_FILE(file, call) \
    do { \
        int line_there = (call); \
        if (line_there != 0) return (file) + line_there; \
    } while (0)

/* What is counted on the way. */
struct counted {
    uint32_t orders;
    uint32_t named; /* orders with a name */
    uint32_t timers;
    uint32_t trailing; /* stops that wait */
    uint64_t hash;
};

/* A timer says what its owner says: when, of which kind, and whose it is. No time, no timer. */
static bool is_timer(const struct core *c, uint32_t handle, int64_t due_us, enum timer_kind kind, uint64_t id, uint32_t ref) {
    const struct timers *timers = &c->timers;
    if (handle == TIMER_NONE) return due_us == 0;
    if (handle > timers->fresh || timers->at[handle] > timers->count) return false;
    const struct timer *timer = &timers->heap[timers->at[handle]];
    return timer->handle == handle && timer->due_us == due_us && due_us != 0 && timer->kind == kind && timer->id == id && timer->ref == ref;
}

/* What every order that was taken in has, wherever it is: a name of its own, its account's balances. */
static int validate_taken(const struct core *c, const struct core_instrument *instrument, uint32_t slot, uint32_t side,
                          struct counted *counted) {
    const struct book_order *order = book_order_at(c->pool, slot);
    const struct core_cold *cold = &c->cold[slot];
    const struct risk *risk = &c->risk;
    CHECK(order->order_id % CORE_SHARDS == c->shard && order->order_id / CORE_SHARDS <= c->orders_given);
    CHECK(order->owner >= 1 && order->owner <= risk->account_count);
    CHECK(cold->filled_quote_minor >= 0 && cold->has_more <= 1);
    CHECK(cold->sequence >= 1 && cold->sequence <= c->sequence);
    uint32_t gives = risk_find_balance(risk, order->owner, core_asset_given(instrument, side));
    uint32_t receives = risk_find_balance(risk, order->owner, core_asset_received(instrument, side));
    CHECK(receives != RISK_NONE && core_receives(order) == receives);
    CHECK(core_gives(order) == gives || core_whereabouts(c, slot) != ORDER_IN_BOOK);
    if (cold->name != NAMES_NONE) {
        CHECK(cold->name <= c->names.fresh);
        const struct name *name = &c->names.names[cold->name];
        CHECK(name->order_id == order->order_id && name->account == order->owner && name->ended_us == NAMES_OPEN);
        counted->named++;
    }
    if (cold->has_more) {
        const struct core_more *more = &c->more[slot];
        CHECK(is_timer(c, more->timer, more->expires_us, TIMER_ORDER, order->order_id, slot));
        counted->timers += more->timer != TIMER_NONE;
        counted->trailing += more->type == ORDER_TYPE_TRAILING_STOP;
    }
    counted->orders++;
    counted->hash += core_order_hash(c, slot);
    return 0;
}

/* One resting order: what it holds, hidden lots included. */
static int validate_resting(const struct core *c, const struct core_instrument *instrument, uint32_t slot, struct counted *counted) {
    const struct book_order *order = book_order_at(c->pool, slot);
    const struct core_cold *cold = &c->cold[slot];
    int64_t hidden_lots = cold->has_more ? c->more[slot].hidden_lots : 0;
    CHECK(core_whereabouts(c, slot) == ORDER_IN_BOOK && hidden_lots >= 0);
    CHECK(order->remaining_lots <= cold->quantity_lots - hidden_lots);
    if (hidden_lots != 0) CHECK(order->remaining_lots <= c->more[slot].display_lots);
    int line = validate_taken(c, instrument, slot, order->side, counted);
    if (line != 0) return line;
    risk_wide held = core_hold(instrument, order->side, order->price_ticks, order->remaining_lots + hidden_lots);
    uint32_t gives = core_gives(order);
    CHECK(gives != RISK_NONE && held <= c->risk.balances[gives].held_minor - c->risk.counted[gives]);
    c->risk.counted[gives] += (int64_t)held;
    return 0;
}

/* The levels of a book hide what their orders hide. */
static int validate_hidden(const struct core *c, const struct book *book, uint32_t side) {
    for (uint32_t at = book_best_level(book, side); at != BOOK_NONE; at = book_next_level(book, at)) {
        int64_t hidden_lots = 0;
        for (uint32_t slot = book_level_at(book, at)->first; slot != BOOK_NONE; slot = book_order_at(c->pool, slot)->next) {
            if (c->cold[slot].has_more) hidden_lots += c->more[slot].hidden_lots;
        }
        CHECK(c->hidden[at] == hidden_lots);
    }
    return 0;
}

/* One side of a book of waiting orders: each stands at what triggers it, lets it follow, or under any price. */
static int validate_waiting(const struct core *c, const struct core_instrument *instrument, uint32_t kind, uint32_t side,
                            struct counted *counted) {
    const struct book *book = instrument->waiting[kind];
    for (uint32_t slot = book_best_order(book, side); slot != BOOK_NONE; slot = book_next_order(book, slot)) {
        const struct core_more *more = &c->more[slot];
        CHECK(c->cold[slot].has_more && more->whereabouts == ORDER_WAITS_LAST + kind);
        CHECK(book_order_at(c->pool, slot)->remaining_lots == 1 && more->hidden_lots == 0);
        struct core_stand stand = core_stand_of(more);
        CHECK(book_order_at(c->pool, slot)->price_ticks == stand.price_ticks && stand.side == side);
        CHECK(book_order_at(c->pool, slot)->priority <= instrument->waiting_stamp);
        int line = validate_taken(c, instrument, slot, more->side, counted);
        if (line != 0) return line;
    }
    return 0;
}

/* How many wait in its books; trailing stops, in their list: by ascending ids, linked both ways. */
static int validate_counts(const struct core *c, const struct core_instrument *instrument) {
    for (uint32_t kind = 0; kind < 2; kind++) {
        const struct book *book = instrument->waiting[kind];
        CHECK(instrument->waits[kind] == book->half[BOOK_BUY].order_count + book->half[BOOK_SELL].order_count);
    }
    uint32_t trailing = 0;
    uint32_t older = BOOK_NONE;
    for (uint32_t slot = instrument->first_trailing; slot != BOOK_NONE; slot = c->more[slot].trail_younger) {
        const struct core_more *more = &c->more[slot];
        CHECK(++trailing <= instrument->trailing_count && more->type == ORDER_TYPE_TRAILING_STOP);
        CHECK(more->trail_older == older && core_whereabouts(c, slot) != ORDER_IN_BOOK);
        CHECK(older == BOOK_NONE || book_order_at(c->pool, older)->order_id < book_order_at(c->pool, slot)->order_id);
        CHECK(&c->instruments[core_order_place(book_order_at(c->pool, slot))] == instrument);
        older = slot;
    }
    CHECK(trailing == instrument->trailing_count && trailing <= CORE_MAX_TRAILING && instrument->last_trailing == older);
    return 0;
}

/* One instrument: its settings, its books, its orders. */
static int validate_instrument(const struct core *c, uint32_t place, struct counted *counted) {
    const struct core_instrument *instrument = &c->instruments[place];
    CHECK(instrument->id == (place + 1) * CORE_SHARDS + c->shard && instrument->is_touched == 0);
    CHECK(instrument->base >= 1 && instrument->base <= c->risk.asset_count && instrument->base != instrument->quote);
    CHECK(instrument->quote >= 1 && instrument->quote <= c->risk.asset_count);
    CHECK(instrument->lot_minor >= 1 && instrument->tick_lot_minor >= 1 && instrument->last_price_ticks >= 0);
    CHECK(instrument->market_hash == core_market_hash(instrument) && instrument->is_auction_touched == 0);
    CHECK(is_timer(c, instrument->timer, instrument->phase_until_us, TIMER_PHASE, instrument->id, place));
    CHECK(instrument->book->may_cross == core_may_cross(instrument->phase));
    counted->timers += instrument->timer != TIMER_NONE;
    counted->hash += instrument->market_hash + core_instrument_hash(instrument);
    CHECK_FILE(FILE_BOOK, book_validate(instrument->book));
    for (uint32_t kind = 0; kind < 2; kind++) CHECK_FILE(FILE_BOOK, book_validate(instrument->waiting[kind]));
    for (uint32_t side = BOOK_BUY; side <= BOOK_SELL; side++) {
        uint32_t slot = book_best_order(instrument->book, side);
        int line = validate_hidden(c, instrument->book, side);
        for (; slot != BOOK_NONE && line == 0; slot = book_next_order(instrument->book, slot)) {
            line = validate_resting(c, instrument, slot, counted);
        }
        for (uint32_t kind = 0; kind < 2 && line == 0; kind++) line = validate_waiting(c, instrument, kind, side, counted);
        if (line != 0) return line;
    }
    return validate_counts(c, instrument);
}

/* Exits whose entry is open, by ascending id. */
static int validate_parked(const struct core *c, struct counted *counted) {
    uint64_t last_id = 0;
    uint32_t last = BOOK_NONE;
    for (uint32_t slot = c->parked.first; slot != BOOK_NONE; slot = book_order_at(c->pool, slot)->next) {
        const struct book_order *order = book_order_at(c->pool, slot);
        CHECK(core_whereabouts(c, slot) == ORDER_PARKED && order->order_id > last_id && order->level == BOOK_NONE);
        CHECK(core_order_place(order) < c->instrument_count && order->previous == last);
        int line = validate_taken(c, &c->instruments[core_order_place(order)], slot, c->more[slot].side, counted);
        if (line != 0) return line;
        last_id = order->order_id;
        last = slot;
    }
    CHECK(c->parked.last == last && c->queue.first == BOOK_NONE && c->link_count == 0);
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
    CHECK(is_timer(c, account->timer, account->dead_man_us, TIMER_ACCOUNT, account->id, place));
    counted->timers += account->timer != TIMER_NONE;
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
    CHECK(c->halt_sequence <= c->sequence && c->resume_sequence <= c->sequence);
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
    CHECK_FILE(FILE_TIMERS, timers_validate(&c->timers));
    for (uint32_t place = 1; place <= c->risk.balance_count; place++) c->risk.counted[place] = 0;
    for (uint32_t place = 0; place < c->instrument_count && line == 0; place++) line = validate_instrument(c, place, &in_books);
    for (uint32_t place = 1; place <= c->risk.account_count && line == 0; place++) line = validate_account(c, place, &in_lists);
    if (line == 0) line = validate_parked(c, &in_books);
    if (line == 0) line = validate_holds(c);
    if (line != 0) return line;
    CHECK(in_books.orders == c->pool->order_count && in_lists.orders == in_books.orders && in_books.named == open_names);
    uint32_t trailing = 0;
    for (uint32_t place = 0; place < c->instrument_count; place++) trailing += c->instruments[place].trailing_count;
    CHECK(in_books.trailing == trailing);
    CHECK(in_books.hash == c->hash && in_books.timers + in_lists.timers == c->timers.count);
    return 0;
}
