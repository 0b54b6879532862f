/* Events, marks and answers of the part being made; see core.h. Room has been made sure of before anything is said. */

#include "core.h"

/* ---- Views ---------------------------------------------------------------------------------------------------- */

struct codec_bytes core_name(const struct core *c, uint32_t name) {
    if (name == NAMES_NONE) return (struct codec_bytes){NULL, 0};
    const struct names_text *text = &c->names.names[name].text;
    return (struct codec_bytes){text->bytes, names_length(text)};
}

/* What is more of an order, wherever it is. */
static void copy_more(struct codec_order *order, const struct core_more *more) {
    order->type = more->type;
    order->time_in_force = more->time_in_force;
    order->trigger_ticks = more->trigger_ticks;
    order->trigger_by = more->trigger_by;
    order->trail_ticks = more->trail_ticks;
    order->trail_ppm = more->trail_ppm;
    order->activation_ticks = more->activation_ticks;
    order->peak_ticks = more->peak_ticks;
    order->triggered_us = more->triggered_us;
    order->display_lots = more->display_lots;
    order->min_fill_lots = more->min_fill_lots;
    order->expires_us = more->expires_us;
    order->protection_ticks = more->protection_ticks;
    order->group = more->group;
    order->group_kind = more->group_kind;
    order->group_member = more->group_member;
    order->other_fee_asset = more->other_fee_asset;
    order->other_fee_minor = more->other_fee_minor;
}

/* A resting order has what is hidden too; one that does not rest has its own side and price, and has not traded. */
static void view_more(const struct core *c, uint32_t slot, struct codec_order *order) {
    const struct core_more *more = &c->more[slot];
    copy_more(order, more);
    order->remaining_lots += more->hidden_lots;
    order->filled_lots -= more->hidden_lots;
    if (more->whereabouts == ORDER_IN_BOOK) return;
    const struct core_instrument *instrument = &c->instruments[core_order_place(book_order_at(c->pool, slot))];
    order->side = (uint8_t)(more->side + 1);
    order->fee_asset = c->risk.assets[core_asset_received(instrument, more->side)].id;
    order->price_ticks = more->price_ticks;
    order->quote_minor = more->quote_minor;
    order->state = ORDER_STATE_WAITING;
    order->remaining_lots = order->quantity_lots;
    order->filled_lots = 0;
}

void core_view_order(const struct core *c, uint32_t slot, struct codec_order *order) {
    const struct book_order *hot = book_order_at(c->pool, slot);
    const struct core_cold *cold = &c->cold[slot];
    const struct core_instrument *instrument = &c->instruments[core_order_place(hot)];
    order->has_more = cold->has_more;
    order->order_id = hot->order_id;
    order->account = c->risk.accounts[hot->owner].id;
    order->instrument = instrument->id;
    order->side = (uint8_t)(hot->side + 1);
    order->type = ORDER_TYPE_LIMIT;
    order->time_in_force = TIME_IN_FORCE_GTC;
    order->post_only = hot->post_only;
    order->self_trade_prevention = (uint8_t)(hot->self_trade + 1);
    order->client_order_id = core_name(c, cold->name);
    order->price_ticks = hot->price_ticks;
    order->quantity_lots = cold->quantity_lots;
    order->quote_minor = 0;
    order->state = ORDER_STATE_OPEN;
    order->reason = END_REASON_UNSPECIFIED;
    order->remaining_lots = hot->remaining_lots;
    order->filled_lots = cold->quantity_lots - hot->remaining_lots;
    order->filled_quote_minor = cold->filled_quote_minor;
    order->fee_asset = c->risk.assets[core_asset_received(instrument, hot->side)].id;
    order->fee_minor = cold->fee_minor;
    order->created_us = cold->created_us;
    order->updated_us = cold->updated_us;
    order->sequence = cold->sequence;
    if (cold->has_more) view_more(c, slot, order);
}

void core_view_incoming(const struct core *c, struct codec_order *order) {
    const struct core_incoming *in = &c->incoming;
    const struct core_instrument *instrument = &c->instruments[in->instrument];
    order->has_more = in->has_more;
    order->order_id = in->order_id;
    order->account = c->risk.accounts[in->account].id;
    order->instrument = instrument->id;
    order->side = (uint8_t)(in->side + 1);
    order->type = in->type;
    order->time_in_force = in->time_in_force;
    order->post_only = in->post_only;
    order->self_trade_prevention = (uint8_t)(in->self_trade + 1);
    order->client_order_id = core_name(c, in->name);
    order->price_ticks = in->price_ticks;
    order->quantity_lots = in->quantity_lots;
    order->quote_minor = in->quote_minor;
    order->state = in->state;
    order->reason = in->reason;
    order->remaining_lots = in->remaining_lots;
    order->filled_lots = in->filled_lots;
    order->filled_quote_minor = in->filled_quote_minor;
    order->fee_asset = c->risk.assets[core_asset_received(instrument, in->side)].id;
    order->fee_minor = in->fee_minor;
    order->created_us = in->created_us;
    order->updated_us = c->clock_us;
    order->sequence = c->sequence;
    if (in->has_more) copy_more(order, &in->more);
}

void core_view_asset(const struct risk_asset *asset, struct codec_asset *view) {
    *view = (struct codec_asset){
        .asset = asset->id,
        .code = {(const uint8_t *)asset->code, asset->code_length},
        .decimals = asset->decimals,
    };
}

void core_view_instrument(const struct core *c, const struct core_instrument *instrument, struct codec_instrument *view) {
    *view = (struct codec_instrument){
        .instrument = instrument->id,
        .symbol = {(const uint8_t *)instrument->symbol, instrument->symbol_length},
        .base_asset = c->risk.assets[instrument->base].id,
        .quote_asset = c->risk.assets[instrument->quote].id,
        .lot_minor = instrument->lot_minor,
        .tick_units = instrument->tick_units,
        .tick_scale = instrument->tick_scale,
        .tick_lot_minor = instrument->tick_lot_minor,
        .phase = instrument->phase,
        .min_quantity_lots = instrument->min_quantity_lots,
        .max_quantity_lots = instrument->max_quantity_lots,
        .min_notional_minor = instrument->min_notional_minor,
        .max_notional_minor = instrument->max_notional_minor,
        .market_protection_ppm = instrument->protection_ppm,
        .last_price_ticks = instrument->last_price_ticks,
        .mark_price_ticks = instrument->mark_ticks,
        .reference_ticks = instrument->reference_ticks,
        .static_band_ppm = instrument->static_band_ppm,
        .dynamic_band_ppm = instrument->dynamic_band_ppm,
        .volatility_auction_us = instrument->volatility_auction_us,
        .phase_until_us = instrument->phase_until_us,
        .fee_market = instrument->fee_market,
        .fee_discount_ppm = instrument->fee_discount_ppm,
    };
    for (uint32_t tier = 0; tier < CORE_TIERS; tier++) {
        if (!(instrument->tiers >> tier & 1)) continue;
        view->fees[view->fee_count++] =
            (struct codec_fee_rate){tier, instrument->maker_ppm[tier], instrument->taker_ppm[tier]};
    }
}

/* ---- Events --------------------------------------------------------------------------------------------------- */

/* The answer to a command that cancels what it finds lists what it found. */
static void say_cancelled(struct core *c, uint64_t order_id) {
    struct codec_cancelled_order cancelled = {c->progress.batch_applied, order_id};
    c->out.answer_at = codec_put_cancelled_order_in(c->out.answer_at, SUBMIT_RESPONSE_CANCELLED_TAG, &cancelled);
}

void core_say_order(struct core *c, const struct codec_order *order) {
    struct core_out *out = &c->out;
    struct core_verdict *verdict = &c->progress.verdict;
    struct codec_bytes encoded;
    out->event_at = codec_put_order_event_in(out->event_at, out->commands, order, &out->now_us, &encoded);
    if (__builtin_expect(verdict->lists_cancelled, 0) && order->state == ORDER_STATE_CANCELLED) say_cancelled(c, order->order_id);
    bool is_own = core_is_own(c, order->order_id);
    if (!is_own && order->order_id != verdict->target) return;
    /* Member by member: it was written so a moment ago, and a processor that reads it as one waits for the writes to be done. */
    struct codec_bytes *own = &verdict->orders[is_own ? (order->order_id - verdict->order_id) / CORE_SHARDS : 1];
    own->at = encoded.at;
    own->length = encoded.length;
}

void core_say_level(struct core *c, struct core_instrument *instrument, uint32_t side, int64_t price_ticks, int64_t lots) {
    struct codec_level_event level = {c->out.commands, instrument->id, (uint8_t)(side + 1), price_ticks, lots};
    c->out.event_at = codec_put_level_event_in(c->out.event_at, EVENT_RECORD_LEVELS_TAG, &level);
    if (core_gathers(instrument->phase)) core_touch_auction(c, instrument);
}

static void say_balance(struct core *c, const struct risk_balance *now) {
    if (now->account == RISK_FEE_ACCOUNT) return;
    struct codec_balance_event event = {
        .command = c->out.commands,
        .account = now->account,
        .asset = now->asset,
        .available_minor = now->available_minor,
        .held_minor = now->held_minor,
    };
    c->out.event_at = codec_put_balance_event_in(c->out.event_at, EVENT_RECORD_BALANCES_TAG, &event);
}

void core_say_balance(struct core *c, uint32_t balance) { say_balance(c, &c->risk.balances[balance]); }

void core_say_given(struct core *c) {
    const struct core_incoming *in = &c->incoming;
    if (in->gives != RISK_NONE) {
        core_say_balance(c, in->gives);
        return;
    }
    uint32_t asset = core_asset_given(core_market(c), in->side);
    struct risk_balance nothing = {.account = c->risk.accounts[in->account].id, .asset = c->risk.assets[asset].id};
    say_balance(c, &nothing);
}

void core_say_trade(struct core *c, struct codec_trade_event *trade) {
    struct core_out *out = &c->out;
    const uint8_t *written = out->event_at;
    trade->command = out->commands;
    out->event_at = codec_put_trade_event_in(out->event_at, EVENT_RECORD_TRADES_TAG, trade);
    if (!core_is_own(c, trade->taker_order_id) && !core_is_own(c, trade->maker_order_id)) return;
    out->answer_at =
        codec_put_trade_again_in(out->answer_at, SUBMIT_RESPONSE_TRADES_TAG, c->progress.batch_applied, written);
}

void core_say_move(struct core *c) {
    const struct codec_command *command = c->progress.command;
    bool is_credit = command->kind == COMMAND_CREDIT;
    struct codec_move_event move = {
        .command = c->out.commands,
        .source = c->progress.batch.source,
        .number = c->sessions.sources[c->progress.batch.source],
        .account = command->account,
        .asset = is_credit ? command->credit.asset : command->debit.asset,
        .amount_minor = is_credit ? command->credit.amount_minor : -command->debit.amount_minor,
    };
    c->out.event_at = codec_put_move_event_in(c->out.event_at, EVENT_RECORD_MOVES_TAG, &move);
}

void core_say_asset(struct core *c, const struct risk_asset *asset) {
    struct codec_asset view;
    core_view_asset(asset, &view);
    c->out.event_at = codec_put_asset_event_in(c->out.event_at, c->out.commands, &view);
}

void core_say_instrument(struct core *c, const struct core_instrument *instrument) {
    struct codec_instrument view;
    core_view_instrument(c, instrument, &view);
    c->out.event_at = codec_put_instrument_event_in(c->out.event_at, c->out.commands, &view);
}

void core_say_auction(struct core *c, const struct core_instrument *instrument, const struct core_crossing *crossing) {
    struct codec_auction_event event = {
        .instrument = instrument->id,
        .price_ticks = crossing->price_ticks,
        .volume_lots = crossing->volume_lots,
        .surplus_lots = crossing->surplus_lots,
    };
    c->out.event_at = codec_put_auction_event_in(c->out.event_at, EVENT_RECORD_AUCTIONS_TAG, &event);
}

void core_say_account(struct core *c, uint32_t account) {
    const struct risk_account *now = &c->risk.accounts[account];
    struct codec_account_event event = {
        .command = c->out.commands,
        .account = now->id,
        .fee_tier = now->fee_tier,
        .self_trade_prevention = (uint8_t)(now->self_trade + 1),
        .suspended = now->suspended,
        .max_open_orders = now->max_open_orders,
        .max_commands_per_second = now->max_commands,
        .pays_fee_asset = now->pays_fee_asset,
        .dead_man_us = now->dead_man_us,
    };
    c->out.event_at = codec_put_account_event_in(c->out.event_at, EVENT_RECORD_ACCOUNTS_TAG, &event);
}

/* ---- Marks and answers ---------------------------------------------------------------------------------------- */

void core_say_mark(struct core *c) {
    static const struct codec_command time = {.kind = COMMAND_KIND_TIME};
    const struct codec_command *command = c->progress.chapter == CHAPTER_TIME ? &time : c->progress.command;
    const struct core_verdict *verdict = &c->progress.verdict;
    struct codec_command_mark mark;
    mark.kind = (uint8_t)command->kind;
    mark.refusal = verdict->refusal;
    mark.order_id = verdict->order_id;
    mark.created_id = verdict->created_id;
    mark.repeated = verdict->repeated;
    mark.needed_minor = verdict->needed_minor;
    mark.available_minor = verdict->available_minor;
    mark.member = verdict->member;
    c->out.event_at = codec_put_mark_in(c->out.event_at, command, &mark);
    c->out.commands++;
}

void core_say_outcome(struct core *c) {
    const struct core_verdict *verdict = &c->progress.verdict;
    struct codec_outcome outcome = {
        .refusal = verdict->refusal,
        .repeated = verdict->repeated,
        .created_id = verdict->created_id,
        .needed_minor = verdict->needed_minor,
        .available_minor = verdict->available_minor,
        .member = verdict->member,
    };
    c->out.answer_at = codec_put_outcome_in(c->out.answer_at, &outcome, verdict->orders);
}

/* The head of an answer, said at its end, when all of it is known. */
static void say_head(struct core *c) {
    const struct core_progress *p = &c->progress;
    bool is_applied = p->batch_status == BATCH_STATUS_APPLIED;
    struct codec_submit_response head = {
        .session = p->batch.session,
        .number = p->batch.number,
        .source = p->batch.source,
        .status = p->batch_status,
        .first_sequence = p->batch_first,
        .time_us = is_applied ? c->clock_us : 0,
        .command_offset = p->batch_offset,
        .expected = p->batch_expected,
    };
    c->out.answer_at = codec_put_submit_response(c->out.answer_at, &head);
}

void core_say_batch(struct core *c, bool done) {
    struct core_out *out = &c->out;
    const struct core_progress *p = &c->progress;
    if (out->commands != out->batch_first) {
        struct codec_batch_mark mark = {
            .session = p->batch.session,
            .number = p->batch.number,
            .source = p->batch.source,
            .first_command = out->batch_first,
            .commands = out->commands - out->batch_first,
        };
        out->event_at = codec_put_batch_mark_in(out->event_at, EVENT_RECORD_BATCHES_TAG, &mark);
    }
    if (done) say_head(c);
    uint32_t end = (uint32_t)(out->answer_at - out->part->answers);
    if (end == out->answer_start && !done) return;
    out->part->index[out->part->index_length++] = (struct core_answer){
        .batch = p->batch_index,
        .start = out->answer_start,
        .length = end - out->answer_start,
        .done = done,
        .status = p->batch_status,
    };
}

/* ---- Parts ---------------------------------------------------------------------------------------------------- */

void core_say_begin(struct core *c) {
    const struct core_progress *p = &c->progress;
    struct core_out *out = &c->out;
    bool goes_on = p->stage != STAGE_DECIDE;
    struct codec_event_record head = {
        .shard = c->shard,
        .command_offset = c->next_offset,
        .part = p->part,
        .time_us = c->clock_us,
        .first_sequence = goes_on ? c->sequence : c->sequence + 1,
    };
    out->part->index_length = 0;
    out->now_us = codec_number((uint64_t)c->clock_us);
    out->event_at = codec_put_event_record(out->part->events, &head);
    out->answer_at = out->part->answers;
    out->commands = out->batch_first = out->answer_start = 0;
}

/* What was stated of the command's orders is needed when this part's buffer is gone. */
static void keep_orders(struct core *c) {
    for (uint32_t i = 0; i < CODEC_GROUP; i++) {
        struct codec_bytes *order = &c->progress.verdict.orders[i];
        if (order->length == 0 || order->at == c->out.scrap[i]) continue;
        memcpy(c->out.scrap[i], order->at, order->length);
        order->at = c->out.scrap[i];
    }
}

void core_say_end(struct core *c, bool last) {
    struct core_out *out = &c->out;
    bool goes_on = c->progress.stage != STAGE_DECIDE && (c->progress.is_in_batch || c->progress.chapter == CHAPTER_TIME);
    if (goes_on) {
        core_say_mark(c);
        keep_orders(c);
    }
    if (c->progress.is_in_batch) core_say_batch(c, false);
    struct codec_event_record tail = {
        .rules = c->rules,
        .last = last,
        .state_hash = last ? core_state_hash(c) : 0,
        .balance_hash = last ? c->risk.balance_hash : 0,
    };
    out->event_at = codec_put_event_record(out->event_at, &tail);
    out->part->events_length = (uint32_t)(out->event_at - out->part->events);
    out->part->answers_length = (uint32_t)(out->answer_at - out->part->answers);
    out->part->last = last;
    assert(out->part->events_length <= CORE_PART_BYTES && out->part->answers_length <= CORE_ANSWER_BYTES);
}
