/* The order book of one instrument: price levels, queues of orders, matching step by step.
 *
 * A book knows prices in ticks and quantities in lots. It knows no account, money, fee, clock or float; it calls
 * nobody back, has no globals and allocates only in the calls that say so. One thread at a time may use a pool and
 * the books in it. Same calls, same book, on every machine.
 *
 * Two ways to use it:
 *   1. alone: book_place, book_cancel, book_amend, book_continue follow the rules for limit and market orders,
 *      time in force, post-only and self-trade prevention, and write reports into the caller's buffer (example.c);
 *   2. as the part of an engine: book_meet, book_fill, book_rest, ... are the steps those four are made of. The
 *      engine may stop after any step, its own buffers being full, and go on later.
 *
 * Structure. Orders are 64 bytes, one cache line, in an array indexed by a 32-bit slot; slot 0 means none. A caller
 * keeps a slot as its handle, and cold data in an array of its own under the same slot. The pool of orders is shared
 * by as many books as one likes, and so are the 32-byte levels: a level exists while it has orders, so there are
 * never more of them than orders. Each side of a book finds its levels in one of two places:
 *   - the window: BOOK_WINDOW neighbouring prices around the touch, a ring of 32-bit level numbers under a bitmap of
 *     two steps. It follows the touch; levels themselves never move, only their numbers do;
 *   - the far tree: every level worse than the window, in a 16-wide hierarchy of bitmaps that skips the steps at
 *     which nothing branches (PATRICIA, Morrison 1968). It has fewer nodes than levels, at most 16 on one path.
 * A side orders its levels by a key that is lower when better: the price itself for sells, its complement for buys.
 * That is the whole difference between the sides; there is one code path.
 *
 * Cost. Best order, next order, rest, fill, remove, reduce: constant inside the window; outside it a walk of as many
 * steps of the far tree as 16-fold ranges hold more than one level, mostly 2 to 5. Moving the window moves numbers of
 * levels that were created or brought in one by one before, so it is paid for: constant when averaged over all calls,
 * at worst BOOK_WINDOW levels in one call.
 *
 * Memory. A pool takes 64 + 32 + 80 + 12..20 bytes an order of its limit, all at its opening and only reserved: what
 * was never used stays untouched. A book takes 34 KB, of which an idle one touches 4 KB.
 *
 * Nothing can fail half way. The only things that run out are the orders of the pool and the lots of a side; both are
 * known before anything changes, are named, and depend on the orders alone: neither on slots nor on where the window
 * happens to stand, so a book restored from a snapshot refuses exactly what the first would have refused.
 *
 * Asserts check what the caller promised; keep them on. */

#ifndef BOURSE_BOOK_H
#define BOURSE_BOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Prices a side finds without the far tree; a power of two, and 64 × 64 so that two bitmap steps suffice. */
#define BOOK_WINDOW 4096
/* No order, level or slot. */
#define BOOK_NONE 0u
/* Highest price, and most lots of an order; also the most lots all orders of one side may have together. */
#define BOOK_MAX_PRICE (INT64_C(1) << 62)
#define BOOK_MAX_LOTS (INT64_C(1) << 62)
/* A taker's limit that every resting order satisfies. */
#define BOOK_ANY_PRICE INT64_C(0)
/* Most orders a pool can hold: a bit of a number tells levels from nodes in the far tree, and ids that share a home. */
#define BOOK_MAX_ORDERS UINT32_C(0x7FFFFFF0)
/* A report buffer has room for at least this many: the most that one step writes, and the last word on the order. */
#define BOOK_MIN_REPORTS 8

enum book_side { BOOK_BUY = 0, BOOK_SELL = 1 };

/* What happens when an incoming order meets a resting one of the same owner, in the incoming order's mode. */
enum book_self_trade {
    BOOK_SELF_TRADE_NONE = 0,         /* they trade */
    BOOK_SELF_TRADE_CANCEL_MAKER = 1, /* the resting one goes, the incoming one goes on */
    BOOK_SELF_TRADE_CANCEL_TAKER = 2, /* what is left of the incoming one goes */
    BOOK_SELF_TRADE_CANCEL_BOTH = 3,
    BOOK_SELF_TRADE_DECREMENT = 4, /* the smaller remainder comes off both, without a trade */
};

/* An order of the pool. To be read by anybody, written by the book alone, except caller_word. */
struct book_order {
    uint64_t order_id;      /* the caller's; unique in the pool */
    int64_t price_ticks;    /* 1..BOOK_MAX_PRICE */
    int64_t remaining_lots; /* above 0 while it rests */
    uint64_t priority;      /* given when it rests, growing: at one price the lower trades first */
    uint64_t caller_word;   /* the caller's; the book never looks at it */
    uint32_t owner;         /* the caller's; equal owners do not trade with each other unless they say so */
    uint32_t book;          /* the number given to book_open */
    uint32_t level;         /* of its price; BOOK_NONE while it is claimed but does not rest */
    uint32_t next;          /* the next younger order at its price */
    uint32_t previous;      /* the next older one */
    uint8_t side;           /* enum book_side */
    uint8_t self_trade;     /* enum book_self_trade: its own mode, for an amend that trades */
    uint8_t post_only;      /* 1: an amend that would trade is refused */
    uint8_t unused;
};
_Static_assert(sizeof(struct book_order) == 64, "an order is one cache line");

/* The orders resting at one price of one side, oldest first. */
struct book_level {
    int64_t key; /* lower is better; book_level_price turns it into ticks */
    int64_t lots;
    uint32_t first;
    uint32_t last;
    uint32_t orders;
    uint32_t side;
};
_Static_assert(sizeof(struct book_level) == 32, "two levels are one cache line");

/* One node of a far tree: the levels whose keys share all bits above `shift + 4`, split by the four bits above
 * `shift`. A child is a node, or with BOOK_FAR_LEVEL set a level. Every node has two children at least. */
struct book_far_node {
    uint64_t prefix;
    uint32_t child[16];
    uint16_t present;
    uint8_t shift;
    uint8_t unused[5];
};
#define BOOK_FAR_LEVEL UINT32_C(0x80000000)

/* Where an order's id is found: by home, the slot of the order that was last placed with an id of this home. Other ids
 * of one home are linked behind it. Sixteen homes share a cache line, and consecutive ids have consecutive homes: what
 * is cancelled soonest was placed last. */
#define BOOK_ID_SHARED UINT32_C(0x80000000) /* with a slot: another one follows in next[slot] */
struct book_ids {
    uint32_t *first; /* by home; BOOK_NONE: no id has it */
    uint32_t *next;  /* by slot; means something only where BOOK_ID_SHARED says so */
    uint32_t mask;   /* 2^bits homes, at least twice as many as orders */
    uint8_t bits;
    uint8_t id_shift; /* low bits of an id that are the same in all, and so say nothing */
};

/* Orders, levels and nodes of the far trees for any number of books. */
struct book_pool {
    struct book_order *orders;
    struct book_level *levels;
    struct book_far_node *nodes;
    struct book_ids ids;
    uint32_t order_limit; /* how many orders there may be: claims beyond are refused */
    uint32_t reserved;    /* how many there is room for; never below the limit */
    uint32_t order_count; /* claimed now, resting or not */
    uint32_t level_count;
    uint32_t node_count;
    uint32_t free_order, fresh_order; /* freed ones, last in first out; the lowest that was never used */
    uint32_t free_level, fresh_level;
    uint32_t free_node, fresh_node;
};

/* One side. Everything below the best few fields is the book's own business. */
struct book_half {
    int64_t key_mask;    /* price ^ key_mask = key */
    int64_t best_key;    /* INT64_MAX when the side is empty */
    uint32_t best_level; /* BOOK_NONE when the side is empty */
    uint32_t far_root;   /* a child as in book_far_node; 0: nothing is far */
    int64_t lots;        /* of all orders resting on this side */
    uint32_t order_count;
    uint32_t level_count;
    int64_t base_key;      /* the window holds keys from here ... */
    int64_t edge_key;      /* ... to below here; levels from here on are far */
    uint64_t words_in_use; /* one bit for each word of the bitmap that is not 0 */
    uint64_t words[BOOK_WINDOW / 64];
};

/* One instrument's book. */
struct book {
    struct book_pool *pool;
    uint64_t next_priority; /* the stamp the next order to rest will get; starts at 1 */
    uint32_t number;
    bool may_cross; /* the caller's: bids may stand at or above asks, as while an auction gathers */
    struct book_half half[2];        /* by enum book_side */
    uint32_t window[2][BOOK_WINDOW]; /* level numbers; an entry means something only where its bit is set */
};

/* ---- Pools and books ------------------------------------------------------------------------------------------ */

/* Reserve room for order_limit orders (1..BOOK_MAX_ORDERS) in any number of books. Where all ids share their low bits,
 * as in counter × 1024 + shard, id_shift (0..63) names how many: it only makes lookups faster. NULL: no memory. */
struct book_pool *book_pool_open(uint32_t order_limit, uint8_t id_shift);

/* Change the limit, growing the room when it is above what is reserved (the one call after opening that allocates;
 * linear in the pool). Slots stay as they are, pointers into the pool do not. A limit below the orders there are only
 * refuses new ones. False: no memory or out of range, and nothing changed. */
bool book_pool_set_limit(struct book_pool *pool, uint32_t order_limit);

/* Give the memory back; books of this pool may only be closed afterwards. NULL is fine. */
void book_pool_close(struct book_pool *pool);

/* An empty book in this pool. The number is the caller's (the dense index of an instrument) and stands in every order
 * of the book; numbers in one pool differ. NULL: no memory. */
struct book *book_open(struct book_pool *pool, uint32_t number);

/* Give the book's memory back. Orders that still rest stay claimed in the pool: remove them before, or close the pool.
 * NULL is fine. */
void book_close(struct book *book);

/* How many more orders can be claimed. */
static inline uint32_t book_pool_room(const struct book_pool *pool) {
    return pool->order_count < pool->order_limit ? pool->order_limit - pool->order_count : 0;
}

/* The order in a slot. Valid until it is released, or the pool's limit grows. */
static inline struct book_order *book_order_at(const struct book_pool *pool, uint32_t slot) {
    return &pool->orders[slot];
}

/* The slot of the claimed order with this id, in whichever book, or BOOK_NONE. */
uint32_t book_find(const struct book_pool *pool, uint64_t order_id);

/* Bring near what book_find would look at first, for a caller who knows beforehand what it will look for. Changes nothing. */
void book_warm(const struct book_pool *pool, uint64_t order_id);

/* The slot in which book_find would look for this order first, without looking into it; BOOK_NONE: the order is not there. */
uint32_t book_guess(const struct book_pool *pool, uint64_t order_id);

/* ---- Looking at a book ---------------------------------------------------------------------------------------- */

static inline enum book_side book_opposite(enum book_side side) { return (enum book_side)(side ^ 1); }

/* Best price of a side in ticks, 0 when it is empty. */
static inline int64_t book_best_price(const struct book *book, enum book_side side) {
    const struct book_half *half = &book->half[side];
    return half->best_level == BOOK_NONE ? 0 : half->best_key ^ half->key_mask;
}

/* Would an order of this side with this limit (BOOK_ANY_PRICE: any) meet a resting order? */
static inline bool book_would_cross(const struct book *book, enum book_side side, int64_t limit_ticks) {
    const struct book_half *against = &book->half[side ^ 1];
    if (limit_ticks == BOOK_ANY_PRICE) return against->best_level != BOOK_NONE;
    return against->best_key <= (limit_ticks ^ against->key_mask);
}

/* The resting order that an incoming order of this side and limit trades with next: the oldest at the best opposite
 * price, or BOOK_NONE. Own orders are not skipped; self-trade prevention is the caller's next step. */
static inline uint32_t book_meet(const struct book *book, enum book_side side, int64_t limit_ticks) {
    if (!book_would_cross(book, side, limit_ticks)) return BOOK_NONE;
    return book->pool->levels[book->half[side ^ 1].best_level].first;
}

/* Would resting this many lots keep the side within BOOK_MAX_LOTS? What rests is always within, so no sum overflows. */
static inline bool book_side_has_room(const struct book *book, enum book_side side, int64_t lots) {
    return lots <= BOOK_MAX_LOTS - book->half[side].lots;
}

/* The levels of a side, best first: for depth. A level number is valid until the book changes; its fields are in
 * book_level_at (lots, orders, first), its price in book_level_price. BOOK_NONE ends the walk. */
static inline uint32_t book_best_level(const struct book *book, enum book_side side) {
    return book->half[side].best_level;
}
uint32_t book_next_level(const struct book *book, uint32_t level);
static inline const struct book_level *book_level_at(const struct book *book, uint32_t level) {
    return &book->pool->levels[level];
}
static inline int64_t book_level_price(const struct book *book, uint32_t level) {
    const struct book_level *at = &book->pool->levels[level];
    return at->key ^ book->half[at->side].key_mask;
}

/* The orders of a side in the order in which they would trade: start with book_best_order, go on with
 * book_next_order, BOOK_NONE ends. A slot is all the cursor there is: fetch the next before removing one. Compare
 * price_ticks with a limit to stop early. */
static inline uint32_t book_best_order(const struct book *book, enum book_side side) {
    uint32_t level = book->half[side].best_level;
    return level == BOOK_NONE ? BOOK_NONE : book->pool->levels[level].first;
}
uint32_t book_next_order(const struct book *book, uint32_t slot);

/* Could an incoming order be filled completely as the book stands (fill or kill)? `lots` above 0.
 *   none: own orders count and trade;  cancel maker: own orders do not count;
 *   otherwise an own order met before the last lot makes it unfillable.
 * Linear in the orders it would trade with; by whole levels where the owner does not matter. */
bool book_fillable(const struct book *book, enum book_side side, int64_t limit_ticks, int64_t lots, uint32_t owner,
                   enum book_self_trade self_trade);

/* ---- Steps ---------------------------------------------------------------------------------------------------- */

/* What an order is apart from price and quantity. */
struct book_entry {
    uint64_t order_id;  /* not claimed in this pool now */
    uint32_t owner;
    uint8_t side;       /* enum book_side */
    uint8_t self_trade; /* enum book_self_trade */
    uint8_t post_only;  /* 0 or 1 */
};

/* Take a slot for an order of this book; it can be found by its id but does not rest. Its price and remaining are 0
 * until it is attached, caller_word is 0. BOOK_NONE: the pool is full. An order that never rests needs no slot. */
uint32_t book_claim(struct book *book, const struct book_entry *entry);

/* Put a claimed order at the back of its price with a new priority. The caller has checked that it would not cross
 * and book_side_has_room. Cannot fail. */
void book_attach(struct book *book, uint32_t slot, int64_t price_ticks, int64_t lots);

/* As book_attach with a stamp from a snapshot: above those of the orders already at this price, at least 1. The next
 * stamp will be above it. Attaching the orders of a snapshot by ascending stamp, or side by side best first as
 * book_next_order lists them, gives the same book. next_priority is the caller's to save and to set afterwards. */
void book_attach_stamped(struct book *book, uint32_t slot, int64_t price_ticks, int64_t lots, uint64_t priority);

/* Take a resting order out of its queue; slot, id and fields stay, remaining_lots too, for an amend that goes to the
 * back. Then book_attach it again or book_release it. */
void book_detach(struct book *book, uint32_t slot);

/* Make a claimed order that rests nowhere one of this book of the same pool, on this side. */
static inline void book_hand_over(const struct book *book, uint32_t slot, enum book_side side) {
    struct book_order *order = &book->pool->orders[slot];
    order->book = book->number;
    order->side = (uint8_t)side;
}

/* Give back a claimed order that does not rest. Its slot may be used by the next claim. */
void book_release(struct book *book, uint32_t slot);

/* book_claim and book_attach in one. BOOK_NONE: the pool is full, nothing changed. */
uint32_t book_rest(struct book *book, const struct book_entry *entry, int64_t price_ticks, int64_t lots);

/* book_detach and book_release in one: a cancel. */
void book_remove(struct book *book, uint32_t slot);

/* Trade lots (1..remaining) with the order that book_meet returned. Returns what is left of it; at 0 it is removed and
 * released, so read what you need before. */
int64_t book_fill(struct book *book, uint32_t slot, int64_t lots);

/* Take lots (1..remaining - 1) off any resting order; it keeps its place. */
void book_reduce(struct book *book, uint32_t slot, int64_t lots);

/* ---- A book by itself ----------------------------------------------------------------------------------------- */

enum book_type { BOOK_LIMIT = 0, BOOK_MARKET = 1 };

enum book_time_in_force { BOOK_GTC = 0, BOOK_IOC = 1, BOOK_FOK = 2 };

/* What a call came to. From BOOK_BAD_ORDER on: refused, nothing changed, nothing reported; the first that applies. */
enum book_result {
    BOOK_DONE = 0,
    BOOK_MORE = 1,       /* the report buffer is full: empty it and call book_continue before anything else */
    BOOK_BAD_ORDER = 2,  /* a price, quantity or choice out of range, or choices that exclude each other */
    BOOK_BUFFER_TOO_SMALL = 3, /* less than BOOK_MIN_REPORTS left */
    BOOK_ORDER_UNKNOWN = 4,    /* cancel, amend: no such order in this book */
    BOOK_ORDER_EXISTS = 5,     /* place: the id is in use in this pool */
    BOOK_POOL_FULL = 6,        /* place, for what could rest: no order left in the pool */
    BOOK_SIDE_FULL = 7,        /* for what could rest: more than BOOK_MAX_LOTS on its side */
    BOOK_POST_ONLY_WOULD_TRADE = 8,
};

enum book_report_kind {
    BOOK_ACCEPTED = 1, /* place: lots wanted */
    BOOK_AMENDED = 2,  /* amend: its new price, lots now wanted; the only report if it kept its place */
    BOOK_TRADE = 3,    /* order_id the resting order, other_id the incoming one; lots traded at the resting price.
                          left_lots of the resting one: at 0 it has ended, no other report says so */
    BOOK_REDUCED = 4,  /* self-trade prevention took lots off order_id without a trade */
    BOOK_ENDED = 5,    /* for `reason`, with left_lots not traded */
    BOOK_RESTED = 6,   /* the incoming order rests with left_lots */
};

enum book_reason {
    BOOK_NO_REASON = 0,
    BOOK_FILLED = 1,          /* the incoming order traded in full */
    BOOK_BY_OWNER = 2,        /* cancelled */
    BOOK_SELF_TRADE = 3,      /* self-trade prevention took it, or its last lots */
    BOOK_IOC_REMAINDER = 4,
    BOOK_FOK_UNFILLABLE = 5,
    BOOK_NO_LIQUIDITY = 6,    /* a market order's remainder */
};

/* What happened, in the order in which it happened. Every incoming order, and every amended one that went to
 * the back, ends with exactly one BOOK_ENDED or BOOK_RESTED of its own. */
struct book_report {
    uint64_t order_id;
    uint64_t other_id;   /* BOOK_TRADE: the incoming order; else 0 */
    int64_t price_ticks; /* of the trade, or of the order; 0 for a market order without protection */
    int64_t lots;        /* traded, taken off, or wanted */
    int64_t left_lots;   /* what order_id still wants after this */
    uint32_t owner;      /* of order_id */
    uint8_t kind;        /* enum book_report_kind */
    uint8_t reason;      /* enum book_reason; BOOK_NO_REASON unless BOOK_ENDED */
    uint8_t side;        /* of order_id */
    uint8_t unused;
};

/* An incoming order. The caller fills it in up to the line (zero the rest); book_continue needs it unchanged. */
struct book_taker {
    struct book_entry entry;
    int64_t price_ticks; /* limit: 1..BOOK_MAX_PRICE; market: the worst price it may reach, or BOOK_ANY_PRICE */
    int64_t lots;        /* 1..BOOK_MAX_LOTS; afterwards what is left */
    uint8_t type;          /* enum book_type; BOOK_MARKET goes with BOOK_IOC only */
    uint8_t time_in_force; /* enum book_time_in_force; post_only goes with BOOK_GTC only */
    /* ------------------------------------------------------------------------------------------------ */
    uint8_t stage;
    uint8_t reason;
    uint32_t slot;
};

/* Place an order. Reports are written at reports[*used] and after, never at or beyond reports[capacity]; *used counts
 * them. BOOK_MORE: the order is still under way, see there. */
enum book_result book_place(struct book *book, struct book_taker *taker, struct book_report *reports, size_t capacity,
                            size_t *used);

/* Cancel a resting order: one BOOK_ENDED. */
enum book_result book_cancel(struct book *book, uint64_t order_id, struct book_report *reports, size_t capacity,
                             size_t *used);

/* Change a resting order: taker->entry.order_id, price_ticks and lots, its new remaining quantity, are the caller's;
 * the rest is filled in from the order. Not more lots at the same price keeps the place. Anything else goes to the
 * back with a new priority and trades if it crosses, in the order's own self-trade mode. */
enum book_result book_amend(struct book *book, struct book_taker *taker, struct book_report *reports, size_t capacity,
                            size_t *used);

/* Go on after BOOK_MORE, with an emptied buffer; nothing else may have touched the book in between. */
enum book_result book_continue(struct book *book, struct book_taker *taker, struct book_report *reports,
                               size_t capacity, size_t *used);

/* ---- Checking ------------------------------------------------------------------------------------------------- */

/* Walk the book and check everything: prices ordered and never crossed, queues linked both ways and in order of
 * priority, sums and counts, bitmaps and window, the far tree, every order found by its id. Returns 0, or the line of
 * the broken rule in book_validate.c. For tests and after a restore; linear in the orders. */
int book_validate(const struct book *book);

/* Check the pool's own accounts: free lists, counts, and that the map finds every order it holds. Returns as
 * book_validate. That all books together hold order_count orders is the caller's to check. */
int book_pool_validate(const struct book_pool *pool);

#endif
