/* Building a core from a snapshot; see snapshot.h. Whatever the bytes are, nothing is done with a word before it is known to be
 * one that a core could have written; what only holds between things is checked at the end. */

#include "snapshot.h"

/* What is left of the stream. Once something is wrong it stays so, and words are 0. */
struct reader {
    const uint8_t *at;
    const uint8_t *end;
    bool is_broken;
};

/* Take a word, or an image. */
static void take(struct reader *reader, uint64_t *words, uint32_t count) {
    if ((uint64_t)(reader->end - reader->at) < 8 * (uint64_t)count) reader->is_broken = true;
    for (uint32_t i = 0; i < count; i++) words[i] = reader->is_broken ? 0 : hash_load(reader->at + 8 * i);
    if (!reader->is_broken) reader->at += 8 * (size_t)count;
}

static uint64_t take_word(struct reader *reader) {
    uint64_t word;
    take(reader, &word, 1);
    return word;
}

/* A count that is at most `most`; 0 if it is not, or the stream is over. */
static uint32_t take_count(struct reader *reader, uint64_t most) {
    uint64_t count = take_word(reader);
    if (count > most) reader->is_broken = true;
    return reader->is_broken ? 0 : (uint32_t)count;
}

/* Say that the stream is broken unless the rule holds; returns whether all is well so far. */
static bool expect(struct reader *reader, bool rule) {
    if (!rule) reader->is_broken = true;
    return !reader->is_broken;
}

static bool is_id(const struct core *c, uint64_t id, uint64_t given) {
    return id % CORE_SHARDS == c->shard && id / CORE_SHARDS >= 1 && id / CORE_SHARDS <= given;
}

/* ---- The core itself ------------------------------------------------------------------------------------------ */

static struct codec_set_sizes sizes_of(const uint64_t image[CORE_WORDS]) {
    return (struct codec_set_sizes){
        .orders = (uint32_t)image[7],
        .orders_per_account = (uint32_t)(image[7] >> 32),
        .accounts = (uint32_t)image[8],
        .balances = (uint32_t)(image[8] >> 32),
        .client_order_ids = (uint32_t)image[9],
        .client_order_id_memory_us = (int64_t)image[11],
        .sessions = (uint32_t)(image[9] >> 32),
        .instruments = (uint32_t)image[10],
    };
}

static bool are_sizes(const struct codec_set_sizes *sizes) {
    const struct codec_set_sizes *first = &core_first_sizes;
#define WITHIN(size) (sizes->size >= 1 && sizes->size <= CORE_SIZE_FACTOR * first->size)
    return WITHIN(orders) && WITHIN(orders_per_account) && WITHIN(accounts) && WITHIN(balances) && WITHIN(client_order_ids) &&
           WITHIN(client_order_id_memory_us) && sizes->client_order_id_memory_us >= first->client_order_id_memory_us &&
           WITHIN(sessions) && WITHIN(instruments);
#undef WITHIN
}

/* Take the head and open a core for it. CORE_OK, or what is wrong and no core. */
static int take_head(struct reader *reader, struct core **out) {
    uint64_t image[CORE_WORDS];
    bool is_ours = take_word(reader) == SNAPSHOT_MAGIC && take_word(reader) == SNAPSHOT_VERSION;
    take(reader, image, CORE_WORDS);
    struct codec_set_sizes sizes = sizes_of(image);
    bool is_known = (uint32_t)image[0] < CORE_SHARDS && image[0] >> 32 >= 1 && (int64_t)image[3] >= 0 && image[10] >> 32 == 0;
    bool is_counted = image[4] < UINT64_MAX / CORE_SHARDS && image[5] < UINT64_MAX / CORE_SHARDS && image[6] <= image[1];
    if (!expect(reader, is_ours && is_known && is_counted && are_sizes(&sizes))) return CORE_BROKEN;
    if (image[0] >> 32 > CORE_KNOWN_RULES) return CORE_UNKNOWN_RULES;
    struct core *c;
    if (core_new((uint32_t)image[0], &c) != CORE_OK) return CORE_NO_ROOM;
    *out = c;
    c->rules = (uint32_t)(image[0] >> 32);
    c->sequence = image[1];
    c->next_offset = image[2];
    c->clock_us = (int64_t)image[3];
    c->orders_given = image[4];
    c->trades_given = image[5];
    c->markets_changed = image[6];
    if (!core_reserve(c, &sizes, 0)) return CORE_NO_ROOM;
    c->sizes = sizes;
    return book_pool_set_limit(c->pool, sizes.orders) ? CORE_OK : CORE_NO_ROOM;
}

/* ---- Accounts, assets, balances ------------------------------------------------------------------------------- */

static void take_asset(struct reader *reader, struct core *c) {
    uint64_t image[RISK_ASSET_WORDS];
    uint8_t code[RISK_CODE_BYTES];
    take(reader, image, RISK_ASSET_WORDS);
    hash_store(code, image[2]);
    hash_store(code + 8, image[3]);
    uint32_t length = (uint32_t)(image[1] >> 8);
    struct codec_asset asset = {(uint32_t)image[0], {code, length}, (uint8_t)image[1]};
    if (!expect(reader, image[0] >> 32 == 0 && image[1] >> 16 == 0 && core_is_asset(&asset))) return;
    for (uint32_t i = length; i < RISK_CODE_BYTES; i++) expect(reader, code[i] == 0);
    bool is_free = risk_find_asset(&c->risk, asset.asset) == RISK_NONE && risk_find_code(&c->risk, code, length) == RISK_NONE;
    if (expect(reader, is_free)) risk_add_asset(&c->risk, asset.asset, asset.decimals, code, length);
}

/* The fee account is the first, and there already. */
static void take_account(struct reader *reader, struct core *c, uint32_t place) {
    uint64_t image[RISK_ACCOUNT_WORDS];
    take(reader, image, RISK_ACCOUNT_WORDS);
    uint32_t id = (uint32_t)image[0];
    uint8_t tier = (uint8_t)(image[1] >> 16);
    uint8_t self_trade = (uint8_t)(image[1] >> 8);
    uint8_t suspended = (uint8_t)image[1];
    bool is_known = risk_find_account(&c->risk, id) != RISK_NONE;
    bool is_fee = place == RISK_FEE_PLACE;
    if (!expect(reader, image[0] >> 32 == 0 && id != 0 && is_known == is_fee && (id == RISK_FEE_ACCOUNT) == is_fee)) return;
    bool is_set = image[1] >> 24 == 0 && tier <= RISK_LAST_TIER && self_trade <= BOOK_SELF_TRADE_DECREMENT && suspended <= 1;
    if (!expect(reader, is_set)) return;
    if (!is_fee) risk_add_account(&c->risk, id);
    risk_set_account(&c->risk, place, tier, self_trade, suspended);
}

static void take_balance(struct reader *reader, struct core *c) {
    uint64_t image[RISK_BALANCE_WORDS];
    take(reader, image, RISK_BALANCE_WORDS);
    uint32_t account = risk_find_account(&c->risk, (uint32_t)(image[0] >> 32));
    uint32_t asset = risk_find_asset(&c->risk, (uint32_t)image[0]);
    if (!expect(reader, account != RISK_NONE && asset != RISK_NONE && image[3] == 0)) return;
    if (!expect(reader, risk_find_balance(&c->risk, account, asset) == RISK_NONE)) return;
    uint64_t most = RISK_MAX_TOTAL;
    if (!expect(reader, image[1] <= most && image[2] <= most - image[1])) return;
    int64_t total_minor = (int64_t)(image[1] + image[2]);
    if (!expect(reader, total_minor <= RISK_MAX_TOTAL - c->risk.assets[asset].total_minor)) return;
    c->risk.assets[asset].total_minor += total_minor;
    risk_put(&c->risk, risk_add_balance(&c->risk, account, asset), (int64_t)image[1], (int64_t)image[2]);
}

static void take_money(struct reader *reader, struct core *c) {
    uint32_t assets = take_count(reader, RISK_MAX_ASSETS);
    for (uint32_t i = 0; i < assets && !reader->is_broken; i++) take_asset(reader, c);
    uint32_t accounts = take_count(reader, c->sizes.accounts);
    expect(reader, accounts >= 1);
    for (uint32_t place = 1; place <= accounts && !reader->is_broken; place++) take_account(reader, c, place);
    uint32_t balances = take_count(reader, c->sizes.balances);
    for (uint32_t i = 0; i < balances && !reader->is_broken; i++) take_balance(reader, c);
    for (uint32_t place = 1; place <= c->risk.asset_count; place++) {
        expect(reader, c->risk.assets[place].fee_balance != RISK_NONE);
    }
}

/* ---- Instruments ---------------------------------------------------------------------------------------------- */

/* An instrument from its image; false where a word has bits that mean nothing. Its symbol is cut at its length. */
static bool read_instrument(struct core_instrument *instrument, const uint64_t image[CORE_INSTRUMENT_WORDS]) {
    struct book *book = instrument->book;
    *instrument = (struct core_instrument){
        .book = book,
        .id = (uint32_t)image[0],
        .base = (uint32_t)(image[0] >> 32),
        .quote = (uint32_t)image[1],
        .tick_scale = (uint32_t)(image[1] >> 32),
        .protection_ppm = (uint32_t)image[2],
        .phase = (uint8_t)(image[2] >> 32),
        .symbol_length = (uint8_t)(image[2] >> 40),
        .tiers = (uint16_t)(image[2] >> 48),
        .lot_minor = (int64_t)image[3],
        .tick_units = (int64_t)image[4],
        .tick_lot_minor = (int64_t)image[5],
        .min_quantity_lots = (int64_t)image[6],
        .max_quantity_lots = (int64_t)image[7],
        .min_notional_minor = (int64_t)image[8],
        .max_notional_minor = (int64_t)image[9],
    };
    for (uint32_t i = 0; i < CORE_SYMBOL_BYTES / 8; i++) hash_store((uint8_t *)instrument->symbol + 8 * i, image[10 + i]);
    for (uint32_t tier = 0; tier < CORE_TIERS; tier++) {
        bool has_own = instrument->tiers >> tier & 1;
        if (!has_own && image[14 + tier] != image[14]) return false;
        instrument->maker_ppm[tier] = (int32_t)(uint32_t)image[14 + tier];
        instrument->taker_ppm[tier] = (int32_t)(uint32_t)(image[14 + tier] >> 32);
    }
    if (instrument->symbol_length > CORE_SYMBOL_BYTES) return false;
    for (uint32_t i = instrument->symbol_length; i < CORE_SYMBOL_BYTES; i++) {
        if (instrument->symbol[i] != 0) return false;
    }
    return true;
}

static void take_instrument(struct reader *reader, struct core *c, uint32_t place) {
    uint64_t image[CORE_INSTRUMENT_WORDS];
    uint64_t market[CORE_MARKET_WORDS];
    take(reader, image, CORE_INSTRUMENT_WORDS);
    take(reader, market, CORE_MARKET_WORDS);
    struct core_instrument *instrument = &c->instruments[place];
    bool is_whole = read_instrument(instrument, image) && instrument->id == (place + 1) * CORE_SHARDS + c->shard;
    uint32_t assets = c->risk.asset_count;
    bool is_of_assets = instrument->base - 1 < assets && instrument->quote - 1 < assets;
    if (!expect(reader, is_whole && is_of_assets)) return;
    struct codec_instrument view;
    core_view_instrument(c, instrument, &view);
    int64_t tick_lot_minor = core_tick_lot_of(c, &view, instrument->base, instrument->quote);
    bool is_possible = tick_lot_minor != 0 && tick_lot_minor == instrument->tick_lot_minor && core_is_instrument(&view);
    if (!expect(reader, is_possible)) return;
    bool is_market = market[0] == instrument->id && market[1] <= BOOK_MAX_PRICE && market[2] >= 1 && market[3] == 0;
    if (!expect(reader, is_market)) return;
    instrument->last_price_ticks = (int64_t)market[1];
    instrument->book->next_priority = market[2];
    instrument->market_hash = core_market_hash(instrument);
    c->hash += core_instrument_hash(instrument) + instrument->market_hash;
    c->instrument_count++;
}

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
static uint32_t take_name(struct reader *reader, struct core *c, struct name *name) {
    uint64_t image[NAMES_WORDS];
    take(reader, image, NAMES_WORDS);
    *name = (struct name){.order_id = image[0], .body = image[1], .ended_us = (int64_t)image[2], .account = (uint32_t)image[3]};
    for (uint32_t i = 0; i < NAMES_TEXT_BYTES / 8; i++) hash_store(name->text.bytes + 8 * i, image[4 + i]);
    bool is_whole = image[3] >= 1 && image[3] <= c->risk.account_count && image[9] == 0 && is_name(&name->text);
    if (!expect(reader, is_whole && c->names.count < c->sizes.client_order_ids)) return NAMES_NONE;
    if (!expect(reader, is_id(c, name->order_id, c->orders_given))) return NAMES_NONE;
    if (!expect(reader, names_find(&c->names, name->account, &name->text) == NAMES_NONE)) return NAMES_NONE;
    return names_add(&c->names, name->account, &name->text, name->order_id, name->body);
}

static void take_ended(struct reader *reader, struct core *c) {
    uint32_t count = take_count(reader, c->sizes.client_order_ids);
    int64_t last_us = 0;
    for (uint32_t i = 0; i < count && !reader->is_broken; i++) {
        struct name name;
        uint32_t place = take_name(reader, c, &name);
        bool is_in_order = name.ended_us >= last_us && name.ended_us <= c->clock_us;
        if (!expect(reader, is_in_order && book_find(c->pool, name.order_id) == BOOK_NONE)) return;
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

/* Could this be an order of this core? Then `entry` is what the book wants of it. */
static bool read_entry(const struct core *c, const uint64_t image[CORE_ORDER_WORDS], struct book_entry *entry) {
    uint64_t place = image[4] >> 32;
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
    bool is_owned = owner >= 1 && owner <= c->risk.account_count && place < c->instrument_count;
    if (!is_flagged || !is_owned || !is_id(c, image[0], c->orders_given)) return false;
    const struct core_instrument *instrument = &c->instruments[place];
    bool is_sized = image[1] >= 1 && image[1] <= BOOK_MAX_PRICE && image[2] >= 1 && image[2] <= image[6] && image[6] <= INT64_MAX;
    if (!is_sized || core_hold(instrument, entry->side, (int64_t)image[1], (int64_t)image[2]) > RISK_MAX_TOTAL) return false;
    bool is_stamped = image[3] >= 1 && image[3] < instrument->book->next_priority && image[11] >= 1 && image[11] <= c->sequence;
    return is_stamped && (int64_t)image[7] >= 0 && book_find(c->pool, image[0]) == BOOK_NONE;
}

/* Put an order into its book; its name, its account's list and the hash come later. Returns its slot, or BOOK_NONE. */
static uint32_t put_order(struct core *c, const uint64_t image[CORE_ORDER_WORDS], const struct book_entry *entry) {
    const struct core_instrument *instrument = &c->instruments[image[4] >> 32];
    struct book *book = instrument->book;
    uint32_t gives = risk_find_balance(&c->risk, entry->owner, core_asset_given(instrument, entry->side));
    uint32_t receives = risk_find_balance(&c->risk, entry->owner, core_asset_received(instrument, entry->side));
    if (gives == RISK_NONE || receives == RISK_NONE) return BOOK_NONE;
    int64_t price_ticks = (int64_t)image[1];
    int64_t lots = (int64_t)image[2];
    if (book_would_cross(book, entry->side, price_ticks) || !book_side_has_room(book, entry->side, lots)) return BOOK_NONE;
    uint32_t slot = book_claim(book, entry);
    if (slot == BOOK_NONE) return BOOK_NONE;
    uint64_t next_priority = book->next_priority;
    book_attach_stamped(book, slot, price_ticks, lots, image[3]);
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

/* Returns its id; the stream may be broken. */
static uint64_t take_order(struct reader *reader, struct core *c, struct queue *last) {
    uint64_t image[CORE_ORDER_WORDS];
    struct book_entry entry;
    take(reader, image, CORE_ORDER_WORDS);
    uint64_t has_name = take_word(reader);
    if (!expect(reader, has_name <= 1 && read_entry(c, image, &entry))) return 0;
    uint64_t key = entry.side == BOOK_BUY ? ~image[1] : image[1];
    struct queue here = {2 * (image[4] >> 32) + entry.side, key, image[3]};
    if (!expect(reader, is_after(last, &here))) return 0;
    *last = here;
    uint32_t slot = put_order(c, image, &entry);
    if (!expect(reader, slot != BOOK_NONE)) return 0;
    if (has_name) {
        struct name name;
        c->cold[slot].name = take_name(reader, c, &name);
        bool is_its = name.order_id == entry.order_id && name.account == entry.owner && name.ended_us == NAMES_OPEN;
        if (!expect(reader, is_its)) return 0;
    }
    c->hash += core_order_hash(c, slot);
    return entry.order_id;
}

static void take_orders(struct reader *reader, struct core *c) {
    uint32_t count = take_count(reader, c->sizes.orders);
    struct queue last = {0};
    for (uint32_t i = 0; i < count && !reader->is_broken; i++) c->sorted[i] = take_order(reader, c, &last);
    if (reader->is_broken) return;
    core_sort(c->sorted, count);
    for (uint32_t i = 0; i < count; i++) core_list_order(c, book_find(c->pool, c->sorted[i]));
}

/* ---- Sessions ------------------------------------------------------------------------------------------------- */

static void take_session(struct reader *reader, struct core *c, uint64_t *last_id) {
    uint64_t image[SESSION_WORDS];
    take(reader, image, SESSION_WORDS);
    bool is_in_order = image[0] > *last_id && image[0] <= c->sequence;
    bool is_timed = (int64_t)image[2] >= 0 && (int64_t)image[2] <= c->clock_us && image[3] == 0;
    uint32_t remembered = take_count(reader, SESSION_RING);
    if (!expect(reader, is_in_order && is_timed && (remembered == 0) == (image[1] == 0))) return;
    *last_id = image[0];
    session_begin(&c->sessions, image[0], (int64_t)image[2]);
    struct session *session = session_find(&c->sessions, image[0]);
    for (uint32_t i = 0; i < remembered; i++) {
        uint64_t number = take_word(reader);
        uint64_t offset = take_word(reader);
        bool is_within = number > session->last_number && number <= image[1] && image[1] - number < SESSION_RING;
        if (!expect(reader, is_within && offset < c->next_offset)) return;
        session_apply(&c->sessions, session, number, offset, (int64_t)image[2]);
    }
    expect(reader, session->last_number == image[1]);
}

static void take_sessions(struct reader *reader, struct core *c) {
    uint32_t count = take_count(reader, c->sizes.sessions);
    uint64_t last_id = 0;
    for (uint32_t i = 0; i < count && !reader->is_broken; i++) take_session(reader, c, &last_id);
    for (uint32_t source = 1; source < SESSION_SOURCES; source++) {
        uint64_t number = take_word(reader);
        if (number != 0) source_apply(&c->sessions, source, number);
    }
}

/* ---- All of it ------------------------------------------------------------------------------------------------ */

/* Everything behind the head. */
static int take_body(struct reader *reader, struct core *c) {
    take_money(reader, c);
    uint32_t instruments = take_count(reader, c->sizes.instruments);
    if (!core_reserve(c, &c->sizes, instruments)) return CORE_NO_ROOM;
    for (uint32_t place = 0; place < instruments && !reader->is_broken; place++) take_instrument(reader, c, place);
    if (!reader->is_broken) take_orders(reader, c);
    if (!reader->is_broken) take_ended(reader, c);
    if (!reader->is_broken) take_sessions(reader, c);
    uint64_t state_hash = take_word(reader);
    uint64_t balance_hash = take_word(reader);
    if (!expect(reader, reader->at == reader->end)) return CORE_BROKEN;
    if (core_state_hash(c) != state_hash || c->risk.balance_hash != balance_hash) return CORE_BROKEN;
    return core_validate(c) == 0 ? CORE_OK : CORE_BROKEN;
}

int core_restore(const uint8_t *bytes, uint64_t length, core **out) {
    struct reader reader = {bytes, bytes + length, false};
    struct core *c = NULL;
    int result = take_head(&reader, &c);
    if (result == CORE_OK) result = take_body(&reader, c);
    if (result != CORE_OK) {
        core_free(c);
        return result;
    }
    *out = c;
    return CORE_OK;
}
