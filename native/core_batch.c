/* Batches, in sessions, from sources or alone, and what command goes to which law; see core.h. */

#include "core.h"

/* ---- Commands ------------------------------------------------------------------------------------------------- */

/* OpenSession: its id is the sequence it takes. No deadline holds. */
static void open_session(struct core *c) {
    struct core_verdict *verdict = &c->progress.verdict;
    if (c->sessions.count >= c->sizes.sessions) {
        verdict->refusal = REFUSAL_CAPACITY_FULL;
        return;
    }
    session_begin(&c->sessions, c->sequence, c->clock_us);
    verdict->created_id = c->sequence;
}

/* A command of a record that operators had to skip: it has its sequence, its number if it has one, and this refusal. */
static void refuse_skipped(struct core *c) {
    uint32_t kind = c->progress.command->kind;
    if (kind == COMMAND_CREDIT || kind == COMMAND_DEBIT) core_say_move(c);
    c->progress.verdict.refusal = REFUSAL_ENGINE_REFUSED;
}

/* The operators' commands, whose deadline comes before everything else. */
static void decide_settings(struct core *c) {
    c->progress.verdict.refusal = core_why_nothing(c);
    if (c->progress.verdict.refusal != REFUSAL_UNSPECIFIED) return;
    uint32_t kind = c->progress.command->kind;
    if (kind >= COMMAND_REPLACE_ORDER && c->rules < CORE_RULES_MORE) {
        c->progress.verdict.refusal = REFUSAL_RULES_TOO_OLD;
        return;
    }
    switch (kind) {
    case COMMAND_ADD_ASSET: core_add_asset(c); break;
    case COMMAND_ADD_INSTRUMENT: core_add_instrument(c); break;
    case COMMAND_SET_PHASE: core_set_phase(c); break;
    case COMMAND_SET_LIMITS: core_set_limits(c); break;
    case COMMAND_SET_FEES: core_set_fees(c); break;
    case COMMAND_SET_ACCOUNT: core_set_account(c); break;
    case COMMAND_SET_SIZES: core_set_sizes(c); break;
    case COMMAND_USE_RULES: core_use_rules(c); break;
    case COMMAND_SET_CLOCK: core_set_clock(c); break;
    case COMMAND_SET_GUARDS: core_set_guards(c); break;
    case COMMAND_SET_MARK: core_set_mark(c); break;
    case COMMAND_SET_DEAD_MAN: core_set_dead_man(c); break;
    case COMMAND_KILL: core_kill(c); break;
    case COMMAND_SET_FEE_MARKET: core_set_fee_market(c); break;
    default: assert(!"a checked command has a kind");
    }
}

/* Take a sequence and decide the command. Leaves the stage at which it goes on. */
static void decide(struct core *c) {
    struct core_progress *p = &c->progress;
    c->sequence++;
    if (p->batch_first == 0) p->batch_first = c->sequence;
    core_clear_verdict(&p->verdict);
    p->stage = STAGE_DONE;
    if (p->is_skipped) {
        refuse_skipped(c);
        return;
    }
    switch (p->command->kind) {
    case COMMAND_PLACE_ORDER: core_place_order(c); break;
    case COMMAND_AMEND_ORDER: core_amend_order(c); break;
    case COMMAND_CANCEL_ORDER: core_cancel_order(c); break;
    case COMMAND_CANCEL_ALL: core_cancel_all(c); break;
    case COMMAND_CREDIT: core_credit(c); break;
    case COMMAND_DEBIT: core_debit(c); break;
    case COMMAND_OPEN_SESSION: open_session(c); break;
    case COMMAND_REPLACE_ORDER: core_replace_order(c); break;
    case COMMAND_PLACE_GROUP: core_place_group(c); break;
    case COMMAND_HALT: core_halt(c); break;
    case COMMAND_RESUME: core_resume(c); break;
    case COMMAND_CLOSE_SESSION: session_end(&c->sessions, p->batch.session); break;
    default: decide_settings(c);
    }
}

/* One stage of the command under way, or false: the part is full. */
static bool run_stage(struct core *c) {
    switch (c->progress.stage) {
    case STAGE_MATCH: return core_match(c);
    case STAGE_CANCEL_ALL: return core_cancel_more(c);
    case STAGE_MARKET: return core_open_market(c);
    case STAGE_MOVE: return core_move_on(c);
    case STAGE_KILL: return core_kill_more(c);
    case STAGE_GROUP: return core_place_members(c);
    case STAGE_REPLACE: return core_put_in_place(c);
    default: return core_cascade(c);
    }
}

/* Work on the command under way until it is done, or false: the part is full. Most commands are done when they are decided, or when
 * their order has met the book. */
bool core_go_on(struct core *c) {
    const struct core_progress *p = &c->progress;
    if (p->stage == STAGE_MATCH && !core_match(c)) return false;
    while (p->stage != STAGE_DONE && p->stage != STAGE_DECIDE) {
        if (!run_stage(c)) return false;
    }
    return true;
}

/* The command under way is done: its mark and its outcome. */
static void end_command(struct core *c) {
    struct core_progress *p = &c->progress;
    core_say_mark(c);
    core_say_outcome(c);
    p->batch_applied++;
    p->stage = STAGE_DECIDE;
}

/* ---- Batches -------------------------------------------------------------------------------------------------- */

/* A batch in a session: does it apply? */
static uint8_t begin_in_session(struct core *c) {
    struct core_progress *p = &c->progress;
    struct session *session = session_find(&c->sessions, p->batch.session);
    if (!session) return BATCH_STATUS_UNKNOWN;
    if (p->batch.number > session->last_number) {
        session_apply(&c->sessions, session, p->batch.number, c->next_offset, c->clock_us);
        return BATCH_STATUS_APPLIED;
    }
    switch (session_recall(session, p->batch.number, &p->batch_offset)) {
    case SESSION_APPLIED: return BATCH_STATUS_REPEATED;
    case SESSION_PASSED_OVER: return BATCH_STATUS_NEVER_APPLIED;
    default: return BATCH_STATUS_UNKNOWN;
    }
}

/* A batch from a source: its commands have numbers without gaps, so it begins behind a gap or not at all, and what is a
 * repeat comes first. While the shard is halted nothing is taken: a refusal would be for ever. */
static uint8_t begin_from_source(struct core *c) {
    struct core_progress *p = &c->progress;
    uint64_t expected = c->sessions.sources[p->batch.source] + 1;
    if (p->batch.number > expected) {
        p->batch_expected = expected;
        return BATCH_STATUS_SOURCE_GAP;
    }
    if (expected - p->batch.number >= p->batch.commands) return BATCH_STATUS_REPEATED;
    if (!core_is_halted(c)) return BATCH_STATUS_APPLIED;
    p->batch_expected = expected;
    return BATCH_STATUS_HALTED;
}

/* Take up the next batch, which is there, and decide whether it applies. */
static void begin_batch(struct core *c) {
    struct core_progress *p = &c->progress;
    p->is_in_batch = codec_record_next(&p->record, &p->batch);
    assert(p->is_in_batch);
    p->batch_offset = p->batch_expected = p->batch_first = 0;
    p->batch_applied = p->batch_passed = 0;
    if (p->batch.session != 0) {
        p->batch_status = begin_in_session(c);
    } else if (p->batch.source != 0) {
        p->batch_status = begin_from_source(c);
    } else {
        p->batch_status = BATCH_STATUS_APPLIED;
    }
    if (p->batch_status == BATCH_STATUS_APPLIED) p->batch_offset = c->next_offset;
    c->out.batch_first = c->out.commands;
    c->out.answer_start = (uint32_t)(c->out.answer_at - c->out.part->answers);
}

/* The number of the command under way in its source; takes it. False: it is a repeat. */
static bool take_number(struct core *c) {
    struct core_progress *p = &c->progress;
    uint64_t number = p->batch.number + p->batch_passed++;
    if (number <= c->sessions.sources[p->batch.source]) return false;
    source_apply(&c->sessions, p->batch.source, number);
    return true;
}

/* Work off the commands of the batch. False: the part is full. */
static bool run_batch(struct core *c) {
    struct core_progress *p = &c->progress;
    if (p->batch_status != BATCH_STATUS_APPLIED) return true;
    for (;;) {
        if (p->stage == STAGE_DECIDE) {
            if (!core_has_room(c)) return false;
            if (!core_next_command(c)) return true;
            if (p->command->kind == COMMAND_TICK) continue;
            if (p->batch.source != 0 && !take_number(c)) continue;
            decide(c);
        }
        if (!core_go_on(c)) return false;
        end_command(c);
    }
}

static bool run_batches(struct core *c) {
    struct core_progress *p = &c->progress;
    for (;;) {
        if (!p->is_in_batch) {
            if (p->batch_index == p->record.batches) return true;
            if (!core_has_room(c)) return false;
            begin_batch(c);
        }
        if (!run_batch(c)) return false;
        core_say_batch(c, true);
        p->is_in_batch = false;
        p->batch_index++;
    }
}

bool core_run(struct core *c) {
    struct core_progress *p = &c->progress;
    if (p->chapter == CHAPTER_TIME) {
        if (!core_pass_time(c)) return false;
        p->chapter = CHAPTER_BATCHES;
    }
    if (p->chapter == CHAPTER_BATCHES) {
        if (!run_batches(c)) return false;
        p->chapter = CHAPTER_AUCTIONS;
    }
    return core_state_auctions(c);
}
