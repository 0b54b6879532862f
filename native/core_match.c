/* An order meets the book, one resting order a step, until it has ended or rests; see core.h and docs/matching.md. */

#include "core.h"

/* ---- One fill ------------------------------------------------------------------------------------------------- */

/* A fill with the order in a slot, at its price or, in an auction, at the auction's. */
static struct core_fill decide_fill(struct core *c, const struct book_order *maker, int64_t price_ticks, int64_t lots) {
    const struct core_instrument *instrument = core_market(c);
    struct core_fill fill = {
        .price_ticks = price_ticks,
        .lots = lots,
        .base_minor = lots * instrument->lot_minor,
        .quote_minor = price_ticks * lots * instrument->tick_lot_minor,
    };
    core_decide_fees(c, maker, &fill);
    return fill;
}

/* One side's legs. */
struct legs {
    uint32_t gives;
    uint32_t receives;
    uint32_t asset; /* that it receives */
    uint32_t fee_balance;
    int64_t held_minor;
    int64_t gave_minor;
    int64_t got_minor;
    int64_t fee_minor;
};

/* What it gives leaves its hold, or what is available; what it receives, less the fee, becomes available. */
static void settle(struct core *c, const struct legs *legs) {
    struct risk *risk = &c->risk;
    bool is_other = legs->fee_balance != RISK_NONE;
    risk_move(risk, legs->gives, legs->held_minor - legs->gave_minor, -legs->held_minor);
    risk_move(risk, legs->receives, legs->got_minor - (is_other ? 0 : legs->fee_minor), 0);
    if (legs->fee_minor == 0) return;
    uint32_t asset = legs->asset;
    if (is_other) {
        risk_move(risk, legs->fee_balance, -legs->fee_minor, 0);
        asset = risk_find_asset(risk, risk->balances[legs->fee_balance].asset);
    }
    risk_move(risk, risk->assets[asset].fee_balance, legs->fee_minor, 0);
}

/* Both sides' legs, the taker's first. */
static void settle_both(struct core *c, const struct book_order *maker, const struct core_fill *fill) {
    const struct core_incoming *in = &c->incoming;
    const struct core_instrument *instrument = core_market(c);
    bool buys = in->side == BOOK_BUY;
    struct legs taker = {
        .gives = in->gives,
        .receives = in->receives,
        .asset = core_asset_received(instrument, in->side),
        .fee_balance = fill->taker_fee_balance,
        .held_minor = in->is_market ? 0 : (int64_t)core_hold(instrument, in->side, in->price_ticks, fill->lots),
        .gave_minor = buys ? fill->quote_minor : fill->base_minor,
        .got_minor = buys ? fill->base_minor : fill->quote_minor,
        .fee_minor = fill->taker_fee_minor,
    };
    struct legs made = {
        .gives = core_gives(maker),
        .receives = core_receives(maker),
        .asset = core_asset_given(instrument, in->side),
        .fee_balance = fill->maker_fee_balance,
        .held_minor = (int64_t)core_hold(instrument, maker->side, maker->price_ticks, fill->lots),
        .gave_minor = taker.got_minor,
        .got_minor = taker.gave_minor,
        .fee_minor = fill->maker_fee_minor,
    };
    settle(c, &taker);
    settle(c, &made);
}

/* A fee in another asset than what is received counts for itself. */
static void count_other_fee(const struct core *c, struct core_more *more, uint32_t balance, int64_t fee_minor) {
    more->other_fee_asset = c->risk.balances[balance].asset;
    more->other_fee_minor = risk_sum(more->other_fee_minor, fee_minor);
}

/* What the trade makes of the incoming order. */
static void count_for_taker(struct core *c, const struct core_fill *fill) {
    struct core_incoming *in = &c->incoming;
    in->filled_lots += fill->lots;
    in->filled_quote_minor = risk_sum(in->filled_quote_minor, fill->quote_minor);
    if (fill->taker_fee_balance == RISK_NONE) {
        in->fee_minor = risk_sum(in->fee_minor, fill->taker_fee_minor);
    } else {
        if (!in->has_more) in->more = core_plain_more(in->side, in->type, in->time_in_force);
        in->has_more = true;
        in->fee_balance = fill->taker_fee_balance;
        count_other_fee(c, &in->more, in->fee_balance, fill->taker_fee_minor);
    }
    in->has_traded = true;
    if (in->first_trade_ticks == 0) in->first_trade_ticks = fill->price_ticks;
    in->last_trade_ticks = fill->price_ticks;
    if (in->is_by_quote) {
        in->quote_left -= fill->quote_minor;
    } else {
        in->remaining_lots -= fill->lots;
    }
}

/* The shown part of an iceberg is used up, and something is hidden: a fresh one goes to the back of its price. Returns its lots. */
static int64_t refresh(struct core *c, uint32_t slot) {
    const struct book_order *order = book_order_at(c->pool, slot);
    struct book *book = core_market(c)->book;
    int64_t hidden_lots = c->more[slot].hidden_lots;
    int64_t shown_lots = c->more[slot].display_lots < hidden_lots ? c->more[slot].display_lots : hidden_lots;
    core_put_hidden(c, slot, 0);
    book_detach(book, slot);
    book_attach(book, slot, order->price_ticks, shown_lots);
    core_put_hidden(c, slot, hidden_lots - shown_lots);
    return shown_lots;
}

static void count_makers_fee(struct core *c, uint32_t slot, const struct core_fill *fill) {
    struct core_cold *cold = &c->cold[slot];
    if (fill->maker_fee_balance == RISK_NONE) {
        cold->fee_minor = risk_sum(cold->fee_minor, fill->maker_fee_minor);
        return;
    }
    if (!cold->has_more) {
        c->more[slot] = core_plain_more(book_order_at(c->pool, slot)->side, ORDER_TYPE_LIMIT, TIME_IN_FORCE_GTC);
    }
    cold->has_more = 1;
    count_other_fee(c, &c->more[slot], fill->maker_fee_balance, fill->maker_fee_minor);
}

/* What ends with a filled order beside itself. */
static void end_filled_more(struct core *c, uint32_t slot, const struct codec_order *filled) {
    struct core_more *more = &c->more[slot];
    timers_clear(&c->timers, &more->timer);
    if (more->group != 0) core_end_member(c, more, c->incoming.instrument, filled->reason, filled->filled_lots, filled->fee_minor);
}

/* What the trade makes of the resting order, which leaves the book if nothing of it remains; `order` becomes its view, the
 * result the lots left at its level. */
static int64_t count_for_maker(struct core *c, uint32_t slot, const struct core_fill *fill, struct codec_order *order) {
    struct core_cold *cold = &c->cold[slot];
    struct book *book = core_market(c)->book;
    const struct book_order *maker = book_order_at(c->pool, slot);
    int64_t level_lots = book_level_at(book, maker->level)->lots - fill->lots;
    c->hash -= core_order_hash(c, slot);
    cold->filled_quote_minor = risk_sum(cold->filled_quote_minor, fill->quote_minor);
    count_makers_fee(c, slot, fill);
    cold->updated_us = c->clock_us;
    cold->sequence = c->sequence;
    core_view_order(c, slot, order);
    order->remaining_lots -= fill->lots;
    order->filled_lots += fill->lots;
    if (order->remaining_lots == 0) {
        order->state = ORDER_STATE_FILLED;
        core_unlist_order(c, slot);
        if (cold->name != NAMES_NONE) names_end(&c->names, cold->name, c->clock_us);
        if (cold->has_more) end_filled_more(c, slot, order);
        book_fill(book, slot, fill->lots);
        return level_lots;
    }
    if (cold->has_more && c->more[slot].group != 0) core_trade_member(c, &c->more[slot], fill->lots);
    if (fill->lots == maker->remaining_lots) {
        level_lots += refresh(c, slot);
    } else {
        book_fill(book, slot, fill->lots);
    }
    c->hash += core_order_hash(c, slot);
    return level_lots;
}

/* State a trade of `incoming` with a resting order; `maker` is that one's view. */
static void say_trade(struct core *c, const struct core_fill *fill, const struct codec_order *maker) {
    const struct core_incoming *in = &c->incoming;
    const struct core_instrument *instrument = core_market(c);
    struct codec_trade_event trade;
    trade.trade_id = c->trades_given * CORE_SHARDS + c->shard;
    trade.instrument = instrument->id;
    trade.price_ticks = fill->price_ticks;
    trade.lots = fill->lots;
    trade.taker_side = (uint8_t)(in->side + 1);
    trade.taker_order_id = in->order_id;
    trade.maker_order_id = maker->order_id;
    trade.taker_account = c->risk.accounts[in->account].id;
    trade.maker_account = maker->account;
    trade.base_minor = fill->base_minor;
    trade.quote_minor = fill->quote_minor;
    trade.taker_fee_minor = fill->taker_fee_minor;
    trade.maker_fee_minor = fill->maker_fee_minor;
    trade.base_asset = c->risk.assets[instrument->base].id;
    trade.quote_asset = c->risk.assets[instrument->quote].id;
    trade.taker_client_order_id = core_name(c, in->name);
    trade.maker_client_order_id = maker->client_order_id;
    trade.taker_fee_asset = c->risk.balances[fill->taker_fee_balance].asset;
    trade.maker_fee_asset = c->risk.balances[fill->maker_fee_balance].asset;
    trade.auction = fill->is_auction;
    core_say_trade(c, &trade);
}

/* One who has traded while resting: what is said of it, after what is known of it before it may be gone. */
struct resting {
    uint32_t gives;
    uint32_t receives;
    int64_t level_lots;
    struct codec_order view;
};

/* The view follows. */
static void begin_resting(const struct core *c, uint32_t slot, struct resting *resting) {
    const struct book_order *order = book_order_at(c->pool, slot);
    resting->gives = core_gives(order);
    resting->receives = core_receives(order);
}

/* State an order after a fill: itself, its level, its balances. `fee_balance` is what it paid its fee from, if not what it received. */
static void say_filled(struct core *c, const struct resting *resting, uint32_t fee_balance) {
    struct core_instrument *instrument = core_market(c);
    uint32_t side = resting->view.side - 1u;
    core_say_order(c, &resting->view);
    core_say_level(c, instrument, side, resting->view.price_ticks, resting->level_lots);
    core_say_balance(c, resting->gives);
    core_say_balance(c, resting->receives);
    if (fee_balance != RISK_NONE) core_say_balance(c, fee_balance);
}

/* A trade took place at this price. */
static void count_trade(struct core *c, int64_t price_ticks) {
    struct core_instrument *instrument = core_market(c);
    c->trades_given++;
    instrument->last_price_ticks = price_ticks;
    core_touch_market(c, instrument);
}

/* Trade lots with the order in a slot. */
static void trade(struct core *c, uint32_t slot, int64_t lots) {
    const struct book_order *order = book_order_at(c->pool, slot);
    struct resting maker;
    begin_resting(c, slot, &maker);
    struct core_fill fill = decide_fill(c, order, order->price_ticks, lots);
    settle_both(c, order, &fill);
    count_for_taker(c, &fill);
    count_trade(c, fill.price_ticks);
    if (c->incoming.has_more && c->incoming.more.group != 0) core_end_linked(c, &c->incoming.more);
    maker.level_lots = count_for_maker(c, slot, &fill, &maker.view);
    say_trade(c, &fill, &maker.view);
    say_filled(c, &maker, fill.maker_fee_balance);
}

void core_trade_at_auction(struct core *c, uint32_t taker, uint32_t maker, int64_t price_ticks, int64_t lots) {
    struct resting took, made;
    begin_resting(c, taker, &took);
    begin_resting(c, maker, &made);
    core_describe_resting(c, taker, 0, 0);
    struct core_fill fill = decide_fill(c, book_order_at(c->pool, maker), price_ticks, lots);
    fill.is_auction = true;
    struct core_fill mirrored = fill;
    mirrored.maker_fee_minor = fill.taker_fee_minor;
    mirrored.maker_fee_balance = fill.taker_fee_balance;
    settle_both(c, book_order_at(c->pool, maker), &fill);
    count_trade(c, price_ticks);
    took.level_lots = count_for_maker(c, taker, &mirrored, &took.view);
    made.level_lots = count_for_maker(c, maker, &fill, &made.view);
    say_trade(c, &fill, &made.view);
    say_filled(c, &took, fill.taker_fee_balance);
    say_filled(c, &made, fill.maker_fee_balance);
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
        if (!in->is_market) {
            int64_t freed_minor = (int64_t)core_hold(instrument, in->side, in->price_ticks, lots);
            risk_move(&c->risk, in->gives, freed_minor, -freed_minor);
        }
    }
    if (lots == could) stop(in);
    if (lots == maker->remaining_lots + core_hidden(c, slot)) {
        core_end_order(c, slot, ORDER_STATE_CANCELLED, END_REASON_SELF_TRADE, lots);
    } else {
        core_shrink_order(c, slot, lots);
    }
}

/* The incoming order meets one of its own account, in a mode that prevents a trade. */
static void prevent(struct core *c, uint32_t slot, int64_t could) {
    struct core_incoming *in = &c->incoming;
    int64_t whole_lots = book_order_at(c->pool, slot)->remaining_lots + core_hidden(c, slot);
    switch (in->self_trade) {
    case BOOK_SELF_TRADE_CANCEL_TAKER:
        stop(in);
        return;
    case BOOK_SELF_TRADE_DECREMENT:
        decrement(c, slot, could < whole_lots ? could : whole_lots, could);
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

/* The next trade would leave the band: an auction, in which what may rest takes part, or the end. */
static void stop_at_band(struct core *c) {
    struct core_incoming *in = &c->incoming;
    struct core_instrument *instrument = core_market(c);
    int64_t auction_us = instrument->volatility_auction_us;
    if (auction_us != 0) core_put_phase(c, instrument, PHASE_VOLATILITY_AUCTION, core_later(c, auction_us));
    if (auction_us != 0 && core_may_rest(in)) return;
    in->state = ORDER_STATE_EXPIRED;
    in->reason = END_REASON_PRICE_BAND;
}

/* Say how an order ends that has met all it could, unless it is to rest. */
static void conclude(struct core *c) {
    struct core_incoming *in = &c->incoming;
    if (in->state != ORDER_STATE_OPEN) return;
    bool is_filled = in->is_by_quote ? is_spent(c) : in->remaining_lots == 0;
    if (is_filled) {
        in->state = ORDER_STATE_FILLED;
    } else if (in->is_banded) {
        stop_at_band(c);
    } else if (in->is_market) {
        in->state = ORDER_STATE_EXPIRED;
        in->reason = END_REASON_NO_LIQUIDITY;
    } else if (!core_may_rest(in)) {
        assert(in->time_in_force == TIME_IN_FORCE_IOC);
        in->state = ORDER_STATE_EXPIRED;
        in->reason = END_REASON_IOC_REMAINDER;
    }
}

/* What is more of an order that comes to rest: what of it is shown, and when it is due. Returns the lots to show. */
static int64_t rest_more(struct core *c, uint32_t slot) {
    struct core_incoming *in = &c->incoming;
    struct core_more *more = &c->more[slot];
    c->cold[slot].has_more = in->has_more;
    if (!in->has_more) return in->remaining_lots;
    uint32_t timer = more->timer;
    *more = in->more;
    more->timer = timer;
    more->whereabouts = ORDER_IN_BOOK;
    core_set_timer(c, &more->timer, more->expires_us, TIMER_ORDER, in->order_id, slot);
    more->hidden_lots = 0;
    return more->display_lots != 0 && more->display_lots < in->remaining_lots ? more->display_lots : in->remaining_lots;
}

uint32_t core_claim(struct core *c) {
    struct core_incoming *in = &c->incoming;
    struct book_entry entry = {in->order_id, in->account, in->side, in->self_trade, in->post_only};
    uint32_t slot = book_claim(core_market(c)->book, &entry);
    book_order_at(c->pool, slot)->caller_word = core_balances_word(in->gives, in->receives);
    c->cold[slot].has_more = in->has_more;
    if (in->has_more) {
        uint32_t timer = c->more[slot].timer;
        c->more[slot] = in->more;
        c->more[slot].timer = timer;
    }
    core_list_order(c, slot);
    in->slot = slot;
    return slot;
}

void core_put_cold(struct core *c, uint32_t slot) {
    const struct core_incoming *in = &c->incoming;
    struct core_cold *cold = &c->cold[slot];
    cold->sequence = c->sequence;
    cold->created_us = in->created_us;
    cold->updated_us = c->clock_us;
    cold->quantity_lots = in->quantity_lots;
    cold->filled_quote_minor = in->filled_quote_minor;
    cold->fee_minor = in->fee_minor;
    cold->name = in->name;
}

/* To the back of its price. */
static void rest(struct core *c) {
    struct core_incoming *in = &c->incoming;
    struct core_instrument *instrument = core_market(c);
    uint32_t slot = in->slot;
    if (slot == BOOK_NONE) slot = core_claim(c);
    int64_t shown_lots = rest_more(c, slot);
    book_attach(instrument->book, slot, in->price_ticks, shown_lots);
    if (in->has_more) core_put_hidden(c, slot, in->remaining_lots - shown_lots);
    core_put_cold(c, slot);
    core_touch_market(c, instrument);
    c->hash += core_order_hash(c, slot);
}

/* It is over: its hold is released, its name's memory begins to run, an amended one gives up its slot. */
static void leave(struct core *c) {
    struct core_incoming *in = &c->incoming;
    struct core_instrument *instrument = core_market(c);
    if (!in->is_market && in->remaining_lots != 0) {
        int64_t freed_minor = (int64_t)core_hold(instrument, in->side, in->price_ticks, in->remaining_lots);
        risk_move(&c->risk, in->gives, freed_minor, -freed_minor);
    }
    if (in->name != NAMES_NONE) names_end(&c->names, in->name, c->clock_us);
    if (in->slot == BOOK_NONE) return;
    core_unlist_order(c, in->slot);
    if (in->has_more) timers_clear(&c->timers, &c->more[in->slot].timer);
    book_release(instrument->book, in->slot);
}

/* The last step: it rests or leaves, and what became of it is stated. */
static void finish(struct core *c) {
    struct core_incoming *in = &c->incoming;
    struct core_instrument *instrument = core_market(c);
    conclude(c);
    if (in->state == ORDER_STATE_OPEN) {
        rest(c);
    } else {
        leave(c);
    }
    struct codec_order view;
    core_view_incoming(c, &view);
    core_say_order(c, &view);
    if (in->state == ORDER_STATE_OPEN) {
        uint32_t level = book_order_at(c->pool, in->slot)->level;
        core_say_level(c, instrument, in->side, in->price_ticks, book_level_at(instrument->book, level)->lots);
    }
    core_say_given(c);
    if (in->has_traded) core_say_balance(c, in->receives);
    if (in->fee_balance != RISK_NONE) core_say_balance(c, in->fee_balance);
    bool has_left = in->state != ORDER_STATE_OPEN;
    if (has_left && in->has_more && in->more.group != 0) {
        core_end_member(c, &in->more, in->instrument, in->reason, in->filled_lots, in->fee_minor);
    }
    if (!in->has_traded) return;
    core_price_event(c, in->instrument, CORE_BY_LAST, in->first_trade_ticks);
    if (in->last_trade_ticks != in->first_trade_ticks) core_price_event(c, in->instrument, CORE_BY_LAST, in->last_trade_ticks);
}

/* ---- The way through the book --------------------------------------------------------------------------------- */

/* Could it trade completely? The book knows, but not what is hidden in it. */
static bool is_fillable(const struct core *c) {
    const struct core_incoming *in = &c->incoming;
    const struct core_instrument *instrument = &c->instruments[in->instrument];
    bool is_plain = instrument->icebergs == 0 && instrument->dynamic_band_ppm == 0;
    if (!is_plain) return core_walk(c, in).lots == in->remaining_lots;
    return book_fillable(instrument->book, in->side, in->limit_ticks, in->remaining_lots, in->account, in->self_trade);
}

void core_arrive(struct core *c) {
    struct core_incoming *in = &c->incoming;
    c->progress.stage = STAGE_MATCH;
    c->progress.after_match = STAGE_CASCADE;
    in->meets_nobody = core_gathers(core_market(c)->phase);
    in->band = core_dynamic_band(core_market(c));
    if (in->time_in_force == TIME_IN_FORCE_FOK && !is_fillable(c)) {
        in->state = ORDER_STATE_EXPIRED;
        in->reason = END_REASON_FOK_UNFILLABLE;
    }
    if (in->has_more && in->more.min_fill_lots != 0 && core_walk(c, in).lots < in->more.min_fill_lots - in->filled_lots) {
        in->state = ORDER_STATE_EXPIRED;
        in->reason = END_REASON_MIN_QUANTITY_UNFILLABLE;
    }
}

/* The order in whose slot comes next, and how many lots the incoming one could still take at its price; BOOK_NONE if there is
 * none, or nothing left to take it with. */
static uint32_t next_to_meet(struct core *c, int64_t *could) {
    const struct core_incoming *in = &c->incoming;
    const struct core_instrument *instrument = core_market(c);
    *could = in->remaining_lots;
    if (in->state != ORDER_STATE_OPEN || in->meets_nobody || (!in->is_by_quote && *could == 0)) return BOOK_NONE;
    uint32_t slot = book_meet(instrument->book, in->side, in->limit_ticks);
    if (slot == BOOK_NONE || !in->is_by_quote) return slot;
    *could = in->quote_left / (book_order_at(c->pool, slot)->price_ticks * instrument->tick_lot_minor);
    return *could == 0 ? BOOK_NONE : slot;
}

bool core_match(struct core *c) {
    struct core_incoming *in = &c->incoming;
    for (;;) {
        int64_t could;
        if (c->link_count != 0 && !core_settle_links(c)) return false;
        uint32_t slot = next_to_meet(c, &could);
        if (!core_has_room(c)) return false;
        if (slot == BOOK_NONE) break;
        const struct book_order *maker = book_order_at(c->pool, slot);
        if (!core_is_within(in->band, maker->price_ticks)) {
            in->is_banded = true;
            break;
        }
        int64_t lots = could < maker->remaining_lots ? could : maker->remaining_lots;
        if (maker->owner == in->account && in->self_trade != BOOK_SELF_TRADE_NONE) {
            prevent(c, slot, could);
        } else {
            trade(c, slot, lots);
        }
    }
    finish(c);
    c->progress.stage = core_stage_now(c, c->progress.after_match);
    return true;
}
