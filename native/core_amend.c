/* Changing and ending resting orders: amend, cancel, cancel-all, and the two changes that they and self-trade prevention
 * come down to; see core.h and docs/matching.md. */

#include "core.h"

/* ---- Lists of open orders ------------------------------------------------------------------------------------- */

void core_list_order(struct core *c, uint32_t slot) {
    struct risk_account *account = &c->risk.accounts[book_order_at(c->pool, slot)->owner];
    c->cold[slot].older = account->last_order;
    c->cold[slot].younger = BOOK_NONE;
    if (account->last_order == BOOK_NONE) {
        account->first_order = slot;
    } else {
        c->cold[account->last_order].younger = slot;
    }
    account->last_order = slot;
    account->open_orders++;
}

void core_unlist_order(struct core *c, uint32_t slot) {
    struct risk_account *account = &c->risk.accounts[book_order_at(c->pool, slot)->owner];
    const struct core_cold *cold = &c->cold[slot];
    if (cold->older == BOOK_NONE) {
        account->first_order = cold->younger;
    } else {
        c->cold[cold->older].younger = cold->younger;
    }
    if (cold->younger == BOOK_NONE) {
        account->last_order = cold->older;
    } else {
        c->cold[cold->younger].older = cold->older;
    }
    account->open_orders--;
}

/* ---- The two changes ------------------------------------------------------------------------------------------ */

/* A resting order's hold for so many of its lots becomes available. */
static void release_hold(struct core *c, const struct book_order *order, int64_t lots) {
    const struct core_instrument *instrument = &c->instruments[order->book];
    int64_t freed_minor = (int64_t)core_hold(instrument, order->side, order->price_ticks, lots);
    risk_move(&c->risk, core_gives(order), freed_minor, -freed_minor);
}

/* State a resting order after a change: itself, its level, the balance it gives from. */
static void say_changed(struct core *c, const struct codec_order *view, uint32_t place, uint32_t gives, int64_t level_lots) {
    struct core_instrument *instrument = &c->instruments[place];
    uint32_t side = view->side - 1u;
    core_say_order(c, view);
    core_say_level(c, instrument, side, view->price_ticks, level_lots);
    core_say_balance(c, gives);
}

/* What ends with a resting order beside itself. */
static void end_more(struct core *c, uint32_t slot, uint32_t place, const struct codec_order *view) {
    struct core_more *more = &c->more[slot];
    core_put_hidden(c, slot, 0);
    timers_clear(&c->timers, &more->timer);
    if (more->group != 0) core_end_member(c, more, place, view->reason, view->filled_lots, view->fee_minor);
}

void core_end_order(struct core *c, uint32_t slot, uint8_t state, uint8_t reason, int64_t decremented) {
    const struct book_order *order = book_order_at(c->pool, slot);
    struct book_order before = *order;
    struct core_cold *cold = &c->cold[slot];
    if (slot == c->progress.next_slot) c->progress.next_slot = cold->younger;
    if (core_whereabouts(c, slot) != ORDER_IN_BOOK) {
        core_end_waiting(c, slot, state, reason);
        return;
    }
    struct book *book = c->instruments[before.book].book;
    int64_t level_lots = book_level_at(book, before.level)->lots - before.remaining_lots;
    c->hash -= core_order_hash(c, slot);
    cold->updated_us = c->clock_us;
    cold->sequence = c->sequence;
    struct codec_order view;
    core_view_order(c, slot, &view);
    view.state = state;
    view.reason = reason;
    view.quantity_lots -= decremented;
    view.remaining_lots -= decremented;
    release_hold(c, &before, before.remaining_lots + core_hidden(c, slot));
    core_unlist_order(c, slot);
    if (cold->name != NAMES_NONE) names_end(&c->names, cold->name, c->clock_us);
    if (cold->has_more) end_more(c, slot, before.book, &view);
    book_remove(book, slot);
    say_changed(c, &view, before.book, core_gives(&before), level_lots);
}

void core_shrink_order(struct core *c, uint32_t slot, int64_t lots) {
    const struct book_order *order = book_order_at(c->pool, slot);
    struct core_cold *cold = &c->cold[slot];
    struct book *book = c->instruments[order->book].book;
    c->hash -= core_order_hash(c, slot);
    if (lots != 0) {
        int64_t hidden_lots = core_hidden(c, slot);
        int64_t behind = lots < hidden_lots ? lots : hidden_lots;
        release_hold(c, order, lots);
        if (behind != 0) core_put_hidden(c, slot, hidden_lots - behind);
        if (lots != behind) book_reduce(book, slot, lots - behind);
        cold->quantity_lots -= lots;
    }
    cold->updated_us = c->clock_us;
    cold->sequence = c->sequence;
    c->hash += core_order_hash(c, slot);
    struct codec_order view;
    core_view_order(c, slot, &view);
    say_changed(c, &view, order->book, core_gives(order), book_level_at(book, order->level)->lots);
}

/* ---- Finding -------------------------------------------------------------------------------------------------- */

/* Was this id ever given to an order? */
static bool was_given(const struct core *c, uint64_t order_id) {
    uint64_t counter = order_id / CORE_SHARDS;
    return order_id % CORE_SHARDS == c->shard && counter >= 1 && counter <= c->orders_given;
}

uint32_t core_find_order(const struct core *c, uint32_t account, uint64_t order_id, struct codec_bytes client_order_id,
                         uint8_t *refusal) {
    uint32_t slot = BOOK_NONE;
    *refusal = REFUSAL_ORDER_UNKNOWN;
    if (order_id != 0) {
        slot = book_find(c->pool, order_id);
        if (slot == BOOK_NONE) {
            if (was_given(c, order_id)) *refusal = REFUSAL_ORDER_ENDED;
            return BOOK_NONE;
        }
        return book_order_at(c->pool, slot)->owner == account ? slot : BOOK_NONE;
    }
    uint32_t name = core_find_name(c, account, client_order_id);
    if (name == NAMES_NONE) return BOOK_NONE;
    *refusal = REFUSAL_ORDER_ENDED;
    return c->names.names[name].ended_us == NAMES_OPEN ? book_find(c->pool, c->names.names[name].order_id) : BOOK_NONE;
}

/* ---- Amending ------------------------------------------------------------------------------------------------- */

/* Make `incoming` what the order is to become: as it rests, with the new price and total. */
void core_describe_resting(struct core *c, uint32_t slot, int64_t price_ticks, int64_t quantity_lots) {
    const struct book_order *order = book_order_at(c->pool, slot);
    const struct core_cold *cold = &c->cold[slot];
    int64_t filled_lots = cold->quantity_lots - order->remaining_lots - core_hidden(c, slot);
    if (price_ticks == 0) price_ticks = order->price_ticks;
    if (quantity_lots == 0) quantity_lots = cold->quantity_lots;
    struct core_incoming *in = &c->incoming;
    core_clear_incoming(in);
    in->order_id = order->order_id;
    in->price_ticks = price_ticks;
    in->limit_ticks = price_ticks;
    in->quantity_lots = quantity_lots;
    in->remaining_lots = quantity_lots - filled_lots;
    in->filled_lots = filled_lots;
    in->filled_quote_minor = cold->filled_quote_minor;
    in->fee_minor = cold->fee_minor;
    in->created_us = cold->created_us;
    in->instrument = order->book;
    in->account = order->owner;
    in->gives = core_gives(order);
    in->receives = core_receives(order);
    in->name = cold->name;
    in->slot = slot;
    in->side = order->side;
    in->type = ORDER_TYPE_LIMIT;
    in->time_in_force = TIME_IN_FORCE_GTC;
    in->self_trade = order->self_trade;
    in->post_only = order->post_only;
    in->has_more = cold->has_more;
    in->state = ORDER_STATE_OPEN;
    if (!cold->has_more) return;
    in->more = c->more[slot];
    in->more.hidden_lots = 0;
    in->type = c->more[slot].type;
    in->time_in_force = c->more[slot].time_in_force;
}

/* Leave the place in the queue, with the new hold, and arrive again. The level that is left is a statement of its own. */
static void move_to_back(struct core *c, uint32_t slot, int64_t held_minor) {
    const struct core_incoming *in = &c->incoming;
    struct core_instrument *instrument = core_market(c);
    const struct book_order *order = book_order_at(c->pool, slot);
    int64_t left_ticks = order->price_ticks;
    int64_t level_lots = book_level_at(instrument->book, order->level)->lots - order->remaining_lots;
    int64_t needed_minor = (int64_t)core_hold(instrument, in->side, in->price_ticks, in->remaining_lots);
    c->hash -= core_order_hash(c, slot);
    risk_move(&c->risk, in->gives, held_minor - needed_minor, needed_minor - held_minor);
    if (in->has_more) core_put_hidden(c, slot, 0);
    book_detach(instrument->book, slot);
    core_say_level(c, instrument, in->side, left_ticks, level_lots);
    core_arrive(c);
}

void core_amend_order(struct core *c) {
    const struct codec_command *command = c->progress.command;
    const struct codec_amend_order *body = &command->amend_order;
    struct core_verdict *verdict = &c->progress.verdict;
    uint32_t account = core_sender(c);
    verdict->refusal = core_why_not_command(c, account, false);
    if (verdict->refusal != REFUSAL_UNSPECIFIED) return;
    uint32_t slot = core_find_order(c, account, body->order_id, body->client_order_id, &verdict->refusal);
    if (slot == BOOK_NONE) return;
    verdict->refusal = REFUSAL_MARKET_NOT_OPEN;
    if (core_whereabouts(c, slot) != ORDER_IN_BOOK) return;
    core_describe_resting(c, slot, body->price_ticks, body->quantity_lots);
    const struct core_incoming *in = &c->incoming;
    const struct book_order *order = book_order_at(c->pool, slot);
    int64_t whole_lots = order->remaining_lots + core_hidden(c, slot);
    int64_t held_minor = (int64_t)core_hold(core_market(c), order->side, order->price_ticks, whole_lots);
    verdict->refusal = core_why_not_size(c);
    if (verdict->refusal == REFUSAL_UNSPECIFIED) verdict->refusal = core_why_not_now(c, verdict, held_minor, 0);
    if (verdict->refusal != REFUSAL_UNSPECIFIED) return;
    core_answer_with(c, in->order_id, 1);
    int64_t fewer = c->cold[slot].quantity_lots - in->quantity_lots;
    if (in->price_ticks != order->price_ticks || fewer < 0) {
        move_to_back(c, slot, held_minor);
        return;
    }
    core_shrink_order(c, slot, fewer);
}

/* ---- Cancelling ----------------------------------------------------------------------------------------------- */

static uint8_t reason_of(bool by_operator) { return by_operator ? END_REASON_BY_OPERATOR : END_REASON_BY_OWNER; }

void core_cancel_order(struct core *c) {
    const struct codec_command *command = c->progress.command;
    const struct codec_cancel_order *body = &command->cancel_order;
    struct core_progress *p = &c->progress;
    struct core_verdict *verdict = &p->verdict;
    verdict->refusal = core_why_nothing(c);
    if (verdict->refusal != REFUSAL_UNSPECIFIED) return;
    uint32_t account = core_sender(c);
    uint32_t slot = core_find_order(c, account, body->order_id, body->client_order_id, &verdict->refusal);
    if (slot == BOOK_NONE) return;
    verdict->refusal = REFUSAL_UNSPECIFIED;
    core_answer_with(c, book_order_at(c->pool, slot)->order_id, 1);
    core_end_order(c, slot, ORDER_STATE_CANCELLED, reason_of(body->by_operator), 0);
    p->stage = core_stage_now(c, STAGE_CASCADE);
}

void core_cancel_all(struct core *c) {
    const struct codec_command *command = c->progress.command;
    uint32_t instrument = command->cancel_all.instrument;
    struct core_progress *p = &c->progress;
    p->verdict.refusal = core_why_nothing(c);
    if (p->verdict.refusal != REFUSAL_UNSPECIFIED) return;
    p->verdict.refusal = REFUSAL_INSTRUMENT_UNKNOWN;
    if (instrument != 0 && !core_find_instrument(c, instrument)) return;
    p->verdict.refusal = REFUSAL_UNSPECIFIED;
    p->verdict.lists_cancelled = true;
    core_begin_cancel_all(c, risk_find_account(&c->risk, command->account), instrument, reason_of(command->cancel_all.by_operator));
}

void core_begin_cancel_all(struct core *c, uint32_t account, uint32_t instrument, uint8_t reason) {
    struct core_progress *p = &c->progress;
    p->next_slot = c->risk.accounts[account].first_order;
    p->cancel_instrument = instrument;
    p->cancel_reason = reason;
    p->stage = STAGE_CANCEL_ALL;
}

bool core_cancel_more(struct core *c) {
    struct core_progress *p = &c->progress;
    for (;;) {
        if (!core_settle_links(c)) return false;
        uint32_t slot = p->next_slot;
        if (slot == BOOK_NONE) break;
        const struct book_order *order = book_order_at(c->pool, slot);
        uint32_t instrument = c->instruments[core_order_place(order)].id;
        bool is_meant = p->cancel_instrument == 0 || instrument == p->cancel_instrument;
        if (is_meant && !core_has_room(c)) return false;
        p->next_slot = c->cold[slot].younger;
        if (!is_meant) continue;
        core_end_order(c, slot, ORDER_STATE_CANCELLED, p->cancel_reason, 0);
    }
    p->stage = STAGE_CASCADE;
    return true;
}
