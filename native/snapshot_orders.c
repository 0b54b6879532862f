/* Orders and names of a snapshot; see snapshot.h. */

#include "snapshot_reader.h"

/* ---- Names ---------------------------------------------------------------------------------------------------- */

static bool is_name(const struct names_text *text) {
    uint32_t length = names_length(text);
    if (length < 1 || length > NAMES_MOST_BYTES) return false;
    for (uint32_t i = 0; i < NAMES_TEXT_BYTES - 1; i++) {
        if ((text->bytes[i] != 0) != (i < length)) return false;
    }
    return true;
}

/* Take a name of an account; its end is the caller's to put. Returns its place, or NAMES_NONE if the stream is broken. */
static uint32_t take_name(struct snapshot_reader *reader, struct core *c, struct name *name) {
    uint64_t image[NAMES_WORDS];
    snapshot_take(reader, image, NAMES_WORDS);
    *name = (struct name){.order_id = image[0], .body = image[1], .ended_us = (int64_t)image[2], .account = (uint32_t)image[3]};
    for (uint32_t i = 0; i < NAMES_TEXT_BYTES / 8; i++) hash_store(name->text.bytes + 8 * i, image[4 + i]);
    bool is_whole = image[3] >= 1 && image[3] <= c->risk.account_count && image[9] == 0 && is_name(&name->text);
    if (!snapshot_expect(reader, is_whole && c->names.count < c->sizes.client_order_ids)) return NAMES_NONE;
    if (!snapshot_expect(reader, snapshot_is_id(c, name->order_id, c->orders_given))) return NAMES_NONE;
    if (!snapshot_expect(reader, names_find(&c->names, name->account, &name->text) == NAMES_NONE)) return NAMES_NONE;
    return names_add(&c->names, name->account, &name->text, name->order_id, name->body);
}

void snapshot_take_ended(struct snapshot_reader *reader, struct core *c) {
    uint32_t count = snapshot_count(reader, c->sizes.client_order_ids);
    int64_t last_us = 0;
    for (uint32_t i = 0; i < count && !reader->is_broken; i++) {
        struct name name;
        uint32_t place = take_name(reader, c, &name);
        bool is_in_order = name.ended_us >= last_us && name.ended_us <= c->clock_us;
        if (!snapshot_expect(reader, is_in_order && book_find(c->pool, name.order_id) == BOOK_NONE)) return;
        names_end(&c->names, place, name.ended_us);
        last_us = name.ended_us;
    }
}

/* ---- Orders --------------------------------------------------------------------------------------------------- */

/* Where the order before this one stood: the stream has them as they would trade. */
struct queue {
    uint64_t side; /* counted through all instruments */
    uint64_t key;  /* lower is better */
    uint64_t priority;
};

static bool is_after(const struct queue *last, const struct queue *next) {
    if (next->side != last->side) return next->side > last->side;
    if (next->key != last->key) return next->key > last->key;
    return next->priority > last->priority;
}

/* The book that an order with this word (book and owner) stands in, by where the order is. NULL if there is none such. */
static struct book *book_of(const struct core *c, uint64_t word, uint8_t where) {
    uint64_t number = word >> 32;
    uint32_t place = (uint32_t)number & ((UINT32_C(1) << CORE_WAITING_SHIFT) - 1);
    if (place >= c->instrument_count || where > ORDER_PARKED) return NULL;
    const struct core_instrument *instrument = &c->instruments[place];
    struct book *book = core_waits(where) ? instrument->waiting[where - ORDER_WAITS_LAST] : instrument->book;
    return book->number == number ? book : NULL;
}

/* Could this be what is more of an order? What only the laws know of it, they will find out; here it is about ranges. */
static bool read_more(const uint64_t image[CORE_MORE_WORDS], uint64_t order_id, struct core_more *more) {
    for (uint32_t i = 1; i <= 12; i++) {
        if ((int64_t)image[i] < 0) return false;
    }
    *more = (struct core_more){
        .price_ticks = (int64_t)image[1],
        .trigger_ticks = (int64_t)image[2],
        .trail_ticks = (int64_t)image[3],
        .activation_ticks = (int64_t)image[4],
        .peak_ticks = (int64_t)image[5],
        .triggered_us = (int64_t)image[6],
        .hidden_lots = (int64_t)image[7],
        .display_lots = (int64_t)image[8],
        .min_fill_lots = (int64_t)image[9],
        .expires_us = (int64_t)image[10],
        .protection_ticks = (int64_t)image[11],
        .quote_minor = (int64_t)image[12],
        .other_fee_minor = (int64_t)image[13],
        .group = image[14],
        .trail_ppm = (uint32_t)(image[15] >> 32),
        .other_fee_asset = (uint32_t)image[15],
        .side = (uint8_t)(image[16] >> 32),
        .type = (uint8_t)(image[16] >> 24),
        .time_in_force = (uint8_t)(image[16] >> 16),
        .trigger_by = (uint8_t)(image[16] >> 8),
        .whereabouts = (uint8_t)image[16],
        .group_kind = (uint8_t)(image[17] >> 8),
        .group_member = (uint8_t)image[17],
    };
    bool are_words = more->type <= ORDER_TYPE_LAST && more->time_in_force <= TIME_IN_FORCE_LAST &&
                     more->trigger_by <= TRIGGER_BY_LAST && more->group_kind <= GROUP_KIND_LAST;
    bool are_numbers = more->side <= BOOK_SELL && more->group_member < CODEC_GROUP &&
                       more->price_ticks <= BOOK_MAX_PRICE && more->trigger_ticks <= BOOK_MAX_PRICE;
    return image[0] == order_id && image[16] >> 40 == 0 && image[17] >> 16 == 0 && are_words && are_numbers;
}

/* Could this be an order of this core? Then `entry` is what the book wants of it. `more` says where it is. */
static bool read_entry(const struct core *c, const uint64_t image[CORE_ORDER_WORDS], const struct core_more *more,
                       struct book_entry *entry) {
    uint64_t owner = image[4] & UINT32_MAX;
    *entry = (struct book_entry){
        .order_id = image[0],
        .owner = (uint32_t)owner,
        .side = (uint8_t)image[5],
        .self_trade = (uint8_t)(image[5] >> 8),
        .post_only = (uint8_t)(image[5] >> 16),
    };
    bool is_flagged = image[5] >> 24 == 0 && entry->side <= BOOK_SELL && entry->self_trade <= BOOK_SELF_TRADE_DECREMENT &&
                      entry->post_only <= 1;
    const struct book *book = book_of(c, image[4], more->whereabouts);
    if (!is_flagged || !book || owner < 1 || owner > c->risk.account_count || !snapshot_is_id(c, image[0], c->orders_given)) return false;
    bool is_known = image[11] >= 1 && image[11] <= c->sequence && image[6] <= INT64_MAX && (int64_t)image[7] >= 0;
    if (!is_known || book_find(c->pool, image[0]) != BOOK_NONE) return false;
    if (more->whereabouts != ORDER_IN_BOOK && more->hidden_lots != 0) return false;
    if (more->whereabouts == ORDER_PARKED) return image[1] == 0 && image[2] == 0 && image[3] == 0;
    bool is_priced = image[1] >= 1 && image[1] <= BOOK_MAX_PRICE;
    if (more->whereabouts != ORDER_IN_BOOK) return is_priced && image[2] == 1 && image[3] >= 1;
    bool is_sized = image[2] >= 1 && image[2] <= image[6] && (uint64_t)more->hidden_lots <= image[6] - image[2];
    if (!is_priced || !is_sized || image[3] < 1 || image[3] >= book->next_priority) return false;
    int64_t lots = (int64_t)image[2] + more->hidden_lots;
    return core_hold(&c->instruments[book->number], entry->side, (int64_t)image[1], lots) <= RISK_MAX_TOTAL;
}

/* Put an order where it was; its name, its account's list and the hash come later. Returns its slot, or BOOK_NONE. */
static uint32_t put_order(struct core *c, const uint64_t image[CORE_ORDER_WORDS], const struct book_entry *entry,
                          const struct core_more *more) {
    struct book *book = book_of(c, image[4], more->whereabouts);
    uint32_t place = (uint32_t)(image[4] >> 32) & ((UINT32_C(1) << CORE_WAITING_SHIFT) - 1);
    const struct core_instrument *instrument = &c->instruments[place];
    uint32_t side = more->whereabouts == ORDER_IN_BOOK ? entry->side : more->side;
    uint32_t gives = risk_find_balance(&c->risk, entry->owner, core_asset_given(instrument, side));
    uint32_t receives = risk_find_balance(&c->risk, entry->owner, core_asset_received(instrument, side));
    if (receives == RISK_NONE || (gives == RISK_NONE && more->whereabouts == ORDER_IN_BOOK)) return BOOK_NONE;
    int64_t lots = (int64_t)image[2];
    if (lots != 0 && !book_side_has_room(book, entry->side, lots)) return BOOK_NONE;
    if (lots != 0 && !book->may_cross && book_would_cross(book, entry->side, (int64_t)image[1])) return BOOK_NONE;
    uint32_t slot = book_claim(book, entry);
    if (slot == BOOK_NONE) return BOOK_NONE;
    uint64_t next_priority = book->next_priority;
    if (lots != 0) book_attach_stamped(book, slot, (int64_t)image[1], lots, image[3]);
    if (core_waits(more->whereabouts)) c->instruments[place].waits[more->whereabouts - ORDER_WAITS_LAST]++;
    if (lots == 0) core_row_push(c, &c->parked, slot);
    book->next_priority = next_priority;
    book_order_at(c->pool, slot)->caller_word = core_balances_word(gives, receives);
    c->cold[slot] = (struct core_cold){
        .quantity_lots = (int64_t)image[6],
        .filled_quote_minor = (int64_t)image[7],
        .fee_minor = (int64_t)image[8],
        .created_us = (int64_t)image[9],
        .updated_us = (int64_t)image[10],
        .sequence = image[11],
    };
    return slot;
}

/* What is more of an order that has been put: its timer, what it hides, its place among trailing stops come with it. */
static void put_more(struct core *c, uint32_t slot, const struct core_more *more) {
    c->cold[slot].has_more = 1;
    c->more[slot] = *more;
    c->more[slot].hidden_lots = 0;
    core_set_timer(c, &c->more[slot].timer, more->expires_us, TIMER_ORDER, book_order_at(c->pool, slot)->order_id, slot);
    if (more->whereabouts == ORDER_IN_BOOK) core_put_hidden(c, slot, more->hidden_lots);
}

/* Where an order stands among all, by whereabouts: parked ones come last, by their ids. */
static struct queue place_in_stream(const uint64_t image[CORE_ORDER_WORDS], const struct core_more *more, uint8_t side) {
    if (more->whereabouts == ORDER_PARKED) return (struct queue){UINT64_MAX, 0, image[0]};
    uint64_t key = side == BOOK_BUY ? ~image[1] : image[1];
    uint64_t place = image[4] >> 32 & ((UINT32_C(1) << CORE_WAITING_SHIFT) - 1);
    return (struct queue){2 * (SNAPSHOT_BOOKS * place + more->whereabouts) + side, key, image[3]};
}

/* Returns its id; the stream may be broken. */
static uint64_t take_order(struct snapshot_reader *reader, struct core *c, struct queue *last) {
    uint64_t image[CORE_ORDER_WORDS];
    uint64_t more_image[CORE_MORE_WORDS];
    struct core_more more = {0};
    struct book_entry entry;
    snapshot_take(reader, image, CORE_ORDER_WORDS);
    uint64_t follows = snapshot_word(reader);
    if (!snapshot_expect(reader, follows <= (SNAPSHOT_NAME | SNAPSHOT_MORE))) return 0;
    if (follows & SNAPSHOT_MORE) {
        snapshot_take(reader, more_image, CORE_MORE_WORDS);
        if (!snapshot_expect(reader, read_more(more_image, image[0], &more))) return 0;
    }
    if (!snapshot_expect(reader, read_entry(c, image, &more, &entry))) return 0;
    struct queue here = place_in_stream(image, &more, entry.side);
    if (!snapshot_expect(reader, is_after(last, &here))) return 0;
    *last = here;
    uint32_t slot = put_order(c, image, &entry, &more);
    if (!snapshot_expect(reader, slot != BOOK_NONE)) return 0;
    if (follows & SNAPSHOT_MORE) put_more(c, slot, &more);
    if (follows & SNAPSHOT_NAME) {
        struct name name;
        c->cold[slot].name = take_name(reader, c, &name);
        bool is_its = name.order_id == entry.order_id && name.account == entry.owner && name.ended_us == NAMES_OPEN;
        if (!snapshot_expect(reader, is_its)) return 0;
    }
    c->hash += core_order_hash(c, slot);
    return entry.order_id;
}

void snapshot_take_orders(struct snapshot_reader *reader, struct core *c) {
    uint32_t count = snapshot_count(reader, c->sizes.orders);
    struct queue last = {0};
    for (uint32_t i = 0; i < count && !reader->is_broken; i++) c->sorted[i] = take_order(reader, c, &last);
    if (reader->is_broken) return;
    core_sort(c->sorted, count);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t slot = book_find(c->pool, c->sorted[i]);
        core_list_order(c, slot);
        if (core_whereabouts(c, slot) != ORDER_IN_BOOK) core_list_trailing(c, slot);
    }
}
