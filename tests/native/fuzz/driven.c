/* See driven.h. */

#include "driven.h"

#include <stdlib.h>
#include <string.h>

#include "snapshot.h"

/* What the parts of a record came to. */
struct made {
    uint8_t *events, *answers;
    size_t events_length, answers_length;
    uint32_t parts;
    int result;
};

static void append(uint8_t **all, size_t *length, const uint8_t *more, size_t more_length) {
    uint8_t *grown = realloc(*all, *length + more_length + 1);
    FUZZ_CHECK(grown != NULL);
    if (more_length) memcpy(grown + *length, more, more_length);
    *all = grown;
    *length += more_length;
}

static void keep_part(struct made *made, const struct core_part *part) {
    FUZZ_CHECK(part->events_length <= CORE_PART_BYTES && part->answers_length <= CORE_ANSWER_BYTES);
    FUZZ_CHECK(part->index_length <= CORE_MAX_BATCHES);
    for (uint32_t i = 0; i < part->index_length; i++) {
        FUZZ_CHECK((uint64_t)part->index[i].start + part->index[i].length <= part->answers_length);
    }
    append(&made->events, &made->events_length, part->events, part->events_length);
    append(&made->answers, &made->answers_length, part->answers, part->answers_length);
    made->parts++;
}

/* Buffers of exactly the size that is promised, for the whole life of the process. */
static struct core_part open_part(void) {
    static struct core_part part;
    if (part.events == NULL) {
        part.events = malloc(CORE_PART_BYTES);
        part.answers = malloc(CORE_ANSWER_BYTES);
        part.index = malloc(CORE_MAX_BATCHES * sizeof(struct core_answer));
    }
    FUZZ_CHECK(part.events && part.answers && part.index);
    return part;
}

static struct made apply(core *core, struct grammar_record record) {
    struct made made = {0};
    struct core_facts facts;
    struct core_part part = open_part();
    core_facts(core, &facts);
    do {
        uint8_t *elsewhere = fuzz_copy(record.bytes, record.length);
        made.result = core_apply(core, facts.next_offset, record.time_us, elsewhere, record.length, made.parts, &part);
        free(elsewhere);
        if (made.result != CORE_OK) break;
        keep_part(&made, &part);
    } while (!part.last);
    return made;
}

static void free_made(struct made *made) {
    free(made->events);
    free(made->answers);
}

static void compare_twin(struct driven *driven, struct grammar_record record, const struct made *made) {
    if (!driven->twin) return;
    struct made other = apply(driven->twin, record);
    FUZZ_CHECK(other.result == made->result && other.parts == made->parts);
    FUZZ_CHECK(other.events_length == made->events_length && other.answers_length == made->answers_length);
    FUZZ_CHECK(made->events_length == 0 || memcmp(other.events, made->events, made->events_length) == 0);
    FUZZ_CHECK(made->answers_length == 0 || memcmp(other.answers, made->answers, made->answers_length) == 0);
    free_made(&other);
}

/* Only a version of the rules nobody knows, or memory, may stand against a record that was let through. */
static void note(const struct driven *driven, const struct made *made, const struct core_facts *before) {
    struct core_facts facts;
    core_facts(driven->core, &facts);
    if (made->result == CORE_OK) {
        FUZZ_CHECK(facts.next_offset == before->next_offset + 1 && facts.sequence >= before->sequence);
    } else {
        FUZZ_CHECK(made->parts == 0 && memcmp(&facts, before, sizeof facts) == 0);
    }
    FUZZ_CHECK_ZERO(core_validate(driven->core));
    fuzz_note_state("state", facts.state_hash);
    fuzz_note_state("balances", facts.balance_hash);
    fuzz_note_bytes("events", made->events, made->events_length);
    fuzz_note_bytes("answers", made->answers, made->answers_length);
}

void driven_apply(struct driven *driven, struct grammar_record record) {
    struct core_facts before;
    core_facts(driven->core, &before);
    struct made made = apply(driven->core, record);
    FUZZ_CHECK(made.result == CORE_OK || made.result == CORE_UNKNOWN_RULES || made.result == CORE_NO_ROOM);
    compare_twin(driven, record, &made);
    note(driven, &made, &before);
    free_made(&made);
}

void driven_apply_spoiled(struct driven *driven, struct grammar_record record) {
    struct core_facts before;
    struct codec_record found;
    uint32_t where = 0;
    int let_through = codec_record_check(record.bytes, record.length, &found, &where);
    core_facts(driven->core, &before);
    struct made made = apply(driven->core, record);
    bool is_foreign = let_through != CORE_OK || found.shard != before.shard;
    FUZZ_CHECK((made.result == CORE_FOREIGN) == is_foreign && where <= record.length);
    compare_twin(driven, record, &made);
    note(driven, &made, &before);
    free_made(&made);
}

void driven_open(struct driven *driven, uint32_t shard) {
    *driven = (struct driven){NULL, NULL};
    FUZZ_CHECK_ZERO(core_new(shard, &driven->core));
}

void driven_begin(struct driven *driven, struct grammar *grammar) {
    struct grammar_record record;
    for (uint32_t i = 0; (record = grammar_opening(grammar, i)).bytes; i++) driven_apply(driven, record);
    const struct core *c = driven->core;
    bool is_open = c->sessions.count == 1 && c->instrument_count == 2 && c->risk.asset_count == 3 && c->risk.account_count == 7;
    FUZZ_CHECK(is_open && "the opening opens what it is meant to");
}

void driven_use_rules(struct driven *driven, struct grammar *grammar) {
    struct grammar_given newest[] = {{"version", CORE_KNOWN_RULES}, {NULL, 0}};
    driven_apply(driven, grammar_command(grammar, COMMAND_USE_RULES, newest));
}

/* ---- A world -------------------------------------------------------------------------------------------------------- */

#define MOST_GIVEN 8

/* A command of an account, with these fields. */
static void give(struct driven *driven, struct grammar *g, uint32_t account, uint32_t kind, const struct grammar_given *given) {
    g->account = account;
    driven_apply(driven, grammar_command(g, kind, given));
}

static void order(struct driven *driven, struct grammar *g, uint32_t account, uint64_t side, uint64_t price, uint64_t name) {
    struct grammar_given given[] = {{"instrument", CORE_SHARDS}, {"side", side}, {"price_ticks", price}, {"quantity_lots", 1},
                                    {"client_order_id", name}, {NULL, 0}};
    if (name == 0) given[4] = given[5];
    give(driven, g, account, COMMAND_PLACE_ORDER, given);
}

/* Near and far, with names and without, of which some have ended. */
static void place_orders(struct driven *driven, struct grammar *g) {
    static const uint64_t asks[] = {101, 101, 103, 5000, 5001, 70000, 70016, 1000000, 50000000, UINT64_C(1) << 40};
    for (uint32_t i = 0; i < sizeof asks / sizeof *asks; i++) order(driven, g, 1000 + i % 3, SIDE_SELL, asks[i], i % 2 ? 0 : i + 1);
    for (uint32_t i = 0; i < 6; i++) order(driven, g, 1003 + i % 2, SIDE_BUY, 90 + i / 2, 20 + i);
    for (uint64_t name = 20; name < 24; name += 2) {
        struct grammar_given cancel[] = {{"client_order_id", name}, {NULL, 0}};
        give(driven, g, 1003, COMMAND_CANCEL_ORDER, cancel);
    }
    FUZZ_CHECK(driven->core->pool->order_count == 14 && driven->core->names.ended == 2 && driven->core->pool->node_count > 0);
}

/* What only the newer rules know: orders that wait, hide and end by themselves, groups, switches, bands, an auction. */
static void place_more(struct driven *driven, struct grammar *g) {
    uint64_t later = (uint64_t)g->time_us + 3600000000;
    struct {
        uint32_t kind;
        struct grammar_given given[MOST_GIVEN];
    } more[] = {
        {COMMAND_PLACE_ORDER, {{"type", ORDER_TYPE_STOP_LIMIT}, {"side", SIDE_BUY}, {"trigger_ticks", 200}, {"price_ticks", 210}}},
        {COMMAND_PLACE_ORDER, {{"type", ORDER_TYPE_TRAILING_STOP}, {"side", SIDE_SELL}, {"trail_ticks", 3}, {"trail_ppm", 0}}},
        {COMMAND_PLACE_ORDER, {{"side", SIDE_SELL}, {"price_ticks", 104}, {"quantity_lots", 4}, {"display_lots", 1}}},
        {COMMAND_PLACE_ORDER,
         {{"side", SIDE_SELL}, {"price_ticks", 105}, {"time_in_force", TIME_IN_FORCE_GTD}, {"expires_us", later}}},
        {COMMAND_PLACE_GROUP, {{"kind", GROUP_KIND_OCO}, {"side", SIDE_SELL}, {"price_ticks", 110}, {"trigger_ticks", 50}}},
        {COMMAND_PLACE_GROUP, {{"kind", GROUP_KIND_BRACKET}, {"side", SIDE_BUY}, {"price_ticks", 89}, {"trigger_ticks", 80}}},
        {COMMAND_SET_DEAD_MAN, {{"timeout_us", 30000000}}},
        {COMMAND_SET_ACCOUNT, {{"max_open_orders", 9}, {"max_commands_per_second", 7}}},
        {COMMAND_SET_GUARDS, {{"reference_ticks", 100}, {"static_band_ppm", 900000}, {"volatility_auction_us", 5000000}}},
        {COMMAND_SET_MARK, {{"price_ticks", 100}}},
        {COMMAND_SET_PHASE, {{"instrument", 2 * CORE_SHARDS}, {"phase", PHASE_CLOSING_AUCTION}, {"until_us", later}}},
        {COMMAND_PLACE_ORDER, {{"instrument", 2 * CORE_SHARDS}, {"side", SIDE_BUY}, {"price_ticks", 105}}},
        {COMMAND_PLACE_ORDER, {{"instrument", 2 * CORE_SHARDS}, {"side", SIDE_SELL}, {"price_ticks", 95}}},
    };
    for (uint32_t i = 0; i < sizeof more / sizeof *more; i++) give(driven, g, 1000 + i % 6, more[i].kind, more[i].given);
    FUZZ_CHECK(driven->core->pool->order_count == 14 + 11 && driven->core->timers.count == 3);
}

void driven_world(struct driven *driven, struct grammar *g, uint32_t rules) {
    driven_open(driven, 0);
    grammar_begin(g, driven->core, (struct fuzz_input){NULL, NULL});
    driven_begin(driven, g);
    if (rules > 1) driven_use_rules(driven, g);
    driven_apply(driven, grammar_command(g, COMMAND_OPEN_SESSION, NULL));
    place_orders(driven, g);
    if (rules > 1) place_more(driven, g);
}

void driven_close(struct driven *driven) {
    core_free(driven->core);
    core_free(driven->twin);
}

/* ---- Snapshots ------------------------------------------------------------------------------------------------------ */

uint8_t *driven_snapshot(const core *core, uint32_t capacity, size_t *length) {
    uint8_t *all = NULL;
    uint8_t *piece = malloc(capacity);
    uint64_t cursor = 0;
    *length = 0;
    FUZZ_CHECK(piece && core_snapshot(core, &cursor, piece, SNAPSHOT_ITEM_BYTES - 1) == CORE_SMALL_BUFFER);
    do {
        int64_t written = core_snapshot(core, &cursor, piece, capacity);
        FUZZ_CHECK(written > 0 && written <= capacity);
        append(&all, length, piece, (size_t)written);
    } while (cursor != 0);
    free(piece);
    return all;
}

void driven_restore(struct driven *driven, uint32_t capacity) {
    size_t length, again_length;
    struct core_facts facts, again_facts;
    uint8_t *bytes = driven_snapshot(driven->core, capacity, &length);
    uint8_t *exact = fuzz_copy(bytes, length);
    core_free(driven->twin);
    driven->twin = driven->core;
    FUZZ_CHECK_ZERO(core_restore(exact, length, &driven->core));
    core_facts(driven->twin, &facts);
    core_facts(driven->core, &again_facts);
    FUZZ_CHECK(memcmp(&facts, &again_facts, sizeof facts) == 0);
    uint8_t *again = driven_snapshot(driven->core, 1u << 20, &again_length);
    FUZZ_CHECK(length == again_length && memcmp(bytes, again, length) == 0);
    free(bytes);
    free(exact);
    free(again);
}

/* ---- Questions ------------------------------------------------------------------------------------------------------ */

/* The least room there may be for a piece, and the most that is of use. */
enum { LEAST_ROOM = 4096, MOST_ROOM = 65536 };

enum question { OPEN_ORDERS, BALANCES, DEPTH, MARKETS, VERIFY, QUESTIONS };

static int64_t ask_piece(const core *core, enum question question, uint32_t account, uint32_t instrument, uint64_t *cursor,
                         uint8_t *out, uint32_t room) {
    switch (question) {
    case OPEN_ORDERS: return core_list_open_orders(core, account, instrument, cursor, out, room);
    case BALANCES: return core_get_balances(core, account, cursor, out, room);
    case DEPTH: return core_get_depth(core, instrument, cursor, out, room);
    case MARKETS: return core_list_markets(core, cursor, out, room);
    default: return core_verify(core, cursor, out, room);
    }
}

/* A whole answer, from pieces of so much room. */
static uint8_t *ask(const core *core, enum question question, uint32_t account, uint32_t instrument, uint32_t room,
                    size_t *length) {
    uint8_t *all = NULL, *piece = malloc(room);
    uint64_t cursor = 0;
    *length = 0;
    FUZZ_CHECK(piece && ask_piece(core, question, account, instrument, &cursor, piece, LEAST_ROOM - 1) == CORE_SMALL_BUFFER);
    do {
        int64_t written = ask_piece(core, question, account, instrument, &cursor, piece, room);
        FUZZ_CHECK(written >= 0 && written <= room);
        append(&all, length, piece, (size_t)written);
        FUZZ_CHECK(*length < 1u << 24);
    } while (cursor != 0);
    free(piece);
    return all;
}

/* The same in few pieces and in many. */
static void ask_twice(const core *core, enum question question, uint32_t account, uint32_t instrument, uint32_t room) {
    size_t length, again_length;
    uint8_t *whole = ask(core, question, account, instrument, MOST_ROOM, &length);
    uint8_t *again = ask(core, question, account, instrument, room, &again_length);
    FUZZ_CHECK(length == again_length && memcmp(whole, again, length) == 0);
    fuzz_note_bytes("answer", whole, length);
    free(whole);
    free(again);
}

static void ask_order(const core *core, struct fuzz_input *input, uint32_t account) {
    uint8_t answer[LEAST_ROOM];
    uint8_t name[CODEC_CLIENT_ORDER_ID + 1];
    uint8_t choice = fuzz_byte(input);
    uint64_t id = choice & 1 ? (core->orders_given - choice / 2) * CORE_SHARDS + core->shard : fuzz_number(input);
    uint32_t length = choice % 8 ? 0 : fuzz_byte(input) % (sizeof name + 1);
    for (uint32_t i = 0; i < length; i++) name[i] = i == 0 ? 'n' : i == 1 ? '-' : '0' + fuzz_byte(input) % 10;
    int64_t written = core_get_order(core, account, length ? 0 : id, name, length, answer, sizeof answer);
    FUZZ_CHECK(written >= 0 && written <= (int64_t)sizeof answer);
    fuzz_note_bytes("order", answer, (size_t)written);
}

void driven_ask(const struct driven *driven, struct fuzz_input *input) {
    const core *core = driven->core;
    uint8_t answer[LEAST_ROOM];
    uint32_t account = 1000 + (uint32_t)fuzz_number(input) % 8;
    uint32_t instrument = (uint32_t)fuzz_number(input) % 4 * CORE_SHARDS + core->shard;
    uint32_t room = LEAST_ROOM + fuzz_byte(input) % 128u;
    for (enum question question = 0; question < QUESTIONS; question++) {
        ask_twice(core, question, account, instrument, room);
        if (question == OPEN_ORDERS) ask_twice(core, question, account, 0, room);
    }
    int64_t length = core_get_account(core, account, answer, sizeof answer);
    FUZZ_CHECK(length >= 0 && length <= (int64_t)sizeof answer);
    fuzz_note_bytes("account", answer, (size_t)length);
    ask_order(core, input, account);
}
