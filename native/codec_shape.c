/* What the rules of a command and its kind exclude, beyond wire format and ranges; see codec.h. */

#include "codec_shape.h"

#include "codec_wire.h"

/* Only what no refusal of the core has a name for: the rest is the core's to refuse, one command at a time. */

/* What an order has that a plain limit or market order has not. */
static bool is_trailing(const struct codec_place_order *order) { return order->type == ORDER_TYPE_TRAILING_STOP; }

static bool will_be_limit(const struct codec_place_order *order) {
    return order->type == ORDER_TYPE_LIMIT || order->type == ORDER_TYPE_STOP_LIMIT || order->type == ORDER_TYPE_TAKE_PROFIT_LIMIT;
}

/* Fields of orders that wait: a trigger and what it looks at; of a trailing stop a distance, ticks or parts per million. */
static bool is_triggered_well(const struct codec_place_order *order) {
    if (order->trigger_ticks < 0 || order->trail_ticks < 0 || order->activation_ticks < 0) return false;
    if (order->trigger_ticks > CODEC_MOST_TICKS || order->activation_ticks > CODEC_MOST_TICKS) return false;
    bool waits = order->type != ORDER_TYPE_LIMIT && order->type != ORDER_TYPE_MARKET;
    if ((order->trigger_ticks != 0) != (waits && !is_trailing(order))) return false;
    if (!waits && order->trigger_by != TRIGGER_BY_UNSPECIFIED) return false;
    if (!is_trailing(order)) return !order->trail_ticks && !order->trail_ppm && !order->activation_ticks;
    return (order->trail_ticks != 0) != (order->trail_ppm != 0) && order->trail_ppm <= CODEC_MOST_TRAIL_PPM;
}

/* GTD has its time, and nothing else has. What may rest may be shown in part; what may trade at once may want a minimum. */
static bool is_timed_well(const struct codec_place_order *order) {
    bool may_rest = order->time_in_force == TIME_IN_FORCE_GTC || order->time_in_force == TIME_IN_FORCE_GTD;
    bool gathers = order->time_in_force == TIME_IN_FORCE_GFA;
    if (order->expires_us < 0 || (order->expires_us != 0) != (order->time_in_force == TIME_IN_FORCE_GTD)) return false;
    if (order->display_lots < 0 || (order->display_lots != 0 && !may_rest && !gathers)) return false;
    if (order->min_fill_lots < 0 || order->min_fill_lots > order->quantity_lots) return false;
    if (order->min_fill_lots == 0) return true;
    return order->type == ORDER_TYPE_LIMIT && !order->post_only && !gathers && order->time_in_force != TIME_IN_FORCE_FOK;
}

/* Limit, now or later: a price, a time in force, no protection; post-only only if GTC or GTD, and only a limit order now;
 * GFA only a limit order now. Market, now or later: IOC, no price. */
static bool is_priced_well(const struct codec_place_order *order) {
    if (order->protection_ticks < 0) return false;
    if (!will_be_limit(order)) {
        return order->time_in_force == TIME_IN_FORCE_IOC && !order->post_only && order->price_ticks == 0 && !order->display_lots;
    }
    if (order->protection_ticks != 0 || order->price_ticks < 1 || order->quote_minor != 0) return false;
    bool may_rest = order->time_in_force == TIME_IN_FORCE_GTC || order->time_in_force == TIME_IN_FORCE_GTD;
    if (order->post_only && !(may_rest && order->type == ORDER_TYPE_LIMIT)) return false;
    if (order->time_in_force == TIME_IN_FORCE_GFA && order->type != ORDER_TYPE_LIMIT) return false;
    return order->time_in_force != TIME_IN_FORCE_UNSPECIFIED;
}

/* All but how much. */
static bool is_kind_of_order(const struct codec_place_order *order) {
    if (order->side == SIDE_UNSPECIFIED || order->type == ORDER_TYPE_UNSPECIFIED) return false;
    return is_triggered_well(order) && is_timed_well(order) && is_priced_well(order);
}

/* A limit order in the manner of rules 1, as most orders are. */
static bool is_plain(const struct codec_place_order *order) {
    int64_t more = order->trigger_ticks | order->trail_ticks | order->activation_ticks | order->display_lots;
    more |= order->min_fill_lots | order->expires_us | order->protection_ticks | order->quote_minor;
    return (more | order->trail_ppm | order->trigger_by | order->post_only) == 0 && order->type == ORDER_TYPE_LIMIT &&
           order->time_in_force >= TIME_IN_FORCE_GTC && order->time_in_force <= TIME_IN_FORCE_FOK;
}

/* Either a quantity or a quote, which is_priced_well leaves to market orders. */
static bool is_order(const struct codec_place_order *order) {
    if (is_plain(order)) return order->side != SIDE_UNSPECIFIED && order->price_ticks >= 1 && order->quantity_lots >= 1;
    bool has_quantity = order->quantity_lots >= 1, has_quote = order->quote_minor >= 1;
    if ((order->quantity_lots && !has_quantity) || (order->quote_minor && !has_quote)) return false;
    return has_quantity != has_quote && is_kind_of_order(order);
}

static bool is_waiting_type(const struct codec_place_order *order) {
    return order->type >= ORDER_TYPE_STOP && order->type <= ORDER_TYPE_TRAILING_STOP;
}

/* An exit of a bracket: on the other side of the same market, without a quantity; GTC if it is a limit order, and then plain. */
static bool is_exit(const struct codec_place_order *exit, const struct codec_place_order *entry) {
    if (exit->instrument != entry->instrument || exit->side == entry->side || exit->side == SIDE_UNSPECIFIED) return false;
    if (exit->quantity_lots || exit->quote_minor || exit->display_lots || exit->min_fill_lots || exit->post_only) return false;
    if (exit->type == ORDER_TYPE_LIMIT && exit->time_in_force != TIME_IN_FORCE_GTC) return false;
    if (exit->price_ticks > CODEC_MOST_TICKS) return false;
    return (exit->type == ORDER_TYPE_LIMIT || is_waiting_type(exit)) && is_kind_of_order(exit);
}

/* One of an OCO: a post-only limit order, or one that waits. */
static bool is_leg(const struct codec_place_order *leg) {
    return is_order(leg) && (leg->post_only || is_waiting_type(leg));
}

/* Does a group that was read before have a third order, be it an empty one? */
static bool has_third(const struct codec_sent *command) {
    struct wire_reader reader = wire_reader_of(command->sent.at, command->sent.length);
    while (reader.at != reader.end) {
        uint64_t tag, value;
        struct wire_reader body;
        if (!wire_take(&reader, &tag) || tag == PLACE_GROUP_THIRD_TAG) return true;
        bool is_there = (tag & 7) == WIRE_LENGTH ? wire_take_bytes(&reader, UINT32_MAX, &body) : wire_take(&reader, &value);
        if (!is_there) return true;
    }
    return false;
}

static bool is_group(const struct codec_sent *command) {
    struct codec_place_group sent;
    const struct codec_place_group *group = &sent;
    codec_read_group(command, &sent);
    if (has_third(command) != (group->third.side != SIDE_UNSPECIFIED)) return false;
    const struct codec_place_order *first = &group->first;
    const struct codec_place_order *second = &group->second;
    if (group->kind == GROUP_KIND_OCO) {
        bool is_pair = first->instrument == second->instrument && first->side == second->side;
        bool may_both_rest = first->post_only && second->post_only;
        return codec_group_size(group) == 2 && is_pair && !may_both_rest && is_leg(first) && is_leg(second);
    }
    if (group->kind != GROUP_KIND_BRACKET) return false;
    if (is_waiting_type(first) || first->quote_minor || !is_order(first) || !is_exit(second, first)) return false;
    if (codec_group_size(group) == 2) return true;
    bool may_both_rest = second->type == ORDER_TYPE_LIMIT && group->third.type == ORDER_TYPE_LIMIT;
    return !may_both_rest && is_exit(&group->third, first);
}

/* By id or by name, not both. */
static bool is_named_once(uint64_t order_id, struct codec_bytes client_order_id) {
    return (order_id != 0) != (client_order_id.length != 0);
}

static bool is_replacement(const struct codec_sent *command) {
    struct codec_replace_order replacement;
    codec_read_replacement(command, &replacement);
    return is_named_once(replacement.order_id, replacement.client_order_id) && is_order(&replacement.order);
}

/* At least one change, none below zero. */
static bool is_amend(const struct codec_amend_order *amend) {
    if (!is_named_once(amend->order_id, amend->client_order_id)) return false;
    return amend->price_ticks >= 0 && amend->quantity_lots >= 0 && (amend->price_ticks || amend->quantity_lots);
}

/* What the core gives is not the sender's to give. */
static bool is_new_instrument(const struct codec_sent *command) {
    struct codec_instrument instrument;
    codec_read_instrument(command, &instrument);
    bool has_guards = instrument.reference_ticks || instrument.static_band_ppm || instrument.dynamic_band_ppm ||
                      instrument.volatility_auction_us || instrument.fee_market || instrument.fee_discount_ppm;
    return !has_guards && !instrument.instrument && !instrument.tick_lot_minor && !instrument.last_price_ticks &&
           !instrument.mark_price_ticks && !instrument.phase_until_us;
}

/* 16 bytes of request id (a tick may have none), no deadline below zero, an account where the kind is about one. */
static bool is_enveloped(const struct codec_command *command) {
    if (command->request_id.length != CODEC_REQUEST_ID && (command->kind != COMMAND_TICK || command->request_id.length))
        return false;
    return command->valid_until_us >= 0 && (command->account || !(OF_AN_ACCOUNT & CODEC_KIND(command->kind)));
}

bool codec_is_well_formed(const struct codec_command *command) {
    if (!is_enveloped(command)) return false;
    switch (command->kind) {
    case COMMAND_PLACE_ORDER:
        return is_order(&command->place_order);
    case COMMAND_AMEND_ORDER:
        return is_amend(&command->amend_order);
    case COMMAND_CANCEL_ORDER:
        return is_named_once(command->cancel_order.order_id, command->cancel_order.client_order_id);
    case COMMAND_CREDIT:
        return command->credit.amount_minor >= 1;
    case COMMAND_DEBIT:
        return command->debit.amount_minor >= 1;
    case COMMAND_ADD_INSTRUMENT:
        return is_new_instrument(&command->add_instrument);
    case COMMAND_SET_CLOCK:
        return command->set_clock.time_us >= 0;
    case COMMAND_REPLACE_ORDER:
        return is_replacement(&command->replace_order);
    case COMMAND_PLACE_GROUP:
        return is_group(&command->place_group);
    case COMMAND_KILL:
        return (command->account != 0) != (command->kill.instrument != 0);
    default:
        return command->kind != 0;
    }
}
