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
 *   core_fees.c   what a fill costs                         core_walk.c    what an order would trade
 *   core_more.c   what only some orders and accounts have   core_wait.c    orders that wait for a price
 *   core_cascade.c  links, and the queue of the triggered   core_group.c   groups and replacements
 *   core_phase.c  phases and moves between them             core_auction.c call auctions
 *   core_guards.c bands, marks, fee markets                 core_kill.c    kill switches
 *   core_halt.c   stops the shard where replicas differ     insist.h       asserts that come back to core_apply
 *   core_time.c   what is due when a record begins          core_laws.h    what these ask of each other
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

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "book.h"
#include "codec.h" /* and core_api.h with it, which has no guard */
#include "hash.h"
#include "insist.h"
#include "names.h"
#include "risk.h"
#include "sessions.h"
#include "timers.h"

#define CORE_SHARDS 1024u
#define CORE_KNOWN_RULES 3u
/* The version from which on there is more than limit and market orders in four phases. */
#define CORE_RULES_MORE 2u
/* The version from which on a shard can be halted, and a debit has a deadline. */
#define CORE_RULES_HALT 3u
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
#define CORE_MAX_MAKER_PPM RISK_MOST_PPM
#define CORE_MAX_TAKER_PPM RISK_MOST_PPM
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

/* All of it 0 but `more`, which means nothing then. */
static inline void core_clear_incoming(struct core_incoming *in) { clear_bytes(in, offsetof(struct core_incoming, more)); }

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
static inline void core_clear_verdict(struct core_verdict *verdict) { clear_bytes(verdict, sizeof *verdict); }

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
    bool is_skipped;          /* core_skip: all of its commands end as engine_refused */
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

/* Where a command's account was found, the order it names, and the balances of an order to be placed, when it was looked at
 * before its turn. An account stays where it is; the rest may be wrong by then, and is looked at again. */
struct core_found {
    uint32_t account; /* or RISK_NONE: it was not known then */
    uint32_t slot;    /* or BOOK_NONE */
    uint32_t base;
    uint32_t quote;
    bool has_balances; /* the last two mean something */
};

/* Commands that were looked at before it is their turn, so that what they touch could be brought near meanwhile: where they begin,
 * what they say, and room for those that the check did not keep. */
#define CORE_AHEAD 32u
struct core_ahead {
    uint32_t count; /* how many there are; 0 between calls */
    uint32_t next;  /* which of them is to begin next */
    const uint8_t *starts[CORE_AHEAD];
    const struct codec_command *commands[CORE_AHEAD];
    struct core_found found[CORE_AHEAD];
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
    struct codec_number now_us; /* the clock */
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
    uint64_t halt_sequence;   /* of the Halt that stopped the shard; 0: it trades */
    uint64_t resume_sequence; /* of the last Resume; 0: there was none */
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
    struct core_failure failure; /* of the assertion that spoilt it; no rule: none did */
};

/* The sizes a core begins with. */
extern const struct codec_set_sizes core_first_sizes;

/* An empty core with these sizes, and room for them; free it with core_free. CORE_OK, CORE_FOREIGN if there is no such shard, or
 * CORE_NO_ROOM. */
int core_open(uint32_t shard, const struct codec_set_sizes *sizes, struct core **out);

/* Reserve room for these sizes and this many instruments' books; never less than there is. False: no memory, and the state is as it was. */
bool core_reserve(struct core *c, const struct codec_set_sizes *sizes, uint32_t books);

/* ---- Finding -------------------------------------------------------------------------------------------------- */

/* What was found ahead for the command under way, and the place of its account, or RISK_NONE. */
static inline const struct core_found *core_found(const struct core *c) { return &c->ahead.found[c->ahead.next - 1]; }
static inline uint32_t core_sender(const struct core *c) {
    uint32_t account = core_found(c)->account;
    return account != RISK_NONE ? account : risk_find_account(&c->risk, c->progress.command->account);
}

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
#define CORE_HALT_WORDS 2
void core_image(const struct core *c, uint64_t image[CORE_WORDS]);
static inline void core_order_image(const struct core *c, uint32_t slot, uint64_t image[CORE_ORDER_WORDS]) {
    const struct book_order *order = book_order_at(c->pool, slot);
    const struct core_cold *cold = &c->cold[slot];
    image[0] = order->order_id;
    image[1] = (uint64_t)order->price_ticks;
    image[2] = (uint64_t)order->remaining_lots;
    image[3] = order->priority;
    image[4] = (uint64_t)order->book << 32 | order->owner;
    image[5] = (uint64_t)order->post_only << 16 | (uint64_t)order->self_trade << 8 | order->side;
    image[6] = (uint64_t)cold->quantity_lots;
    image[7] = (uint64_t)cold->filled_quote_minor;
    image[8] = (uint64_t)cold->fee_minor;
    image[9] = (uint64_t)cold->created_us;
    image[10] = (uint64_t)cold->updated_us;
    image[11] = cold->sequence;
}
void core_more_image(const struct core *c, uint32_t slot, uint64_t image[CORE_MORE_WORDS]);
void core_instrument_image(const struct core_instrument *instrument, uint64_t image[CORE_INSTRUMENT_WORDS]);
void core_guards_image(const struct core_instrument *instrument, uint64_t image[CORE_GUARDS_WORDS]);
void core_market_image(const struct core_instrument *instrument, uint64_t image[CORE_MARKET_WORDS]);
void core_halt_image(const struct core *c, uint64_t image[CORE_HALT_WORDS]);
/* Of both halves, and of what is more. */
uint64_t core_order_hash(const struct core *c, uint32_t slot);
uint64_t core_instrument_hash(const struct core_instrument *instrument);
uint64_t core_market_hash(const struct core_instrument *instrument);
/* 0 where nothing was ever halted. */
uint64_t core_halt_hash(const struct core *c);

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

#include "core_laws.h"

#endif
