/* Credits and debits, and the settings of accounts and of the core itself; see core.h and docs/matching.md. */

#include "core.h"

uint32_t core_meet(struct core *c, uint32_t account_id, uint32_t *account, uint32_t asset) {
    struct risk *risk = &c->risk;
    if (*account == RISK_NONE) *account = risk_add_account(risk, account_id);
    uint32_t balance = risk_find_balance(risk, *account, asset);
    return balance != RISK_NONE ? balance : risk_add_balance(risk, *account, asset);
}

/* ---- Credits and debits --------------------------------------------------------------------------------------- */

void core_credit(struct core *c) {
    const struct codec_command *command = c->progress.command;
    const struct codec_credit *body = &command->credit;
    struct core_verdict *verdict = &c->progress.verdict;
    core_say_move(c);
    uint32_t account = risk_find_account(&c->risk, command->account);
    uint32_t asset = risk_find_asset(&c->risk, body->asset);
    verdict->refusal = REFUSAL_ASSET_UNKNOWN;
    if (asset == RISK_NONE) return;
    verdict->refusal = REFUSAL_CAPACITY_FULL;
    if (!core_has_room_for(c, account, asset)) return;
    verdict->refusal = REFUSAL_ASSET_CAP;
    if (body->amount_minor > RISK_MAX_TOTAL - c->risk.assets[asset].total_minor) return;
    verdict->refusal = REFUSAL_UNSPECIFIED;
    uint32_t balance = core_meet(c, command->account, &account, asset);
    c->risk.assets[asset].total_minor += body->amount_minor;
    risk_move(&c->risk, balance, body->amount_minor, 0);
    core_say_balance(c, balance);
}

void core_debit(struct core *c) {
    const struct codec_command *command = c->progress.command;
    const struct codec_debit *body = &command->debit;
    struct core_verdict *verdict = &c->progress.verdict;
    core_say_move(c);
    verdict->refusal = REFUSAL_EXPIRED_IN_TRANSIT;
    if (c->rules >= CORE_RULES_HALT && core_is_expired(c)) return;
    uint32_t account = risk_find_account(&c->risk, command->account);
    uint32_t asset = risk_find_asset(&c->risk, body->asset);
    verdict->refusal = REFUSAL_ASSET_UNKNOWN;
    if (asset == RISK_NONE) return;
    uint32_t balance = account == RISK_NONE ? RISK_NONE : risk_find_balance(&c->risk, account, asset);
    int64_t available_minor = c->risk.balances[balance].available_minor;
    if (body->amount_minor > available_minor) {
        verdict->refusal = REFUSAL_INSUFFICIENT_BALANCE;
        verdict->needed_minor = body->amount_minor;
        verdict->available_minor = available_minor;
        return;
    }
    verdict->refusal = REFUSAL_UNSPECIFIED;
    c->risk.assets[asset].total_minor -= body->amount_minor;
    risk_move(&c->risk, balance, -body->amount_minor, 0);
    core_say_balance(c, balance);
}

/* ---- Settings ------------------------------------------------------------------------------------------------- */

void core_set_account(struct core *c) {
    const struct codec_command *command = c->progress.command;
    const struct codec_set_account *body = &command->set_account;
    struct core_verdict *verdict = &c->progress.verdict;
    verdict->refusal = REFUSAL_RULES_TOO_OLD;
    bool has_more = body->max_open_orders || body->max_commands_per_second || body->pays_fee_asset;
    if (has_more && c->rules < CORE_RULES_MORE) return;
    verdict->refusal = REFUSAL_SETTING_INVALID;
    if (body->fee_tier > RISK_LAST_TIER) return;
    uint32_t account = risk_find_account(&c->risk, command->account);
    verdict->refusal = REFUSAL_CAPACITY_FULL;
    if (account == RISK_NONE && c->risk.account_count >= c->sizes.accounts) return;
    verdict->refusal = REFUSAL_UNSPECIFIED;
    if (account == RISK_NONE) account = risk_add_account(&c->risk, command->account);
    bool is_given = body->self_trade_prevention != SELF_TRADE_PREVENTION_UNSPECIFIED;
    uint8_t self_trade = is_given ? body->self_trade_prevention - 1 : BOOK_SELF_TRADE_CANCEL_TAKER;
    struct risk_settings settings = {
        .fee_tier = (uint8_t)body->fee_tier,
        .self_trade = self_trade,
        .suspended = body->suspended,
        .pays_fee_asset = body->pays_fee_asset,
        .max_open_orders = body->max_open_orders,
        .max_commands = body->max_commands_per_second,
    };
    risk_set_account(&c->risk, account, &settings);
    core_say_account(c, account);
}

/* How many open orders the account with most has. */
static uint32_t most_open_orders(const struct core *c) {
    uint32_t most = 0;
    for (uint32_t place = 1; place <= c->risk.account_count; place++) {
        if (c->risk.accounts[place].open_orders > most) most = c->risk.accounts[place].open_orders;
    }
    return most;
}

void core_set_sizes(struct core *c) {
    const struct codec_set_sizes *body = &c->progress.command->set_sizes;
    const struct codec_set_sizes *first = &core_first_sizes;
    c->progress.verdict.refusal = REFUSAL_SETTING_INVALID;
#define REFUSE_OUTSIDE(size, in_use) \
    if (body->size < (in_use) || body->size < 1 || body->size > CORE_SIZE_FACTOR * first->size) return
    REFUSE_OUTSIDE(orders, c->pool->order_count);
    REFUSE_OUTSIDE(orders_per_account, most_open_orders(c));
    REFUSE_OUTSIDE(accounts, c->risk.account_count);
    REFUSE_OUTSIDE(balances, c->risk.balance_count);
    REFUSE_OUTSIDE(client_order_ids, c->names.count);
    REFUSE_OUTSIDE(client_order_id_memory_us, first->client_order_id_memory_us);
    REFUSE_OUTSIDE(sessions, c->sessions.count);
    REFUSE_OUTSIDE(instruments, c->instrument_count);
#undef REFUSE_OUTSIDE
    c->progress.verdict.refusal = REFUSAL_UNSPECIFIED;
    c->sizes = *body;
    bool is_within_reserve = book_pool_set_limit(c->pool, body->orders);
    assert(is_within_reserve && "the room was had before the record began");
    (void)is_within_reserve;
}

void core_use_rules(struct core *c) {
    uint32_t version = c->progress.command->use_rules.version;
    if (version < c->rules) {
        c->progress.verdict.refusal = REFUSAL_SETTING_INVALID;
        return;
    }
    assert(version <= CORE_KNOWN_RULES);
    c->rules = version;
}

void core_set_clock(struct core *c) {
    c->progress.has_new_clock = true;
    c->progress.new_clock_us = c->progress.command->set_clock.time_us;
}
