/* What only some orders have, and the limits that only some accounts have; see core.h and docs/matching.md. */

#include "core.h"

bool core_has_more(const struct codec_place_order *body) {
    return body->type > ORDER_TYPE_MARKET || body->time_in_force > TIME_IN_FORCE_FOK ||
           (body->display_lots | body->min_fill_lots | body->protection_ticks) != 0;
}

struct core_more core_plain_more(uint8_t side, uint8_t type, uint8_t time_in_force) {
    return (struct core_more){.side = side, .type = type, .time_in_force = time_in_force};
}

struct core_more core_more_of(const struct codec_place_order *body) {
    bool waits = body->type > ORDER_TYPE_MARKET;
    return (struct core_more){
        .price_ticks = body->price_ticks,
        .trigger_ticks = body->trigger_ticks,
        .trail_ticks = body->trail_ticks,
        .trail_ppm = body->trail_ppm,
        .activation_ticks = body->activation_ticks,
        .display_lots = body->display_lots,
        .min_fill_lots = body->min_fill_lots,
        .expires_us = body->expires_us,
        .protection_ticks = body->protection_ticks,
        .quote_minor = body->quote_minor,
        .side = (uint8_t)(body->side - 1),
        .type = body->type,
        .time_in_force = body->time_in_force,
        .trigger_by = waits && body->trigger_by == TRIGGER_BY_UNSPECIFIED ? TRIGGER_BY_LAST_PRICE : body->trigger_by,
    };
}

/* The part of a body that rules 1 do not know, so that bodies without it keep the hash they always had. */
uint64_t core_more_body_hash(const struct codec_place_order *body) {
    uint64_t image[8] = {
        (uint64_t)body->trigger_ticks,
        (uint64_t)body->trail_ticks,
        (uint64_t)body->trail_ppm << 32 | body->trigger_by,
        (uint64_t)body->activation_ticks,
        (uint64_t)body->display_lots,
        (uint64_t)body->min_fill_lots,
        (uint64_t)body->expires_us,
        (uint64_t)body->protection_ticks,
    };
    return hash_words(HASH_BODY, image, 8);
}

/* ---- Limits of an account ------------------------------------------------------------------------------------- */

bool core_may_command(struct core *c, uint32_t account) {
    const struct risk_account *of = &c->risk.accounts[account];
    if (of->max_commands == 0) return true;
    int64_t second = c->clock_us / CORE_SECOND_US;
    uint32_t commands = second == of->second ? of->second_commands : 0;
    if (commands >= of->max_commands) return false;
    risk_count_command(&c->risk, account, second, commands + 1);
    return true;
}
