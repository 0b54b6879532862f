/* Phases of a market: what each takes, which follows which, and what a move between them does; see core.h and
 * docs/matching.md. */

#include "core.h"

/* ---- The table ------------------------------------------------------------------------------------------------ */

#define BIT(phase) (1u << (phase))

/* Where each phase may go. */
static const uint16_t moves[PHASE_LAST + 1] = {
    [PHASE_PRE_OPEN] = BIT(PHASE_OPENING_AUCTION) | BIT(PHASE_CONTINUOUS) | BIT(PHASE_HALT) | BIT(PHASE_CANCEL_ONLY) |
                       BIT(PHASE_CLOSED),
    [PHASE_OPENING_AUCTION] = BIT(PHASE_CONTINUOUS) | BIT(PHASE_POST_ONLY) | BIT(PHASE_HALT) | BIT(PHASE_CANCEL_ONLY) |
                              BIT(PHASE_CLOSED),
    [PHASE_CONTINUOUS] = BIT(PHASE_VOLATILITY_AUCTION) | BIT(PHASE_POST_ONLY) | BIT(PHASE_HALT) | BIT(PHASE_CANCEL_ONLY) |
                         BIT(PHASE_CLOSING_AUCTION) | BIT(PHASE_CLOSED),
    [PHASE_VOLATILITY_AUCTION] = BIT(PHASE_CONTINUOUS) | BIT(PHASE_POST_ONLY) | BIT(PHASE_HALT) | BIT(PHASE_CANCEL_ONLY) |
                                 BIT(PHASE_CLOSING_AUCTION),
    [PHASE_HALT] = BIT(PHASE_PRE_OPEN) | BIT(PHASE_OPENING_AUCTION) | BIT(PHASE_CONTINUOUS) | BIT(PHASE_POST_ONLY) |
                   BIT(PHASE_CANCEL_ONLY) | BIT(PHASE_CLOSED),
    [PHASE_POST_ONLY] = BIT(PHASE_CONTINUOUS) | BIT(PHASE_HALT) | BIT(PHASE_CANCEL_ONLY) | BIT(PHASE_CLOSING_AUCTION) |
                        BIT(PHASE_CLOSED),
    [PHASE_CANCEL_ONLY] = BIT(PHASE_PRE_OPEN) | BIT(PHASE_CONTINUOUS) | BIT(PHASE_POST_ONLY) | BIT(PHASE_HALT) |
                          BIT(PHASE_CLOSED),
    [PHASE_CLOSING_AUCTION] = BIT(PHASE_HALT) | BIT(PHASE_CANCEL_ONLY) | BIT(PHASE_CLOSED),
    [PHASE_CLOSED] = BIT(PHASE_PRE_OPEN) | BIT(PHASE_OPENING_AUCTION) | BIT(PHASE_CONTINUOUS) | BIT(PHASE_HALT) |
                     BIT(PHASE_CANCEL_ONLY),
};

/* The phases that rules 1 know, with every move among them; and those in which a market may be opened. */
#define RULES_1 (BIT(PHASE_CONTINUOUS) | BIT(PHASE_HALT) | BIT(PHASE_POST_ONLY) | BIT(PHASE_CANCEL_ONLY))
#define FIRST (RULES_1 | BIT(PHASE_PRE_OPEN) | BIT(PHASE_CLOSED))

/* The phase that follows one that ends by itself; unspecified for one that does not. */
static uint8_t next_phase(uint8_t phase) {
    switch (phase) {
    case PHASE_PRE_OPEN: return PHASE_OPENING_AUCTION;
    case PHASE_OPENING_AUCTION:
    case PHASE_VOLATILITY_AUCTION: return PHASE_CONTINUOUS;
    case PHASE_CLOSING_AUCTION: return PHASE_CLOSED;
    default: return PHASE_UNSPECIFIED;
    }
}

bool core_is_phase(uint32_t rules, uint8_t phase) {
    /* It may be from a snapshot, and then any number. */
    if (phase == PHASE_UNSPECIFIED || phase > PHASE_LAST) return false;
    return rules >= CORE_RULES_MORE || RULES_1 >> phase & 1;
}

bool core_is_first_phase(uint32_t rules, uint8_t phase) { return (rules < CORE_RULES_MORE ? RULES_1 : FIRST) >> phase & 1; }

bool core_takes(uint8_t phase, const struct core_incoming *in, bool waits) {
    if (phase == PHASE_CONTINUOUS) return in->time_in_force != TIME_IN_FORCE_GFA;
    if (phase == PHASE_POST_ONLY) return in->post_only;
    if (!core_gathers(phase)) return false;
    if (waits) return true;
    bool is_bound = in->post_only || (in->has_more && in->filled_lots < in->more.min_fill_lots);
    return !in->is_market && core_may_rest(in) && !is_bound;
}

/* ---- A move --------------------------------------------------------------------------------------------------- */

void core_put_phase(struct core *c, struct core_instrument *instrument, uint8_t phase, int64_t until_us) {
    if (instrument->phase != phase && (core_gathers(phase) || core_gathers(instrument->phase))) core_touch_auction(c, instrument);
    c->hash -= core_instrument_hash(instrument);
    instrument->phase = phase;
    if (core_may_cross(phase)) instrument->book->may_cross = true;
    instrument->phase_until_us = until_us;
    c->hash += core_instrument_hash(instrument);
    core_set_timer(c, &instrument->timer, until_us, TIMER_PHASE, instrument->id, core_place_of(c, instrument));
    c->markets_changed = c->sequence;
    core_say_instrument(c, instrument);
}

/* Where a move is. Each step may take any number of the steps that need room. */
enum { MOVE_UNCROSS, MOVE_AFTER_UNCROSS, MOVE_AUCTION_ORDERS, MOVE_WAKE };

void core_begin_move(struct core *c, struct core_instrument *instrument, uint8_t phase, int64_t until_us) {
    struct core_move *move = &c->progress.move;
    uint8_t left = instrument->phase;
    *move = (struct core_move){
        .place = core_place_of(c, instrument),
        .uncrosses = phase == PHASE_CONTINUOUS || phase == PHASE_POST_ONLY ||
                     (left == PHASE_CLOSING_AUCTION && phase == PHASE_CLOSED),
        .ends_auction = core_gathers(left) && !core_gathers(phase),
        .wakes = phase == PHASE_CONTINUOUS,
        .returns = STAGE_CASCADE,
    };
    /* While it is uncrossed, what is refreshed rests in a crossed book. */
    instrument->book->may_cross = true;
    core_put_phase(c, instrument, phase, until_us);
    move->step = left == phase ? MOVE_WAKE : MOVE_UNCROSS;
    if (left == phase) move->wakes = false;
    c->progress.stage = STAGE_MOVE;
}

/* The next order that is good for the auction only, from a slot on; the bids are followed by the asks. */
static uint32_t next_auction_order(const struct core *c, const struct book *book, uint32_t slot) {
    while (slot != BOOK_NONE && !(c->cold[slot].has_more && c->more[slot].time_in_force == TIME_IN_FORCE_GFA)) {
        slot = core_next_resting(book, slot);
    }
    return slot;
}

uint32_t core_first_resting(const struct book *book) {
    uint32_t slot = book_best_order(book, BOOK_BUY);
    return slot != BOOK_NONE ? slot : book_best_order(book, BOOK_SELL);
}

uint32_t core_next_resting(const struct book *book, uint32_t slot) {
    uint32_t next = book_next_order(book, slot);
    if (next != BOOK_NONE || book_order_at(book->pool, slot)->side == BOOK_SELL) return next;
    return book_best_order(book, BOOK_SELL);
}

/* End them one by one. What is linked to one that ends never rests, so the next one stays where it is. */
static bool end_auction_orders(struct core *c, const struct book *book) {
    struct core_move *move = &c->progress.move;
    for (;;) {
        if (!core_settle_links(c)) return false;
        move->slot = next_auction_order(c, book, move->slot);
        if (move->slot == BOOK_NONE) return true;
        if (!core_has_room(c)) return false;
        uint32_t ended = move->slot;
        move->slot = core_next_resting(book, ended);
        core_end_order(c, ended, ORDER_STATE_EXPIRED, END_REASON_AUCTION_REMAINDER, 0);
    }
}

/* What follows from an auction that has traded: its price is the reference, and one that orders look at. */
static void conclude_auction(struct core *c, struct core_instrument *instrument) {
    struct core_move *move = &c->progress.move;
    instrument->book->may_cross = core_may_cross(instrument->phase);
    if (!move->has_traded) return;
    c->hash -= core_instrument_hash(instrument);
    instrument->reference_ticks = instrument->last_price_ticks;
    c->hash += core_instrument_hash(instrument);
    c->markets_changed = c->sequence;
    core_say_instrument(c, instrument);
    core_price_event(c, move->place, CORE_BY_LAST, instrument->last_price_ticks);
}

bool core_move_on(struct core *c) {
    struct core_move *move = &c->progress.move;
    struct core_instrument *instrument = &c->instruments[move->place];
    switch (move->step) {
    case MOVE_UNCROSS:
        if (move->uncrosses && !core_uncross(c, instrument)) return false;
        move->step = MOVE_AFTER_UNCROSS; /* fall through */
    case MOVE_AFTER_UNCROSS:
        if (move->has_traded && !core_has_room(c)) return false;
        conclude_auction(c, instrument);
        move->slot = core_first_resting(instrument->book);
        move->step = MOVE_AUCTION_ORDERS; /* fall through */
    case MOVE_AUCTION_ORDERS:
        if (move->ends_auction && !end_auction_orders(c, instrument->book)) return false;
        move->step = MOVE_WAKE; /* fall through */
    default:
        instrument->book->may_cross = core_may_cross(instrument->phase);
        if (move->wakes) core_look_at_prices(c, move->place);
        c->progress.stage = move->returns;
        return true;
    }
}

/* ---- Commands ------------------------------------------------------------------------------------------------- */

void core_set_phase(struct core *c) {
    const struct codec_set_phase *body = &c->progress.command->set_phase;
    struct core_instrument *instrument = core_find_instrument(c, body->instrument);
    struct core_verdict *verdict = &c->progress.verdict;
    bool is_old = c->rules < CORE_RULES_MORE;
    verdict->refusal = REFUSAL_RULES_TOO_OLD;
    if (is_old && body->until_us != 0) return;
    verdict->refusal = REFUSAL_INSTRUMENT_UNKNOWN;
    if (!instrument) return;
    verdict->refusal = REFUSAL_SETTING_INVALID;
    bool ends = body->until_us != 0;
    if (ends && (body->until_us <= c->clock_us || next_phase(body->phase) == PHASE_UNSPECIFIED)) return;
    verdict->refusal = REFUSAL_PHASE_FORBIDS_IT;
    uint32_t allowed = is_old ? RULES_1 : moves[instrument->phase] | BIT(instrument->phase);
    if (!(allowed >> body->phase & 1)) return;
    verdict->refusal = REFUSAL_UNSPECIFIED;
    core_begin_move(c, instrument, body->phase, body->until_us);
}

void core_end_phase(struct core *c, uint32_t place) {
    struct core_instrument *instrument = &c->instruments[place];
    core_begin_move(c, instrument, next_phase(instrument->phase), 0);
}
