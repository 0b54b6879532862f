/* Opening a core, applying records part by part, and the hashes of what stands in the core itself; see core.h. */

#include "core.h"

const struct codec_set_sizes core_first_sizes = {
    .orders = 1048576,
    .orders_per_account = 10000,
    .accounts = 65536,
    .balances = 262144,
    .client_order_ids = 2097152,
    .client_order_id_memory_us = 120000000,
    .sessions = 256,
    .instruments = 1024,
};

/* All ids of orders in a shard end in its number. */
#define ID_SHIFT 10

/* ---- Memory --------------------------------------------------------------------------------------------------- */

/* Room for orders: the pool has its own, the cold halves follow it. The pool's limit stays what it is. */
static bool reserve_orders(struct core *c, uint32_t orders) {
    if (orders > c->pool->reserved && !book_pool_set_limit(c->pool, orders)) return false;
    if (!book_pool_set_limit(c->pool, c->sizes.orders)) return false;
    if (orders <= c->cold_room) return true;
    size_t used = c->pool->fresh_order;
    struct core_cold *cold = array_grow(c->cold, sizeof *cold, used, (size_t)orders + 1);
    if (!cold) return false;
    c->cold = cold;
    struct core_more *more = array_grow(c->more, sizeof *more, used, (size_t)orders + 1);
    if (!more) return false;
    c->more = more;
    int64_t *hidden = array_grow(c->hidden, sizeof *hidden, c->pool->fresh_level, (size_t)orders + 1);
    if (!hidden) return false;
    c->hidden = hidden;
    c->cold_room = orders;
    return true;
}

static void close_books(struct core_instrument *instrument) {
    book_close(instrument->book);
    book_close(instrument->waiting[0]);
    book_close(instrument->waiting[1]);
    instrument->book = instrument->waiting[0] = instrument->waiting[1] = NULL;
}

/* The three books of the instrument at a place, or none. Orders that wait may be triggered by a rise below where others are by
 * a fall, so those books may be crossed. */
static bool open_books(struct core *c, uint32_t place) {
    struct core_instrument *instrument = &c->instruments[place];
    instrument->book = book_open(c->pool, place);
    bool is_open = instrument->book != NULL;
    for (uint32_t kind = 0; kind < 2; kind++) {
        instrument->waiting[kind] = book_open(c->pool, core_waiting_number(place, kind));
        if (instrument->waiting[kind]) instrument->waiting[kind]->may_cross = true;
        is_open = is_open && instrument->waiting[kind];
    }
    if (!is_open) close_books(instrument);
    return is_open;
}

/* Room for instruments, and books for the first `books` of them. */
static bool reserve_instruments(struct core *c, uint32_t instruments, uint32_t books) {
    if (instruments > c->instrument_room) {
        uint32_t *touched = array_grow(c->touched, sizeof *touched, c->touched_count, instruments);
        if (!touched) return false;
        c->touched = touched;
        struct core_instrument *grown = array_grow(c->instruments, sizeof *grown, c->book_count, instruments);
        if (!grown) return false;
        c->instruments = grown;
        c->instrument_room = instruments;
    }
    for (; c->book_count < books; c->book_count++) {
        if (!open_books(c, c->book_count)) return false;
    }
    return true;
}

/* Room to sort what core_verify lists. */
static bool reserve_sorted(struct core *c, uint32_t entries) {
    if (entries <= c->sorted_room) return true;
    uint64_t *grown = array_grow(c->sorted, sizeof *grown, 0, entries);
    if (!grown) return false;
    c->sorted = grown;
    c->sorted_room = entries;
    return true;
}

bool core_reserve(struct core *c, const struct codec_set_sizes *sizes, uint32_t books) {
    uint32_t listed = sizes->orders > sizes->accounts ? sizes->orders : sizes->accounts;
    return reserve_orders(c, sizes->orders) && reserve_instruments(c, sizes->instruments, books) &&
           reserve_sorted(c, listed) && risk_reserve(&c->risk, sizes->accounts, sizes->balances) &&
           names_reserve(&c->names, sizes->client_order_ids) && sessions_reserve(&c->sessions, sizes->sessions) &&
           timers_reserve(&c->timers, sizes->orders + sizes->accounts + sizes->instruments);
}

int core_open(uint32_t shard, const struct codec_set_sizes *sizes, struct core **out) {
    if (shard >= CORE_SHARDS) return CORE_FOREIGN;
    struct core *c = calloc(1, sizeof *c);
    if (!c) return CORE_NO_ROOM;
    c->shard = shard;
    c->rules = 1;
    c->sizes = *sizes;
    c->pool = book_pool_open(sizes->orders, ID_SHIFT);
    bool is_open = c->pool && risk_open(&c->risk, sizes->accounts, sizes->balances) &&
                   names_open(&c->names, sizes->client_order_ids) && sessions_open(&c->sessions, sizes->sessions) &&
                   core_reserve(c, sizes, 0);
    if (!is_open) {
        core_free(c);
        return CORE_NO_ROOM;
    }
    *out = c;
    return CORE_OK;
}

int core_new(uint32_t shard, core **out) { return core_open(shard, &core_first_sizes, out); }

void core_free(core *c) {
    if (!c) return;
    for (uint32_t place = 0; place < c->book_count; place++) close_books(&c->instruments[place]);
    book_pool_close(c->pool);
    free(c->cold);
    free(c->more);
    free(c->hidden);
    timers_close(&c->timers);
    free(c->instruments);
    free(c->touched);
    free(c->sorted);
    risk_close(&c->risk);
    names_close(&c->names);
    sessions_close(&c->sessions);
    free(c);
}

/* ---- Hashes --------------------------------------------------------------------------------------------------- */

void core_image(const struct core *c, uint64_t image[CORE_WORDS]) {
    const struct codec_set_sizes *sizes = &c->sizes;
    image[0] = (uint64_t)c->rules << 32 | c->shard;
    image[1] = c->sequence;
    image[2] = c->next_offset;
    image[3] = (uint64_t)c->clock_us;
    image[4] = c->orders_given;
    image[5] = c->trades_given;
    image[6] = c->markets_changed;
    image[7] = (uint64_t)sizes->orders_per_account << 32 | sizes->orders;
    image[8] = (uint64_t)sizes->balances << 32 | sizes->accounts;
    image[9] = (uint64_t)sizes->sessions << 32 | sizes->client_order_ids;
    image[10] = sizes->instruments;
    image[11] = (uint64_t)sizes->client_order_id_memory_us;
}

void core_instrument_image(const struct core_instrument *instrument, uint64_t image[CORE_INSTRUMENT_WORDS]) {
    image[0] = (uint64_t)instrument->base << 32 | instrument->id;
    image[1] = (uint64_t)instrument->tick_scale << 32 | instrument->quote;
    image[2] = (uint64_t)instrument->tiers << 48 | (uint64_t)instrument->symbol_length << 40 |
               (uint64_t)instrument->phase << 32 | instrument->protection_ppm;
    image[3] = (uint64_t)instrument->lot_minor;
    image[4] = (uint64_t)instrument->tick_units;
    image[5] = (uint64_t)instrument->tick_lot_minor;
    image[6] = (uint64_t)instrument->min_quantity_lots;
    image[7] = (uint64_t)instrument->max_quantity_lots;
    image[8] = (uint64_t)instrument->min_notional_minor;
    image[9] = (uint64_t)instrument->max_notional_minor;
    for (uint32_t i = 0; i < CORE_SYMBOL_BYTES / 8; i++) image[10 + i] = hash_load((const uint8_t *)instrument->symbol + 8 * i);
    for (uint32_t tier = 0; tier < CORE_TIERS; tier++) {
        image[14 + tier] = (uint64_t)(uint32_t)instrument->taker_ppm[tier] << 32 | (uint32_t)instrument->maker_ppm[tier];
    }
}

void core_market_image(const struct core_instrument *instrument, uint64_t image[CORE_MARKET_WORDS]) {
    image[0] = instrument->id;
    image[1] = (uint64_t)instrument->last_price_ticks;
    image[2] = instrument->book->next_priority;
    image[3] = instrument->waiting_stamp;
}

void core_more_image(const struct core *c, uint32_t slot, uint64_t image[CORE_MORE_WORDS]) {
    const struct core_more *more = &c->more[slot];
    image[0] = book_order_at(c->pool, slot)->order_id;
    image[1] = (uint64_t)more->price_ticks;
    image[2] = (uint64_t)more->trigger_ticks;
    image[3] = (uint64_t)more->trail_ticks;
    image[4] = (uint64_t)more->activation_ticks;
    image[5] = (uint64_t)more->peak_ticks;
    image[6] = (uint64_t)more->triggered_us;
    image[7] = (uint64_t)more->hidden_lots;
    image[8] = (uint64_t)more->display_lots;
    image[9] = (uint64_t)more->min_fill_lots;
    image[10] = (uint64_t)more->expires_us;
    image[11] = (uint64_t)more->protection_ticks;
    image[12] = (uint64_t)more->quote_minor;
    image[13] = (uint64_t)more->other_fee_minor;
    image[14] = more->group;
    image[15] = (uint64_t)more->trail_ppm << 32 | more->other_fee_asset;
    image[16] = (uint64_t)more->side << 32 | (uint64_t)more->type << 24 | (uint64_t)more->time_in_force << 16 |
                (uint64_t)more->trigger_by << 8 | more->whereabouts;
    image[17] = (uint64_t)more->group_kind << 8 | more->group_member;
}

static uint64_t more_hash(const struct core *c, uint32_t slot) {
    uint64_t image[CORE_MORE_WORDS];
    core_more_image(c, slot, image);
    return hash_words(HASH_MORE, image, CORE_MORE_WORDS);
}

uint64_t core_order_hash(const struct core *c, uint32_t slot) {
    uint64_t image[CORE_ORDER_WORDS];
    core_order_image(c, slot, image);
    uint64_t hash = hash_twelve_words(HASH_ORDER, image);
    return c->cold[slot].has_more ? hash + more_hash(c, slot) : hash;
}

void core_guards_image(const struct core_instrument *instrument, uint64_t image[CORE_GUARDS_WORDS]) {
    image[0] = instrument->id;
    image[1] = (uint64_t)instrument->mark_ticks;
    image[2] = (uint64_t)instrument->reference_ticks;
    image[3] = (uint64_t)instrument->volatility_auction_us;
    image[4] = (uint64_t)instrument->phase_until_us;
    image[5] = (uint64_t)instrument->static_band_ppm << 32 | instrument->dynamic_band_ppm;
    image[6] = (uint64_t)instrument->fee_market << 32 | instrument->fee_discount_ppm;
    image[7] = 0;
}

/* 0 where nothing is set, as it never is under rules 1. */
static uint64_t guards_hash(const struct core_instrument *instrument) {
    uint64_t image[CORE_GUARDS_WORDS];
    uint64_t set = 0;
    core_guards_image(instrument, image);
    for (uint32_t i = 1; i < CORE_GUARDS_WORDS; i++) set |= image[i];
    return set ? hash_words(HASH_GUARDS, image, CORE_GUARDS_WORDS) : 0;
}

uint64_t core_instrument_hash(const struct core_instrument *instrument) {
    uint64_t image[CORE_INSTRUMENT_WORDS];
    core_instrument_image(instrument, image);
    return hash_words(HASH_INSTRUMENT, image, CORE_INSTRUMENT_WORDS) + guards_hash(instrument);
}

uint64_t core_market_hash(const struct core_instrument *instrument) {
    uint64_t image[CORE_MARKET_WORDS];
    core_market_image(instrument, image);
    return hash_words(HASH_MARKET, image, CORE_MARKET_WORDS);
}

uint64_t core_state_hash(const struct core *c) {
    uint64_t image[CORE_WORDS];
    core_image(c, image);
    return hash_words(HASH_CORE, image, CORE_WORDS) + core_halt_hash(c) + c->hash + c->risk.hash + c->names.hash +
           c->sessions.hash;
}

/* Bring the hash up to date with what many changes touched once each. */
static void settle_markets(struct core *c) {
    for (uint32_t i = 0; i < c->touched_count; i++) {
        struct core_instrument *instrument = &c->instruments[c->touched[i]];
        uint64_t hash = core_market_hash(instrument);
        c->hash += hash - instrument->market_hash;
        instrument->market_hash = hash;
        instrument->is_touched = 0;
    }
    c->touched_count = 0;
}

/* ---- Records -------------------------------------------------------------------------------------------------- */

static inline uint32_t greater(uint32_t a, uint32_t b) { return a > b ? a : b; }

/* Raise the sizes to prepare for to those of a SetSizes that would be accepted, or might. */
static void prepare_for_sizes(struct codec_set_sizes *most, const struct codec_set_sizes *sizes) {
    const struct codec_set_sizes *first = &core_first_sizes;
#define RAISE(size) \
    if (sizes->size <= CORE_SIZE_FACTOR * first->size) most->size = greater(most->size, sizes->size)
    RAISE(orders);
    RAISE(accounts);
    RAISE(balances);
    RAISE(client_order_ids);
    RAISE(sessions);
    RAISE(instruments);
#undef RAISE
}

#define LOOKED_AHEAD (CODEC_KIND(COMMAND_USE_RULES) | CODEC_KIND(COMMAND_SET_SIZES) | CODEC_KIND(COMMAND_ADD_INSTRUMENT))

/* Look ahead for what must be known or had before anything changes: versions of the rules, memory for sizes, books. */
static int prepare(struct core *c, struct codec_record record) {
    struct codec_set_sizes most = c->sizes;
    uint32_t books = c->instrument_count;
    struct codec_batch batch;
    while (codec_record_next(&record, &batch)) {
        struct codec_command command;
        while (codec_batch_next(&batch, &command)) {
            if (command.kind == COMMAND_USE_RULES && command.use_rules.version > CORE_KNOWN_RULES) return CORE_UNKNOWN_RULES;
            if (command.kind == COMMAND_SET_SIZES) prepare_for_sizes(&most, &command.set_sizes);
            if (command.kind == COMMAND_ADD_INSTRUMENT) books++;
        }
    }
    return core_reserve(c, &most, books < most.instruments ? books : most.instruments) ? CORE_OK : CORE_NO_ROOM;
}

/* Sessions and names whose time is over go. */
static void pass_time(struct core *c, int64_t time_us) {
    if (time_us > c->clock_us) c->clock_us = time_us;
    sessions_expire(&c->sessions, c->clock_us);
    names_forget(&c->names, c->clock_us - c->sizes.client_order_id_memory_us);
}

/* Check the record and begin it. Anything but CORE_OK: the core is as it was. What is skipped asks for no room and no rules. */
static int begin_record(struct core *c, uint64_t offset, int64_t time_us, const uint8_t *bytes, uint32_t length, bool is_skipped) {
    struct core_progress *p = &c->progress;
    struct codec_record record;
    uint32_t where;
    if (p->is_under_way || offset != c->next_offset) return CORE_FOREIGN;
    if (codec_record_keep(bytes, length, &record, &c->kept, &where) != CORE_OK) return CORE_FOREIGN;
    if (record.shard != c->shard) return CORE_FOREIGN;
    if (!is_skipped && record.kinds & LOOKED_AHEAD) {
        int result = prepare(c, record);
        if (result != CORE_OK) return result;
    }
    *p = (struct core_progress){.is_under_way = true, .is_skipped = is_skipped, .record = record};
    pass_time(c, time_us);
    return CORE_OK;
}

/* The record is done: what holds from the next one on, and the hash of what came of it. */
static void end_record(struct core *c) {
    struct core_progress *p = &c->progress;
    if (p->has_new_clock) {
        c->clock_us = p->new_clock_us;
        sessions_bring_forward(&c->sessions, c->clock_us);
        names_bring_forward(&c->names, c->clock_us);
    }
    core_end_halt(c);
    c->next_offset++;
    settle_markets(c);
    risk_settle(&c->risk);
    p->is_under_way = false;
}

/* Keep the places in the record as offsets, or find them again. */
static void leave_record(struct core *c, const uint8_t *bytes) {
    struct core_progress *p = &c->progress;
    p->record_at = (uint32_t)(p->record.at - bytes);
    if (!p->is_in_batch) return;
    p->batch_at = (uint32_t)(core_command_start(c) - bytes);
    p->batch_end = (uint32_t)(p->batch.end - bytes);
}

static void resume_record(struct core *c, const uint8_t *bytes, uint32_t length) {
    struct core_progress *p = &c->progress;
    p->record.at = bytes + p->record_at;
    p->record.end = bytes + length;
    if (!p->is_in_batch) return;
    p->batch.at = bytes + p->batch_at;
    p->batch.end = bytes + p->batch_end;
    if (p->stage == STAGE_DECIDE) return;
    bool is_there = core_next_command(c);
    assert(is_there && "a command under way is there again");
    (void)is_there;
}

/* One call of core_apply or core_skip. */
struct call {
    uint64_t offset;
    int64_t time_us;
    const uint8_t *record;
    uint32_t length;
    uint32_t part;
    bool is_skipped;
};

static int make_part(struct core *c, const struct call *call, struct core_part *out) {
    struct core_progress *p = &c->progress;
    c->ahead.count = c->ahead.next = 0;
    if (call->part == 0) {
        int result = begin_record(c, call->offset, call->time_us, call->record, call->length, call->is_skipped);
        if (result != CORE_OK) return result;
    } else {
        bool goes_on = p->is_under_way && call->part == p->part && call->offset == c->next_offset;
        if (!goes_on || call->is_skipped != p->is_skipped) return CORE_FOREIGN;
        c->kept.count = 0;
        resume_record(c, call->record, call->length);
    }
    c->out.part = out;
    core_say_begin(c);
    bool last = core_run(c);
    if (last) end_record(c);
    core_say_end(c, last);
    if (!last) leave_record(c, call->record);
    p->part = call->part + 1;
    return CORE_OK;
}

/* What is broken here is broken for good: the state is somewhere between two steps. */
static int make_part_or_fail(struct core *c, const struct call *call, struct core_part *out) {
    struct insist_entry entry;
    if (c->failure.rule) return CORE_FAILED;
    insist_enter(&entry);
    if (setjmp(entry.back) != 0) {
        insist_leave(&entry);
        c->failure = (struct core_failure){entry.rule, entry.file, (uint32_t)entry.line};
        return CORE_FAILED;
    }
    int result = make_part(c, call, out);
    insist_leave(&entry);
    return result;
}

int core_apply(core *c, uint64_t offset, int64_t time_us, const uint8_t *record, uint32_t length, uint32_t part,
               struct core_part *out) {
    const struct call call = {offset, time_us, record, length, part, false};
    return make_part_or_fail(c, &call, out);
}

int core_skip(core *c, uint64_t offset, int64_t time_us, const uint8_t *record, uint32_t length, uint32_t part,
              struct core_part *out) {
    const struct call call = {offset, time_us, record, length, part, true};
    return make_part_or_fail(c, &call, out);
}

void core_failed(const core *c, struct core_failure *out) { *out = c->failure; }

void core_facts(const core *c, struct core_facts *out) {
    const struct timer *first = timers_first(&c->timers);
    *out = (struct core_facts){
        .shard = c->shard,
        .rules = c->rules,
        .sequence = c->sequence,
        .next_offset = c->next_offset,
        .clock_us = c->clock_us,
        .state_hash = core_state_hash(c),
        .balance_hash = c->risk.balance_hash,
        .open_orders = c->pool->order_count,
        .client_order_id_memory_us = c->sizes.client_order_id_memory_us,
        .markets_changed = c->markets_changed,
        .next_due_us = first && !core_is_halted(c) ? first->due_us : 0,
        .halt_sequence = c->halt_sequence,
    };
}
