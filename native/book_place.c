/* A book by itself: place, cancel, amend, with reports. Everything here is made of the steps in book.h; an engine with
 * accounts and money writes its own version of this file.
 *
 * What there is most of goes a short way: an order that meets nothing and rests, and a cancel, are straight lines without a
 * call. Whatever meets another order goes through `run`, and two orders of one owner through `meet_own`. */

#include "book_steps.h"

/* Most reports one meeting of two orders writes: reduced and ended, for both. */
#define REPORTS_A_STEP 4

enum stage { STAGE_NEW = 0, STAGE_MATCHING = 1, STAGE_LAST_WORD = 2 };

/* ---- Reports -------------------------------------------------------------------------------------------------- */

/* What is left of the caller's buffer. Small enough for two registers, as long as nobody takes its address. */
struct sink {
    struct book_report *next;
    size_t room;
};

static inline struct sink sink_over(struct book_report *reports, size_t capacity, size_t used) {
    if (used > capacity) return (struct sink){reports, 0};
    return (struct sink){reports + used, capacity - used};
}

static inline struct book_report *next_report(struct sink *sink) {
    assert(sink->room != 0);
    sink->room--;
    return sink->next++;
}

/* A report on the incoming order: what it wants in all, or what was taken off it. */
static inline void report_taker(struct sink *sink, const struct book_taker *taker, enum book_report_kind kind, enum book_reason reason,
                                int64_t lots) {
    struct book_report *report = next_report(sink);
    report->order_id = taker->entry.order_id;
    report->other_id = 0;
    report->price_ticks = taker->price_ticks;
    report->lots = lots;
    report->left_lots = taker->lots;
    report->owner = taker->entry.owner;
    report->kind = (uint8_t)kind;
    report->reason = (uint8_t)reason;
    report->side = taker->entry.side;
    report->unused = 0;
}

/* A report on a resting order: with whom it traded, lots traded or taken off, and what is left of it now. */
static inline void report_order(struct sink *sink, const struct book_order *order, enum book_report_kind kind, enum book_reason reason,
                                uint64_t other_id, int64_t lots, int64_t left_lots) {
    struct book_report *report = next_report(sink);
    report->order_id = order->order_id;
    report->other_id = other_id;
    report->price_ticks = order->price_ticks;
    report->lots = lots;
    report->left_lots = left_lots;
    report->owner = order->owner;
    report->kind = (uint8_t)kind;
    report->reason = (uint8_t)reason;
    report->side = order->side;
    report->unused = 0;
}

/* ---- Meeting -------------------------------------------------------------------------------------------------- */

static inline int64_t lower(int64_t one, int64_t other) { return one < other ? one : other; }

/* Trade with the resting order it meets, at that one's price. */
BOOK_INLINE void trade(struct book *book, struct book_taker *taker, uint32_t slot, struct sink *sink) {
    struct book_order *maker = book_order_at(book->pool, slot);
    int64_t left_lots = maker->remaining_lots;
    int64_t lots = lower(taker->lots, left_lots);
    report_order(sink, maker, BOOK_TRADE, BOOK_NO_REASON, taker->entry.order_id, lots, left_lots - lots);
    taker->lots -= lots;
    if (lots < left_lots) {
        take_lots(book, maker, lots);
    } else {
        detach_best(book, maker);
        release(book->pool, slot, ids_home(&book->pool->ids, maker->order_id));
    }
}

/* Self-trade prevention takes a resting order away, with this many lots left of it. */
static void cancel_maker(struct book *book, uint32_t slot, struct sink *sink, int64_t left_lots) {
    report_order(sink, book_order_at(book->pool, slot), BOOK_ENDED, BOOK_SELF_TRADE, 0, 0, left_lots);
    book_remove(book, slot);
}

/* Self-trade prevention takes the smaller remainder off both. */
static void decrement(struct book *book, struct book_taker *taker, uint32_t slot, struct sink *sink) {
    const struct book_order *maker = book_order_at(book->pool, slot);
    int64_t left_lots = maker->remaining_lots;
    int64_t lots = lower(taker->lots, left_lots);
    report_order(sink, maker, BOOK_REDUCED, BOOK_NO_REASON, 0, lots, left_lots - lots);
    if (lots < left_lots) {
        book_reduce(book, slot, lots);
    } else {
        cancel_maker(book, slot, sink, 0);
    }
    taker->lots -= lots;
    report_taker(sink, taker, BOOK_REDUCED, BOOK_NO_REASON, lots);
    if (taker->lots == 0) taker->reason = BOOK_SELF_TRADE;
}

/* Two orders of one owner meet. Seldom, so it stays out of the loop of those that trade. */
__attribute__((noinline)) static struct sink meet_own(struct book *book, struct book_taker *taker, uint32_t slot, struct sink sink) {
    int64_t left_lots = book_order_at(book->pool, slot)->remaining_lots;
    switch ((enum book_self_trade)taker->entry.self_trade) {
    case BOOK_SELF_TRADE_NONE: trade(book, taker, slot, &sink); break;
    case BOOK_SELF_TRADE_CANCEL_MAKER: cancel_maker(book, slot, &sink, left_lots); break;
    case BOOK_SELF_TRADE_CANCEL_BOTH: cancel_maker(book, slot, &sink, left_lots); /* fall through */
    case BOOK_SELF_TRADE_CANCEL_TAKER: taker->reason = BOOK_SELF_TRADE; break;
    case BOOK_SELF_TRADE_DECREMENT: decrement(book, taker, slot, &sink); break;
    }
    return sink;
}

/* Why an incoming order that has met everything in its reach ends, or BOOK_NO_REASON: it rests. */
static inline enum book_reason ending(const struct book_taker *taker) {
    if (taker->reason != BOOK_NO_REASON) return (enum book_reason)taker->reason;
    if (taker->lots == 0) return BOOK_FILLED;
    if (taker->type == BOOK_MARKET) return BOOK_NO_LIQUIDITY;
    return taker->time_in_force == BOOK_GTC ? BOOK_NO_REASON : BOOK_IOC_REMAINDER;
}

/* The one last report: it rests, or it ends. An amended order has its slot already. */
static inline void last_word(struct book *book, struct book_taker *taker, struct sink *sink) {
    enum book_reason reason = ending(taker);
    report_taker(sink, taker, reason == BOOK_NO_REASON ? BOOK_RESTED : BOOK_ENDED, reason, 0);
    taker->stage = STAGE_NEW;
    if (reason == BOOK_NO_REASON) {
        if (taker->slot == BOOK_NONE) taker->slot = claim(book, &taker->entry, ids_home(&book->pool->ids, taker->entry.order_id));
        attach(book, taker->entry.side, taker->slot, taker->price_ticks, taker->lots, book->next_priority++);
    } else if (taker->slot != BOOK_NONE) {
        book_release(book, taker->slot);
    }
}

/* Match until nothing is met, nothing is left, self-trade prevention says so, or the buffer is full: false. */
BOOK_INLINE bool match(struct book *book, struct book_taker *taker, struct sink *sink) {
    const struct book_half *against = &book->half[taker->entry.side ^ 1];
    int64_t limit_key = worst_key(against, taker->price_ticks);
    while (against->best_key <= limit_key && taker->lots != 0 && taker->reason == BOOK_NO_REASON) {
        uint32_t slot = book_level_at(book, against->best_level)->first;
        if (sink->room < REPORTS_A_STEP) return false;
        if (book_order_at(book->pool, slot)->owner == taker->entry.owner) {
            *sink = meet_own(book, taker, slot, *sink);
        } else {
            trade(book, taker, slot, sink);
        }
    }
    return true;
}

/* Go on with an incoming order where it stands. */
static enum book_result run(struct book *book, struct book_taker *taker, struct sink sink, size_t *used) {
    size_t room = sink.room;
    enum book_result result = BOOK_MORE;
    if (taker->stage != STAGE_MATCHING || match(book, taker, &sink)) {
        taker->stage = STAGE_LAST_WORD;
        if (sink.room != 0) {
            last_word(book, taker, &sink);
            result = BOOK_DONE;
        }
    }
    *used += room - sink.room;
    return result;
}

/* ---- Place ---------------------------------------------------------------------------------------------------- */

/* Choices that go together: a market order is immediate, an order that may only be a maker is not, and a limit has a price. */
static bool choices_agree(const struct book_taker *taker) {
    if (taker->type == BOOK_MARKET) return taker->time_in_force == BOOK_IOC && !taker->entry.post_only;
    return taker->price_ticks != 0 && (!taker->entry.post_only || taker->time_in_force == BOOK_GTC);
}

/* Everything within its range, and no choices that exclude each other. A range from 0 is one comparison without a sign. */
static inline bool well_formed(const struct book_taker *taker) {
    const struct book_entry *entry = &taker->entry;
    if ((entry->side | entry->post_only | taker->type) > 1 || entry->self_trade > BOOK_SELF_TRADE_DECREMENT) return false;
    if (taker->time_in_force > BOOK_FOK || (uint64_t)taker->price_ticks > BOOK_MAX_PRICE) return false;
    if ((uint64_t)taker->lots - 1 >= BOOK_MAX_LOTS) return false;
    if ((entry->post_only | taker->type) == 0 && taker->price_ticks != 0) return true;
    return choices_agree(taker);
}

/* Refusals in the order of enum book_result; BOOK_DONE: it may go on. */
static inline enum book_result check_place(const struct book *book, const struct book_taker *taker, size_t room, uint32_t home) {
    const struct book_entry *entry = &taker->entry;
    if (room < BOOK_MIN_REPORTS) return BOOK_BUFFER_TOO_SMALL;
    if (ids_find_at(book->pool, home, entry->order_id) != BOOK_NONE) return BOOK_ORDER_EXISTS;
    if (taker->time_in_force != BOOK_GTC) return BOOK_DONE;
    if (book_pool_room(book->pool) == 0) return BOOK_POOL_FULL;
    if (!book_side_has_room(book, (enum book_side)entry->side, taker->lots)) return BOOK_SIDE_FULL;
    return BOOK_DONE;
}

enum book_result book_place(struct book *book, struct book_taker *taker, struct book_report *reports, size_t capacity,
                            size_t *used) {
    const struct book_entry *entry = &taker->entry;
    if (!well_formed(taker)) return BOOK_BAD_ORDER;
    struct sink sink = sink_over(reports, capacity, *used);
    uint32_t home = ids_home(&book->pool->ids, entry->order_id);
    enum book_result refusal = check_place(book, taker, sink.room, home);
    if (refusal != BOOK_DONE) return refusal;
    bool crosses = book_would_cross(book, (enum book_side)entry->side, taker->price_ticks);
    if (entry->post_only && crosses) return BOOK_POST_ONLY_WOULD_TRADE;
    report_taker(&sink, taker, BOOK_ACCEPTED, BOOK_NO_REASON, taker->lots);
    if (!crosses && taker->time_in_force == BOOK_GTC) {
        report_taker(&sink, taker, BOOK_RESTED, BOOK_NO_REASON, 0);
        *used += 2;
        taker->stage = STAGE_NEW;
        taker->slot = claim(book, entry, home);
        attach(book, taker->entry.side, taker->slot, taker->price_ticks, taker->lots, book->next_priority++);
        return BOOK_DONE;
    }
    ++*used;
    taker->slot = BOOK_NONE;
    taker->stage = STAGE_MATCHING;
    taker->reason = BOOK_NO_REASON;
    if (taker->time_in_force == BOOK_FOK && !book_fillable(book, (enum book_side)entry->side, taker->price_ticks, taker->lots,
                                                           entry->owner, (enum book_self_trade)entry->self_trade)) {
        taker->reason = BOOK_FOK_UNFILLABLE;
    }
    return run(book, taker, sink, used);
}

enum book_result book_continue(struct book *book, struct book_taker *taker, struct book_report *reports,
                               size_t capacity, size_t *used) {
    struct sink sink = sink_over(reports, capacity, *used);
    assert(taker->stage != STAGE_NEW);
    if (sink.room < BOOK_MIN_REPORTS) return BOOK_BUFFER_TOO_SMALL;
    return run(book, taker, sink, used);
}

/* ---- Cancel and amend ----------------------------------------------------------------------------------------- */

/* The slot of an order resting in this book, whose id has this home, or BOOK_NONE. */
static inline uint32_t resting(const struct book *book, uint32_t home, uint64_t order_id) {
    uint32_t slot = ids_find_at(book->pool, home, order_id);
    if (slot == BOOK_NONE) return BOOK_NONE;
    const struct book_order *order = book_order_at(book->pool, slot);
    return order->book == book->number && order->level != BOOK_NONE ? slot : BOOK_NONE;
}

enum book_result book_cancel(struct book *book, uint64_t order_id, struct book_report *reports, size_t capacity,
                             size_t *used) {
    struct sink sink = sink_over(reports, capacity, *used);
    if (sink.room < BOOK_MIN_REPORTS) return BOOK_BUFFER_TOO_SMALL;
    uint32_t home = ids_home(&book->pool->ids, order_id);
    uint32_t slot = resting(book, home, order_id);
    if (slot == BOOK_NONE) return BOOK_ORDER_UNKNOWN;
    struct book_order *order = book_order_at(book->pool, slot);
    report_order(&sink, order, BOOK_ENDED, BOOK_BY_OWNER, 0, 0, order->remaining_lots);
    ++*used;
    detach(book, order);
    release(book->pool, slot, home);
    return BOOK_DONE;
}

/* Refusals that depend on the order to amend, in the order of enum book_result. */
static enum book_result check_amend(const struct book *book, const struct book_order *order, int64_t price_ticks,
                                    int64_t lots) {
    int64_t others_lots = book->half[order->side].lots - order->remaining_lots;
    if (lots > BOOK_MAX_LOTS - others_lots) return BOOK_SIDE_FULL;
    if (order->post_only && book_would_cross(book, order->side, price_ticks)) return BOOK_POST_ONLY_WOULD_TRADE;
    return BOOK_DONE;
}

/* What an amended order is as an incoming one. */
static void take_over(struct book_taker *taker, const struct book_order *order, uint32_t slot) {
    taker->entry = (struct book_entry){order->order_id, order->owner, order->side, order->self_trade, order->post_only};
    taker->type = BOOK_LIMIT;
    taker->time_in_force = BOOK_GTC;
    taker->stage = STAGE_MATCHING;
    taker->reason = BOOK_NO_REASON;
    taker->slot = slot;
}

enum book_result book_amend(struct book *book, struct book_taker *taker, struct book_report *reports, size_t capacity,
                            size_t *used) {
    struct sink sink = sink_over(reports, capacity, *used);
    if (taker->price_ticks < 1 || taker->price_ticks > BOOK_MAX_PRICE) return BOOK_BAD_ORDER;
    if (taker->lots < 1 || taker->lots > BOOK_MAX_LOTS) return BOOK_BAD_ORDER;
    if (sink.room < BOOK_MIN_REPORTS) return BOOK_BUFFER_TOO_SMALL;
    uint32_t slot = resting(book, ids_home(&book->pool->ids, taker->entry.order_id), taker->entry.order_id);
    if (slot == BOOK_NONE) return BOOK_ORDER_UNKNOWN;
    struct book_order *order = book_order_at(book->pool, slot);
    bool keeps_place = taker->price_ticks == order->price_ticks && taker->lots <= order->remaining_lots;
    enum book_result refusal = keeps_place ? BOOK_DONE : check_amend(book, order, taker->price_ticks, taker->lots);
    if (refusal != BOOK_DONE) return refusal;
    take_over(taker, order, slot);
    report_taker(&sink, taker, BOOK_AMENDED, BOOK_NO_REASON, taker->lots);
    ++*used;
    if (keeps_place) {
        if (taker->lots < order->remaining_lots) take_lots(book, order, order->remaining_lots - taker->lots);
        taker->stage = STAGE_NEW;
        return BOOK_DONE;
    }
    detach(book, order);
    return run(book, taker, sink, used);
}
