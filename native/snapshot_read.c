/* Building a core from a snapshot; see snapshot.h. Whatever the bytes are, nothing is done with a word before it is known to be
 * one that a core could have written; what only holds between things is checked at the end. */

#include "snapshot_reader.h"

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
static int take_head(struct snapshot_reader *reader, struct core **out) {
    uint64_t image[CORE_WORDS];
    uint64_t halt[CORE_HALT_WORDS] = {0};
    bool is_ours = snapshot_word(reader) == SNAPSHOT_MAGIC;
    uint64_t version = snapshot_word(reader);
    snapshot_take(reader, image, CORE_WORDS);
    if (version == SNAPSHOT_VERSION) snapshot_take(reader, halt, CORE_HALT_WORDS);
    is_ours = is_ours && (version == SNAPSHOT_UNHALTED || (version == SNAPSHOT_VERSION && (halt[0] != 0 || halt[1] != 0)));
    bool is_halted_well = halt[0] <= image[1] && halt[1] <= image[1];
    struct codec_set_sizes sizes = sizes_of(image);
    bool is_known = (uint32_t)image[0] < CORE_SHARDS && image[0] >> 32 >= 1 && (int64_t)image[3] >= 0 && image[10] >> 32 == 0;
    bool is_counted = image[1] <= SNAPSHOT_MOST_COUNTED && image[2] <= SNAPSHOT_MOST_COUNTED && image[6] <= image[1];
    is_counted = is_counted && image[4] <= SNAPSHOT_MOST_COUNTED && image[5] <= SNAPSHOT_MOST_COUNTED;
    if (!snapshot_expect(reader, is_ours && is_known && is_counted && is_halted_well && are_sizes(&sizes))) return CORE_BROKEN;
    if (image[0] >> 32 > CORE_KNOWN_RULES) return CORE_UNKNOWN_RULES;
    struct core *c;
    if (core_open((uint32_t)image[0], &sizes, &c) != CORE_OK) return CORE_NO_ROOM;
    *out = c;
    c->rules = (uint32_t)(image[0] >> 32);
    c->sequence = image[1];
    c->next_offset = image[2];
    c->clock_us = (int64_t)image[3];
    c->orders_given = image[4];
    c->trades_given = image[5];
    c->markets_changed = image[6];
    c->halt_sequence = halt[0];
    c->resume_sequence = halt[1];
    return CORE_OK;
}

/* ---- Accounts, assets, balances ------------------------------------------------------------------------------- */

static void take_asset(struct snapshot_reader *reader, struct core *c) {
    uint64_t image[RISK_ASSET_WORDS];
    uint8_t code[RISK_CODE_BYTES];
    snapshot_take(reader, image, RISK_ASSET_WORDS);
    hash_store(code, image[2]);
    hash_store(code + 8, image[3]);
    uint32_t length = (uint32_t)(image[1] >> 8);
    struct codec_asset asset = {(uint32_t)image[0], {code, length}, (uint8_t)image[1]};
    if (!snapshot_expect(reader, image[0] >> 32 == 0 && image[1] >> 16 == 0 && core_is_asset(&asset))) return;
    for (uint32_t i = length; i < RISK_CODE_BYTES; i++) snapshot_expect(reader, code[i] == 0);
    bool is_free = risk_find_asset(&c->risk, asset.asset) == RISK_NONE && risk_find_code(&c->risk, code, length) == RISK_NONE;
    if (snapshot_expect(reader, is_free)) risk_add_asset(&c->risk, asset.asset, asset.decimals, code, length);
}

/* The fee account is the first, and there already. */
static void take_account(struct snapshot_reader *reader, struct core *c, uint32_t place) {
    uint64_t image[RISK_ACCOUNT_WORDS];
    snapshot_take(reader, image, RISK_ACCOUNT_WORDS);
    uint32_t id = (uint32_t)image[0];
    uint8_t tier = (uint8_t)(image[1] >> 16);
    uint8_t self_trade = (uint8_t)(image[1] >> 8);
    uint8_t suspended = (uint8_t)image[1];
    uint64_t limits[RISK_LIMITS_WORDS];
    snapshot_take(reader, limits, RISK_LIMITS_WORDS);
    bool is_known = risk_find_account(&c->risk, id) != RISK_NONE;
    bool is_fee = place == RISK_FEE_PLACE;
    if (!snapshot_expect(reader, image[0] >> 32 == 0 && id != 0 && is_known == is_fee && (id == RISK_FEE_ACCOUNT) == is_fee)) return;
    bool is_set = image[1] >> 24 == 0 && tier <= RISK_LAST_TIER && self_trade <= BOOK_SELF_TRADE_DECREMENT && suspended <= 1;
    if (!snapshot_expect(reader, is_set)) return;
    if (!is_fee) risk_add_account(&c->risk, id);
    bool is_limited = limits[0] == id && limits[2] >> 32 <= 1 && (int64_t)limits[3] >= 0 && (int64_t)limits[4] >= 0 && limits[5] == 0;
    if (!snapshot_expect(reader, is_limited)) return;
    struct risk_settings settings = {
        .fee_tier = tier,
        .self_trade = self_trade,
        .suspended = suspended,
        .pays_fee_asset = (uint8_t)(limits[2] >> 32),
        .max_open_orders = (uint32_t)limits[1],
        .max_commands = (uint32_t)(limits[1] >> 32),
    };
    risk_set_account(&c->risk, place, &settings);
    risk_count_command(&c->risk, place, (int64_t)limits[3], (uint32_t)limits[2]);
    risk_set_dead_man(&c->risk, place, (int64_t)limits[4]);
    core_set_timer(c, &c->risk.accounts[place].timer, (int64_t)limits[4], TIMER_ACCOUNT, id, place);
}

static void take_balance(struct snapshot_reader *reader, struct core *c) {
    uint64_t image[RISK_BALANCE_WORDS];
    snapshot_take(reader, image, RISK_BALANCE_WORDS);
    uint32_t account = risk_find_account(&c->risk, (uint32_t)(image[0] >> 32));
    uint32_t asset = risk_find_asset(&c->risk, (uint32_t)image[0]);
    if (!snapshot_expect(reader, account != RISK_NONE && asset != RISK_NONE && image[3] == 0)) return;
    if (!snapshot_expect(reader, risk_find_balance(&c->risk, account, asset) == RISK_NONE)) return;
    uint64_t most = RISK_MAX_TOTAL;
    if (!snapshot_expect(reader, image[1] <= most && image[2] <= most - image[1])) return;
    int64_t total_minor = (int64_t)(image[1] + image[2]);
    if (!snapshot_expect(reader, total_minor <= RISK_MAX_TOTAL - c->risk.assets[asset].total_minor)) return;
    c->risk.assets[asset].total_minor += total_minor;
    risk_put(&c->risk, risk_add_balance(&c->risk, account, asset), (int64_t)image[1], (int64_t)image[2]);
}

static void take_money(struct snapshot_reader *reader, struct core *c) {
    uint32_t assets = snapshot_count(reader, RISK_MAX_ASSETS);
    for (uint32_t i = 0; i < assets && !reader->is_broken; i++) take_asset(reader, c);
    uint32_t accounts = snapshot_count(reader, c->sizes.accounts);
    snapshot_expect(reader, accounts >= 1);
    for (uint32_t place = 1; place <= accounts && !reader->is_broken; place++) take_account(reader, c, place);
    uint32_t balances = snapshot_count(reader, c->sizes.balances);
    for (uint32_t i = 0; i < balances && !reader->is_broken; i++) take_balance(reader, c);
    risk_settle(&c->risk);
    for (uint32_t place = 1; place <= c->risk.asset_count; place++) {
        snapshot_expect(reader, c->risk.assets[place].fee_balance != RISK_NONE);
    }
}

/* ---- Instruments ---------------------------------------------------------------------------------------------- */

/* An instrument from its image; false where a word has bits that mean nothing. Its symbol is cut at its length. */
static bool read_instrument(struct core_instrument *instrument, const uint64_t image[CORE_INSTRUMENT_WORDS]) {
    *instrument = (struct core_instrument){
        .book = instrument->book,
        .waiting = {instrument->waiting[0], instrument->waiting[1]},
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

/* Bands, mark price and the rest that AddInstrument does not say. */
static bool read_guards(struct core *c, struct core_instrument *instrument, const uint64_t image[CORE_GUARDS_WORDS]) {
    bool are_prices = image[1] <= BOOK_MAX_PRICE && image[2] <= BOOK_MAX_PRICE;
    bool are_times = (int64_t)image[3] >= 0 && (int64_t)image[3] <= CORE_DAY_US && (int64_t)image[4] >= 0;
    bool are_bands = image[5] >> 32 <= CORE_MAX_BAND_PPM && (uint32_t)image[5] <= CORE_MAX_BAND_PPM;
    are_bands = are_bands && (uint32_t)image[6] <= RISK_PPM;
    if (image[0] != instrument->id || !are_prices || !are_times || !are_bands || image[7] != 0) return false;
    instrument->mark_ticks = (int64_t)image[1];
    instrument->reference_ticks = (int64_t)image[2];
    instrument->volatility_auction_us = (int64_t)image[3];
    instrument->phase_until_us = (int64_t)image[4];
    instrument->static_band_ppm = (uint32_t)(image[5] >> 32);
    instrument->dynamic_band_ppm = (uint32_t)image[5];
    instrument->fee_market = (uint32_t)(image[6] >> 32);
    instrument->fee_discount_ppm = (uint32_t)image[6];
    core_set_timer(c, &instrument->timer, instrument->phase_until_us, TIMER_PHASE, instrument->id, core_place_of(c, instrument));
    return true;
}

/* A market in whose asset fees are paid is one of this core's, and of the same quote. */
static bool are_fee_markets(const struct core *c) {
    for (uint32_t place = 0; place < c->instrument_count; place++) {
        const struct core_instrument *instrument = &c->instruments[place];
        const struct core_instrument *market = core_find_instrument(c, instrument->fee_market);
        if (instrument->fee_market != 0 && (!market || market->quote != instrument->quote)) return false;
    }
    return true;
}

static void take_instrument(struct snapshot_reader *reader, struct core *c, uint32_t place) {
    uint64_t image[CORE_INSTRUMENT_WORDS];
    uint64_t market[CORE_MARKET_WORDS];
    snapshot_take(reader, image, CORE_INSTRUMENT_WORDS);
    uint64_t guards[CORE_GUARDS_WORDS];
    snapshot_take(reader, guards, CORE_GUARDS_WORDS);
    snapshot_take(reader, market, CORE_MARKET_WORDS);
    struct core_instrument *instrument = &c->instruments[place];
    bool is_whole = read_instrument(instrument, image) && instrument->id == (place + 1) * CORE_SHARDS + c->shard;
    uint32_t assets = c->risk.asset_count;
    bool is_of_assets = instrument->base - 1 < assets && instrument->quote - 1 < assets;
    if (!snapshot_expect(reader, is_whole && is_of_assets)) return;
    struct codec_instrument view;
    core_view_instrument(c, instrument, &view);
    int64_t tick_lot_minor = core_tick_lot_of(c, &view, instrument->base, instrument->quote);
    bool is_possible = tick_lot_minor != 0 && tick_lot_minor == instrument->tick_lot_minor && core_is_instrument(&view) &&
                       core_is_phase(c->rules, instrument->phase);
    if (!snapshot_expect(reader, is_possible)) return;
    bool is_market = market[0] == instrument->id && market[1] <= BOOK_MAX_PRICE && market[2] >= 1;
    is_market = is_market && market[2] <= SNAPSHOT_MOST_COUNTED && market[3] <= SNAPSHOT_MOST_COUNTED;
    if (!snapshot_expect(reader, is_market && read_guards(c, instrument, guards))) return;
    instrument->last_price_ticks = (int64_t)market[1];
    instrument->book->next_priority = market[2];
    instrument->book->may_cross = core_may_cross(instrument->phase);
    instrument->waiting_stamp = market[3];
    for (uint32_t kind = 0; kind < 2; kind++) instrument->waiting[kind]->next_priority = market[3] + 1;
    instrument->market_hash = core_market_hash(instrument);
    c->hash += core_instrument_hash(instrument) + instrument->market_hash;
    c->instrument_count++;
}

/* ---- Sessions ------------------------------------------------------------------------------------------------- */

static void take_session(struct snapshot_reader *reader, struct core *c, uint64_t *last_id) {
    uint64_t image[SESSION_WORDS];
    snapshot_take(reader, image, SESSION_WORDS);
    bool is_in_order = image[0] > *last_id && image[0] <= c->sequence;
    bool is_timed = (int64_t)image[2] >= 0 && (int64_t)image[2] <= c->clock_us && image[3] == 0;
    uint32_t remembered = snapshot_count(reader, SESSION_RING);
    if (!snapshot_expect(reader, is_in_order && is_timed && (remembered == 0) == (image[1] == 0))) return;
    *last_id = image[0];
    session_begin(&c->sessions, image[0], (int64_t)image[2]);
    struct session *session = session_find(&c->sessions, image[0]);
    for (uint32_t i = 0; i < remembered; i++) {
        uint64_t number = snapshot_word(reader);
        uint64_t offset = snapshot_word(reader);
        bool is_within = number > session->last_number && number <= image[1] && image[1] - number < SESSION_RING;
        if (!snapshot_expect(reader, is_within && offset < c->next_offset)) return;
        session_apply(&c->sessions, session, number, offset, (int64_t)image[2]);
    }
    snapshot_expect(reader, session->last_number == image[1]);
}

static void take_sessions(struct snapshot_reader *reader, struct core *c) {
    uint32_t count = snapshot_count(reader, c->sizes.sessions);
    uint64_t last_id = 0;
    for (uint32_t i = 0; i < count && !reader->is_broken; i++) take_session(reader, c, &last_id);
    for (uint32_t source = 1; source < SESSION_SOURCES; source++) {
        uint64_t number = snapshot_word(reader);
        if (number != 0) source_apply(&c->sessions, source, number);
    }
}

/* ---- All of it ------------------------------------------------------------------------------------------------ */

/* Everything behind the head. */
static int take_body(struct snapshot_reader *reader, struct core *c) {
    take_money(reader, c);
    uint32_t instruments = snapshot_count(reader, c->sizes.instruments);
    if (!core_reserve(c, &c->sizes, instruments)) return CORE_NO_ROOM;
    for (uint32_t place = 0; place < instruments && !reader->is_broken; place++) take_instrument(reader, c, place);
    if (!reader->is_broken) snapshot_expect(reader, are_fee_markets(c));
    if (!reader->is_broken) snapshot_take_orders(reader, c);
    if (!reader->is_broken) snapshot_take_ended(reader, c);
    if (!reader->is_broken) take_sessions(reader, c);
    uint64_t state_hash = snapshot_word(reader);
    uint64_t balance_hash = snapshot_word(reader);
    if (!snapshot_expect(reader, reader->at == reader->end)) return CORE_BROKEN;
    if (core_state_hash(c) != state_hash || c->risk.balance_hash != balance_hash) return CORE_BROKEN;
    return core_validate(c) == 0 ? CORE_OK : CORE_BROKEN;
}

int core_restore(const uint8_t *bytes, uint64_t length, core **out) {
    struct snapshot_reader reader = {bytes, bytes + length, false};
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
