/* The state machine over command records, as its own files see it; core_api.h is what others see.
 *
 * What a core is made of:
 *   book    the order books, all in one pool; an order's hot half is its slot there
 *   cold    the other half of an order, by the same slot: what an owner is told, what matching does not need
 *   risk    accounts, assets, balances
 *   more    what only some orders have, by the same slot: triggers, hidden lots, expiry, groups
 *   timers  what is due at a time: orders, dead man's switches, phases
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
#include "timers.h"

#define CORE_SHARDS 1024u
#define CORE_KNOWN_RULES 2u
/* The version from which on there is more than limit and market orders in four phases. */
#define CORE_RULES_MORE 2u
/* The most trailing stops that may wait in an instrument: a price may have to move all of them. */
#define CORE_MAX_TRAILING 1024u
/* The most tips an iceberg may need. */
#define CORE_MOST_TIPS 100
#define CORE_MAX_BAND_PPM 1000000u
#define CORE_SECOND_US INT64_C(1000000)
#define CORE_DAY_US INT64_C(86400000000)
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
    uint32_t has_more; /* 1: there is more of it in core.more */
};
_Static_assert(sizeof(struct core_cold) == 64, "an order is two cache lines");

/* Where an order that was taken in is. */
enum core_whereabouts {
    ORDER_IN_BOOK = 0,
    ORDER_WAITS_LAST = 1, /* in its instrument's waiting[0], at the price that triggers it */
    ORDER_WAITS_MARK = 2, /* in waiting[1] */
    ORDER_PARKED = 3,     /* an exit whose entry is open; in core.parked */
    ORDER_LET_OUT = 4,    /* an exit whose entry has ended, in core.queue; this and the next two never between records */
    ORDER_QUEUED = 5,     /* it was triggered; in core.queue */
    ORDER_UNDER_WAY = 6,  /* it is `incoming` */
};

/* What only some orders have. Meaningful, and hashed, where core_cold.has_more is set. While an order waits, its price in the
 * hot half is the one that triggers it (or lets it follow), its remaining_lots there are 1, and its side there says which way the
 * price has to go: buy for a fall, sell for a rise. What remains of it is its quantity: it has not traded. */
struct core_more {
    int64_t price_ticks;      /* its own price: of a limit order, now or later; else 0 */
    int64_t trigger_ticks;
    int64_t trail_ticks;
    int64_t activation_ticks;
    int64_t peak_ticks;
    int64_t triggered_us;
    int64_t hidden_lots;      /* behind what rests */
    int64_t display_lots;
    int64_t min_fill_lots;
    int64_t expires_us;
    int64_t protection_ticks;
    int64_t quote_minor;
    int64_t other_fee_minor;
    uint64_t group;           /* order_id of its group's first order, or 0 */
    uint32_t other_fee_asset; /* number */
    uint32_t trail_ppm;
    uint32_t timer;           /* in timers, or TIMER_NONE */
    uint32_t trail_older;     /* trailing stops of the instrument, by ascending id: slots */
    uint32_t trail_younger;
    uint8_t side;             /* enum book_side: the order's own */
    uint8_t type;             /* enum order_type */
    uint8_t time_in_force;
    uint8_t trigger_by;       /* enum trigger_by: 0 for orders that do not wait */
    uint8_t group_kind;       /* enum group_kind */
    uint8_t group_member;
    uint8_t whereabouts;      /* enum core_whereabouts */
};

/* Slots in a row, linked through the hot halves of orders that rest nowhere. */
struct core_row {
    uint32_t first;
    uint32_t last;
};

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
    uint64_t market_hash; /* of last price, next priority and stamp as they were at the end of the last record */
    int64_t tick_units;
    uint32_t tick_scale;
    uint16_t tiers; /* a bit for each tier that has rates of its own */
    int64_t mark_ticks;
    int64_t reference_ticks;
    int64_t volatility_auction_us;
    int64_t phase_until_us;
    uint32_t static_band_ppm;
    uint32_t dynamic_band_ppm;
    uint32_t fee_market;     /* id */
    uint32_t fee_discount_ppm;
    uint32_t timer;          /* of phase_until_us, or TIMER_NONE */
    uint32_t first_trailing, last_trailing, trailing_count;
    uint64_t waiting_stamp; /* given to the last order that came to its trigger, in either book */
    uint32_t waits[2];       /* how many orders are in each of those below */
    struct book *waiting[2]; /* orders that wait for the last price, for the mark price: buys are triggered by a fall */
    uint32_t icebergs;       /* resting orders with something hidden */
    uint8_t is_auction_touched; /* in this record: its indicative price is to be stated */
    uint8_t phase;
    uint8_t is_touched; /* in this record: it is in core.touched */
    int32_t maker_ppm[CORE_TIERS]; /* tiers without rates of their own have tier 0's */
    int32_t taker_ppm[CORE_TIERS];
    char symbol[CORE_SYMBOL_BYTES]; /* zero behind its length */
    uint8_t symbol_length;
};

/* Prices, both included. */
struct core_band {
    int64_t low_ticks;
    int64_t high_ticks;
};
static inline bool core_is_within(struct core_band band, int64_t price_ticks) {
    return price_ticks >= band.low_ticks && price_ticks <= band.high_ticks;
}

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
    bool is_market;         /* it has no price: a market order, or one that was triggered to be one */
    bool has_more;          /* `more` means something */
    bool has_traded;        /* since it arrived */
    bool meets_nobody;      /* the market gathers */
    bool is_banded;         /* the next trade would leave the band */
    struct core_band band;  /* as it was when it arrived */
    uint8_t state;          /* enum order_state: OPEN until it has ended */
    uint8_t reason;         /* enum end_reason */
    uint32_t fee_balance;   /* the balance other than `receives` that a fee was taken from since it arrived, or RISK_NONE */
    int64_t first_trade_ticks; /* since it arrived; 0: none */
    int64_t last_trade_ticks;
    struct core_more more;
};

/* Where a command under way goes on. */
enum core_stage {
    STAGE_DECIDE,     /* it has not begun */
    STAGE_MATCH,      /* `incoming` is in the book */
    STAGE_CANCEL_ALL, /* `next_slot` is the next open order to look at */
    STAGE_MARKET,     /* older instruments from `next_instrument` on are to be closed before the new one is stated */
    STAGE_MOVE,       /* a market goes from one phase to another: `move` says how far it is */
    STAGE_KILL,       /* everything in `cancel_instrument` ends; `kill_step` says where it is */
    STAGE_GROUP,      /* `next_member` of its orders have been placed */
    STAGE_REPLACE,    /* the target has ended; the order that takes its place is to set out */
    STAGE_CASCADE,    /* what it did itself is done; what that triggered is in the queue */
    STAGE_DONE,       /* nothing is left but its mark */
};

/* Where the record under way is. */
enum core_chapter {
    CHAPTER_TIME,     /* what is due */
    CHAPTER_BATCHES,
    CHAPTER_AUCTIONS, /* indicative prices */
};

/* How a command is answered, so far. */
struct core_verdict {
    uint8_t refusal; /* enum refusal */
    bool repeated;
    uint64_t order_id;
    uint64_t created_id;
    int64_t needed_minor;
    int64_t available_minor;
    uint32_t member;
    uint64_t target;        /* the order that was to be replaced; its last words are `orders[1]` */
    bool lists_cancelled;   /* the answer lists what ends cancelled */
    uint32_t count;         /* of the command's own orders: order_id and those after it; at least 1 where there is one */
    struct codec_bytes orders[CODEC_GROUP]; /* as they stand after the command, encoded; in this part's events, or in `scrap` */
};

/* A market's move from one phase to another. */
struct core_move {
    uint32_t place;       /* of the instrument */
    uint8_t step;
    bool uncrosses;
    bool ends_auction;
    bool wakes;           /* what waited for continuous trading */
    bool has_traded;
    enum core_stage returns; /* the stage after it */
    int64_t price_ticks;  /* of the auction under way; 0: to be found */
    uint32_t other;       /* the second of two own orders that met; it loses other_lots, or ends */
    int64_t other_lots;
    uint32_t slot;        /* the next order to look at */
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
    const struct codec_command *command; /* under way; in core.kept or core.ahead; NULL while time passes */
    enum core_chapter chapter;
    enum core_stage stage;
    enum core_stage after_match; /* where STAGE_MATCH leads */
    uint32_t next_member;
    bool has_time_mark;       /* something was due: the mark of time is under way */
    uint8_t cancel_reason;    /* enum end_reason, in STAGE_CANCEL_ALL */
    uint32_t cancel_instrument; /* id, or 0 for all */
    uint32_t kill_step;
    uint32_t next_auction;    /* place of the next instrument whose indicative price is to be looked at */
    struct core_move move;
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
    uint8_t scrap[CODEC_GROUP][CODEC_ORDER_BYTES];
};

/* An order to which something is to happen before anything else does, because of one it is linked to. */
struct core_link {
    uint32_t slot;
    int64_t lots; /* that come off it; 0: it ends */
};
#define CORE_LINKS 4

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
    struct core_more *more;
    int64_t *hidden;         /* lots behind each level, by its number in the pool */
    struct timers timers;
    struct core_row queue;   /* orders to be decided when what is under way is done; empty between records */
    struct core_row parked;  /* exits whose entry is open, by ascending id */
    struct core_link links[CORE_LINKS];
    uint32_t link_count;
    struct core_instrument *instruments;
    uint32_t *touched;       /* instruments whose market hash is behind */
    uint32_t instrument_count, instrument_room;
    uint32_t book_count;     /* instruments with a book: those to come in this record have theirs already */
    uint32_t touched_count;
    uint32_t auctions_touched; /* instruments with is_auction_touched */
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

/* A book of waiting orders has its instrument's number, and says what they look at in a bit above it. */
#define CORE_WAITING_SHIFT 30
static inline uint32_t core_waiting_number(uint32_t place, uint32_t kind) { return place | (kind + 1) << CORE_WAITING_SHIFT; }

/* The place of an order's instrument, wherever the order is. */
static inline uint32_t core_order_place(const struct book_order *order) {
    return order->book & ((UINT32_C(1) << CORE_WAITING_SHIFT) - 1);
}

/* Does an order wait for a price there? */
static inline bool core_waits(uint8_t whereabouts) { return whereabouts == ORDER_WAITS_LAST || whereabouts == ORDER_WAITS_MARK; }

/* Where an order is: enum core_whereabouts. */
static inline uint8_t core_whereabouts(const struct core *c, uint32_t slot) {
    return c->cold[slot].has_more ? c->more[slot].whereabouts : ORDER_IN_BOOK;
}

/* Put how much of a resting order is hidden: what its level hides follows. */
static inline void core_put_hidden(struct core *c, uint32_t slot, int64_t lots) {
    struct core_more *more = &c->more[slot];
    const struct book_order *order = book_order_at(c->pool, slot);
    struct core_instrument *instrument = &c->instruments[order->book];
    instrument->icebergs += (uint32_t)(lots != 0) - (uint32_t)(more->hidden_lots != 0);
    c->hidden[order->level] += lots - more->hidden_lots;
    more->hidden_lots = lots;
}

/* How much of a resting order is hidden. */
static inline int64_t core_hidden(const struct core *c, uint32_t slot) {
    return c->cold[slot].has_more ? c->more[slot].hidden_lots : 0;
}

/* May a market's book be crossed in this phase? Where orders trade as they arrive it may not. */
static inline bool core_may_cross(uint8_t phase) { return phase != PHASE_CONTINUOUS && phase != PHASE_POST_ONLY; }

/* Does the phase take orders without letting them meet? */
static inline bool core_gathers(uint8_t phase) {
    return phase == PHASE_PRE_OPEN || phase == PHASE_OPENING_AUCTION || phase == PHASE_VOLATILITY_AUCTION ||
           phase == PHASE_CLOSING_AUCTION;
}

/* The balances of a resting order. */
static inline uint32_t core_gives(const struct book_order *order) { return (uint32_t)order->caller_word; }
static inline uint32_t core_receives(const struct book_order *order) { return (uint32_t)(order->caller_word >> 32); }
static inline uint64_t core_balances_word(uint32_t gives, uint32_t receives) { return (uint64_t)receives << 32 | gives; }

/* ---- Hashes (core.c) ------------------------------------------------------------------------------------------ */

#define CORE_WORDS 12
#define CORE_ORDER_WORDS 12
#define CORE_MORE_WORDS 18
#define CORE_INSTRUMENT_WORDS 30
#define CORE_GUARDS_WORDS 8
#define CORE_MARKET_WORDS 4
void core_image(const struct core *c, uint64_t image[CORE_WORDS]);
void core_order_image(const struct core *c, uint32_t slot, uint64_t image[CORE_ORDER_WORDS]);
void core_more_image(const struct core *c, uint32_t slot, uint64_t image[CORE_MORE_WORDS]);
void core_instrument_image(const struct core_instrument *instrument, uint64_t image[CORE_INSTRUMENT_WORDS]);
void core_guards_image(const struct core_instrument *instrument, uint64_t image[CORE_GUARDS_WORDS]);
void core_market_image(const struct core_instrument *instrument, uint64_t image[CORE_MARKET_WORDS]);
/* Of both halves, and of what is more. */
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

/* The book or the phase of an instrument that gathers, or did, changes in this record. */
static inline void core_touch_auction(struct core *c, struct core_instrument *instrument) {
    c->auctions_touched += !instrument->is_auction_touched;
    instrument->is_auction_touched = 1;
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
void core_set_guards(struct core *c);    /* core_guards.c */
void core_set_mark(struct core *c);
void core_set_fee_market(struct core *c);
void core_set_dead_man(struct core *c);  /* core_time.c */
void core_kill(struct core *c);          /* core_kill.c */
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

/* Is the command's deadline over? */
static inline bool core_is_expired(const struct core *c) {
    int64_t until_us = c->progress.command->valid_until_us;
    return until_us != 0 && until_us < c->clock_us;
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
void core_say_balance(struct core *c, uint32_t balance, uint32_t account, uint32_t asset);
/* Of the balance that a fee was taken from. */
void core_say_fee_balance(struct core *c, uint32_t balance, uint32_t account);
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
