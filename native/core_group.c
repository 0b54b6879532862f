/* Groups of orders, links between them, and replacing one by another; see core.h and docs/matching.md.
 *
 * A group is decided member by member, each as if those before it were there, and then placed a member a step. Between steps
 * nothing is kept but how many have been placed: the rest is read from the command again. */

#include "core.h"

/* ---- Who belongs together ------------------------------------------------------------------------------------- */

/* Another member of an order's group, if it is open or waits; or BOOK_NONE. The id alone might be another group's. */
static uint32_t find_member(const struct core *c, const struct core_more *more, uint32_t member) {
    uint32_t slot = book_find(c->pool, more->group + (uint64_t)member * CORE_SHARDS);
    return slot != BOOK_NONE && c->cold[slot].has_more && c->more[slot].group == more->group ? slot : BOOK_NONE;
}

uint32_t core_linked(const struct core *c, const struct core_more *more) {
    uint32_t first = more->group_kind == GROUP_KIND_BRACKET ? 1 : 0;
    return more->group == 0 || more->group_member < first ? BOOK_NONE : find_member(c, more, 2 * first + 1 - more->group_member);
}

/* ---- What happens to one because of another ------------------------------------------------------------------- */

static bool link_up(struct core *c, const struct core_more *more, int64_t lots) {
    uint32_t other = core_linked(c, more);
    if (other == BOOK_NONE) return false;
    assert(c->link_count < CORE_LINKS);
    c->links[c->link_count++] = (struct core_link){other, lots};
    return true;
}

bool core_end_linked(struct core *c, const struct core_more *more) { return link_up(c, more, 0); }

void core_trade_member(struct core *c, const struct core_more *more, int64_t lots) { link_up(c, more, lots); }

/* The whole lots that an entry got, after fees in what it bought. */
static int64_t lots_got(const struct core_instrument *instrument, uint8_t side, int64_t filled_lots, int64_t fee_minor) {
    if (side == BOOK_SELL) return filled_lots;
    return (int64_t)(((risk_wide)filled_lots * instrument->lot_minor - fee_minor) / instrument->lot_minor);
}

void core_end_member(struct core *c, const struct core_more *more, uint32_t place, uint8_t reason, int64_t filled_lots,
                     int64_t fee_minor) {
    if (more->group_kind != GROUP_KIND_BRACKET || more->group_member != 0) {
        if (reason != END_REASON_LINKED) core_end_linked(c, more);
        return;
    }
    int64_t lots = lots_got(&c->instruments[place], more->side, filled_lots, fee_minor);
    for (uint32_t member = 1; member < CODEC_GROUP; member++) {
        uint32_t slot = find_member(c, more, member);
        if (slot != BOOK_NONE) core_let_out(c, slot, lots);
    }
}

/* What remains of an order, wherever it is; 0 of one by quote. */
static int64_t remaining_lots(const struct core *c, uint32_t slot) {
    if (core_whereabouts(c, slot) != ORDER_IN_BOOK) return c->cold[slot].quantity_lots;
    return book_order_at(c->pool, slot)->remaining_lots + core_hidden(c, slot);
}

/* Of two that are linked one rests at most: the one that lots come off, because the other traded, does not. */
void core_follow_link(struct core *c, struct core_link link) {
    if (link.lots == 0 || remaining_lots(c, link.slot) <= link.lots) {
        core_end_order(c, link.slot, ORDER_STATE_CANCELLED, END_REASON_LINKED, 0);
        return;
    }
    assert(core_whereabouts(c, link.slot) != ORDER_IN_BOOK);
    core_shrink_waiting(c, link.slot, link.lots);
}

/* ---- A group's members ---------------------------------------------------------------------------------------- */

static const struct codec_place_order *member_at(const struct codec_place_group *group, uint32_t member) {
    return member == 0 ? &group->first : member == 1 ? &group->second : &group->third;
}

static bool is_exit(const struct codec_place_group *group, uint32_t member) {
    return group->kind == GROUP_KIND_BRACKET && member != 0;
}

/* Make `incoming` a member. Exits wait, whatever they are. */
static void describe(struct core *c, const struct codec_place_group *group, uint32_t member, uint64_t group_id) {
    struct core_incoming *in = &c->incoming;
    const struct codec_place_order *body = member_at(group, member);
    uint32_t account = risk_find_account(&c->risk, c->progress.command->account);
    core_describe(c, body, account, core_find_instrument(c, body->instrument));
    if (!in->has_more) in->more = core_more_of(body);
    in->has_more = true;
    in->more.group = group_id;
    in->more.group_kind = group->kind;
    in->more.group_member = (uint8_t)member;
    in->order_id = group_id + (uint64_t)member * CORE_SHARDS;
    if (is_exit(group, member)) in->state = ORDER_STATE_WAITING;
}

/* ---- Why not a group ------------------------------------------------------------------------------------------ */

static uint64_t group_hash(const struct codec_place_group *group) {
    uint64_t image[2 + 2 * CODEC_GROUP] = {group->kind, COMMAND_PLACE_GROUP};
    for (uint32_t member = 0; member < codec_group_size(group); member++) {
        const struct codec_place_order *body = member_at(group, member);
        image[2 + 2 * member] = core_body_hash(body);
        image[3 + 2 * member] = core_text_hash(body->client_order_id);
    }
    return hash_words(HASH_BODY, image, 2 + 2 * CODEC_GROUP);
}

static bool is_same_name(struct codec_bytes one, struct codec_bytes other) {
    return one.length != 0 && one.length == other.length && memcmp(one.at, other.at, one.length) == 0;
}

/* Names that are remembered, or stand twice in the group; the first member's may be the same group's again. */
static uint8_t why_not_names(struct core *c, uint32_t account, const struct codec_place_group *group, uint64_t sent) {
    struct core_verdict *verdict = &c->progress.verdict;
    for (uint32_t member = 0; member < codec_group_size(group); member++) {
        struct codec_bytes name = member_at(group, member)->client_order_id;
        bool is_twice = false;
        for (uint32_t i = 0; i < member; i++) is_twice = is_twice || is_same_name(name, member_at(group, i)->client_order_id);
        uint32_t known = core_find_name(c, account, name);
        if (known == NAMES_NONE && !is_twice) continue;
        if (member == 0 && core_is_again(c, known, sent)) return REFUSAL_UNSPECIFIED;
        verdict->member = member + 1;
        return REFUSAL_CLIENT_ORDER_ID_REUSED;
    }
    return REFUSAL_UNSPECIFIED;
}

/* Count the member in `incoming` as placed. */
static void count_in(const struct core *c, struct core_beside *beside) {
    const struct core_incoming *in = &c->incoming;
    const struct core_instrument *instrument = &c->instruments[in->instrument];
    bool is_waiting = in->state == ORDER_STATE_WAITING;
    beside->orders += is_waiting || core_may_rest(in);
    beside->trailing += in->type == ORDER_TYPE_TRAILING_STOP;
    beside->accounts += in->account == RISK_NONE && beside->accounts == 0;
    if (in->receives == RISK_NONE && !beside->receives[in->side]) {
        beside->receives[in->side] = true;
        beside->balances++;
    }
    if (!is_waiting && !in->is_market) {
        beside->available_minor -= (int64_t)core_hold(instrument, in->side, in->price_ticks, in->remaining_lots);
    }
}

static uint8_t why_not_members(struct core *c, const struct codec_place_group *group) {
    struct core_verdict *verdict = &c->progress.verdict;
    struct core_beside beside = {0};
    for (uint32_t member = 0; member < codec_group_size(group); member++) {
        const struct codec_place_order *body = member_at(group, member);
        verdict->member = member + 1;
        if (!core_find_instrument(c, body->instrument)) return REFUSAL_INSTRUMENT_UNKNOWN;
        describe(c, group, member, 0);
        bool is_named = body->client_order_id.length != 0;
        uint8_t refusal = is_exit(group, member) ? core_why_not_exit(c, is_named, &beside) : core_why_not_order(c, is_named, &beside);
        if (refusal != REFUSAL_UNSPECIFIED) return refusal;
        count_in(c, &beside);
        beside.names += is_named;
    }
    verdict->member = 0;
    return REFUSAL_UNSPECIFIED;
}

/* ---- Placing a group ------------------------------------------------------------------------------------------ */

/* Each member has an id and is remembered. An entry that may rest has its slot before its exits have theirs, since an account's
 * orders are listed by their ids. */
static void take_in(struct core *c, const struct codec_place_group *group, uint64_t sent) {
    uint32_t count = codec_group_size(group);
    uint64_t group_id = core_give_ids(c, count);
    core_answer_with(c, group_id, count);
    for (uint32_t member = 0; member < count; member++) {
        describe(c, group, member, group_id);
        core_take_in(c, member_at(group, member)->client_order_id, sent);
        if (group->kind == GROUP_KIND_BRACKET && member == 0 && core_may_rest(&c->incoming)) core_claim(c);
    }
}

void core_place_group(struct core *c) {
    struct core_progress *p = &c->progress;
    struct codec_place_group sent_group;
    const struct codec_place_group *group = &sent_group;
    codec_read_group(&p->command->place_group, &sent_group);
    uint32_t account = risk_find_account(&c->risk, p->command->account);
    uint64_t sent = group_hash(group);
    p->verdict.refusal = why_not_names(c, account, group, sent);
    if (p->verdict.refusal != REFUSAL_UNSPECIFIED || p->verdict.repeated) return;
    p->verdict.member = 1;
    p->verdict.refusal = core_why_not_command(c, account, true);
    if (p->verdict.refusal != REFUSAL_UNSPECIFIED) return;
    p->verdict.refusal = why_not_members(c, group);
    if (p->verdict.refusal != REFUSAL_UNSPECIFIED) return;
    take_in(c, group, sent);
    p->next_member = 0;
    p->stage = STAGE_GROUP;
}

/* The member whose turn it is: of a bracket the exits come first. */
static uint32_t member_in_turn(const struct codec_place_group *group, uint32_t turn) {
    return group->kind == GROUP_KIND_BRACKET ? (turn + 1) % codec_group_size(group) : turn;
}

bool core_place_members(struct core *c) {
    struct core_progress *p = &c->progress;
    struct codec_place_group sent;
    const struct codec_place_group *group = &sent;
    codec_read_group(&p->command->place_group, &sent);
    while (p->stage == STAGE_GROUP) {
        if (p->next_member == codec_group_size(group)) {
            p->stage = STAGE_CASCADE;
            break;
        }
        if (!core_has_room(c)) return false;
        uint32_t member = member_in_turn(group, p->next_member++);
        describe(c, group, member, p->verdict.order_id);
        c->incoming.name = core_find_name(c, c->incoming.account, member_at(group, member)->client_order_id);
        c->incoming.slot = book_find(c->pool, c->incoming.order_id);
        if (is_exit(group, member)) {
            core_begin_to_wait(c, true);
        } else {
            core_set_out(c, STAGE_GROUP);
        }
    }
    return true;
}

/* ---- Replacing ------------------------------------------------------------------------------------------------ */

static uint64_t replacement_hash(const struct codec_replace_order *body) {
    uint64_t image[4] = {
        body->order_id,
        core_text_hash(body->client_order_id),
        core_body_hash(&body->order),
        COMMAND_REPLACE_ORDER,
    };
    return hash_words(HASH_BODY, image, 4);
}

/* What there is more of once the target is gone. */
static struct core_beside without(const struct core *c, uint32_t slot) {
    const struct book_order *order = book_order_at(c->pool, slot);
    const struct core_instrument *instrument = &c->instruments[core_order_place(order)];
    struct core_beside beside = {.orders = -1};
    if (core_whereabouts(c, slot) == ORDER_IN_BOOK) {
        beside.available_minor = (int64_t)core_hold(instrument, order->side, order->price_ticks, remaining_lots(c, slot));
    } else {
        beside.trailing = c->more[slot].type == ORDER_TYPE_TRAILING_STOP ? -1 : 0;
    }
    return beside;
}

/* The refusals behind the name. *target becomes the slot of the order to cancel. */
static uint8_t why_not_replace(struct core *c, const struct codec_replace_order *body, uint32_t account, uint32_t *target) {
    struct core_verdict *verdict = &c->progress.verdict;
    verdict->member = 2;
    uint8_t refusal = core_why_not_command(c, account, true);
    if (refusal != REFUSAL_UNSPECIFIED) return refusal;
    const struct core_instrument *instrument = core_find_instrument(c, body->order.instrument);
    if (!instrument) return REFUSAL_INSTRUMENT_UNKNOWN;
    *target = core_find_order(c, account, body->order_id, body->client_order_id, &refusal);
    if (*target == BOOK_NONE) verdict->member = 1;
    if (*target == BOOK_NONE) return refusal;
    const struct book_order *order = book_order_at(c->pool, *target);
    uint8_t side = core_whereabouts(c, *target) == ORDER_IN_BOOK ? order->side : c->more[*target].side;
    bool is_like_it = core_order_place(order) == core_place_of(c, instrument) && side == body->order.side - 1;
    if (!is_like_it) return REFUSAL_REPLACEMENT_DIFFERS;
    struct core_beside beside = without(c, *target);
    core_describe(c, &body->order, account, instrument);
    refusal = core_why_not_order(c, body->order.client_order_id.length != 0, &beside);
    if (refusal == REFUSAL_UNSPECIFIED) verdict->member = 0;
    return refusal;
}

void core_replace_order(struct core *c) {
    struct core_progress *p = &c->progress;
    struct codec_replace_order sent;
    const struct codec_replace_order *body = &sent;
    codec_read_replacement(&p->command->replace_order, &sent);
    uint32_t account = risk_find_account(&c->risk, p->command->account);
    uint32_t known = core_find_name(c, account, body->order.client_order_id);
    uint32_t target;
    if (known != NAMES_NONE) {
        if (core_is_again(c, known, replacement_hash(body))) return;
        p->verdict.refusal = REFUSAL_CLIENT_ORDER_ID_REUSED;
        p->verdict.member = 2;
        return;
    }
    p->verdict.refusal = why_not_replace(c, body, account, &target);
    if (p->verdict.refusal != REFUSAL_UNSPECIFIED) return;
    core_answer_with(c, core_give_ids(c, 1), 1);
    p->verdict.target = book_order_at(c->pool, target)->order_id;
    core_end_order(c, target, ORDER_STATE_CANCELLED, END_REASON_REPLACED, 0);
    p->stage = STAGE_REPLACE;
}

bool core_put_in_place(struct core *c) {
    const struct codec_command *command = c->progress.command;
    if (!core_settle_links(c) || !core_has_room(c)) return false;
    struct codec_replace_order sent;
    const struct codec_replace_order *body = &sent;
    codec_read_replacement(&command->replace_order, &sent);
    uint32_t account = risk_find_account(&c->risk, command->account);
    core_describe(c, &body->order, account, core_find_instrument(c, body->order.instrument));
    c->incoming.order_id = c->progress.verdict.order_id;
    core_take_in(c, body->order.client_order_id, replacement_hash(body));
    core_set_out(c, STAGE_CASCADE);
    return true;
}
