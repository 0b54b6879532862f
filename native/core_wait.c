/* Orders that wait for a price: where they stand, what a price does to them, how they end; see core.h and docs/matching.md.
 *
 * A book of waiting orders has them at the price that triggers them, sells being those that a rise triggers, so that a price
 * meets them as a taker would. Trailing stops stand there too, and in a list of their own: every price may move each of them.
 * What a price triggers goes to the queue, which core_cascade.c works off. */

#include "core.h"

/* ---- Where an order stands ------------------------------------------------------------------------------------ */

static bool is_trailing(const struct core_more *more) { return more->type == ORDER_TYPE_TRAILING_STOP; }

static bool is_by_rise(const struct core_more *more) {
    bool takes_profit = more->type == ORDER_TYPE_TAKE_PROFIT || more->type == ORDER_TYPE_TAKE_PROFIT_LIMIT;
    return (more->side == BOOK_BUY) != takes_profit;
}

/* A trailing stop that does not follow yet stands where it would begin to, and in front of all if any price will do. */
struct core_stand core_stand_of(const struct core_more *more) {
    if (more->trigger_ticks != 0) return (struct core_stand){more->trigger_ticks, is_by_rise(more) ? BOOK_SELL : BOOK_BUY};
    if (more->activation_ticks == 0) return (struct core_stand){1, BOOK_SELL};
    return (struct core_stand){more->activation_ticks, more->side};
}

static uint32_t kind_of(const struct core_more *more) {
    return more->trigger_by == TRIGGER_BY_MARK_PRICE ? CORE_BY_MARK : CORE_BY_LAST;
}

static int64_t present_price(const struct core_instrument *instrument, const struct core_more *more) {
    return kind_of(more) == CORE_BY_MARK ? instrument->mark_ticks : instrument->last_price_ticks;
}

/* Does a price trigger it? Where there is no price, or no trigger yet, it does not. */
static bool is_met(const struct core_more *more, int64_t price_ticks) {
    if (price_ticks == 0 || more->trigger_ticks == 0) return false;
    return is_by_rise(more) ? price_ticks >= more->trigger_ticks : price_ticks <= more->trigger_ticks;
}

/* A trailing stop sees a price, or 0 where there is none. False: it is none that it begins with, and no better one. */
static bool follow(struct core_more *more, int64_t price_ticks) {
    bool sells = more->side == BOOK_SELL;
    bool is_past = sells ? price_ticks >= more->activation_ticks : price_ticks <= more->activation_ticks;
    if (price_ticks == 0) return false;
    if (more->peak_ticks == 0 && more->activation_ticks != 0 && !is_past) return false;
    bool is_better = sells ? price_ticks > more->peak_ticks : price_ticks < more->peak_ticks;
    if (more->peak_ticks != 0 && !is_better) return false;
    int64_t behind_ticks = more->trail_ticks;
    if (behind_ticks == 0) behind_ticks = (int64_t)((risk_wide)price_ticks * more->trail_ppm / RISK_PPM);
    if (behind_ticks == 0) behind_ticks = 1;
    risk_wide trigger = sells ? (risk_wide)price_ticks - behind_ticks : (risk_wide)price_ticks + behind_ticks;
    more->peak_ticks = price_ticks;
    more->trigger_ticks = trigger < 1 ? 1 : trigger > BOOK_MAX_PRICE ? BOOK_MAX_PRICE : (int64_t)trigger;
    return true;
}

bool core_would_trigger(const struct core *c) {
    const struct core_incoming *in = &c->incoming;
    struct core_more more = in->more;
    int64_t price_ticks = present_price(&c->instruments[in->instrument], &more);
    if (is_trailing(&more)) follow(&more, price_ticks);
    return is_met(&more, price_ticks);
}

/* ---- Coming and going ----------------------------------------------------------------------------------------- */

/* The book an order was last given to: its instrument's, or one of those of waiting orders. */
static struct book *book_of(const struct core *c, const struct book_order *order) {
    const struct core_instrument *instrument = &c->instruments[core_order_place(order)];
    uint32_t kind = order->book >> CORE_WAITING_SHIFT;
    return kind == 0 ? instrument->book : instrument->waiting[kind - 1];
}

/* Let an order that stands nowhere wait, behind all that came to its price before. Its share of the hash is the caller's. */
static void attach(struct core *c, uint32_t slot) {
    struct core_more *more = &c->more[slot];
    struct core_instrument *instrument = &c->instruments[core_order_place(book_order_at(c->pool, slot))];
    uint32_t kind = kind_of(more);
    struct book *book = instrument->waiting[kind];
    struct core_stand stand = core_stand_of(more);
    book_hand_over(book, slot, stand.side);
    book->next_priority = ++instrument->waiting_stamp;
    book_attach(book, slot, stand.price_ticks, 1);
    instrument->waits[kind]++;
    more->whereabouts = (uint8_t)(ORDER_WAITS_LAST + kind);
    core_touch_market(c, instrument);
}

static void detach(struct core *c, uint32_t slot) {
    const struct book_order *order = book_order_at(c->pool, slot);
    c->instruments[core_order_place(order)].waits[kind_of(&c->more[slot])]--;
    book_detach(book_of(c, order), slot);
}

void core_list_trailing(struct core *c, uint32_t slot) {
    struct core_more *more = &c->more[slot];
    struct core_instrument *instrument = &c->instruments[core_order_place(book_order_at(c->pool, slot))];
    if (!is_trailing(more)) return;
    more->trail_older = instrument->last_trailing;
    more->trail_younger = BOOK_NONE;
    if (instrument->last_trailing == BOOK_NONE) {
        instrument->first_trailing = slot;
    } else {
        c->more[instrument->last_trailing].trail_younger = slot;
    }
    instrument->last_trailing = slot;
    instrument->trailing_count++;
}

static void unlist_trailing(struct core *c, uint32_t slot) {
    const struct core_more *more = &c->more[slot];
    struct core_instrument *instrument = &c->instruments[core_order_place(book_order_at(c->pool, slot))];
    if (!is_trailing(more)) return;
    if (more->trail_older == BOOK_NONE) {
        instrument->first_trailing = more->trail_younger;
    } else {
        c->more[more->trail_older].trail_younger = more->trail_younger;
    }
    if (more->trail_younger == BOOK_NONE) {
        instrument->last_trailing = more->trail_older;
    } else {
        c->more[more->trail_younger].trail_older = more->trail_older;
    }
    instrument->trailing_count--;
}

/* State an order that rests nowhere, after this command has changed it. */
static void say(struct core *c, uint32_t slot) {
    struct codec_order view;
    core_view_order(c, slot, &view);
    core_say_order(c, &view);
}

static void touch(struct core *c, uint32_t slot) {
    c->cold[slot].updated_us = c->clock_us;
    c->cold[slot].sequence = c->sequence;
}

void core_begin_to_wait(struct core *c, bool is_parked) {
    struct core_incoming *in = &c->incoming;
    uint32_t slot = core_claim(c);
    struct core_more *more = &c->more[slot];
    uint32_t timer = more->timer;
    *more = in->more;
    more->timer = timer;
    core_put_cold(c, slot);
    c->cold[slot].has_more = 1;
    core_set_timer(c, &more->timer, more->expires_us, TIMER_ORDER, in->order_id, slot);
    core_list_trailing(c, slot);
    if (is_parked) {
        more->whereabouts = ORDER_PARKED;
        core_row_push(c, &c->parked, slot);
    } else {
        if (is_trailing(more)) follow(more, present_price(core_market(c), more));
        attach(c, slot);
    }
    c->hash += core_order_hash(c, slot);
    say(c, slot);
}

/* Take an order from where it waits or stands in a row. */
static void step_aside(struct core *c, uint32_t slot) {
    switch (c->more[slot].whereabouts) {
    case ORDER_PARKED: core_row_drop(c, &c->parked, slot); break;
    case ORDER_LET_OUT:
    case ORDER_QUEUED: core_row_drop(c, &c->queue, slot); break;
    default: detach(c, slot);
    }
}

void core_end_waiting(struct core *c, uint32_t slot, uint8_t state, uint8_t reason) {
    struct core_cold *cold = &c->cold[slot];
    struct core_more more = c->more[slot];
    const struct book_order *order = book_order_at(c->pool, slot);
    uint32_t place = core_order_place(order);
    c->hash -= core_order_hash(c, slot);
    touch(c, slot);
    struct codec_order view;
    core_view_order(c, slot, &view);
    view.state = state;
    view.reason = reason;
    step_aside(c, slot);
    unlist_trailing(c, slot);
    core_unlist_order(c, slot);
    if (cold->name != NAMES_NONE) names_end(&c->names, cold->name, c->clock_us);
    timers_clear(&c->timers, &c->more[slot].timer);
    book_release(book_of(c, order), slot);
    core_say_order(c, &view);
    if (more.group != 0) core_end_member(c, &more, place, reason, 0, 0);
}

void core_shrink_waiting(struct core *c, uint32_t slot, int64_t lots) {
    c->hash -= core_order_hash(c, slot);
    c->cold[slot].quantity_lots -= lots;
    touch(c, slot);
    c->hash += core_order_hash(c, slot);
    say(c, slot);
}

/* ---- Prices --------------------------------------------------------------------------------------------------- */

/* To the back of the queue, from wherever it stands. */
static void queue_up(struct core *c, uint32_t slot, uint8_t whereabouts) {
    c->hash -= core_order_hash(c, slot);
    step_aside(c, slot);
    c->more[slot].whereabouts = whereabouts;
    core_row_push(c, &c->queue, slot);
    c->hash += core_order_hash(c, slot);
}

void core_let_out(struct core *c, uint32_t slot, int64_t lots) {
    assert(c->more[slot].whereabouts == ORDER_PARKED);
    c->hash -= core_order_hash(c, slot);
    c->cold[slot].quantity_lots = lots;
    c->hash += core_order_hash(c, slot);
    queue_up(c, slot, ORDER_LET_OUT);
}

/* A trailing stop sees a price; it takes a new place if its trigger moves. That is not stated: a price may move a thousand of them. */
static void see(struct core *c, uint32_t slot, int64_t price_ticks) {
    struct core_more *more = &c->more[slot];
    struct core_more followed = *more;
    if (!follow(&followed, price_ticks)) return;
    bool moves = followed.trigger_ticks != more->trigger_ticks;
    c->hash -= core_order_hash(c, slot);
    if (moves) detach(c, slot);
    more->peak_ticks = followed.peak_ticks;
    more->trigger_ticks = followed.trigger_ticks;
    if (moves) attach(c, slot);
    c->hash += core_order_hash(c, slot);
}

void core_price_event(struct core *c, uint32_t place, uint32_t kind, int64_t price_ticks) {
    const struct core_instrument *instrument = &c->instruments[place];
    if (instrument->waits[kind] == 0 || instrument->phase != PHASE_CONTINUOUS || price_ticks == 0) return;
    for (uint32_t slot = instrument->first_trailing; slot != BOOK_NONE; slot = c->more[slot].trail_younger) {
        if (c->more[slot].whereabouts == ORDER_WAITS_LAST + kind) see(c, slot, price_ticks);
    }
    /* What the price meets, as if a buyer and then a seller came with it to the book of those that wait. */
    const struct book *book = instrument->waiting[kind];
    for (uint32_t side = BOOK_BUY; side <= BOOK_SELL; side++) {
        for (uint32_t slot; (slot = book_meet(book, side, price_ticks)) != BOOK_NONE;) queue_up(c, slot, ORDER_QUEUED);
    }
}

void core_look_at_prices(struct core *c, uint32_t place) {
    const struct core_instrument *instrument = &c->instruments[place];
    for (uint32_t slot = c->parked.first, next; slot != BOOK_NONE; slot = next) {
        next = book_order_at(c->pool, slot)->next;
        bool is_out = c->cold[slot].quantity_lots != 0;
        if (is_out && core_order_place(book_order_at(c->pool, slot)) == place) queue_up(c, slot, ORDER_LET_OUT);
    }
    core_price_event(c, place, CORE_BY_LAST, instrument->last_price_ticks);
    core_price_event(c, place, CORE_BY_MARK, instrument->mark_ticks);
}

/* ---- The queue ------------------------------------------------------------------------------------------------ */

/* Make `incoming` what the order is once it is triggered or let out: one that arrives now and has traded nothing. */
static void describe(struct core *c, uint32_t slot) {
    const struct book_order *order = book_order_at(c->pool, slot);
    const struct core_more *more = &c->more[slot];
    uint32_t place = core_order_place(order);
    const struct core_instrument *instrument = &c->instruments[place];
    c->incoming = (struct core_incoming){
        .order_id = order->order_id,
        .price_ticks = more->price_ticks,
        .limit_ticks = more->price_ticks,
        .quantity_lots = c->cold[slot].quantity_lots,
        .remaining_lots = c->cold[slot].quantity_lots,
        .quote_minor = more->quote_minor,
        .quote_left = more->quote_minor,
        .created_us = c->cold[slot].created_us,
        .instrument = place,
        .account = order->owner,
        .gives = risk_find_balance(&c->risk, order->owner, core_asset_given(instrument, more->side)),
        .receives = core_receives(order),
        .name = c->cold[slot].name,
        .slot = slot,
        .side = more->side,
        .type = more->type,
        .time_in_force = more->time_in_force,
        .self_trade = order->self_trade,
        .post_only = order->post_only,
        .is_by_quote = more->quote_minor != 0,
        .is_market = more->price_ticks == 0,
        .has_more = true,
        .state = ORDER_STATE_OPEN,
        .more = *more,
    };
    if (c->incoming.is_market) c->incoming.limit_ticks = core_protection(c);
}

/* What would be refused if it were placed now. Its expiry is not asked: what was triggered before it came is not too late. The
 * verdict is that of the command under way, which is about something else. */
static uint8_t why_not(struct core *c) {
    struct core_verdict verdict;
    struct core_incoming *in = &c->incoming;
    if (risk_is_suspended(&c->risk, in->account)) return REFUSAL_ACCOUNT_SUSPENDED;
    int64_t expires_us = in->more.expires_us;
    in->more.expires_us = 0;
    uint8_t refusal = core_why_not_size(c);
    in->more.expires_us = expires_us;
    return refusal != REFUSAL_UNSPECIFIED ? refusal : core_why_not_now(c, &verdict, 0, 0);
}

/* An order in the queue becomes one like any other, or ends. */
static void launch(struct core *c, uint32_t slot, int64_t triggered_us) {
    struct core_incoming *in = &c->incoming;
    struct core_more *more = &c->more[slot];
    c->hash -= core_order_hash(c, slot);
    more->triggered_us = triggered_us;
    describe(c, slot);
    if (why_not(c) != REFUSAL_UNSPECIFIED) {
        c->hash += core_order_hash(c, slot);
        core_end_order(c, slot, ORDER_STATE_EXPIRED, END_REASON_TRIGGER_REFUSED, 0);
        return;
    }
    const struct core_instrument *instrument = core_market(c);
    core_row_drop(c, &c->queue, slot);
    unlist_trailing(c, slot);
    more->whereabouts = ORDER_UNDER_WAY;
    book_hand_over(instrument->book, slot, in->side);
    book_order_at(c->pool, slot)->caller_word = core_balances_word(in->gives, in->receives);
    core_hold_incoming(c);
    core_arrive(c);
}

/* An exit whose entry has ended begins to wait, or arrives; if its market is not open it is parked again. */
static void decide_exit(struct core *c, uint32_t slot) {
    struct core_more *more = &c->more[slot];
    const struct core_instrument *instrument = &c->instruments[core_order_place(book_order_at(c->pool, slot))];
    bool is_open = instrument->phase == PHASE_CONTINUOUS;
    if (c->cold[slot].quantity_lots == 0) {
        core_end_order(c, slot, ORDER_STATE_CANCELLED, END_REASON_LINKED, 0);
        return;
    }
    if (more->type == ORDER_TYPE_LIMIT && is_open) {
        launch(c, slot, 0);
        return;
    }
    int64_t price_ticks = present_price(instrument, more);
    c->hash -= core_order_hash(c, slot);
    core_row_drop(c, &c->queue, slot);
    touch(c, slot);
    if (more->type == ORDER_TYPE_LIMIT) {
        core_row_insert(c, &c->parked, slot);
        more->whereabouts = ORDER_PARKED;
    } else {
        if (is_trailing(more)) follow(more, price_ticks);
        attach(c, slot);
    }
    c->hash += core_order_hash(c, slot);
    say(c, slot);
    if (is_open && is_met(more, price_ticks)) queue_up(c, slot, ORDER_QUEUED);
}

void core_decide_queued(struct core *c, uint32_t slot) {
    struct core_more *more = &c->more[slot];
    if (more->whereabouts == ORDER_LET_OUT) {
        decide_exit(c, slot);
        return;
    }
    if (c->instruments[core_order_place(book_order_at(c->pool, slot))].phase != PHASE_CONTINUOUS) {
        c->hash -= core_order_hash(c, slot);
        core_row_drop(c, &c->queue, slot);
        attach(c, slot);
        c->hash += core_order_hash(c, slot);
        return;
    }
    /* It stays first in the queue until the one it is linked to has ended, and then comes here again. */
    if (more->group != 0 && core_end_linked(c, more)) return;
    launch(c, slot, c->clock_us);
}
