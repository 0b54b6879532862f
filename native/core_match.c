/* An order meets the book, one resting order a step, until it has ended or rests; see core.h and docs/matching.md. */

#include "core.h"

/* ---- One fill ------------------------------------------------------------------------------------------------- */

/* What moves in a fill, decided before anything does. */
struct fill {
    int64_t price_ticks;
    int64_t lots;
    int64_t base_minor;
    int64_t quote_minor;
    int64_t taker_fee_minor;
    int64_t maker_fee_minor; /* negative: a rebate */
};

/* The maker's fee, or its rebate as far as the fee account reaches. (That account has no orders, so all it has is there.) */
static int64_t fee_of_maker(const struct core *c, int32_t ppm, int64_t received_minor, uint32_t asset) {
    if (ppm >= 0) return risk_fee(received_minor, ppm);
    const struct risk_balance *chest = &c->risk.balances[c->risk.assets[asset].fee_balance];
    return -risk_rebate(received_minor, ppm, chest->available_minor);
}

static struct fill decide_fill(struct core *c, const struct book_order *maker, int64_t lots) {
    const struct core_incoming *in = &c->incoming;
    const struct core_instrument *instrument = core_market(c);
    struct fill fill = {
        .price_ticks = maker->price_ticks,
        .lots = lots,
        .base_minor = lots * instrument->lot_minor,
        .quote_minor = maker->price_ticks * lots * instrument->tick_lot_minor,
    };
    bool buys = in->side == BOOK_BUY;
    const struct risk_account *accounts = c->risk.accounts;
    fill.taker_fee_minor =
        risk_fee(buys ? fill.base_minor : fill.quote_minor, instrument->taker_ppm[accounts[in->account].fee_tier]);
    fill.maker_fee_minor = fee_of_maker(c, instrument->maker_ppm[accounts[maker->owner].fee_tier],
                                        buys ? fill.quote_minor : fill.base_minor, buys ? instrument->quote : instrument->base);
    return fill;
}

/* One side's legs: what it gives leaves its hold, or what is available; what it receives, less the fee, becomes available. */
static void settle(struct core *c, uint32_t gives, uint32_t receives, uint32_t asset, int64_t held_minor, int64_t gave_minor,
                   int64_t got_minor, int64_t fee_minor) {
    struct risk *risk = &c->risk;
    risk_move(risk, gives, held_minor - gave_minor, -held_minor);
    risk_move(risk, receives, got_minor - fee_minor, 0);
    if (fee_minor != 0) risk_move(risk, risk->assets[asset].fee_balance, fee_minor, 0);
}

/* Both sides' legs, the taker's first. */
static void settle_both(struct core *c, const struct book_order *maker, const struct fill *fill) {
    const struct core_incoming *in = &c->incoming;
    const struct core_instrument *instrument = core_market(c);
    bool buys = in->side == BOOK_BUY;
    int64_t gives = buys ? fill->quote_minor : fill->base_minor;
    int64_t receives = buys ? fill->base_minor : fill->quote_minor;
    int64_t held = in->type == ORDER_TYPE_LIMIT ? (int64_t)core_hold(instrument, in->side, in->price_ticks, fill->lots) : 0;
    settle(c, in->gives, in->receives, core_asset_received(instrument, in->side), held, gives, receives, fill->taker_fee_minor);
    settle(c, core_gives(maker), core_receives(maker), core_asset_given(instrument, in->side), receives, receives, gives,
           fill->maker_fee_minor);
}

/* What the trade makes of the incoming order. */
static void count_for_taker(struct core_incoming *in, const struct fill *fill) {
    in->filled_lots += fill->lots;
    in->filled_quote_minor = risk_sum(in->filled_quote_minor, fill->quote_minor);
    in->fee_minor = risk_sum(in->fee_minor, fill->taker_fee_minor);
    in->has_traded = true;
    if (in->is_by_quote) {
        in->quote_left -= fill->quote_minor;
    } else {
        in->remaining_lots -= fill->lots;
    }
}

/* What the trade makes of the resting order, which leaves the book if nothing of it remains; `order` becomes its view, the
 * result the lots left at its level. */
static int64_t count_for_maker(struct core *c, uint32_t slot, const struct fill *fill, struct codec_order *order) {
    struct core_cold *cold = &c->cold[slot];
    struct book *book = core_market(c)->book;
    const struct book_order *maker = book_order_at(c->pool, slot);
    int64_t level_lots = book_level_at(book, maker->level)->lots - fill->lots;
    c->hash -= core_order_hash(c, slot);
    cold->filled_quote_minor = risk_sum(cold->filled_quote_minor, fill->quote_minor);
    cold->fee_minor = risk_sum(cold->fee_minor, fill->maker_fee_minor);
    cold->updated_us = c->clock_us;
    cold->sequence = c->sequence;
    core_view_order(c, slot, order);
    order->remaining_lots -= fill->lots;
    order->filled_lots += fill->lots;
    if (order->remaining_lots == 0) {
        order->state = ORDER_STATE_FILLED;
        core_unlist_order(c, slot);
        if (cold->name != NAMES_NONE) names_end(&c->names, cold->name, c->clock_us);
        book_fill(book, slot, fill->lots);
    } else {
        book_fill(book, slot, fill->lots);
        c->hash += core_order_hash(c, slot);
    }
    return level_lots;
}

/* State the trade, then the maker's order, level and balances. `maker` is its view after the trade. */
static void say_fill(struct core *c, const struct fill *fill, const struct codec_order *maker, uint32_t owner, uint32_t gives,
                     uint32_t receives, int64_t level_lots) {
    const struct core_incoming *in = &c->incoming;
    const struct core_instrument *instrument = core_market(c);
    struct codec_trade_event trade = {
        .trade_id = c->trades_given * CORE_SHARDS + c->shard,
        .instrument = instrument->id,
        .price_ticks = fill->price_ticks,
        .lots = fill->lots,
        .taker_side = (uint8_t)(in->side + 1),
        .taker_order_id = in->order_id,
        .maker_order_id = maker->order_id,
        .taker_account = c->risk.accounts[in->account].id,
        .maker_account = maker->account,
        .base_minor = fill->base_minor,
        .quote_minor = fill->quote_minor,
        .taker_fee_minor = fill->taker_fee_minor,
        .maker_fee_minor = fill->maker_fee_minor,
        .base_asset = c->risk.assets[instrument->base].id,
        .quote_asset = c->risk.assets[instrument->quote].id,
        .taker_client_order_id = core_name(c, in->name),
        .maker_client_order_id = maker->client_order_id,
    };
    uint32_t side = book_opposite(in->side);
    core_say_trade(c, &trade);
    core_say_order(c, maker);
    core_say_level(c, instrument, side, fill->price_ticks, level_lots);
    core_say_balance(c, gives, owner, core_asset_given(instrument, side));
    core_say_balance(c, receives, owner, core_asset_received(instrument, side));
}

/* Trade lots with the order in a slot. */
static void trade(struct core *c, uint32_t slot, int64_t lots) {
    struct core_instrument *instrument = core_market(c);
    const struct book_order *maker = book_order_at(c->pool, slot);
    uint32_t owner = maker->owner;
    uint32_t gives = core_gives(maker);
    uint32_t receives = core_receives(maker);
    struct fill fill = decide_fill(c, maker, lots);
    settle_both(c, maker, &fill);
    count_for_taker(&c->incoming, &fill);
    c->trades_given++;
    instrument->last_price_ticks = fill.price_ticks;
    core_touch_market(c, instrument);
    struct codec_order view;
    int64_t level_lots = count_for_maker(c, slot, &fill, &view);
    say_fill(c, &fill, &view, owner, gives, receives, level_lots);
}

/* ---- Self-trade prevention ------------------------------------------------------------------------------------ */

static void stop(struct core_incoming *in) {
    in->state = ORDER_STATE_CANCELLED;
    in->reason = END_REASON_SELF_TRADE;
}

/* Take lots off both, without a trade. */
static void decrement(struct core *c, uint32_t slot, int64_t lots, int64_t could) {
    struct core_incoming *in = &c->incoming;
    const struct core_instrument *instrument = core_market(c);
    const struct book_order *maker = book_order_at(c->pool, slot);
    if (in->is_by_quote) {
        int64_t value_minor = maker->price_ticks * lots * instrument->tick_lot_minor;
        in->quote_minor -= value_minor;
        in->quote_left -= value_minor;
    } else {
        in->quantity_lots -= lots;
        in->remaining_lots -= lots;
        if (in->type == ORDER_TYPE_LIMIT) {
            int64_t freed_minor = (int64_t)core_hold(instrument, in->side, in->price_ticks, lots);
            risk_move(&c->risk, in->gives, freed_minor, -freed_minor);
        }
    }
    if (lots == could) stop(in);
    if (lots == maker->remaining_lots) {
        core_end_order(c, slot, ORDER_STATE_CANCELLED, END_REASON_SELF_TRADE, lots);
    } else {
        core_shrink_order(c, slot, lots);
    }
}

/* The incoming order meets one of its own account, in a mode that prevents a trade. */
static void prevent(struct core *c, uint32_t slot, int64_t lots, int64_t could) {
    struct core_incoming *in = &c->incoming;
    switch (in->self_trade) {
    case BOOK_SELF_TRADE_CANCEL_TAKER:
        stop(in);
        return;
    case BOOK_SELF_TRADE_DECREMENT:
        decrement(c, slot, lots, could);
        return;
    case BOOK_SELF_TRADE_CANCEL_BOTH:
        stop(in);
        break;
    default:
        break;
    }
    core_end_order(c, slot, ORDER_STATE_CANCELLED, END_REASON_SELF_TRADE, 0);
}

/* ---- The end -------------------------------------------------------------------------------------------------- */

/* Has an order by quote that has traded spent all it could? Less than a lot must be left, at the next price in reach. */
static bool is_spent(struct core *c) {
    const struct core_incoming *in = &c->incoming;
    const struct core_instrument *instrument = core_market(c);
    uint32_t ahead = book_meet(instrument->book, in->side, in->limit_ticks);
    int64_t price_ticks = ahead == BOOK_NONE ? instrument->last_price_ticks : book_order_at(c->pool, ahead)->price_ticks;
    return in->has_traded && in->quote_left < risk_value(price_ticks, 1, instrument->tick_lot_minor);
}

/* Say how an order ends that has met all it could, unless it is to rest. */
static void conclude(struct core *c) {
    struct core_incoming *in = &c->incoming;
    if (in->state != ORDER_STATE_OPEN) return;
    bool is_filled = in->is_by_quote ? is_spent(c) : in->remaining_lots == 0;
    if (is_filled) {
        in->state = ORDER_STATE_FILLED;
    } else if (in->type == ORDER_TYPE_MARKET) {
        in->state = ORDER_STATE_EXPIRED;
        in->reason = END_REASON_NO_LIQUIDITY;
    } else if (in->time_in_force != TIME_IN_FORCE_GTC) {
        assert(in->time_in_force == TIME_IN_FORCE_IOC);
        in->state = ORDER_STATE_EXPIRED;
        in->reason = END_REASON_IOC_REMAINDER;
    }
}

/* To the back of its price. */
static void rest(struct core *c) {
    struct core_incoming *in = &c->incoming;
    struct core_instrument *instrument = core_market(c);
    uint32_t slot = in->slot;
    if (slot == BOOK_NONE) {
        struct book_entry entry = {in->order_id, in->account, in->side, in->self_trade, in->post_only};
        slot = book_rest(instrument->book, &entry, in->price_ticks, in->remaining_lots);
        book_order_at(c->pool, slot)->caller_word = core_balances_word(in->gives, in->receives);
        core_list_order(c, slot);
    } else {
        book_attach(instrument->book, slot, in->price_ticks, in->remaining_lots);
    }
    struct core_cold *cold = &c->cold[slot];
    cold->sequence = c->sequence;
    cold->created_us = in->created_us;
    cold->updated_us = c->clock_us;
    cold->quantity_lots = in->quantity_lots;
    cold->filled_quote_minor = in->filled_quote_minor;
    cold->fee_minor = in->fee_minor;
    cold->name = in->name;
    in->slot = slot;
    core_touch_market(c, instrument);
    c->hash += core_order_hash(c, slot);
}

/* It is over: its hold is released, its name's memory begins to run, an amended one gives up its slot. */
static void leave(struct core *c) {
    struct core_incoming *in = &c->incoming;
    struct core_instrument *instrument = core_market(c);
    if (in->type == ORDER_TYPE_LIMIT && in->remaining_lots != 0) {
        int64_t freed_minor = (int64_t)core_hold(instrument, in->side, in->price_ticks, in->remaining_lots);
        risk_move(&c->risk, in->gives, freed_minor, -freed_minor);
    }
    if (in->name != NAMES_NONE) names_end(&c->names, in->name, c->clock_us);
    if (in->slot == BOOK_NONE) return;
    core_unlist_order(c, in->slot);
    book_release(instrument->book, in->slot);
}

/* The last step: it rests or leaves, and what became of it is stated. */
static void finish(struct core *c) {
    struct core_incoming *in = &c->incoming;
    const struct core_instrument *instrument = core_market(c);
    conclude(c);
    if (in->state == ORDER_STATE_OPEN) {
        rest(c);
    } else {
        leave(c);
    }
    struct codec_order view;
    core_view_incoming(c, &view);
    core_say_order(c, &view);
    core_answer_order(c);
    if (in->state == ORDER_STATE_OPEN) {
        uint32_t level = book_order_at(c->pool, in->slot)->level;
        core_say_level(c, instrument, in->side, in->price_ticks, book_level_at(instrument->book, level)->lots);
    }
    core_say_balance(c, in->gives, in->account, core_asset_given(instrument, in->side));
    if (in->has_traded) core_say_balance(c, in->receives, in->account, core_asset_received(instrument, in->side));
}

/* ---- The way through the book --------------------------------------------------------------------------------- */

void core_arrive(struct core *c) {
    struct core_incoming *in = &c->incoming;
    c->progress.stage = STAGE_MATCH;
    if (in->time_in_force != TIME_IN_FORCE_FOK) return;
    if (book_fillable(core_market(c)->book, in->side, in->limit_ticks, in->remaining_lots, in->account, in->self_trade)) return;
    in->state = ORDER_STATE_EXPIRED;
    in->reason = END_REASON_FOK_UNFILLABLE;
}

/* The order in whose slot comes next, and how many lots the incoming one could still take at its price; BOOK_NONE if there is
 * none, or nothing left to take it with. */
static uint32_t next_to_meet(struct core *c, int64_t *could) {
    const struct core_incoming *in = &c->incoming;
    const struct core_instrument *instrument = core_market(c);
    *could = in->remaining_lots;
    if (in->state != ORDER_STATE_OPEN || (!in->is_by_quote && *could == 0)) return BOOK_NONE;
    uint32_t slot = book_meet(instrument->book, in->side, in->limit_ticks);
    if (slot == BOOK_NONE || !in->is_by_quote) return slot;
    *could = in->quote_left / (book_order_at(c->pool, slot)->price_ticks * instrument->tick_lot_minor);
    return *could == 0 ? BOOK_NONE : slot;
}

bool core_match(struct core *c) {
    const struct core_incoming *in = &c->incoming;
    for (;;) {
        int64_t could;
        uint32_t slot = next_to_meet(c, &could);
        if (!core_has_room(c)) return false;
        if (slot == BOOK_NONE) break;
        const struct book_order *maker = book_order_at(c->pool, slot);
        int64_t lots = could < maker->remaining_lots ? could : maker->remaining_lots;
        if (maker->owner == in->account && in->self_trade != BOOK_SELF_TRADE_NONE) {
            prevent(c, slot, lots, could);
        } else {
            trade(c, slot, lots);
        }
    }
    finish(c);
    return true;
}
