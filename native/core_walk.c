/* What an incoming order would trade, found by walking the book exactly as it would; see core.h and docs/matching.md. */

#include "core.h"

/* A walk under way: what the order could still take, and what it has taken. */
struct walker {
    const struct core *c;
    const struct core_incoming *in;
    const struct core_instrument *instrument;
    int64_t lots_left;
    int64_t quote_left;
    struct core_band band;
    struct core_walk found;
};

/* The most lots it could take at a price. */
static int64_t could_take(const struct walker *walker, int64_t price_ticks) {
    if (!walker->in->is_by_quote) return walker->lots_left;
    return walker->quote_left / (price_ticks * walker->instrument->tick_lot_minor);
}

static void use(struct walker *walker, int64_t price_ticks, int64_t lots) {
    walker->lots_left -= lots;
    walker->quote_left -= price_ticks * lots * walker->instrument->tick_lot_minor;
}

/* Take of what is offered at a price. False: it could not take all, and goes no further: what is left of a quote may pay for
 * lots at a lower price, but this order stands before it. */
static bool trade(struct walker *walker, int64_t price_ticks, int64_t offered) {
    int64_t could = could_take(walker, price_ticks);
    int64_t lots = could < offered ? could : offered;
    walker->found.lots += lots;
    walker->found.moved += core_hold(walker->instrument, walker->in->side, price_ticks, lots);
    use(walker, price_ticks, lots);
    return lots == offered;
}

/* Meet one of its own account. False: it goes no further. The whole of an iceberg counts at once. */
static bool meet_own(struct walker *walker, uint32_t slot) {
    const struct book_order *maker = book_order_at(walker->c->pool, slot);
    if (walker->in->self_trade == BOOK_SELF_TRADE_CANCEL_MAKER) return true;
    if (walker->in->self_trade != BOOK_SELF_TRADE_DECREMENT) return false;
    int64_t whole = maker->remaining_lots + core_hidden(walker->c, slot);
    if (could_take(walker, maker->price_ticks) <= whole) return false;
    use(walker, maker->price_ticks, whole);
    return true;
}

/* One level: what is shown in its order, then what others hide, all at one price, so in whatever order. False: no further. */
static bool walk_level(struct walker *walker, uint32_t level) {
    const struct book *book = walker->instrument->book;
    int64_t price_ticks = book_level_price(book, level);
    int64_t hidden_lots = walker->c->hidden[level];
    for (uint32_t slot = book_level_at(book, level)->first; slot != BOOK_NONE; slot = book_order_at(walker->c->pool, slot)->next) {
        const struct book_order *maker = book_order_at(walker->c->pool, slot);
        if (could_take(walker, price_ticks) == 0) return false;
        bool is_own = maker->owner == walker->in->account && walker->in->self_trade != BOOK_SELF_TRADE_NONE;
        if (is_own) hidden_lots -= core_hidden(walker->c, slot);
        if (is_own ? !meet_own(walker, slot) : !trade(walker, price_ticks, maker->remaining_lots)) return false;
    }
    return hidden_lots == 0 || trade(walker, price_ticks, hidden_lots);
}

struct core_walk core_walk(const struct core *c, const struct core_incoming *in) {
    struct walker walker = {
        .c = c,
        .in = in,
        .instrument = &c->instruments[in->instrument],
        .lots_left = in->remaining_lots,
        .quote_left = in->quote_left,
        .band = core_dynamic_band(&c->instruments[in->instrument]),
    };
    const struct book *book = walker.instrument->book;
    if (in->limit_ticks == 0) return walker.found;
    for (uint32_t level = book_best_level(book, book_opposite(in->side)); level != BOOK_NONE; level = book_next_level(book, level)) {
        int64_t price_ticks = book_level_price(book, level);
        bool is_in_reach = in->side == BOOK_BUY ? price_ticks <= in->limit_ticks : price_ticks >= in->limit_ticks;
        if (!is_in_reach || !core_is_within(walker.band, price_ticks) || !walk_level(&walker, level)) break;
    }
    return walker.found;
}
