/* Bands, mark prices and the market that fees may be paid in; see core.h and docs/matching.md. */

#include "core.h"

/* State a market whose settings have changed between a core_begin_change and this. */
static void end_change(struct core *c, struct core_instrument *instrument) {
    c->hash += core_instrument_hash(instrument);
    c->markets_changed = c->sequence;
    core_say_instrument(c, instrument);
}

static void begin_change(struct core *c, const struct core_instrument *instrument) {
    c->progress.verdict.refusal = REFUSAL_UNSPECIFIED;
    c->hash -= core_instrument_hash(instrument);
}

bool core_is_outside_band(const struct core_instrument *instrument, int64_t price_ticks) {
    int64_t around = instrument->reference_ticks != 0 ? instrument->reference_ticks : instrument->last_price_ticks;
    if (instrument->static_band_ppm == 0 || around == 0 || price_ticks == 0) return false;
    int64_t most = (int64_t)((risk_wide)around * instrument->static_band_ppm / RISK_PPM);
    return price_ticks > around ? price_ticks - around > most : around - price_ticks > most;
}

struct core_band core_dynamic_band(const struct core_instrument *instrument) {
    int64_t last = instrument->last_price_ticks;
    if (instrument->dynamic_band_ppm == 0 || last == 0) return (struct core_band){0, INT64_MAX};
    int64_t most = (int64_t)((risk_wide)last * instrument->dynamic_band_ppm / RISK_PPM);
    return (struct core_band){last - most, most < INT64_MAX - last ? last + most : INT64_MAX};
}

void core_set_guards(struct core *c) {
    const struct codec_set_guards *body = &c->progress.command->set_guards;
    struct core_instrument *instrument = core_find_instrument(c, body->instrument);
    c->progress.verdict.refusal = instrument ? REFUSAL_SETTING_INVALID : REFUSAL_INSTRUMENT_UNKNOWN;
    if (!instrument) return;
    if (body->static_band_ppm > CORE_MAX_BAND_PPM || body->dynamic_band_ppm > CORE_MAX_BAND_PPM) return;
    if (body->reference_ticks < 0 || body->reference_ticks > BOOK_MAX_PRICE) return;
    if (body->volatility_auction_us < 0 || body->volatility_auction_us > CORE_DAY_US) return;
    begin_change(c, instrument);
    if (body->reference_ticks != 0) instrument->reference_ticks = body->reference_ticks;
    instrument->static_band_ppm = body->static_band_ppm;
    instrument->dynamic_band_ppm = body->dynamic_band_ppm;
    instrument->volatility_auction_us = body->volatility_auction_us;
    end_change(c, instrument);
}

void core_set_mark(struct core *c) {
    const struct codec_set_mark *body = &c->progress.command->set_mark;
    struct core_instrument *instrument = core_find_instrument(c, body->instrument);
    c->progress.verdict.refusal = instrument ? REFUSAL_SETTING_INVALID : REFUSAL_INSTRUMENT_UNKNOWN;
    if (!instrument || body->price_ticks < 1 || body->price_ticks > BOOK_MAX_PRICE) return;
    begin_change(c, instrument);
    instrument->mark_ticks = body->price_ticks;
    end_change(c, instrument);
    core_price_event(c, core_place_of(c, instrument), CORE_BY_MARK, body->price_ticks);
    c->progress.stage = STAGE_CASCADE;
}

void core_set_fee_market(struct core *c) {
    const struct codec_set_fee_market *body = &c->progress.command->set_fee_market;
    struct core_instrument *instrument = core_find_instrument(c, body->instrument);
    const struct core_instrument *market = core_find_instrument(c, body->fee_market);
    c->progress.verdict.refusal = REFUSAL_INSTRUMENT_UNKNOWN;
    if (!instrument || (body->fee_market != 0 && !market)) return;
    c->progress.verdict.refusal = REFUSAL_SETTING_INVALID;
    if (body->discount_ppm > RISK_PPM || (market && market->quote != instrument->quote)) return;
    begin_change(c, instrument);
    instrument->fee_market = body->fee_market;
    instrument->fee_discount_ppm = body->discount_ppm;
    end_change(c, instrument);
}
