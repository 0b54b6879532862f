/* What the core's files ask of each other: the laws of commands and what they share, and what is said of it. Part of core.h,
 * which says how a record is worked off. */

#ifndef BOURSE_CORE_LAWS_H
#define BOURSE_CORE_LAWS_H

#include "core.h"

/* ---- Laws ----------------------------------------------------------------------------------------------------- */

/* Work off batches until the record is done, or false: the part is full (core_batch.c). */
bool core_run(struct core *c);

/* Move to the next command of the batch: it becomes progress.command. False after the last (core_ahead.c). */
bool core_next_command(struct core *c);

/* Where the command under way begins, or if there is none the next one of the batch (core_ahead.c). */
const uint8_t *core_command_start(const struct core *c);

/* Each decides the command in progress.command, changes what it does at once, and leaves the verdict, and the stage if there
 * is more to do. There is room for one step. */
void core_place_order(struct core *c);   /* core_place.c */
void core_amend_order(struct core *c);   /* core_amend.c */
void core_cancel_order(struct core *c);
void core_cancel_all(struct core *c);
void core_credit(struct core *c);        /* core_money.c */
void core_debit(struct core *c);
void core_set_account(struct core *c);
void core_set_sizes(struct core *c);
void core_use_rules(struct core *c);
void core_set_clock(struct core *c);
void core_add_asset(struct core *c);     /* core_market.c */
void core_add_instrument(struct core *c);
void core_set_phase(struct core *c);
void core_set_limits(struct core *c);
void core_set_fees(struct core *c);
void core_set_guards(struct core *c);    /* core_guards.c */
void core_set_mark(struct core *c);
void core_set_fee_market(struct core *c);
void core_set_dead_man(struct core *c);  /* core_time.c */
void core_kill(struct core *c);          /* core_kill.c */
void core_halt(struct core *c);          /* core_halt.c */
void core_resume(struct core *c);
void core_replace_order(struct core *c); /* core_group.c */
void core_place_group(struct core *c);

/* The rest of a command, by stage. False: the part is full. */
bool core_match(struct core *c);
bool core_cancel_more(struct core *c);
bool core_open_market(struct core *c);
bool core_kill_more(struct core *c);     /* core_kill.c */
bool core_place_members(struct core *c); /* core_group.c */
bool core_put_in_place(struct core *c);

/* All that is left of the command under way, whatever its stage (core_batch.c). False: the part is full. */
bool core_go_on(struct core *c);

/* Settle links and work off the queue. The stage is STAGE_CASCADE; afterwards STAGE_DONE, or STAGE_MATCH with an order that
 * arrives (core_cascade.c). False: the part is full. */
bool core_cascade(struct core *c);

/* The stage, if it would be this one: nothing is left of a command that has triggered and linked nothing. */
static inline enum core_stage core_stage_now(const struct core *c, enum core_stage stage) {
    bool is_quiet = (c->link_count | c->queue.first) == 0;
    return stage == STAGE_CASCADE && is_quiet ? STAGE_DONE : stage;
}

/* Let what must happen to linked orders happen, at once after the step that caused it. False: the part is full. */
bool core_settle_links(struct core *c);

/* One link: lots come off an order, or it ends (core_group.c). */
void core_follow_link(struct core *c, struct core_link link);

/* The order that is linked to one, if it has not ended; or BOOK_NONE. */
uint32_t core_linked(const struct core *c, const struct core_more *more);

/* What becomes of the rest of a group is put among the links, and exits whose entry has ended into the queue: as a member has
 * ended at a place for a reason with so much filled; as one that rests on has traded lots. core_end_linked: the linked one is
 * to end; false: there is none. */
void core_end_member(struct core *c, const struct core_more *more, uint32_t place, uint8_t reason, int64_t filled_lots,
                     int64_t fee_minor);
void core_trade_member(struct core *c, const struct core_more *more, int64_t lots);
bool core_end_linked(struct core *c, const struct core_more *more);

/* Decide the order that stands first in the queue; it may arrive, or end (core_wait.c). */
void core_decide_queued(struct core *c, uint32_t slot);

/* A price that orders look at (core_wait.c): `kind` is which waiting book. Trailing stops follow it, and what it meets goes to
 * the queue; nothing is stated. Linear in the trailing stops, and in what it meets. */
enum { CORE_BY_LAST = 0, CORE_BY_MARK = 1 };
void core_price_event(struct core *c, uint32_t place, uint32_t kind, int64_t price_ticks);

/* A market enters continuous trading: exits whose entry has ended go to the queue, then what its two prices meet. */
void core_look_at_prices(struct core *c, uint32_t place);

/* Where an order waits: in which half of its book, at what price (core_wait.c). */
struct core_stand {
    int64_t price_ticks;
    uint8_t side;
};
struct core_stand core_stand_of(const struct core_more *more);

/* `incoming`, taken in, begins to wait, or is parked; it is stated. */
void core_begin_to_wait(struct core *c, bool is_parked);

/* An exit that is parked goes to the queue, with this quantity. */
void core_let_out(struct core *c, uint32_t slot, int64_t lots);

/* core_end_order and core_shrink_order of orders that do not rest. */
void core_end_waiting(struct core *c, uint32_t slot, uint8_t state, uint8_t reason);
void core_shrink_waiting(struct core *c, uint32_t slot, int64_t lots);

/* Put a trailing stop, whose id is above all there, into its instrument's list; any other order is left alone. */
void core_list_trailing(struct core *c, uint32_t slot);

/* Is the price there that would trigger `incoming`, which is to wait? */
bool core_would_trigger(const struct core *c);

/* Change an instrument's phase and state it, nothing else; or move it there: from here on the stage is STAGE_MOVE (core_phase.c). */
void core_put_phase(struct core *c, struct core_instrument *instrument, uint8_t phase, int64_t until_us);
void core_begin_move(struct core *c, struct core_instrument *instrument, uint8_t phase, int64_t until_us);
bool core_move_on(struct core *c);

/* Is this a phase under these rules, and one in which a market may be opened? Does it take `in`, which may be one that waits? */
bool core_is_phase(uint32_t rules, uint8_t phase);
bool core_is_first_phase(uint32_t rules, uint8_t phase);
bool core_takes(uint8_t phase, const struct core_incoming *in, bool waits);

/* Is a limit price outside the static band? The prices that the dynamic band lets orders trade at, both
 * ends included (core_guards.c). */
bool core_is_outside_band(const struct core_instrument *instrument, int64_t price_ticks);
struct core_band core_dynamic_band(const struct core_instrument *instrument);

/* All orders of a book: bids, then asks, as they would trade (core_phase.c). */
uint32_t core_first_resting(const struct book *book);
uint32_t core_next_resting(const struct book *book, uint32_t slot);

/* What uncrossing a book would begin with; all 0 if it is not crossed. Linear in the levels that cross (core_auction.c). */
struct core_crossing {
    int64_t price_ticks;
    int64_t volume_lots;
    int64_t surplus_lots; /* of bids; below 0 of asks */
};
struct core_crossing core_crossing(const struct core *c, const struct core_instrument *instrument);

/* Trade until the book is no longer crossed. False: the part is full. */
bool core_uncross(struct core *c, struct core_instrument *instrument);

/* Two resting orders, each the best of its side, trade at an auction's price (core_match.c). */
void core_trade_at_auction(struct core *c, uint32_t taker, uint32_t maker, int64_t price_ticks, int64_t lots);

/* Put an order that rests nowhere at the back of a row, and take it out again. */
void core_row_push(struct core *c, struct core_row *row, uint32_t slot);
void core_row_drop(struct core *c, struct core_row *row, uint32_t slot);

/* Put it before the first order of the row, which goes by ascending ids, whose id is above its own. */
void core_row_insert(struct core *c, struct core_row *row, uint32_t slot);

/* What is due at the record's time (core_time.c). False: the part is full. */
bool core_pass_time(struct core *c);
void core_set_timer(struct core *c, uint32_t *handle, int64_t due_us, enum timer_kind kind, uint64_t id, uint32_t ref);
void core_dead_man(struct core *c, uint32_t account);

/* The phase of the instrument at a place has come to its time (core_phase.c). */
void core_end_phase(struct core *c, uint32_t place);

/* State the indicative prices that changed in this record (core_auction.c). False: the part is full. */
bool core_state_auctions(struct core *c);

/* The orders that the command is about, whose last words are its answer: `count` ids from this one on. */
static inline void core_answer_with(struct core *c, uint64_t order_id, uint32_t count) {
    c->progress.verdict.order_id = order_id;
    c->progress.verdict.count = count;
}

/* Is an order one that the command under way is about? */
static inline bool core_is_own(const struct core *c, uint64_t order_id) {
    const struct core_verdict *verdict = &c->progress.verdict;
    return verdict->order_id != 0 && (order_id - verdict->order_id) / CORE_SHARDS < verdict->count;
}

/* End all orders of an account, oldest first, in one instrument (id) or in all (0): from here on the stage is
 * STAGE_CANCEL_ALL (core_amend.c). */
void core_begin_cancel_all(struct core *c, uint32_t account, uint32_t instrument, uint8_t reason);

/* Has the shard stopped? Was it ever halted? */
static inline bool core_is_halted(const struct core *c) { return c->halt_sequence != 0; }
static inline bool core_has_halted(const struct core *c) { return c->halt_sequence != 0 || c->resume_sequence != 0; }

/* The record is done: a Resume in it holds from the next one on (core_halt.c). */
void core_end_halt(struct core *c);

/* Is the command's deadline over? */
static inline bool core_is_expired(const struct core *c) {
    int64_t until_us = c->progress.command->valid_until_us;
    return until_us != 0 && until_us < c->clock_us;
}

/* Why nothing is done now, whatever the command asks. */
static inline uint8_t core_why_nothing(const struct core *c) {
    if (core_is_halted(c)) return REFUSAL_SHARD_HALTED;
    return core_is_expired(c) ? REFUSAL_EXPIRED_IN_TRANSIT : REFUSAL_UNSPECIFIED;
}

/* So much later than now; the end of time, where the clock was set as far as it goes. */
static inline int64_t core_later(const struct core *c, int64_t span_us) {
    return span_us < INT64_MAX - c->clock_us ? c->clock_us + span_us : INT64_MAX;
}

/* Is there anything about an order that only rules 2 know? Then this is what is more of it (core_more.c). */
bool core_has_more(const struct codec_place_order *body);
struct core_more core_plain_more(uint8_t side, uint8_t type, uint8_t time_in_force);
struct core_more core_more_of(const struct codec_place_order *body);
uint64_t core_more_body_hash(const struct codec_place_order *body);

/* May `in` rest? Then it needs a slot. */
static inline bool core_may_rest(const struct core_incoming *in) {
    return in->time_in_force != TIME_IN_FORCE_IOC && in->time_in_force != TIME_IN_FORCE_FOK;
}

/* What moves in a fill, decided before anything does. */
struct core_fill {
    int64_t price_ticks;
    int64_t lots;
    int64_t base_minor;
    int64_t quote_minor;
    int64_t taker_fee_minor;
    int64_t maker_fee_minor;    /* negative: a rebate */
    uint32_t taker_fee_balance; /* what it is taken from, if not from what is received; else RISK_NONE */
    uint32_t maker_fee_balance;
    bool is_auction;
};

/* Decide the fees of a fill of `incoming` with a resting order (core_fees.c). */
void core_decide_fees(const struct core *c, const struct book_order *maker, struct core_fill *fill);

/* Count a command that places or changes orders. False: the account has sent as many in this second as it may (core_more.c). */
bool core_may_command(struct core *c, uint32_t account);

/* The most open and waiting orders of an account (place, or RISK_NONE). */
static inline uint32_t core_most_open(const struct core *c, uint32_t account) {
    uint32_t most = c->risk.accounts[account].max_open_orders;
    return most != 0 ? most : c->sizes.orders_per_account;
}

/* What `incoming` would trade with the book as it stands, as far as `limit_ticks` reaches: lots, and how much of what it
 * gives (core_walk.c). Linear in the orders it would meet. */
struct core_walk {
    int64_t lots;
    risk_wide moved;
};
struct core_walk core_walk(const struct core *c, const struct core_incoming *in);

/* What counts as placed or as gone while an order is judged: members of its group before it; the target it takes the place of. */
struct core_beside {
    int32_t orders;   /* open orders of the account more than there are */
    int32_t trailing; /* stops in the instrument, likewise */
    uint32_t names;
    uint32_t accounts;
    uint32_t balances;
    bool receives[2]; /* by side: what such an order receives is among those balances */
    int64_t available_minor; /* of what the order gives */
};

/* Why a command that places or changes orders is refused whatever is in it; `is_new`: rules 1 do not know it (core_place.c). */
uint8_t core_why_not_command(struct core *c, uint32_t account, bool is_new);

/* Make `incoming` what was sent, all but what being taken in gives it. The account may be unknown. */
void core_describe(struct core *c, const struct codec_place_order *body, uint32_t account,
                   const struct core_instrument *instrument);

/* Why `incoming` is not taken in, from the phase on; of an exit that waits for its entry less is asked. */
uint8_t core_why_not_order(struct core *c, bool is_named, const struct core_beside *beside);
uint8_t core_why_not_exit(struct core *c, bool is_named, const struct core_beside *beside);

/* Phase, quantity and notional of `incoming`, as placed or as it is to be amended to. */
uint8_t core_why_not_size(struct core *c);

/* Post-only and balance of `incoming`, which holds `held_minor` already and has `beside_minor` more available than there is;
 * fills in the verdict's amounts. */
uint8_t core_why_not_now(struct core *c, struct core_verdict *verdict, int64_t held_minor, int64_t beside_minor);

/* How far `incoming`, a market order, reaches from the best opposite price; 0 if nobody is there. */
int64_t core_protection(const struct core *c);

/* Ids for so many orders: the first, the others follow. */
uint64_t core_give_ids(struct core *c, uint32_t count);

/* `incoming` has its id: account and balance are known, its name is remembered with the hash of what was sent. */
void core_take_in(struct core *c, struct codec_bytes name, uint64_t sent);

/* It holds what it may need. */
void core_hold_incoming(struct core *c);

/* It begins to wait, or holds what it may need and arrives. Afterwards the command goes on at a stage. */
void core_set_out(struct core *c, enum core_stage next);

/* Hashes of what was sent under a name; the name is the key, not part of it. And of a name. */
uint64_t core_body_hash(const struct codec_place_order *body);
uint64_t core_text_hash(struct codec_bytes name);

/* A name of an account, or NAMES_NONE: the account may be unknown and the name empty. */
uint32_t core_find_name(const struct core *c, uint32_t account, struct codec_bytes name);

/* Was the same sent under that name? Then the answer is the id of then. */
bool core_is_again(struct core *c, uint32_t name, uint64_t sent);

/* The slot of an open or waiting order of an account by id or by name, or BOOK_NONE and why not (core_amend.c). */
uint32_t core_find_order(const struct core *c, uint32_t account, uint64_t order_id, struct codec_bytes client_order_id,
                         uint8_t *refusal);

/* A slot for `incoming`, listed among its account's orders; and the cold half of an order that it becomes (core_match.c). */
uint32_t core_claim(struct core *c);
void core_put_cold(struct core *c, uint32_t slot);

/* Make `incoming` what a resting order is, or is to become: with a new price and total; 0 keeps them (core_amend.c). */
void core_describe_resting(struct core *c, uint32_t slot, int64_t price_ticks, int64_t quantity_lots);

/* Let `incoming` begin to meet the book: from here on the stage is STAGE_MATCH (core_match.c). */
void core_arrive(struct core *c);

/* Is there room for an account and its balance in an asset (places; RISK_NONE for an unknown account)? */
bool core_has_room_for(const struct core *c, uint32_t account, uint32_t asset);

/* Make account and balance known where they are not. *account becomes its place; returns the balance's (core_money.c). */
uint32_t core_meet(struct core *c, uint32_t account_id, uint32_t *account, uint32_t asset);

/* Could this be an asset: a number, a code of 1..16 of A-Z 0-9, decimals within the house's scale? (core_market.c) */
bool core_is_asset(const struct codec_asset *asset);

/* Could this be an instrument? All but whether its assets are known, and what a lot costs at one tick. */
bool core_is_instrument(const struct codec_instrument *instrument);

/* What a lot costs at one tick, quote minor units: tick units × lot × 10^(quote decimals - tick scale - base decimals). 0 if
 * that is not whole, or not in 1..2^62. `base` and `quote` are places. */
int64_t core_tick_lot_of(const struct core *c, const struct codec_instrument *instrument, uint32_t base, uint32_t quote);

/* End a resting order. `decremented` lots of it, all that remain or 0, come off its quantity (core_amend.c). */
void core_end_order(struct core *c, uint32_t slot, uint8_t state, uint8_t reason, int64_t decremented);

/* Take lots, 0 or more but not all, off a resting order, which keeps its place (core_amend.c). */
void core_shrink_order(struct core *c, uint32_t slot, int64_t lots);

/* ---- Saying (core_say.c) -------------------------------------------------------------------------------------- */

/* Is there room for one more step in this part? */
static inline bool core_has_room(const struct core *c) {
    const struct core_out *out = &c->out;
    return out->event_at - out->part->events <= CORE_PART_BYTES - CODEC_STEP_BYTES &&
           out->answer_at - out->part->answers <= CORE_ANSWER_BYTES - CODEC_STEP_BYTES;
}

/* A resting order, and the incoming one, as their owners see them. The client order id points into the names. */
void core_view_order(const struct core *c, uint32_t slot, struct codec_order *order);
void core_view_incoming(const struct core *c, struct codec_order *order);
void core_view_asset(const struct risk_asset *asset, struct codec_asset *view);
void core_view_instrument(const struct core *c, const struct core_instrument *instrument, struct codec_instrument *view);
struct codec_bytes core_name(const struct core *c, uint32_t name);

/* Events, each under the command under way. */
void core_say_order(struct core *c, const struct codec_order *order);
void core_say_level(struct core *c, struct core_instrument *instrument, uint32_t side, int64_t price_ticks, int64_t lots);
void core_say_balance(struct core *c, uint32_t balance);
/* Of what `incoming` gives, of which its account may never have had any. */
void core_say_given(struct core *c);
void core_say_trade(struct core *c, struct codec_trade_event *trade);
void core_say_move(struct core *c);
void core_say_asset(struct core *c, const struct risk_asset *asset);
void core_say_instrument(struct core *c, const struct core_instrument *instrument);
void core_say_auction(struct core *c, const struct core_instrument *instrument, const struct core_crossing *crossing);
void core_say_account(struct core *c, uint32_t account);

/* The mark of the command under way, and, if it is done, its outcome. */
void core_say_mark(struct core *c);
void core_say_outcome(struct core *c);

/* The mark of the batch under way for its commands in this part, and its piece of an answer; `done`: with its head. */
void core_say_batch(struct core *c, bool done);

/* Begin and end a part. */
void core_say_begin(struct core *c);
void core_say_end(struct core *c, bool last);

#endif
