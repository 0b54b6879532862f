/* Placing an order: the refusals in their order, then what being taken in changes; see core.h and docs/matching.md. */

#include "core.h"

/* ---- Names ---------------------------------------------------------------------------------------------------- */

/* All that was sent, as it was sent, before the account's settings are put in. The name is the key, not part of it. */
static uint64_t body_hash(const struct codec_place_order *body) {
    uint64_t image[6] = {
        (uint64_t)body->instrument << 32 | (uint32_t)body->side << 16 | body->type,
        (uint64_t)body->time_in_force << 16 | (uint64_t)body->self_trade_prevention << 8 | body->post_only,
        (uint64_t)body->price_ticks,
        (uint64_t)body->quantity_lots,
        (uint64_t)body->quote_minor,
        0,
    };
    uint64_t hash = hash_words(HASH_BODY, image, 6);
    return core_has_more(body) ? hash + core_more_body_hash(body) : hash;
}

/* The name was seen before: the same order again, or another one that may not have it. */
static void answer_again(struct core *c, const struct name *name, uint64_t body) {
    struct core_verdict *verdict = &c->progress.verdict;
    if (name->body != body) {
        verdict->refusal = REFUSAL_CLIENT_ORDER_ID_REUSED;
        return;
    }
    verdict->repeated = true;
    verdict->order_id = name->order_id;
    struct codec_order order = {.order_id = name->order_id};
    uint8_t *scrap = c->out.scrap[0];
    verdict->orders[0] = (struct codec_bytes){scrap, (uint32_t)(codec_put_order(scrap, &order) - scrap)};
}

/* ---- Refusals ------------------------------------------------------------------------------------------------- */

/* What the order is worth in quote where that is known: 0 if it is not. */
static risk_wide notional(const struct core_incoming *in, const struct core_instrument *instrument) {
    if (in->is_by_quote) return in->quote_minor;
    int64_t price_ticks = in->price_ticks;
    if (price_ticks == 0) price_ticks = book_best_price(instrument->book, book_opposite(in->side));
    return risk_value(price_ticks, in->quantity_lots, instrument->tick_lot_minor);
}

/* An iceberg shows at least the smallest order, and has a hundred tips at most: each is a fill to state. */
static bool is_tip_too_small(const struct core_incoming *in, const struct core_instrument *instrument) {
    int64_t tip_lots = in->more.display_lots;
    if (tip_lots == 0) return false;
    return tip_lots < instrument->min_quantity_lots || (risk_wide)tip_lots * CORE_MOST_TIPS < in->quantity_lots;
}

uint8_t core_why_not_size(struct core *c) {
    const struct core_incoming *in = &c->incoming;
    const struct core_instrument *instrument = core_market(c);
    if (!core_takes(instrument->phase, in, false)) return REFUSAL_MARKET_NOT_OPEN;
    if (in->has_more && in->more.expires_us != 0 && in->more.expires_us <= c->clock_us) return REFUSAL_EXPIRY_PASSED;
    if (!in->is_by_quote) {
        if (in->quantity_lots < instrument->min_quantity_lots) return REFUSAL_QUANTITY_TOO_SMALL;
        if (in->has_more && is_tip_too_small(in, instrument)) return REFUSAL_QUANTITY_TOO_SMALL;
        if (in->quantity_lots > instrument->max_quantity_lots) return REFUSAL_QUANTITY_TOO_LARGE;
        if (in->quantity_lots <= in->filled_lots) return REFUSAL_QUANTITY_BELOW_FILLED;
    }
    risk_wide worth = notional(in, instrument);
    if (worth > 0 && worth < instrument->min_notional_minor) return REFUSAL_NOTIONAL_TOO_SMALL;
    if (worth > instrument->max_notional_minor) return REFUSAL_NOTIONAL_TOO_LARGE;
    if (core_is_outside_band(instrument, in->price_ticks)) return REFUSAL_PRICE_OUTSIDE_BAND;
    return REFUSAL_UNSPECIFIED;
}

bool core_has_room_for(const struct core *c, uint32_t account, uint32_t asset) {
    if (account == RISK_NONE && c->risk.account_count >= c->sizes.accounts) return false;
    bool is_known = account != RISK_NONE && risk_find_balance(&c->risk, account, asset) != RISK_NONE;
    return is_known || c->risk.balance_count < c->sizes.balances;
}

/* Pools and memories. */
static uint8_t why_not_room(const struct core *c) {
    const struct core_incoming *in = &c->incoming;
    const struct risk *risk = &c->risk;
    if (core_may_rest(in)) {
        if (risk->accounts[in->account].open_orders >= core_most_open(c, in->account)) return REFUSAL_TOO_MANY_OPEN_ORDERS;
        if (c->pool->order_count >= c->sizes.orders) return REFUSAL_CAPACITY_FULL;
    }
    bool has_name = c->progress.command->place_order.client_order_id.length != 0;
    if (has_name && c->names.count >= c->sizes.client_order_ids) return REFUSAL_CAPACITY_FULL;
    if (in->account == RISK_NONE && risk->account_count >= c->sizes.accounts) return REFUSAL_CAPACITY_FULL;
    if (in->receives == RISK_NONE && risk->balance_count >= c->sizes.balances) return REFUSAL_CAPACITY_FULL;
    return REFUSAL_UNSPECIFIED;
}

/* What the order needs: the hold, or what the walk would move. Where what is available covers the most the walk could find,
 * there is no need to walk, and this is returned. */
static risk_wide need_of(const struct core *c, int64_t available_minor) {
    const struct core_incoming *in = &c->incoming;
    const struct core_instrument *instrument = &c->instruments[in->instrument];
    if (!in->is_market) return core_hold(instrument, in->side, in->price_ticks, in->remaining_lots);
    if (in->limit_ticks == 0) return 0;
    if (!in->is_by_quote || in->side == BOOK_BUY) {
        risk_wide most = in->is_by_quote ? (risk_wide)in->quote_minor
                                         : core_hold(instrument, in->side, in->limit_ticks, in->remaining_lots);
        if (most <= available_minor) return most;
    }
    return core_walk(c, in).moved;
}

uint8_t core_why_not_now(struct core *c, int64_t held_minor) {
    const struct core_incoming *in = &c->incoming;
    const struct core_instrument *instrument = core_market(c);
    struct core_verdict *verdict = &c->progress.verdict;
    if (in->post_only && book_would_cross(instrument->book, in->side, in->limit_ticks)) return REFUSAL_POST_ONLY_WOULD_TRADE;
    int64_t available_minor = c->risk.balances[in->gives].available_minor;
    risk_wide need = need_of(c, available_minor) - held_minor;
    if (need <= available_minor) return REFUSAL_UNSPECIFIED;
    verdict->needed_minor = need < INT64_MAX ? (int64_t)need : INT64_MAX;
    verdict->available_minor = available_minor;
    return REFUSAL_INSUFFICIENT_BALANCE;
}

/* ---- Taking in ------------------------------------------------------------------------------------------------ */

/* How far a market order reaches from the best opposite price; 0 if nobody is there. No order rests above BOOK_MAX_PRICE. */
static int64_t protection(const struct core_incoming *in, const struct core_instrument *instrument) {
    int64_t best = book_best_price(instrument->book, book_opposite(in->side));
    int64_t away = (int64_t)((risk_wide)best * instrument->protection_ppm / RISK_PPM);
    int64_t own = in->has_more ? in->more.protection_ticks : 0;
    if (best == 0) return 0;
    if (in->side == BOOK_BUY) {
        int64_t limit = away < BOOK_MAX_PRICE - best ? best + away : BOOK_MAX_PRICE;
        return own != 0 && own < limit ? own : limit;
    }
    int64_t limit = best - away >= 1 ? best - away : 1;
    return own > limit ? own : limit;
}

/* Fill in `incoming` from the command, all but what being taken in gives it. The account may be unknown. */
static void describe(struct core *c, uint32_t account, const struct core_instrument *instrument) {
    const struct codec_place_order *body = &c->progress.command->place_order;
    const struct risk_account *owner = &c->risk.accounts[account];
    uint8_t side = (uint8_t)(body->side - 1);
    uint8_t self_trade = account == RISK_NONE ? BOOK_SELF_TRADE_CANCEL_TAKER : owner->self_trade;
    if (body->self_trade_prevention != SELF_TRADE_PREVENTION_UNSPECIFIED) self_trade = body->self_trade_prevention - 1;
    struct core_incoming *in = &c->incoming;
    *in = (struct core_incoming){
        .price_ticks = body->price_ticks,
        .limit_ticks = body->price_ticks,
        .quantity_lots = body->quantity_lots,
        .remaining_lots = body->quantity_lots,
        .quote_minor = body->quote_minor,
        .quote_left = body->quote_minor,
        .created_us = c->clock_us,
        .instrument = core_place_of(c, instrument),
        .account = account,
        .side = side,
        .type = body->type,
        .time_in_force = body->time_in_force,
        .self_trade = self_trade,
        .post_only = body->post_only,
        .is_by_quote = body->quote_minor != 0,
        .is_market = body->type == ORDER_TYPE_MARKET,
        .state = ORDER_STATE_OPEN,
    };
    in->has_more = core_has_more(body);
    if (in->has_more) in->more = core_more_of(body);
    if (in->is_market) in->limit_ticks = protection(in, instrument);
    if (account == RISK_NONE) return;
    in->gives = risk_find_balance(&c->risk, account, core_asset_given(instrument, side));
    in->receives = risk_find_balance(&c->risk, account, core_asset_received(instrument, side));
}

/* The refusals behind the name, in their order. Leaves `incoming` described if there is an instrument. */
static uint8_t why_not(struct core *c, uint32_t account) {
    if (core_is_expired(c)) return REFUSAL_EXPIRED_IN_TRANSIT;
    if (risk_is_suspended(&c->risk, account)) return REFUSAL_ACCOUNT_SUSPENDED;
    if (c->rules < CORE_RULES_MORE && core_has_more(&c->progress.command->place_order)) return REFUSAL_RULES_TOO_OLD;
    if (!core_may_command(c, account)) return REFUSAL_TOO_MANY_COMMANDS;
    const struct core_instrument *instrument = core_find_instrument(c, c->progress.command->place_order.instrument);
    if (!instrument) return REFUSAL_INSTRUMENT_UNKNOWN;
    describe(c, account, instrument);
    uint8_t refusal = core_why_not_size(c);
    if (refusal == REFUSAL_UNSPECIFIED) refusal = why_not_room(c);
    if (refusal == REFUSAL_UNSPECIFIED) refusal = core_why_not_now(c, 0);
    return refusal;
}

/* The order has an id, its account and what it receives are known, its name is remembered, its hold is held. */
static void take_in(struct core *c, const struct names_text *text, uint64_t body) {
    struct core_incoming *in = &c->incoming;
    const struct core_instrument *instrument = core_market(c);
    in->order_id = ++c->orders_given * CORE_SHARDS + c->shard;
    if (in->receives == RISK_NONE) {
        in->receives = core_meet(c, c->progress.command->account, &in->account, core_asset_received(instrument, in->side));
    }
    if (names_length(text) != 0) in->name = names_add(&c->names, in->account, text, in->order_id, body);
    if (!in->is_market) {
        int64_t held_minor = (int64_t)core_hold(instrument, in->side, in->price_ticks, in->remaining_lots);
        risk_move(&c->risk, in->gives, -held_minor, held_minor);
    }
    core_answer_with(c, in->order_id, 1);
}

void core_place_order(struct core *c) {
    const struct codec_command *command = c->progress.command;
    const struct codec_place_order *body = &command->place_order;
    uint32_t account = risk_find_account(&c->risk, command->account);
    struct names_text text = {{0}};
    uint64_t sent = 0;
    if (body->client_order_id.length != 0) {
        text = names_text(body->client_order_id.at, body->client_order_id.length);
        sent = body_hash(body);
        uint32_t name = account == RISK_NONE ? NAMES_NONE : names_find(&c->names, account, &text);
        if (name != NAMES_NONE) {
            answer_again(c, &c->names.names[name], sent);
            return;
        }
    }
    c->progress.verdict.refusal = why_not(c, account);
    if (c->progress.verdict.refusal != REFUSAL_UNSPECIFIED) return;
    take_in(c, &text, sent);
    core_arrive(c);
}
