/* What is due when a record begins: orders that end, dead man's switches, phases; see core.h and docs/matching.md. */

#include "core.h"

/* The first thing that is due happens, or begins to. */
static void come_due(struct core *c, struct timer timer) {
    struct core_progress *p = &c->progress;
    p->stage = STAGE_CASCADE;
    switch ((enum timer_kind)timer.kind) {
    case TIMER_ORDER: core_end_order(c, timer.ref, ORDER_STATE_EXPIRED, END_REASON_TIME_REACHED, 0); break;
    case TIMER_ACCOUNT: core_dead_man(c, timer.ref); break;
    case TIMER_PHASE: core_end_phase(c, timer.ref); break;
    }
}

bool core_pass_time(struct core *c) {
    struct core_progress *p = &c->progress;
    if (core_is_halted(c) || p->is_skipped) return true;
    for (;;) {
        if (p->has_time_mark && !core_go_on(c)) return false;
        const struct timer *timer = timers_first(&c->timers);
        if (!timer || timer->due_us > c->clock_us) break;
        if (!core_has_room(c)) return false;
        if (!p->has_time_mark) {
            p->has_time_mark = true;
            p->verdict = (struct core_verdict){0};
            c->sequence++;
        }
        come_due(c, *timer);
    }
    if (p->has_time_mark) core_say_mark(c);
    p->stage = STAGE_DECIDE;
    return true;
}

void core_set_timer(struct core *c, uint32_t *handle, int64_t due_us, enum timer_kind kind, uint64_t id, uint32_t ref) {
    timers_clear(&c->timers, handle);
    if (due_us != 0) *handle = timers_set(&c->timers, due_us, kind, id, ref);
}

/* ---- Dead man's switches -------------------------------------------------------------------------------------- */

static void set_dead_man(struct core *c, uint32_t account, int64_t due_us) {
    struct risk_account *of = &c->risk.accounts[account];
    core_set_timer(c, &of->timer, due_us, TIMER_ACCOUNT, of->id, account);
    risk_set_dead_man(&c->risk, account, due_us);
    core_say_account(c, account);
}

void core_dead_man(struct core *c, uint32_t account) {
    set_dead_man(c, account, 0);
    core_begin_cancel_all(c, account, 0, END_REASON_DEAD_MAN);
}

void core_set_dead_man(struct core *c) {
    const struct codec_command *command = c->progress.command;
    struct core_verdict *verdict = &c->progress.verdict;
    int64_t timeout_us = command->set_dead_man.timeout_us;
    verdict->refusal = REFUSAL_SETTING_INVALID;
    if (timeout_us != 0 && (timeout_us < CORE_SECOND_US || timeout_us > CORE_DAY_US)) return;
    uint32_t account = risk_find_account(&c->risk, command->account);
    verdict->refusal = REFUSAL_CAPACITY_FULL;
    if (account == RISK_NONE && c->risk.account_count >= c->sizes.accounts) return;
    verdict->refusal = REFUSAL_UNSPECIFIED;
    if (account == RISK_NONE) account = risk_add_account(&c->risk, command->account);
    set_dead_man(c, account, timeout_us == 0 ? 0 : core_later(c, timeout_us));
}
