/* What a fill costs those who take part in it; see core.h and docs/matching.md. */

#include "core.h"

/* The maker's fee, or its rebate as far as the fee account reaches. (That account has no orders, so all it has is there.) */
static int64_t fee_of_maker(const struct core *c, int32_t ppm, int64_t received_minor, uint32_t asset) {
    if (ppm >= 0) return risk_fee(received_minor, ppm);
    const struct risk_balance *chest = &c->risk.balances[c->risk.assets[asset].fee_balance];
    return -risk_rebate(received_minor, ppm, chest->available_minor);
}

static risk_wide divide_up(risk_wide a, risk_wide b) { return (a + b - 1) / b; }

/* One who would pay in a market's fee asset: who, what for, and what of it is spoken for already. */
struct payer {
    uint32_t account;
    uint32_t paid_before; /* number of the other asset that the order has paid in, or 0 */
    int32_t ppm;
    int64_t gone_minor;
};

/* Could the fee be paid in the fee market's base? Then *balance and *minor are from where and how much. */
static bool pays_in_other(const struct core *c, const struct core_instrument *instrument, int64_t quote_minor,
                          const struct payer *payer, uint32_t *balance, int64_t *minor) {
    const struct core_instrument *market = core_find_instrument(c, instrument->fee_market);
    if (payer->ppm <= 0 || !c->risk.accounts[payer->account].pays_fee_asset) return false;
    assert(market->quote == instrument->quote && "so its base is not what this market is quoted in");
    if (market->last_price_ticks == 0 || market->base == instrument->base) return false;
    if (payer->paid_before != 0 && payer->paid_before != c->risk.assets[market->base].id) return false;
    uint32_t from = risk_find_balance(&c->risk, payer->account, market->base);
    risk_wide rate = (risk_wide)payer->ppm * (RISK_PPM - (int32_t)instrument->fee_discount_ppm);
    risk_wide value = divide_up(quote_minor * rate, (risk_wide)RISK_PPM * RISK_PPM);
    risk_wide amount = divide_up(value * market->lot_minor, (risk_wide)market->last_price_ticks * market->tick_lot_minor);
    if (from == RISK_NONE || amount > c->risk.balances[from].available_minor - payer->gone_minor) return false;
    *balance = from;
    *minor = (int64_t)amount;
    return true;
}

/* Fees of those who pay in the market's fee asset, where they can. The taker's comes first. */
static void decide_others(const struct core *c, const struct book_order *maker, struct core_fill *fill) {
    const struct core_incoming *in = &c->incoming;
    const struct core_instrument *instrument = &c->instruments[in->instrument];
    const struct risk_account *accounts = c->risk.accounts;
    uint32_t slot = (uint32_t)(maker - c->pool->orders);
    struct payer taker = {
        .account = in->account,
        .paid_before = in->has_more ? in->more.other_fee_asset : 0,
        .ppm = instrument->taker_ppm[accounts[in->account].fee_tier],
    };
    struct payer made = {
        .account = maker->owner,
        .paid_before = c->cold[slot].has_more ? c->more[slot].other_fee_asset : 0,
        .ppm = instrument->maker_ppm[accounts[maker->owner].fee_tier],
    };
    if (pays_in_other(c, instrument, fill->quote_minor, &taker, &fill->taker_fee_balance, &fill->taker_fee_minor) &&
        maker->owner == in->account) {
        made.gone_minor = fill->taker_fee_minor;
    }
    pays_in_other(c, instrument, fill->quote_minor, &made, &fill->maker_fee_balance, &fill->maker_fee_minor);
}

void core_decide_fees(const struct core *c, const struct book_order *maker, struct core_fill *fill) {
    const struct core_incoming *in = &c->incoming;
    const struct core_instrument *instrument = &c->instruments[in->instrument];
    const struct risk_account *accounts = c->risk.accounts;
    bool buys = in->side == BOOK_BUY;
    fill->taker_fee_minor =
        risk_fee(buys ? fill->base_minor : fill->quote_minor, instrument->taker_ppm[accounts[in->account].fee_tier]);
    fill->maker_fee_minor = fee_of_maker(c, instrument->maker_ppm[accounts[maker->owner].fee_tier],
                                         buys ? fill->quote_minor : fill->base_minor, buys ? instrument->quote : instrument->base);
    if (instrument->fee_market != 0) decide_others(c, maker, fill);
}
