/* See book_reference.h. Written from the rules, not from the book: where the two differ, one of them is wrong. */

#include "book_reference.h"

#include <assert.h>
#include <string.h>

typedef struct reference_order order_t;

void reference_open(struct reference *reference, struct reference_pool *pool) {
    memset(reference, 0, sizeof *reference);
    reference->pool = pool;
    reference->next_priority = 1;
}

order_t *reference_find(struct reference *reference, uint64_t order_id) {
    for (int side = 0; side < 2; side++) {
        for (int at = 0; at < reference->side[side].count; at++) {
            if (reference->side[side].orders[at].order_id == order_id) return &reference->side[side].orders[at];
        }
    }
    return NULL;
}

static bool better(int side, int64_t price_ticks, int64_t than_ticks) {
    return side == BOOK_BUY ? price_ticks > than_ticks : price_ticks < than_ticks;
}

/* May an order of this side with this limit trade at this price? */
static bool acceptable(int side, int64_t limit_ticks, int64_t price_ticks) {
    if (limit_ticks == BOOK_ANY_PRICE) return true;
    return side == BOOK_BUY ? price_ticks <= limit_ticks : price_ticks >= limit_ticks;
}

static bool crosses(const struct reference *reference, int side, int64_t limit_ticks) {
    const struct reference_side *against = &reference->side[!side];
    return against->count > 0 && acceptable(side, limit_ticks, against->orders[0].price_ticks);
}

static int64_t side_lots(const struct reference *reference, int side) {
    int64_t lots = 0;
    for (int at = 0; at < reference->side[side].count; at++) lots += reference->side[side].orders[at].lots;
    return lots;
}

static void take_out(struct reference *reference, order_t *order) {
    struct reference_side *side = &reference->side[order->side];
    int at = (int)(order - side->orders);
    memmove(order, order + 1, sizeof *order * (size_t)(side->count - at - 1));
    side->count--;
    reference->pool->order_count--;
}

static void put_in(struct reference *reference, order_t order) {
    struct reference_side *side = &reference->side[order.side];
    assert(side->count < REFERENCE_ORDERS);
    int at = 0;
    while (at < side->count && !better(order.side, order.price_ticks, side->orders[at].price_ticks)) at++;
    memmove(&side->orders[at + 1], &side->orders[at], sizeof order * (size_t)(side->count - at));
    order.priority = reference->next_priority++;
    side->orders[at] = order;
    side->count++;
    reference->pool->order_count++;
}

static struct book_report *say(struct reference *reference, int kind, const order_t *order, int64_t left_lots) {
    assert(reference->report_count < REFERENCE_REPORTS);
    struct book_report *report = &reference->reports[reference->report_count++];
    *report = (struct book_report){.order_id = order->order_id,
                                   .price_ticks = order->price_ticks,
                                   .left_lots = left_lots,
                                   .owner = order->owner,
                                   .kind = (uint8_t)kind,
                                   .side = order->side};
    return report;
}

/* Fill or kill: walk what it would meet. */
static bool fillable(const struct reference *reference, const order_t *taker) {
    const struct reference_side *against = &reference->side[!taker->side];
    int64_t lots = taker->lots;
    for (int at = 0; at < against->count && lots > 0; at++) {
        const order_t *maker = &against->orders[at];
        if (!acceptable(taker->side, taker->price_ticks, maker->price_ticks)) return false;
        bool own = maker->owner == taker->owner && taker->self_trade != BOOK_SELF_TRADE_NONE;
        if (own && taker->self_trade != BOOK_SELF_TRADE_CANCEL_MAKER) return false;
        if (!own) lots = maker->lots < lots ? lots - maker->lots : 0;
    }
    return lots == 0;
}

/* One meeting. Returns why the taker ends, or BOOK_NO_REASON. */
static int meet(struct reference *reference, order_t *taker, order_t *maker) {
    int mode = maker->owner == taker->owner ? taker->self_trade : BOOK_SELF_TRADE_NONE;
    int64_t lots = maker->lots < taker->lots ? maker->lots : taker->lots;
    if (mode == BOOK_SELF_TRADE_NONE) {
        struct book_report *report = say(reference, BOOK_TRADE, maker, maker->lots - lots);
        report->other_id = taker->order_id;
        report->lots = lots;
    }
    if (mode == BOOK_SELF_TRADE_DECREMENT) say(reference, BOOK_REDUCED, maker, maker->lots - lots)->lots = lots;
    if (mode == BOOK_SELF_TRADE_NONE || mode == BOOK_SELF_TRADE_DECREMENT) {
        maker->lots -= lots;
        taker->lots -= lots;
    }
    bool cancelled = mode == BOOK_SELF_TRADE_CANCEL_MAKER || mode == BOOK_SELF_TRADE_CANCEL_BOTH;
    if (cancelled || (mode == BOOK_SELF_TRADE_DECREMENT && maker->lots == 0)) {
        say(reference, BOOK_ENDED, maker, maker->lots)->reason = BOOK_SELF_TRADE;
    }
    if (cancelled || maker->lots == 0) take_out(reference, maker);
    if (mode == BOOK_SELF_TRADE_DECREMENT) say(reference, BOOK_REDUCED, taker, taker->lots)->lots = lots;
    if (mode == BOOK_SELF_TRADE_CANCEL_TAKER || mode == BOOK_SELF_TRADE_CANCEL_BOTH) return BOOK_SELF_TRADE;
    if (taker->lots > 0) return BOOK_NO_REASON;
    return mode == BOOK_SELF_TRADE_DECREMENT ? BOOK_SELF_TRADE : BOOK_FILLED;
}

/* Everything it meets, then its last word. */
static void trade(struct reference *reference, order_t taker, int type, int time_in_force, int reason) {
    while (reason == BOOK_NO_REASON && crosses(reference, taker.side, taker.price_ticks)) {
        reason = meet(reference, &taker, &reference->side[!taker.side].orders[0]);
    }
    if (reason == BOOK_NO_REASON && type == BOOK_MARKET) reason = BOOK_NO_LIQUIDITY;
    if (reason == BOOK_NO_REASON && time_in_force != BOOK_GTC) reason = BOOK_IOC_REMAINDER;
    struct book_report *report = say(reference, reason ? BOOK_ENDED : BOOK_RESTED, &taker, taker.lots);
    report->reason = (uint8_t)reason;
    if (reason == BOOK_NO_REASON) put_in(reference, taker);
}

enum book_result reference_place(struct reference *reference, struct book_taker t) {
    reference->report_count = 0;
    order_t taker = {t.entry.order_id, t.price_ticks, t.lots, 0, t.entry.owner, t.entry.side, t.entry.self_trade,
                     t.entry.post_only};
    if (t.lots < 1 || t.lots > BOOK_MAX_LOTS || t.price_ticks > BOOK_MAX_PRICE) return BOOK_BAD_ORDER;
    if (t.price_ticks < (t.type == BOOK_MARKET ? 0 : 1)) return BOOK_BAD_ORDER;
    if (t.type == BOOK_MARKET && t.time_in_force != BOOK_IOC) return BOOK_BAD_ORDER;
    if (t.entry.post_only && t.time_in_force != BOOK_GTC) return BOOK_BAD_ORDER;
    if (reference_find(reference, taker.order_id)) return BOOK_ORDER_EXISTS;
    bool may_rest = t.time_in_force == BOOK_GTC;
    if (may_rest && reference->pool->order_count >= reference->pool->order_limit) return BOOK_POOL_FULL;
    if (may_rest && t.lots > BOOK_MAX_LOTS - side_lots(reference, taker.side)) return BOOK_SIDE_FULL;
    if (t.entry.post_only && crosses(reference, taker.side, taker.price_ticks)) return BOOK_POST_ONLY_WOULD_TRADE;
    say(reference, BOOK_ACCEPTED, &taker, taker.lots)->lots = taker.lots;
    bool killed = t.time_in_force == BOOK_FOK && !fillable(reference, &taker);
    trade(reference, taker, t.type, t.time_in_force, killed ? BOOK_FOK_UNFILLABLE : BOOK_NO_REASON);
    return BOOK_DONE;
}

enum book_result reference_cancel(struct reference *reference, uint64_t order_id) {
    reference->report_count = 0;
    order_t *order = reference_find(reference, order_id);
    if (order == NULL) return BOOK_ORDER_UNKNOWN;
    say(reference, BOOK_ENDED, order, order->lots)->reason = BOOK_BY_OWNER;
    take_out(reference, order);
    return BOOK_DONE;
}

enum book_result reference_amend(struct reference *reference, uint64_t order_id, int64_t price_ticks, int64_t lots) {
    reference->report_count = 0;
    if (price_ticks < 1 || price_ticks > BOOK_MAX_PRICE || lots < 1 || lots > BOOK_MAX_LOTS) return BOOK_BAD_ORDER;
    order_t *order = reference_find(reference, order_id);
    if (order == NULL) return BOOK_ORDER_UNKNOWN;
    if (price_ticks == order->price_ticks && lots <= order->lots) {
        order->lots = lots;
        say(reference, BOOK_AMENDED, order, lots)->lots = lots;
        return BOOK_DONE;
    }
    if (lots > BOOK_MAX_LOTS - (side_lots(reference, order->side) - order->lots)) return BOOK_SIDE_FULL;
    if (order->post_only && crosses(reference, order->side, price_ticks)) return BOOK_POST_ONLY_WOULD_TRADE;
    order_t moved = *order;
    take_out(reference, order);
    moved.price_ticks = price_ticks;
    moved.lots = lots;
    say(reference, BOOK_AMENDED, &moved, lots)->lots = lots;
    trade(reference, moved, BOOK_LIMIT, BOOK_GTC, BOOK_NO_REASON);
    return BOOK_DONE;
}
