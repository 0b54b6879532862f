/* Assets and instruments; see core.h and docs/matching.md. */

#include "core.h"

static bool is_upper_or_digit(uint8_t byte) { return (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9'); }

/* ---- Assets --------------------------------------------------------------------------------------------------- */

bool core_is_asset(const struct codec_asset *asset) {
    if (asset->asset == 0 || asset->decimals > RISK_MAX_DECIMALS) return false;
    if (asset->code.length < 1 || asset->code.length > RISK_CODE_BYTES) return false;
    for (uint32_t i = 0; i < asset->code.length; i++) {
        if (!is_upper_or_digit(asset->code.at[i])) return false;
    }
    return true;
}

void core_add_asset(struct core *c) {
    const struct codec_asset *asset = &c->progress.command->add_asset.asset;
    struct core_verdict *verdict = &c->progress.verdict;
    verdict->refusal = REFUSAL_SETTING_INVALID;
    if (!core_is_asset(asset)) return;
    uint32_t by_id = risk_find_asset(&c->risk, asset->asset);
    uint32_t by_code = risk_find_code(&c->risk, asset->code.at, asset->code.length);
    verdict->refusal = REFUSAL_NAME_TAKEN;
    if (by_id != by_code) return;
    if (by_id != RISK_NONE && c->risk.assets[by_id].decimals != asset->decimals) return;
    verdict->refusal = REFUSAL_CAPACITY_FULL;
    if (by_id == RISK_NONE) {
        if (c->risk.asset_count >= RISK_MAX_ASSETS || c->risk.balance_count >= c->sizes.balances) return;
        by_id = risk_add_asset(&c->risk, asset->asset, asset->decimals, asset->code.at, asset->code.length);
        risk_add_balance(&c->risk, RISK_FEE_PLACE, by_id);
        c->markets_changed = c->sequence;
    }
    verdict->refusal = REFUSAL_UNSPECIFIED;
    verdict->created_id = asset->asset;
    core_say_asset(c, &c->risk.assets[by_id]);
}

/* ---- Limits and fees ------------------------------------------------------------------------------------------ */

/* 1 ≤ min ≤ max quantity, 0 ≤ min ≤ max notional ≤ 2^62, the largest order's base within 2^62, protection within the whole. */
static bool are_limits(int64_t lot_minor, int64_t min_lots, int64_t max_lots, int64_t min_minor, int64_t max_minor,
                       uint32_t protection_ppm) {
    return min_lots >= 1 && min_lots <= max_lots && min_minor >= 0 && min_minor <= max_minor && max_minor <= RISK_MAX_TOTAL &&
           (risk_wide)max_lots * lot_minor <= RISK_MAX_TOTAL && protection_ppm <= CORE_MAX_PROTECTION_PPM;
}

static bool is_fee(const struct codec_fee_rate *fee) {
    return fee->tier < CORE_TIERS && fee->maker_fee_ppm >= -CORE_MAX_MAKER_PPM && fee->maker_fee_ppm <= CORE_MAX_MAKER_PPM &&
           fee->taker_fee_ppm >= 0 && fee->taker_fee_ppm <= CORE_MAX_TAKER_PPM;
}

/* Tiers ascending from tier 0, rates in range. */
static bool are_fees(const struct codec_instrument *instrument) {
    for (uint32_t i = 0; i < instrument->fee_count; i++) {
        if (!is_fee(&instrument->fees[i])) return false;
        if (i == 0 ? instrument->fees[0].tier != 0 : instrument->fees[i].tier <= instrument->fees[i - 1].tier) return false;
    }
    return instrument->fee_count != 0;
}

/* Put a tier's rates; tier 0's hold for all that have none. */
static void put_fee(struct core_instrument *instrument, const struct codec_fee_rate *fee) {
    instrument->tiers |= (uint16_t)(1u << fee->tier);
    instrument->maker_ppm[fee->tier] = fee->maker_fee_ppm;
    instrument->taker_ppm[fee->tier] = fee->taker_fee_ppm;
    for (uint32_t tier = 1; tier < CORE_TIERS; tier++) {
        if (instrument->tiers >> tier & 1) continue;
        instrument->maker_ppm[tier] = instrument->maker_ppm[0];
        instrument->taker_ppm[tier] = instrument->taker_ppm[0];
    }
}

/* ---- Instruments ---------------------------------------------------------------------------------------------- */

static bool is_symbol(struct codec_bytes symbol) {
    if (symbol.length < 1 || symbol.length > CORE_SYMBOL_BYTES) return false;
    for (uint32_t i = 0; i < symbol.length; i++) {
        if (!is_upper_or_digit(symbol.at[i]) && symbol.at[i] != '-') return false;
    }
    return true;
}

static risk_wide power_of_ten(int32_t exponent) {
    risk_wide power = 1;
    for (int32_t i = 0; i < exponent; i++) power *= 10;
    return power;
}

int64_t core_tick_lot_of(const struct core *c, const struct codec_instrument *instrument, uint32_t base, uint32_t quote) {
    if (instrument->lot_minor < 1 || instrument->tick_units < 1 || instrument->tick_scale > CORE_MAX_SCALE) return 0;
    risk_wide cost = (risk_wide)instrument->tick_units * instrument->lot_minor;
    int32_t exponent = c->risk.assets[quote].decimals - (int32_t)instrument->tick_scale - c->risk.assets[base].decimals;
    if (exponent < 0) {
        risk_wide divisor = power_of_ten(-exponent);
        if (cost % divisor != 0) return 0;
        cost /= divisor;
    } else {
        if (cost > RISK_MAX_TOTAL) return 0;
        cost *= power_of_ten(exponent);
    }
    return cost <= RISK_MAX_TOTAL ? (int64_t)cost : 0;
}

bool core_is_instrument(const struct codec_instrument *instrument) {
    return is_symbol(instrument->symbol) && instrument->base_asset != instrument->quote_asset && are_fees(instrument) &&
           are_limits(instrument->lot_minor, instrument->min_quantity_lots, instrument->max_quantity_lots,
                      instrument->min_notional_minor, instrument->max_notional_minor, instrument->market_protection_ppm);
}

/* Put the instrument into the next place, which has a book. */
static void open_instrument(struct core *c, const struct codec_instrument *from, uint32_t base, uint32_t quote,
                            int64_t tick_lot_minor) {
    uint32_t place = c->instrument_count++;
    struct core_instrument *instrument = &c->instruments[place];
    assert(place < c->book_count);
    *instrument = (struct core_instrument){
        .book = instrument->book,
        .waiting = {instrument->waiting[0], instrument->waiting[1]},
        .id = (place + 1) * CORE_SHARDS + c->shard,
        .base = base,
        .quote = quote,
        .protection_ppm = from->market_protection_ppm,
        .lot_minor = from->lot_minor,
        .tick_lot_minor = tick_lot_minor,
        .min_quantity_lots = from->min_quantity_lots,
        .max_quantity_lots = from->max_quantity_lots,
        .min_notional_minor = from->min_notional_minor,
        .max_notional_minor = from->max_notional_minor,
        .tick_units = from->tick_units,
        .tick_scale = from->tick_scale,
        .phase = from->phase,
        .symbol_length = (uint8_t)from->symbol.length,
    };
    instrument->book->may_cross = core_may_cross(from->phase);
    memcpy(instrument->symbol, from->symbol.at, from->symbol.length);
    for (uint32_t i = 0; i < from->fee_count; i++) put_fee(instrument, &from->fees[i]);
    c->hash += core_instrument_hash(instrument);
    core_touch_market(c, instrument);
}

void core_add_instrument(struct core *c) {
    struct codec_instrument from;
    struct core_verdict *verdict = &c->progress.verdict;
    codec_read_instrument(&c->progress.command->add_instrument, &from);
    uint32_t base = risk_find_asset(&c->risk, from.base_asset);
    uint32_t quote = risk_find_asset(&c->risk, from.quote_asset);
    verdict->refusal = REFUSAL_ASSET_UNKNOWN;
    if (base == RISK_NONE || quote == RISK_NONE) return;
    int64_t tick_lot_minor = core_tick_lot_of(c, &from, base, quote);
    verdict->refusal = REFUSAL_SETTING_INVALID;
    if (tick_lot_minor == 0 || !core_is_instrument(&from) || !core_is_first_phase(c->rules, from.phase)) return;
    verdict->refusal = REFUSAL_CAPACITY_FULL;
    if (c->instrument_count >= c->sizes.instruments) return;
    verdict->refusal = REFUSAL_UNSPECIFIED;
    open_instrument(c, &from, base, quote, tick_lot_minor);
    verdict->created_id = c->instruments[c->instrument_count - 1].id;
    c->markets_changed = c->sequence;
    c->progress.next_instrument = 0;
    c->progress.stage = STAGE_MARKET;
}

bool core_open_market(struct core *c) {
    struct core_progress *p = &c->progress;
    const struct core_instrument *newest = &c->instruments[c->instrument_count - 1];
    for (; p->next_instrument < c->instrument_count - 1; p->next_instrument++) {
        struct core_instrument *older = &c->instruments[p->next_instrument];
        bool is_same = older->symbol_length == newest->symbol_length &&
                       memcmp(older->symbol, newest->symbol, newest->symbol_length) == 0;
        if (!is_same || older->phase == PHASE_CANCEL_ONLY) continue;
        if (!core_has_room(c)) return false;
        core_begin_move(c, older, PHASE_CANCEL_ONLY, 0);
        p->move.returns = STAGE_MARKET;
        p->next_instrument++;
        return true;
    }
    if (!core_has_room(c)) return false;
    core_say_instrument(c, newest);
    p->stage = STAGE_CASCADE;
    return true;
}

void core_set_limits(struct core *c) {
    const struct codec_set_limits *body = &c->progress.command->set_limits;
    struct core_instrument *instrument = core_find_instrument(c, body->instrument);
    c->progress.verdict.refusal = instrument ? REFUSAL_SETTING_INVALID : REFUSAL_INSTRUMENT_UNKNOWN;
    if (!instrument) return;
    if (!are_limits(instrument->lot_minor, body->min_quantity_lots, body->max_quantity_lots, body->min_notional_minor,
                    body->max_notional_minor, body->market_protection_ppm)) {
        return;
    }
    c->progress.verdict.refusal = REFUSAL_UNSPECIFIED;
    c->hash -= core_instrument_hash(instrument);
    instrument->min_quantity_lots = body->min_quantity_lots;
    instrument->max_quantity_lots = body->max_quantity_lots;
    instrument->min_notional_minor = body->min_notional_minor;
    instrument->max_notional_minor = body->max_notional_minor;
    instrument->protection_ppm = body->market_protection_ppm;
    c->hash += core_instrument_hash(instrument);
    c->markets_changed = c->sequence;
    core_say_instrument(c, instrument);
}

void core_set_fees(struct core *c) {
    const struct codec_set_fees *body = &c->progress.command->set_fees;
    struct core_instrument *instrument = core_find_instrument(c, body->instrument);
    c->progress.verdict.refusal = instrument ? REFUSAL_SETTING_INVALID : REFUSAL_INSTRUMENT_UNKNOWN;
    if (!instrument || !is_fee(&body->fee)) return;
    c->progress.verdict.refusal = REFUSAL_UNSPECIFIED;
    c->hash -= core_instrument_hash(instrument);
    put_fee(instrument, &body->fee);
    c->hash += core_instrument_hash(instrument);
    c->markets_changed = c->sequence;
    core_say_instrument(c, instrument);
}
