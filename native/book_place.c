/* A book by itself: place, cancel, amend, with reports. Everything here is made of the steps in book.h; an engine with
 * accounts and money writes its own version of this file. */

#include "book_inner.h"

/* Most reports one meeting of two orders writes: reduced and ended, for both. */
#define REPORTS_A_STEP 4

enum stage { STAGE_NEW = 0, STAGE_MATCHING = 1, STAGE_LAST_WORD = 2 };

/* The caller's buffer. */
struct sink {
    struct book_report *reports;
    size_t capacity;
    size_t *used;
};

static inline bool has_room(const struct sink *sink, size_t count) {
    return *sink->used <= sink->capacity && sink->capacity - *sink->used >= count;
}

static inline struct book_report *next_report(const struct sink *sink) {
    assert(*sink->used < sink->capacity);
    return &sink->reports[(*sink->used)++];
}

/* A report on the incoming order. */
static inline struct book_report *report_taker(const struct sink *sink, const struct book_taker *taker, uint8_t kind) {
    struct book_report *report = next_report(sink);
    *report = (struct book_report){
        .order_id = taker->entry.order_id,
        .price_ticks = taker->price_ticks,
        .left_lots = taker->lots,
        .owner = taker->entry.owner,
        .kind = kind,
        .side = taker->entry.side,
    };
    return report;
}

/* A report on a resting order, with what is left of it now. */
static inline struct book_report *report_order(const struct sink *sink, const struct book_order *order, uint8_t kind) {
    struct book_report *report = next_report(sink);
    *report = (struct book_report){
        .order_id = order->order_id,
        .price_ticks = order->price_ticks,
        .left_lots = order->remaining_lots,
        .owner = order->owner,
        .kind = kind,
        .side = order->side,
    };
    return report;
}

static inline int64_t lower(int64_t one, int64_t other) { return one < other ? one : other; }

/* Trade with the resting order it meets, at that one's price. */
static inline void trade(struct book *book, struct book_taker *taker, uint32_t slot, const struct sink *sink) {
    const struct book_order *maker = book_order_at(book->pool, slot);
    int64_t lots = lower(taker->lots, maker->remaining_lots);
    struct book_report *report = report_order(sink, maker, BOOK_TRADE);
    report->other_id = taker->entry.order_id;
    report->lots = lots;
    report->left_lots = book_fill(book, slot, lots);
    taker->lots -= lots;
}

/* Self-trade prevention takes a resting order away. */
static void cancel_maker(struct book *book, uint32_t slot, const struct sink *sink) {
    report_order(sink, book_order_at(book->pool, slot), BOOK_ENDED)->reason = BOOK_SELF_TRADE;
    book_remove(book, slot);
}

/* Self-trade prevention takes the smaller remainder off both. */
static void decrement(struct book *book, struct book_taker *taker, uint32_t slot, const struct sink *sink) {
    const struct book_order *maker = book_order_at(book->pool, slot);
    int64_t lots = lower(taker->lots, maker->remaining_lots);
    struct book_report *report = report_order(sink, maker, BOOK_REDUCED);
    report->lots = lots;
    report->left_lots -= lots;
    if (report->left_lots > 0) {
        book_reduce(book, slot, lots);
    } else {
        cancel_maker(book, slot, sink);
        sink->reports[*sink->used - 1].left_lots = 0;
    }
    taker->lots -= lots;
    report_taker(sink, taker, BOOK_REDUCED)->lots = lots;
    if (taker->lots == 0) taker->reason = BOOK_SELF_TRADE;
}

/* Two orders of one owner meet. */
static void meet_own(struct book *book, struct book_taker *taker, uint32_t slot, const struct sink *sink) {
    switch ((enum book_self_trade)taker->entry.self_trade) {
    case BOOK_SELF_TRADE_NONE: trade(book, taker, slot, sink); return;
    case BOOK_SELF_TRADE_CANCEL_MAKER: cancel_maker(book, slot, sink); return;
    case BOOK_SELF_TRADE_CANCEL_BOTH: cancel_maker(book, slot, sink); /* fall through */
    case BOOK_SELF_TRADE_CANCEL_TAKER: taker->reason = BOOK_SELF_TRADE; return;
    case BOOK_SELF_TRADE_DECREMENT: decrement(book, taker, slot, sink); return;
    }
}

/* Why an incoming order that has met everything in its reach ends, or BOOK_NO_REASON: it rests. */
static uint8_t ending(const struct book_taker *taker) {
    if (taker->reason != BOOK_NO_REASON) return taker->reason;
    if (taker->lots == 0) return BOOK_FILLED;
    if (taker->type == BOOK_MARKET) return BOOK_NO_LIQUIDITY;
    return taker->time_in_force == BOOK_GTC ? BOOK_NO_REASON : BOOK_IOC_REMAINDER;
}

/* The one last report: it rests, or it ends. An amended order has its slot already. */
static void last_word(struct book *book, struct book_taker *taker, const struct sink *sink) {
    uint8_t reason = ending(taker);
    report_taker(sink, taker, reason == BOOK_NO_REASON ? BOOK_RESTED : BOOK_ENDED)->reason = reason;
    if (reason == BOOK_NO_REASON) {
        if (taker->slot == BOOK_NONE) taker->slot = book_claim(book, &taker->entry);
        assert(taker->slot != BOOK_NONE);
        book_attach(book, taker->slot, taker->price_ticks, taker->lots);
    } else if (taker->slot != BOOK_NONE) {
        book_release(book, taker->slot);
    }
    taker->stage = STAGE_NEW;
}

/* Match until nothing is met, nothing is left, self-trade prevention says so, or the buffer is full. */
static enum book_result run(struct book *book, struct book_taker *taker, const struct sink *sink) {
    while (taker->stage == STAGE_MATCHING) {
        uint32_t slot = book_meet(book, taker->entry.side, taker->price_ticks);
        if (slot == BOOK_NONE || taker->lots == 0 || taker->reason != BOOK_NO_REASON) break;
        if (!has_room(sink, REPORTS_A_STEP)) return BOOK_MORE;
        if (book_order_at(book->pool, slot)->owner == taker->entry.owner) {
            meet_own(book, taker, slot, sink);
        } else {
            trade(book, taker, slot, sink);
        }
    }
    taker->stage = STAGE_LAST_WORD;
    if (!has_room(sink, 1)) return BOOK_MORE;
    last_word(book, taker, sink);
    return BOOK_DONE;
}

/* Choices within their range, and none that exclude each other. */
static bool well_formed(const struct book_taker *taker) {
    bool market = taker->type == BOOK_MARKET;
    int64_t least_price = market ? BOOK_ANY_PRICE : 1;
    if (taker->entry.side > BOOK_SELL || taker->entry.self_trade > BOOK_SELF_TRADE_DECREMENT) return false;
    if (taker->entry.post_only > 1 || taker->type > BOOK_MARKET || taker->time_in_force > BOOK_FOK) return false;
    if (market && taker->time_in_force != BOOK_IOC) return false;
    if (taker->entry.post_only && taker->time_in_force != BOOK_GTC) return false;
    if (taker->price_ticks < least_price || taker->price_ticks > BOOK_MAX_PRICE) return false;
    return taker->lots >= 1 && taker->lots <= BOOK_MAX_LOTS;
}

/* Refusals in the order of enum book_result; BOOK_DONE: it may go on. */
static enum book_result check_place(const struct book *book, const struct book_taker *taker, const struct sink *sink) {
    const struct book_entry *entry = &taker->entry;
    if (!well_formed(taker)) return BOOK_BAD_ORDER;
    if (!has_room(sink, BOOK_MIN_REPORTS)) return BOOK_BUFFER_TOO_SMALL;
    if (ids_find(book->pool, entry->order_id) != BOOK_NONE) return BOOK_ORDER_EXISTS;
    if (taker->time_in_force != BOOK_GTC) return BOOK_DONE;
    if (book_pool_room(book->pool) == 0) return BOOK_POOL_FULL;
    if (!book_side_has_room(book, entry->side, taker->lots)) return BOOK_SIDE_FULL;
    if (entry->post_only && book_would_cross(book, entry->side, taker->price_ticks)) return BOOK_POST_ONLY_WOULD_TRADE;
    return BOOK_DONE;
}

enum book_result book_place(struct book *book, struct book_taker *taker, struct book_report *reports, size_t capacity,
                            size_t *used) {
    struct sink sink = {reports, capacity, used};
    const struct book_entry *entry = &taker->entry;
    enum book_result refusal = check_place(book, taker, &sink);
    if (refusal != BOOK_DONE) return refusal;
    taker->slot = BOOK_NONE;
    taker->stage = STAGE_MATCHING;
    taker->reason = BOOK_NO_REASON;
    report_taker(&sink, taker, BOOK_ACCEPTED)->lots = taker->lots;
    if (taker->time_in_force == BOOK_FOK && !book_fillable(book, entry->side, taker->price_ticks, taker->lots,
                                                           entry->owner, entry->self_trade)) {
        taker->reason = BOOK_FOK_UNFILLABLE;
    }
    return run(book, taker, &sink);
}

enum book_result book_continue(struct book *book, struct book_taker *taker, struct book_report *reports,
                               size_t capacity, size_t *used) {
    struct sink sink = {reports, capacity, used};
    assert(taker->stage != STAGE_NEW);
    if (!has_room(&sink, BOOK_MIN_REPORTS)) return BOOK_BUFFER_TOO_SMALL;
    return run(book, taker, &sink);
}

/* The slot of an order resting in this book, or BOOK_NONE. */
static inline uint32_t resting(const struct book *book, uint64_t order_id) {
    uint32_t slot = ids_find(book->pool, order_id);
    if (slot == BOOK_NONE) return BOOK_NONE;
    const struct book_order *order = book_order_at(book->pool, slot);
    return order->book == book->number && order->level != BOOK_NONE ? slot : BOOK_NONE;
}

enum book_result book_cancel(struct book *book, uint64_t order_id, struct book_report *reports, size_t capacity,
                             size_t *used) {
    struct sink sink = {reports, capacity, used};
    if (!has_room(&sink, BOOK_MIN_REPORTS)) return BOOK_BUFFER_TOO_SMALL;
    uint32_t slot = resting(book, order_id);
    if (slot == BOOK_NONE) return BOOK_ORDER_UNKNOWN;
    report_order(&sink, book_order_at(book->pool, slot), BOOK_ENDED)->reason = BOOK_BY_OWNER;
    book_remove(book, slot);
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
    struct sink sink = {reports, capacity, used};
    if (taker->price_ticks < 1 || taker->price_ticks > BOOK_MAX_PRICE) return BOOK_BAD_ORDER;
    if (taker->lots < 1 || taker->lots > BOOK_MAX_LOTS) return BOOK_BAD_ORDER;
    if (!has_room(&sink, BOOK_MIN_REPORTS)) return BOOK_BUFFER_TOO_SMALL;
    uint32_t slot = resting(book, taker->entry.order_id);
    if (slot == BOOK_NONE) return BOOK_ORDER_UNKNOWN;
    const struct book_order *order = book_order_at(book->pool, slot);
    bool keeps_place = taker->price_ticks == order->price_ticks && taker->lots <= order->remaining_lots;
    enum book_result refusal = keeps_place ? BOOK_DONE : check_amend(book, order, taker->price_ticks, taker->lots);
    if (refusal != BOOK_DONE) return refusal;
    take_over(taker, order, slot);
    report_taker(&sink, taker, BOOK_AMENDED)->lots = taker->lots;
    if (keeps_place) {
        if (taker->lots < order->remaining_lots) book_reduce(book, slot, order->remaining_lots - taker->lots);
        taker->stage = STAGE_NEW;
        return BOOK_DONE;
    }
    book_detach(book, slot);
    return run(book, taker, &sink);
}
