/* Call auctions: the price, the trades, what would be traded now; see core.h and docs/matching.md. */

#include "core.h"

/* ---- The price ------------------------------------------------------------------------------------------------ */

/* All that is to be had at a level, shown or not. */
static int64_t whole_level(const struct core *c, const struct book *book, uint32_t level) {
    return book_level_at(book, level)->lots + c->hidden[level];
}

/* How far bids and asks, best first, take each other up: the volume, the last level of each that takes part, and what is left
 * of the two. Linear in the levels that do. */
struct overlap {
    int64_t volume_lots;
    uint32_t bid, ask;
    int64_t bid_left, ask_left;
};

static struct overlap find_overlap(const struct core *c, const struct book *book) {
    struct overlap found = {0};
    uint32_t bid = book_best_level(book, BOOK_BUY);
    uint32_t ask = book_best_level(book, BOOK_SELL);
    int64_t wanted = 0;
    int64_t offered = 0;
    while (bid != BOOK_NONE && ask != BOOK_NONE && book_level_price(book, bid) >= book_level_price(book, ask)) {
        if (wanted == 0) wanted = whole_level(c, book, bid);
        if (offered == 0) offered = whole_level(c, book, ask);
        int64_t lots = wanted < offered ? wanted : offered;
        wanted -= lots;
        offered -= lots;
        found = (struct overlap){found.volume_lots + lots, bid, ask, wanted, offered};
        if (wanted == 0) bid = book_next_level(book, bid);
        if (offered == 0) ask = book_next_level(book, ask);
    }
    return found;
}

/* A run of prices with the same surplus. */
struct run {
    int64_t low;
    int64_t high;
    int64_t surplus_lots;
};

/* Of the prices with this volume that only the bids below the last one widen, the highest: its surplus of bids, and down to
 * where the surplus is the same. */
static struct run surplus_of_bids(const struct core *c, const struct book *book, uint32_t level, int64_t low, int64_t high) {
    struct run run = {low, high, 0};
    for (level = book_next_level(book, level); level != BOOK_NONE; level = book_next_level(book, level)) {
        int64_t price_ticks = book_level_price(book, level);
        if (price_ticks < high) {
            if (price_ticks + 1 > run.low) run.low = price_ticks + 1;
            break;
        }
        run.surplus_lots += whole_level(c, book, level);
    }
    return run;
}

/* The same of asks, from the lowest price up; the surplus is below 0. */
static struct run surplus_of_asks(const struct core *c, const struct book *book, uint32_t level, int64_t low, int64_t high) {
    struct run run = {low, high, 0};
    for (level = book_next_level(book, level); level != BOOK_NONE; level = book_next_level(book, level)) {
        int64_t price_ticks = book_level_price(book, level);
        if (price_ticks > low) {
            if (price_ticks - 1 < run.high) run.high = price_ticks - 1;
            break;
        }
        run.surplus_lots -= whole_level(c, book, level);
    }
    return run;
}

static int64_t nearest(int64_t price_ticks, int64_t low, int64_t high) {
    if (price_ticks < low) return low;
    return price_ticks > high ? high : price_ticks;
}

/* The bids alone would fill the volume at `low` .. `high` exactly, and so would the asks: where in there? */
static struct core_crossing choose(const struct core *c, const struct core_instrument *instrument, const struct overlap *overlap,
                                   int64_t low, int64_t high) {
    const struct book *book = instrument->book;
    uint32_t bid_below = book_next_level(book, overlap->bid);
    uint32_t ask_above = book_next_level(book, overlap->ask);
    int64_t around = instrument->reference_ticks != 0 ? instrument->reference_ticks : instrument->last_price_ticks;
    /* Up to here no further ask, from here on no further bid takes part. */
    int64_t last_of_bids = high;
    int64_t first_of_asks = low;
    if (ask_above != BOOK_NONE && book_level_price(book, ask_above) <= high) last_of_bids = book_level_price(book, ask_above) - 1;
    if (bid_below != BOOK_NONE && book_level_price(book, bid_below) >= low) first_of_asks = book_level_price(book, bid_below) + 1;
    if (first_of_asks <= last_of_bids) {
        return (struct core_crossing){nearest(around, first_of_asks, last_of_bids), overlap->volume_lots, 0};
    }
    struct run bids = surplus_of_bids(c, book, overlap->bid, low, last_of_bids);
    struct run asks = surplus_of_asks(c, book, overlap->ask, first_of_asks, high);
    if (bids.surplus_lots < -asks.surplus_lots) return (struct core_crossing){bids.high, overlap->volume_lots, bids.surplus_lots};
    if (bids.surplus_lots > -asks.surplus_lots) return (struct core_crossing){asks.low, overlap->volume_lots, asks.surplus_lots};
    int64_t price_ticks = nearest(around, bids.low, asks.high);
    return (struct core_crossing){price_ticks, overlap->volume_lots,
                                  price_ticks <= bids.high ? bids.surplus_lots : asks.surplus_lots};
}

struct core_crossing core_crossing(const struct core *c, const struct core_instrument *instrument) {
    struct overlap overlap = find_overlap(c, instrument->book);
    if (overlap.volume_lots == 0) return (struct core_crossing){0};
    int64_t high = book_level_price(instrument->book, overlap.bid);
    int64_t low = book_level_price(instrument->book, overlap.ask);
    if (overlap.bid_left != 0) return (struct core_crossing){high, overlap.volume_lots, overlap.bid_left};
    if (overlap.ask_left != 0) return (struct core_crossing){low, overlap.volume_lots, -overlap.ask_left};
    return choose(c, instrument, &overlap, low, high);
}

/* ---- The trades ----------------------------------------------------------------------------------------------- */

/* One of two own orders that met ends, or loses lots; both never at once, since what is linked to the first comes before the
 * second. */
static void prevent_one(struct core *c, uint32_t slot, int64_t lots) {
    int64_t whole_lots = book_order_at(c->pool, slot)->remaining_lots + core_hidden(c, slot);
    if (lots == 0 || lots == whole_lots) {
        core_end_order(c, slot, ORDER_STATE_CANCELLED, END_REASON_SELF_TRADE, lots);
    } else {
        core_shrink_order(c, slot, lots);
    }
}

/* Two orders of one account meet, in the mode of the later one. */
static void prevent(struct core *c, uint32_t taker, uint32_t maker) {
    struct core_move *move = &c->progress.move;
    int64_t taker_lots = book_order_at(c->pool, taker)->remaining_lots + core_hidden(c, taker);
    int64_t maker_lots = book_order_at(c->pool, maker)->remaining_lots + core_hidden(c, maker);
    int64_t lots = taker_lots < maker_lots ? taker_lots : maker_lots;
    switch (book_order_at(c->pool, taker)->self_trade) {
    case BOOK_SELF_TRADE_CANCEL_MAKER: prevent_one(c, maker, 0); return;
    case BOOK_SELF_TRADE_CANCEL_TAKER: prevent_one(c, taker, 0); return;
    case BOOK_SELF_TRADE_CANCEL_BOTH: lots = 0; break;
    default: break;
    }
    move->other = maker;
    move->other_lots = lots;
    prevent_one(c, taker, lots);
}

/* The best bid and the best ask meet. */
static void meet(struct core *c, uint32_t bid, uint32_t ask) {
    const struct book_order *buys = book_order_at(c->pool, bid);
    const struct book_order *sells = book_order_at(c->pool, ask);
    bool is_bid_later = buys->priority > sells->priority;
    uint32_t taker = is_bid_later ? bid : ask;
    uint32_t maker = is_bid_later ? ask : bid;
    uint8_t mode = book_order_at(c->pool, taker)->self_trade;
    if (buys->owner == sells->owner && mode != BOOK_SELF_TRADE_NONE) {
        prevent(c, taker, maker);
        return;
    }
    int64_t lots = buys->remaining_lots < sells->remaining_lots ? buys->remaining_lots : sells->remaining_lots;
    core_trade_at_auction(c, taker, maker, c->progress.move.price_ticks, lots);
    c->progress.move.has_traded = true;
}

bool core_uncross(struct core *c, struct core_instrument *instrument) {
    struct core_move *move = &c->progress.move;
    const struct book *book = instrument->book;
    for (;;) {
        if (!core_settle_links(c)) return false;
        if (move->price_ticks == 0) move->price_ticks = core_crossing(c, instrument).price_ticks;
        if (move->price_ticks == 0) return true;
        if (!core_has_room(c)) return false;
        if (move->other != BOOK_NONE) {
            uint32_t other = move->other;
            move->other = BOOK_NONE;
            prevent_one(c, other, move->other_lots);
            continue;
        }
        uint32_t bid = book_best_order(book, BOOK_BUY);
        uint32_t ask = book_best_order(book, BOOK_SELL);
        bool do_both_reach = bid != BOOK_NONE && ask != BOOK_NONE && book_best_price(book, BOOK_BUY) >= move->price_ticks &&
                             book_best_price(book, BOOK_SELL) <= move->price_ticks;
        if (do_both_reach) {
            meet(c, bid, ask);
        } else {
            move->price_ticks = 0;
        }
    }
}

/* ---- Indicative prices ---------------------------------------------------------------------------------------- */

bool core_state_auctions(struct core *c) {
    struct core_progress *p = &c->progress;
    for (; c->auctions_touched != 0; p->next_auction++) {
        struct core_instrument *instrument = &c->instruments[p->next_auction];
        if (!instrument->is_auction_touched) continue;
        if (!core_has_room(c)) return false;
        struct core_crossing found = {0};
        if (core_gathers(instrument->phase)) found = core_crossing(c, instrument);
        core_say_auction(c, instrument, &found);
        instrument->is_auction_touched = 0;
        c->auctions_touched--;
    }
    return true;
}
