/* The state machine over command records, as its own files see it; core_api.h is what others see.
 *
 * What a core is made of:
 *   book    the order books, all in one pool; an order's hot half is its slot there
 *   cold    the other half of an order, by the same slot: what an owner is told, what matching does not need
 *   risk    accounts, assets, balances
 *   names   the memory of client order ids
 *   sessions  of order entry, and the numbers of the sources of money
 *   instruments  by place; their ids are (place + 1) × 1024 + shard
 *
 * Files:
 *   core.c        opens, applies records, makes parts       core_batch.c   sessions, sources, what command goes where
 *   core_ahead.c  looks at commands before their turn       core_place.c   decides an order
 *   core_match.c  lets it meet the book                     core_amend.c   changes and ends resting orders
 *   core_money.c  credits, debits, accounts, sizes, clock   core_market.c  assets and instruments
 *   core_say.c    writes events and answers                 core_query.c   answers questions
 *   core_validate.c  checks everything                      snapshot.h     writes and reads all of it
 *
 * Stopping and going on. A record is worked off in steps: one fill, one order of a cancel-all, one instrument. Before each,
 * core_has_room makes sure that the worst a step can write fits into what is left of the part; if not, the call returns up
 * to core_apply, which closes the part. Where to go on stands in `progress` and `incoming`, not on the stack. The state
 * between two steps holds together, but for its hash, which is that of a state only between records.
 *
 * Every law decides fully before it changes anything; refusals come in the order of docs/matching.md. */

#ifndef BOURSE_CORE_H
#define BOURSE_CORE_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "book.h"
#include "codec.h" /* and core_api.h with it, which has no guard */
#include "hash.h"
#include "names.h"
#include "risk.h"
#include "sessions.h"

#define CORE_SHARDS 1024u
#define CORE_KNOWN_RULES 1u
/* No size may be above this many times its initial value. */
#define CORE_SIZE_FACTOR 16u
#define CORE_TIERS (RISK_LAST_TIER + 1)
#define CORE_SYMBOL_BYTES 32
#define CORE_MAX_SCALE 18u
#define CORE_MAX_MAKER_PPM 100000
#define CORE_MAX_TAKER_PPM 100000
#define CORE_MAX_PROTECTION_PPM 1000000u

/* ---- State ---------------------------------------------------------------------------------------------------- */

/* The cold half of an open order. caller_word of the hot half holds the places of the balances it gives from and receives
 * into; its owner is the account's place, its book the instrument's. */
struct core_cold {
    uint64_t sequence; /* of the command that changed it last */
    int64_t created_us;
    int64_t updated_us;
    int64_t quantity_lots;
    int64_t filled_quote_minor;
    int64_t fee_minor;
    uint32_t name;  /* in names, or NAMES_NONE */
    uint32_t older; /* open orders of the account: slots */
    uint32_t younger;
    uint32_t unused;
};
_Static_assert(sizeof(struct core_cold) == 64, "an order is two cache lines");

struct core_instrument {
    struct book *book;
    uint32_t id;
    uint32_t base; /* places of assets */
    uint32_t quote;
    uint32_t protection_ppm;
    int64_t lot_minor;
    int64_t tick_lot_minor;
    int64_t min_quantity_lots;
    int64_t max_quantity_lots;
    int64_t min_notional_minor;
    int64_t max_notional_minor;
    int64_t last_price_ticks;
    uint64_t market_hash; /* of last price and next priority as they were at the end of the last record */
    int64_t tick_units;
    uint32_t tick_scale;
    uint16_t tiers; /* a bit for each tier that has rates of its own */
    uint8_t phase;
    uint8_t is_touched; /* in this record: it is in core.touched */
    int32_t maker_ppm[CORE_TIERS]; /* tiers without rates of their own have tier 0's */
    int32_t taker_ppm[CORE_TIERS];
    char symbol[CORE_SYMBOL_BYTES]; /* zero behind its length */
    uint8_t symbol_length;
};

/* An order that has been taken in and is on its way through the book; or an amended one that left its place. */
struct core_incoming {
    uint64_t order_id;
    int64_t price_ticks;    /* 0 for a market order */
    int64_t limit_ticks;    /* how far it reaches; for a market order its protection */
    int64_t quantity_lots;  /* 0 by quote */
    int64_t remaining_lots; /* 0 by quote */
    int64_t filled_lots;
    int64_t quote_minor;    /* by quote: what was asked for, decrements taken off; else 0 */
    int64_t quote_left;     /* by quote: what is left of it */
    int64_t filled_quote_minor;
    int64_t fee_minor;
    int64_t created_us;
    uint32_t instrument;    /* place */
    uint32_t account;       /* place, or RISK_NONE before it is taken in */
    uint32_t gives;         /* balances; RISK_NONE where there is none */
    uint32_t receives;
    uint32_t name;
    uint32_t slot;          /* an amended order has one; BOOK_NONE */
    uint8_t side;           /* enum book_side */
    uint8_t type;           /* enum order_type */
    uint8_t time_in_force;  /* enum time_in_force */
    uint8_t self_trade;     /* enum book_self_trade */
    bool post_only;
    bool is_by_quote;
    bool has_traded;        /* in this command */
    uint8_t state;          /* enum order_state: OPEN until it has ended */
    uint8_t reason;         /* enum end_reason */
};

/* Where a command under way goes on. */
enum core_stage {
    STAGE_DECIDE,     /* it has not begun */
    STAGE_MATCH,      /* `incoming` is in the book */
    STAGE_CANCEL_ALL, /* `next_slot` is the next open order to look at */
    STAGE_MARKET,     /* older instruments from `next_instrument` on are to be closed before the new one is stated */
    STAGE_DONE,       /* nothing is left but its mark */
};

/* How a command is answered, so far. */
struct core_verdict {
    uint8_t refusal; /* enum refusal */
    bool repeated;
    uint64_t order_id;
    uint64_t created_id;
    int64_t needed_minor;
    int64_t available_minor;
    struct codec_bytes order; /* as it stands after the command, encoded; in this part's events, or in `scrap` */
};

/* How far the record under way is worked off. Between calls places in it are kept as offsets, since its bytes may lie elsewhere
 * in the next call: where the next batch begins, and in a batch where the command under way, or the next one, does. */
struct core_progress {
    bool is_under_way;
    uint32_t part;
    struct codec_record record;
    uint32_t record_at;
    struct codec_batch batch;
    bool is_in_batch;
    uint32_t batch_at, batch_end;
    uint32_t batch_index;
    uint8_t batch_status;     /* enum batch_status */
    uint64_t batch_offset;    /* what the answer says of its record */
    uint64_t batch_expected;
    uint64_t batch_first;     /* sequence of its first applied command; 0: none yet */
    uint32_t batch_applied;   /* how many of its commands were, without the one under way */
    uint32_t batch_passed;    /* from a source: commands walked */
    const struct codec_command *command; /* under way; in core.kept or core.ahead */
    enum core_stage stage;
    struct core_verdict verdict;
    uint32_t next_slot;
    uint32_t next_instrument;
    bool has_new_clock;
    int64_t new_clock_us; /* SetClock's, for the end of the record */
};

/* Commands that were looked at before it is their turn, so that what they touch could be brought near meanwhile: where they begin,
 * what they say, and room for those that the check did not keep. */
#define CORE_AHEAD 32u
struct core_ahead {
    uint32_t count; /* how many there are; 0 between calls */
    uint32_t next;  /* which of them is to begin next */
    const uint8_t *starts[CORE_AHEAD];
    const struct codec_command *commands[CORE_AHEAD];
    struct codec_command read[CORE_AHEAD];
};

/* The part being made. Pointers into the caller's buffers, meaningless between calls. */
struct core_out {
    struct core_part *part;
    uint8_t *event_at;
    uint8_t *answer_at;
    uint32_t commands;      /* marks in this part: also the index of the command under way */
    uint32_t batch_first;   /* index of the batch's first command in this part */
    uint32_t answer_start;  /* of the batch's piece */
    struct codec_bytes order; /* the last order that was stated */
    uint8_t scrap[CODEC_ORDER_BYTES];
};

struct core {
    uint32_t shard;
    uint32_t rules;
    uint64_t sequence;
    uint64_t next_offset;
    int64_t clock_us;
    uint64_t orders_given;
    uint64_t trades_given;
    uint64_t markets_changed;
    struct codec_set_sizes sizes;
    struct book_pool *pool;
    struct core_cold *cold;
    struct core_instrument *instruments;
    uint32_t *touched;       /* instruments whose market hash is behind */
    uint32_t instrument_count, instrument_room;
    uint32_t book_count;     /* instruments with a book: those to come in this record have theirs already */
    uint32_t touched_count;
    uint32_t cold_room;
    uint64_t *sorted;        /* room for the id of every order, or every account: core_verify's, untouched before */
    uint32_t sorted_room;
    struct risk risk;
    struct names names;
    struct sessions sessions;
    uint64_t hash; /* of instruments and orders; risk, names and sessions have their own */
    struct core_incoming incoming;
    struct core_progress progress;
    struct core_ahead ahead;
    struct codec_kept kept; /* empty from the second part of a record on, when it may lie elsewhere */
    struct core_out out;
};

/* The sizes a core begins with. */
extern const struct codec_set_sizes core_first_sizes;

/* Reserve room for these sizes and this many instruments' books; never less than there is. False: no memory, and the state is as it was. */
bool core_reserve(struct core *c, const struct codec_set_sizes *sizes, uint32_t books);

/* ---- Finding -------------------------------------------------------------------------------------------------- */

/* The instrument with this id, or NULL. Valid until the next record. */
static inline struct core_instrument *core_find_instrument(const struct core *c, uint32_t id) {
    uint32_t place = id / CORE_SHARDS - 1;
    return id % CORE_SHARDS == c->shard && place < c->instrument_count ? &c->instruments[place] : NULL;
}

static inline uint32_t core_place_of(const struct core *c, const struct core_instrument *instrument) {
    return (uint32_t)(instrument - c->instruments);
}

/* The instrument of the incoming order. */
static inline struct core_instrument *core_market(struct core *c) { return &c->instruments[c->incoming.instrument]; }

/* The asset (place) that a side gives, and that it receives. */
static inline uint32_t core_asset_given(const struct core_instrument *instrument, uint32_t side) {
    return side == BOOK_BUY ? instrument->quote : instrument->base;
}
static inline uint32_t core_asset_received(const struct core_instrument *instrument, uint32_t side) {
    return side == BOOK_BUY ? instrument->base : instrument->quote;
}

/* What so many lots hold at a price, in what the side gives; within 2^62 for every order that was taken in. The one place
 * where a hold is computed. */
static inline risk_wide core_hold(const struct core_instrument *instrument, uint32_t side, int64_t price_ticks, int64_t lots) {
    if (side == BOOK_SELL) return (risk_wide)lots * instrument->lot_minor;
    return risk_value(price_ticks, lots, instrument->tick_lot_minor);
}

/* The balances of a resting order. */
static inline uint32_t core_gives(const struct book_order *order) { return (uint32_t)order->caller_word; }
static inline uint32_t core_receives(const struct book_order *order) { return (uint32_t)(order->caller_word >> 32); }
static inline uint64_t core_balances_word(uint32_t gives, uint32_t receives) { return (uint64_t)receives << 32 | gives; }

/* ---- Hashes (core.c) ------------------------------------------------------------------------------------------ */

#define CORE_WORDS 12
#define CORE_ORDER_WORDS 12
#define CORE_INSTRUMENT_WORDS 30
#define CORE_MARKET_WORDS 4
void core_image(const struct core *c, uint64_t image[CORE_WORDS]);
void core_order_image(const struct core *c, uint32_t slot, uint64_t image[CORE_ORDER_WORDS]);
void core_instrument_image(const struct core_instrument *instrument, uint64_t image[CORE_INSTRUMENT_WORDS]);
void core_market_image(const struct core_instrument *instrument, uint64_t image[CORE_MARKET_WORDS]);
uint64_t core_order_hash(const struct core *c, uint32_t slot);
uint64_t core_instrument_hash(const struct core_instrument *instrument);
uint64_t core_market_hash(const struct core_instrument *instrument);

/* The hash of everything; that of a state only between records. */
uint64_t core_state_hash(const struct core *c);

/* The instrument's last price or next priority changes in this record. */
static inline void core_touch_market(struct core *c, struct core_instrument *instrument) {
    if (instrument->is_touched) return;
    instrument->is_touched = 1;
    c->touched[c->touched_count++] = core_place_of(c, instrument);
}

/* Sort numbers in place, ascending: heap sort (Williams 1964), which needs no memory and has no bad case (core_query.c). */
void core_sort(uint64_t *numbers, uint32_t count);

/* ---- Orders' lists (core_amend.c) ----------------------------------------------------------------------------- */

/* Put an order into its account's list: its id is above all there. */
void core_list_order(struct core *c, uint32_t slot);
void core_unlist_order(struct core *c, uint32_t slot);

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

/* The rest of a command, by stage. False: the part is full. */
bool core_match(struct core *c);
bool core_cancel_more(struct core *c);
bool core_open_market(struct core *c);

/* Is the command's deadline over? */
static inline bool core_is_expired(const struct core *c) {
    int64_t until_us = c->progress.command->valid_until_us;
    return until_us != 0 && until_us < c->clock_us;
}

/* Phase, quantity and notional of `incoming`, as placed or as it is to be amended to (core_place.c). */
uint8_t core_why_not_size(struct core *c);

/* Post-only and balance of `incoming`, which holds `held_minor` already; fills in the verdict's amounts (core_place.c). */
uint8_t core_why_not_now(struct core *c, int64_t held_minor);

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

/* The order stated last is what the command is answered with. Copied member by member: it was written so a moment ago, and a
 * processor that reads it as one waits for the writes to be done. */
static inline void core_answer_order(struct core *c) {
    struct codec_bytes *order = &c->progress.verdict.order;
    order->at = c->out.order.at;
    order->length = c->out.order.length;
}

void core_say_level(struct core *c, const struct core_instrument *instrument, uint32_t side, int64_t price_ticks, int64_t lots);
void core_say_balance(struct core *c, uint32_t balance, uint32_t account, uint32_t asset);
void core_say_trade(struct core *c, struct codec_trade_event *trade);
void core_say_move(struct core *c);
void core_say_asset(struct core *c, const struct risk_asset *asset);
void core_say_instrument(struct core *c, const struct core_instrument *instrument);
void core_say_account(struct core *c, uint32_t account);
void core_say_cancelled(struct core *c, uint64_t order_id);

/* The mark of the command under way, and, if it is done, its outcome. */
void core_say_mark(struct core *c);
void core_say_outcome(struct core *c);

/* The mark of the batch under way for its commands in this part, and its piece of an answer; `done`: with its head. */
void core_say_batch(struct core *c, bool done);

/* Begin and end a part. */
void core_say_begin(struct core *c);
void core_say_end(struct core *c, bool last);

#endif
