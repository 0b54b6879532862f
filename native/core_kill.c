/* The kill switches of accounts and markets; see core.h and docs/matching.md. */

#include "core.h"

static void kill_account(struct core *c, uint32_t account) {
    const struct risk_account *now = &c->risk.accounts[account];
    struct risk_settings settings = {
        .fee_tier = now->fee_tier,
        .self_trade = now->self_trade,
        .suspended = 1,
        .pays_fee_asset = now->pays_fee_asset,
        .max_open_orders = now->max_open_orders,
        .max_commands = now->max_commands,
    };
    risk_set_account(&c->risk, account, &settings);
    core_say_account(c, account);
    core_begin_cancel_all(c, account, 0, END_REASON_BY_OPERATOR);
}

static void kill_market(struct core *c, struct core_instrument *instrument) {
    struct core_progress *p = &c->progress;
    core_put_phase(c, instrument, PHASE_HALT, 0);
    p->cancel_instrument = instrument->id;
    p->cancel_reason = END_REASON_BY_OPERATOR;
    p->kill_step = 0;
    p->next_slot = BOOK_NONE;
    p->stage = STAGE_KILL;
}

void core_kill(struct core *c) {
    const struct codec_command *command = c->progress.command;
    struct core_verdict *verdict = &c->progress.verdict;
    struct core_instrument *instrument = core_find_instrument(c, command->kill.instrument);
    verdict->refusal = REFUSAL_INSTRUMENT_UNKNOWN;
    if (command->account == 0 && !instrument) return;
    uint32_t account = risk_find_account(&c->risk, command->account);
    verdict->refusal = REFUSAL_CAPACITY_FULL;
    if (command->account != 0 && account == RISK_NONE && c->risk.account_count >= c->sizes.accounts) return;
    verdict->refusal = REFUSAL_UNSPECIFIED;
    verdict->lists_cancelled = true;
    if (command->account == 0) {
        kill_market(c, instrument);
        return;
    }
    if (account == RISK_NONE) account = risk_add_account(&c->risk, command->account);
    kill_account(c, account);
}

/* ---- Everything in a market ------------------------------------------------------------------------------------ */

/* Six sides of three books, then two rows: those parked, and those that the ends of the others have put into the queue. */
enum { KILL_SIDES = 6, KILL_ROWS = 8 };

/* The first order of a side that is to end; its end makes the next one the first. */
static uint32_t first_of_side(const struct core_instrument *instrument, uint32_t step) {
    const struct book *book = step < 2 ? instrument->book : instrument->waiting[step / 2 - 1];
    return book_best_order(book, step % 2);
}

/* The first order of a row from a slot on that is in this market. The rows have the exits of all markets. */
static uint32_t next_of_row(const struct core *c, uint32_t place, uint32_t slot) {
    while (slot != BOOK_NONE && core_order_place(book_order_at(c->pool, slot)) != place) slot = book_order_at(c->pool, slot)->next;
    return slot;
}

/* The next order to end, moving on through the steps; BOOK_NONE: there are no more. */
static uint32_t next_to_kill(struct core *c, const struct core_instrument *instrument) {
    struct core_progress *p = &c->progress;
    for (; p->kill_step < KILL_ROWS; p->kill_step++) {
        uint32_t slot;
        if (p->kill_step < KILL_SIDES) {
            slot = first_of_side(instrument, p->kill_step);
        } else {
            const struct core_row *row = p->kill_step == KILL_SIDES ? &c->parked : &c->queue;
            slot = next_of_row(c, core_place_of(c, instrument), row->first);
        }
        if (slot != BOOK_NONE) return slot;
    }
    return BOOK_NONE;
}

bool core_kill_more(struct core *c) {
    struct core_progress *p = &c->progress;
    const struct core_instrument *instrument = core_find_instrument(c, p->cancel_instrument);
    for (;;) {
        if (!core_settle_links(c)) return false;
        uint32_t slot = next_to_kill(c, instrument);
        if (slot == BOOK_NONE) break;
        if (!core_has_room(c)) return false;
        core_end_order(c, slot, ORDER_STATE_CANCELLED, p->cancel_reason, 0);
    }
    p->stage = STAGE_CASCADE;
    return true;
}
