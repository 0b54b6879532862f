/* Placing an order: the refusals in their order, then what being taken in changes; see core.h and docs/matching.md. */

#include "core.h"

/* ---- Names ---------------------------------------------------------------------------------------------------- */

uint64_t core_body_hash(const struct codec_place_order *body) {
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

uint64_t core_text_hash(struct codec_bytes name) {
    if (name.length == 0) return 0;
    uint64_t image[NAMES_TEXT_BYTES / 8 + 1] = {0};
    struct names_text text = names_text(name.at, name.length);
    for (uint32_t i = 0; i < NAMES_TEXT_BYTES / 8; i++) image[i] = hash_load(text.bytes + 8 * i);
    return hash_words(HASH_BODY, image, NAMES_TEXT_BYTES / 8 + 1);
}

uint32_t core_find_name(const struct core *c, uint32_t account, struct codec_bytes name) {
    if (account == RISK_NONE || name.length == 0) return NAMES_NONE;
    struct names_text text = names_text(name.at, name.length);
    return names_find(&c->names, account, &text);
}

bool core_is_again(struct core *c, uint32_t name, uint64_t sent) {
    struct core_verdict *verdict = &c->progress.verdict;
    if (name == NAMES_NONE || c->names.names[name].body != sent) return false;
    verdict->repeated = true;
    verdict->order_id = c->names.names[name].order_id;
    struct codec_order order = {.order_id = verdict->order_id};
    uint8_t *scrap = c->out.scrap[0];
    verdict->orders[0] = (struct codec_bytes){scrap, (uint32_t)(codec_put_order(scrap, &order) - scrap)};
    return true;
}

/* ---- Refusals ------------------------------------------------------------------------------------------------- */

uint8_t core_why_not_command(struct core *c, uint32_t account, bool is_new) {
    uint8_t nothing = core_why_nothing(c);
    if (nothing != REFUSAL_UNSPECIFIED) return nothing;
    if (risk_is_suspended(&c->risk, account)) return REFUSAL_ACCOUNT_SUSPENDED;
    if (is_new && c->rules < CORE_RULES_MORE) return REFUSAL_RULES_TOO_OLD;
    return core_may_command(c, account) ? REFUSAL_UNSPECIFIED : REFUSAL_TOO_MANY_COMMANDS;
}

/* What the order is worth in quote where that is known: 0 if it is not. */
static risk_wide notional(const struct core_incoming *in, const struct core_instrument *instrument) {
    bool waits = in->state == ORDER_STATE_WAITING;
    if (waits && in->type == ORDER_TYPE_TRAILING_STOP) return 0;
    if (in->is_by_quote) return in->quote_minor;
    int64_t price_ticks = in->price_ticks;
    if (price_ticks == 0 && waits) price_ticks = in->more.trigger_ticks;
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
    if (!core_takes(instrument->phase, in, in->state == ORDER_STATE_WAITING)) return REFUSAL_MARKET_NOT_OPEN;
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
static uint8_t why_not_room(const struct core *c, bool is_named, const struct core_beside *beside) {
    const struct core_incoming *in = &c->incoming;
    const struct risk *risk = &c->risk;
    if (core_may_rest(in) || in->state == ORDER_STATE_WAITING) {
        uint32_t open_orders = risk->accounts[in->account].open_orders + (uint32_t)beside->orders;
        if (open_orders >= core_most_open(c, in->account)) return REFUSAL_TOO_MANY_OPEN_ORDERS;
        if (c->pool->order_count + (uint32_t)beside->orders >= c->sizes.orders) return REFUSAL_CAPACITY_FULL;
    }
    if (is_named && c->names.count + beside->names >= c->sizes.client_order_ids) return REFUSAL_CAPACITY_FULL;
    bool is_met = in->account != RISK_NONE || beside->accounts != 0;
    if (!is_met && risk->account_count >= c->sizes.accounts) return REFUSAL_CAPACITY_FULL;
    bool is_counted = in->receives != RISK_NONE || beside->receives[in->side];
    if (!is_counted && risk->balance_count + beside->balances >= c->sizes.balances) return REFUSAL_CAPACITY_FULL;
    if (in->type != ORDER_TYPE_TRAILING_STOP) return REFUSAL_UNSPECIFIED;
    uint32_t trailing = c->instruments[in->instrument].trailing_count + (uint32_t)beside->trailing;
    return trailing >= CORE_MAX_TRAILING ? REFUSAL_CAPACITY_FULL : REFUSAL_UNSPECIFIED;
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

uint8_t core_why_not_now(struct core *c, struct core_verdict *verdict, int64_t held_minor, int64_t beside_minor) {
    const struct core_incoming *in = &c->incoming;
    const struct core_instrument *instrument = core_market(c);
    if (in->post_only && book_would_cross(instrument->book, in->side, in->limit_ticks)) return REFUSAL_POST_ONLY_WOULD_TRADE;
    int64_t available_minor = c->risk.balances[in->gives].available_minor + beside_minor;
    risk_wide need = need_of(c, available_minor) - held_minor;
    if (need <= available_minor) return REFUSAL_UNSPECIFIED;
    verdict->needed_minor = need < INT64_MAX ? (int64_t)need : INT64_MAX;
    verdict->available_minor = available_minor;
    return REFUSAL_INSUFFICIENT_BALANCE;
}

uint8_t core_why_not_order(struct core *c, bool is_named, const struct core_beside *beside) {
    bool waits = c->incoming.state == ORDER_STATE_WAITING;
    uint8_t refusal = core_why_not_size(c);
    if (refusal == REFUSAL_UNSPECIFIED && waits && core_would_trigger(c)) refusal = REFUSAL_WOULD_TRIGGER;
    if (refusal == REFUSAL_UNSPECIFIED) refusal = why_not_room(c, is_named, beside);
    if (refusal != REFUSAL_UNSPECIFIED || waits) return refusal;
    return core_why_not_now(c, &c->progress.verdict, 0, beside->available_minor);
}

uint8_t core_why_not_exit(struct core *c, bool is_named, const struct core_beside *beside) {
    const struct core_incoming *in = &c->incoming;
    if (in->more.expires_us != 0 && in->more.expires_us <= c->clock_us) return REFUSAL_EXPIRY_PASSED;
    if (core_is_outside_band(core_market(c), in->price_ticks)) return REFUSAL_PRICE_OUTSIDE_BAND;
    return why_not_room(c, is_named, beside);
}

/* ---- Taking in ------------------------------------------------------------------------------------------------ */

/* No order rests above BOOK_MAX_PRICE. */
int64_t core_protection(const struct core *c) {
    const struct core_incoming *in = &c->incoming;
    const struct core_instrument *instrument = &c->instruments[in->instrument];
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

void core_describe(struct core *c, const struct codec_place_order *body, uint32_t account,
                   const struct core_instrument *instrument) {
    const struct risk_account *owner = &c->risk.accounts[account];
    uint8_t side = (uint8_t)(body->side - 1);
    uint8_t self_trade = account == RISK_NONE ? BOOK_SELF_TRADE_CANCEL_TAKER : owner->self_trade;
    if (body->self_trade_prevention != SELF_TRADE_PREVENTION_UNSPECIFIED) self_trade = body->self_trade_prevention - 1;
    struct core_incoming *in = &c->incoming;
    core_clear_incoming(in);
    in->price_ticks = in->limit_ticks = body->price_ticks;
    in->quantity_lots = in->remaining_lots = body->quantity_lots;
    in->quote_minor = in->quote_left = body->quote_minor;
    in->created_us = c->clock_us;
    in->instrument = body->instrument / CORE_SHARDS - 1;
    in->account = account;
    in->side = side;
    in->type = body->type;
    in->time_in_force = body->time_in_force;
    in->self_trade = self_trade;
    in->post_only = body->post_only;
    in->is_by_quote = body->quote_minor != 0;
    in->is_market = body->type == ORDER_TYPE_MARKET;
    in->state = body->type > ORDER_TYPE_MARKET ? ORDER_STATE_WAITING : ORDER_STATE_OPEN;
    in->has_more = core_has_more(body);
    if (in->has_more) in->more = core_more_of(body);
    if (in->is_market) in->limit_ticks = core_protection(c);
    if (account == RISK_NONE) return;
    const struct core_found *found = core_found(c);
    uint32_t base = risk_look_balance(&c->risk, found->base, account, instrument->base);
    uint32_t quote = risk_look_balance(&c->risk, found->quote, account, instrument->quote);
    /* Changed over for a sell: a choice of values, since processors guess sides wrong. */
    uint32_t changed = (base ^ quote) & -(uint32_t)(side == BOOK_SELL);
    in->gives = quote ^ changed;
    in->receives = base ^ changed;
}

/* The refusals behind the name, in their order. Leaves `incoming` described if there is an instrument. */
static uint8_t why_not(struct core *c, uint32_t account) {
    static const struct core_beside nothing;
    const struct codec_place_order *body = &c->progress.command->place_order;
    uint8_t refusal = core_why_not_command(c, account, core_has_more(body));
    if (refusal != REFUSAL_UNSPECIFIED) return refusal;
    const struct core_instrument *instrument = core_find_instrument(c, body->instrument);
    if (!instrument) return REFUSAL_INSTRUMENT_UNKNOWN;
    core_describe(c, body, account, instrument);
    return core_why_not_order(c, body->client_order_id.length != 0, &nothing);
}

uint64_t core_give_ids(struct core *c, uint32_t count) {
    uint64_t first = (c->orders_given + 1) * CORE_SHARDS + c->shard;
    c->orders_given += count;
    return first;
}

void core_take_in(struct core *c, struct codec_bytes name, uint64_t sent) {
    struct core_incoming *in = &c->incoming;
    const struct core_instrument *instrument = core_market(c);
    if (in->receives == RISK_NONE) {
        in->receives = core_meet(c, c->progress.command->account, &in->account, core_asset_received(instrument, in->side));
    }
    if (name.length == 0) return;
    struct names_text text = names_text(name.at, name.length);
    in->name = names_add(&c->names, in->account, &text, in->order_id, sent);
}

void core_hold_incoming(struct core *c) {
    const struct core_incoming *in = &c->incoming;
    if (in->is_market) return;
    int64_t held_minor = (int64_t)core_hold(core_market(c), in->side, in->price_ticks, in->remaining_lots);
    risk_move(&c->risk, in->gives, -held_minor, held_minor);
}

void core_set_out(struct core *c, enum core_stage next) {
    if (c->incoming.state == ORDER_STATE_WAITING) {
        core_begin_to_wait(c, false);
        c->progress.stage = next;
        return;
    }
    core_hold_incoming(c);
    core_arrive(c);
    c->progress.after_match = next;
}

void core_place_order(struct core *c) {
    const struct codec_command *command = c->progress.command;
    const struct codec_place_order *body = &command->place_order;
    uint32_t account = core_sender(c);
    uint64_t sent = 0;
    if (body->client_order_id.length != 0) {
        sent = core_body_hash(body);
        uint32_t name = core_find_name(c, account, body->client_order_id);
        if (core_is_again(c, name, sent)) return;
        c->progress.verdict.refusal = REFUSAL_CLIENT_ORDER_ID_REUSED;
        if (name != NAMES_NONE) return;
    }
    c->progress.verdict.refusal = why_not(c, account);
    if (c->progress.verdict.refusal != REFUSAL_UNSPECIFIED) return;
    c->incoming.order_id = core_give_ids(c, 1);
    core_answer_with(c, c->incoming.order_id, 1);
    core_take_in(c, body->client_order_id, sent);
    core_set_out(c, STAGE_CASCADE);
}
