/* See grammar.h: the contract as tables, and values for its fields. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec_wire.h"
#include "grammar_inner.h"

/* ---- The contract as tables ----------------------------------------------------------------------------------------- */

#define LAST_UINT32(of) 0
#define LAST_UINT64(of) 0
#define LAST_INT32(of) 0
#define LAST_INT64(of) 0
#define LAST_SINT32(of) 0
#define LAST_SINT64(of) 0
#define LAST_BOOL(of) 0
#define LAST_STRING(of) 0
#define LAST_BYTES(of) 0
#define LAST_MESSAGE(of) 0
#define LAST_REPEATED_MESSAGE(of) 0
#define LAST_ONEOF_MESSAGE(of) 0
#define LAST_ENUM(of) of##_LAST
#define OF_UINT32(of) NULL
#define OF_UINT64(of) NULL
#define OF_INT32(of) NULL
#define OF_INT64(of) NULL
#define OF_SINT32(of) NULL
#define OF_SINT64(of) NULL
#define OF_BOOL(of) NULL
#define OF_STRING(of) NULL
#define OF_BYTES(of) NULL
#define OF_ENUM(of) NULL
#define OF_MESSAGE(of) &message_##of
#define OF_REPEATED_MESSAGE(of) &message_##of
#define OF_ONEOF_MESSAGE(of) &message_##of

#define FIELD(name, number, kind, of) {#name, number, kind, LAST_##kind(of), OF_##kind(of), NULL},
#define TABLE(name, NAME) \
    static struct field fields_##name[] = {NAME##_FIELDS(FIELD){NULL, 0, UINT32, 0, NULL, NULL}}; \
    static const struct message message_##name = {fields_##name, sizeof fields_##name / sizeof *fields_##name - 1};

/* Every message of a command, those that others consist of first. */
#define MESSAGES(X) \
    X(fee_rate, FEE_RATE) X(asset, ASSET) X(instrument, INSTRUMENT) \
    X(place_order, PLACE_ORDER) X(amend_order, AMEND_ORDER) X(cancel_order, CANCEL_ORDER) X(cancel_all, CANCEL_ALL) \
    X(credit, CREDIT) X(debit, DEBIT) X(open_session, OPEN_SESSION) X(close_session, CLOSE_SESSION) X(tick, TICK) \
    X(add_asset, ADD_ASSET) X(add_instrument, ADD_INSTRUMENT) X(set_phase, SET_PHASE) X(set_limits, SET_LIMITS) \
    X(set_fees, SET_FEES) X(set_account, SET_ACCOUNT) X(set_sizes, SET_SIZES) X(use_rules, USE_RULES) \
    X(set_clock, SET_CLOCK) X(replace_order, REPLACE_ORDER) X(place_group, PLACE_GROUP) X(set_guards, SET_GUARDS) \
    X(set_mark, SET_MARK) X(set_dead_man, SET_DEAD_MAN) X(kill, KILL) X(set_fee_market, SET_FEE_MARKET) X(halt, HALT) \
    X(resume, RESUME) X(command, COMMAND)
MESSAGES(TABLE)

const struct field *grammar_kind(uint32_t number) {
    for (uint32_t i = 0; i < message_command.count; i++) {
        const struct field *field = &message_command.fields[i];
        if (field->kind == ONEOF_MESSAGE && field->number == number) return field;
    }
    return NULL;
}

/* ---- Values --------------------------------------------------------------------------------------------------------- */

/* What numbers a field has whose name ends like this: the first line that fits. */
struct range {
    const char *end;
    int64_t usual;
    int64_t from;
    int64_t step;
    uint32_t count;
};
static const struct range ranges[] = {
    {"max_quantity_lots", 1000, 1, 40, 30},
    {"min_quantity_lots", 1, 0, 2, 5},
    {"max_notional_minor", INT64_C(1) << 40, 1, 3000, 40},
    {"min_notional_minor", 0, 1, 400, 5},
    {"trail_ticks", 2, 1, 1, 5},
    {"activation_ticks", 0, 92, 1, 17},
    {"protection_ticks", 0, 92, 1, 17},
    {"display_lots", 0, 1, 1, 10},
    {"min_fill_lots", 0, 1, 1, 10},
    {"timeout_us", 0, 1000000, 5000000, 10},
    {"auction_us", 0, 1000000, 5000000, 5},
    {"max_open_orders", 0, 1, 3, 10},
    {"per_second", 0, 1, 3, 10},
    {"amount_minor", 20000, 1, 3000, 40},
    {"quote_minor", 0, 1, 170, 30},
    {"lot_minor", 1, 1, 9, 4},
    {"last_price_ticks", 0, 1, 1, 2},
    {"_ticks", 100, 92, 1, 17},
    {"_lots", 5, 1, 3, 20},
    {"taker_fee_ppm", 1000, 0, 700, 20},
    {"protection_ppm", 50000, 0, 9000, 20},
    {"trail_ppm", 20000, 1, 9000, 20},
    {"band_ppm", 0, 0, 9000, 20},
    {"_ppm", 1000, -2000, 700, 20},
    {"_minor", 0, 1, 700, 20},
    {"memory_us", 120000000, 119000000, 50000000, 20},
    {"base_asset", 1, 1, 1, 4},
    {"quote_asset", 2, 1, 1, 4},
    {"asset", 1, 1, 1, 5},
    {"tick_units", 1, 1, 1, 5},
    {"tick_scale", 0, 0, 1, 20},
    {"decimals", 0, 0, 1, 20},
    {"tier", 0, 0, 1, 17},
    {"version", 3, 1, 1, 3},
    {"self_trade_prevention", 0, 0, 1, 6},
    {"phase", PHASE_CONTINUOUS, 0, 1, PHASE_LAST + 1},
    {"causation", 0, 1, 1, 100},
    {"accounts", 10, 1, 2, 20},
    {"orders_per_account", 20, 1, 3, 20},
    {"orders", 50, 1, 7, 40},
    {"balances", 40, 1, 5, 20},
    {"client_order_ids", 40, 1, 5, 30},
    {"sessions", 3, 1, 1, 10},
    {"instruments", 4, 1, 1, 12},
    {"", 0, 1, 1, 8},
};

static bool ends_with(const char *text, const char *end) {
    size_t length = strlen(text), most = strlen(end);
    return length >= most && strcmp(text + length - most, end) == 0;
}

static const struct range *range_of(const char *name) {
    const struct range *range = ranges;
    while (!ends_with(name, range->end)) range++;
    return range;
}

/* A time or an id near what the core has now; false: the field is neither. */
static bool is_relative(const struct grammar *g, const char *name, uint8_t choice, uint64_t *value) {
    const struct core *c = g->core;
    uint32_t near = choice + g->salt;
    if (strcmp(name, "instrument") == 0 || strcmp(name, "fee_market") == 0) {
        uint32_t place = c->instrument_count ? choice % c->instrument_count : 0;
        *value = (1 + (choice % 32 == 31 ? c->instrument_count : place)) * CORE_SHARDS + c->shard;
    } else if (ends_with(name, "order_id")) {
        *value = choice == 0 ? 0 : (c->orders_given - (near - 1) % 64) * CORE_SHARDS + c->shard;
    } else if (strcmp(name, "sequence") == 0) {
        *value = c->halt_sequence + choice / 8;
    } else if (ends_with(name, "time_us") || ends_with(name, "until_us") || ends_with(name, "expires_us")) {
        *value = (uint64_t)c->clock_us + (uint64_t)(((int64_t)choice - 20) * 10000000);
        if (choice == 0 && !ends_with(name, "time_us")) *value = 0;
    } else {
        return false;
    }
    return true;
}

const struct grammar_given *grammar_given_for(const struct grammar *g, const char *field) {
    const struct grammar_given *given = g->given;
    while (given && given->field && strcmp(given->field, field) != 0) given++;
    return given && given->field ? given : NULL;
}

static uint64_t draw_number(struct grammar *g, struct field *field) {
    const struct grammar_given *given = grammar_given_for(g, field->name);
    if (given) return given->value;
    uint8_t choice = fuzz_byte(&g->input);
    if (choice >= 0xf0) return fuzz_word(&g->input);
    if (choice >= 0xe0) return fuzz_edge(choice);
    uint64_t value;
    if (is_relative(g, field->name, choice, &value)) return value;
    if (!field->range) field->range = range_of(field->name);
    const struct range *range = field->range;
    if (field->kind == ENUM && *range->end == 0) return choice == 0 ? 1 : (choice - 1u) % (field->last + 1);
    if (choice == 0) return (uint64_t)range->usual;
    return (uint64_t)(range->from + range->step * (int64_t)((choice - 1u + g->salt) % range->count));
}

/* A number as the field can have it. */
static uint64_t draw(struct grammar *g, struct field *field) {
    uint64_t value = draw_number(g, field);
    switch (field->kind) {
    case UINT32: return (uint32_t)value;
    case SINT32: return wire_fold((int32_t)value) & UINT32_MAX;
    case SINT64: return wire_fold((int64_t)value);
    case INT32: return (uint64_t)(int64_t)(int32_t)value;
    case ENUM: return value % (field->last + 1);
    default: return value;
    }
}

/* ---- Messages ------------------------------------------------------------------------------------------------------- */

uint8_t *grammar_put_tag(uint8_t *at, uint32_t number, uint32_t type) { return wire_put_tag(at, number << 3 | type); }

uint8_t *grammar_put_values(uint8_t *at, const struct message *message, const struct values *values) {
    for (uint32_t i = 0; i < message->count; i++) {
        uint32_t number = message->fields[i].number;
        const struct codec_bytes *piece = &values->pieces[number];
        if (piece->length != 0) {
            memcpy(at, piece->at, piece->length);
            at += piece->length;
        } else if (values->numbers[number] != 0) {
            at = wire_put(grammar_put_tag(at, number, WIRE_VARINT), values->numbers[number]);
        }
    }
    return at;
}

void grammar_set_piece(struct values *values, uint32_t number, const void *bytes, uint32_t length) {
    uint8_t *at = values->room;
    FUZZ_CHECK(values->end - at > length + 16);
    values->room = wire_put(grammar_put_tag(at, number, WIRE_LENGTH), length);
    if (length) memcpy(values->room, bytes, length);
    values->room += length;
    values->pieces[number] = (struct codec_bytes){at, (uint32_t)(values->room - at)};
}

/* A short name, or the longest there may be; a trace, which may be anything, the same. */
static void draw_text(struct grammar *g, const struct field *field, struct values *values) {
    char text[CODEC_TRACE];
    bool is_name = ends_with(field->name, "client_order_id");
    bool is_optional = is_name || field->kind == BYTES;
    uint8_t choice = fuzz_byte(&g->input);
    const struct grammar_given *given = grammar_given_for(g, field->name);
    if (choice == 0 && is_optional && !given) return;
    uint32_t which = given ? (uint32_t)given->value : (choice + g->salt) % (choice < 0x80 ? 20 : 200);
    int length = snprintf(text, sizeof text, is_name ? "n-%u" : "T%u", which);
    if (choice >= 0xe0) {
        int longest = is_name ? CODEC_CLIENT_ORDER_ID : choice >= 0xf0 ? 33 : 16;
        memset(text + length, 'Z', (size_t)(longest - length));
        length = longest;
    }
    grammar_set_piece(values, field->number, text, (uint32_t)length);
}

/* What the core gives an instrument. */
static void shape_instrument(struct values *values) {
    values->numbers[INSTRUMENT_INSTRUMENT] = 0;
    values->numbers[INSTRUMENT_TICK_LOT_MINOR] = 0;
    values->numbers[INSTRUMENT_LAST_PRICE_TICKS] = 0;
    for (uint32_t number = INSTRUMENT_MARK_PRICE_TICKS; number <= INSTRUMENT_FEE_DISCOUNT_PPM; number++) values->numbers[number] = 0;
}

static void draw_inner(struct grammar *g, const struct field *field, struct values *values) {
    uint8_t pieces[MOST_PIECES], bytes[MOST_PIECES];
    struct values inner = {.room = pieces, .end = pieces + sizeof pieces};
    grammar_draw(g, field->of, &inner);
    if (field->of == &message_instrument) shape_instrument(&inner);
    uint8_t *end = grammar_put_values(bytes, field->of, &inner);
    grammar_set_piece(values, field->number, bytes, (uint32_t)(end - bytes));
}

/* One, none, a few, or one too many. */
static void draw_repeated(struct grammar *g, const struct field *field, struct values *values) {
    uint8_t choice = fuzz_byte(&g->input);
    uint32_t count = choice == 0 ? 1 : choice < 0xe0 ? choice % 4 : CODEC_FEES + (choice & 1);
    const uint8_t *first = values->room;
    for (uint32_t i = 0; i < count; i++) draw_inner(g, field, values);
    values->pieces[field->number] = (struct codec_bytes){first, (uint32_t)(values->room - first)};
}

static void draw_field(struct grammar *g, struct field *field, struct values *values) {
    switch (field->kind) {
    case STRING:
    case BYTES: draw_text(g, field, values); break;
    case MESSAGE:
    case ONEOF_MESSAGE: draw_inner(g, field, values); break;
    case REPEATED_MESSAGE: draw_repeated(g, field, values); break;
    case BOOL: values->numbers[field->number] = fuzz_byte(&g->input) & 1; break;
    default: values->numbers[field->number] = draw(g, field);
    }
}

void grammar_draw(struct grammar *g, const struct message *message, struct values *values) {
    for (uint32_t i = 0; i < message->count; i++) draw_field(g, &message->fields[i], values);
}

void grammar_draw_envelope(struct grammar *g, struct values *values) {
    for (uint32_t i = 0; i < message_command.count; i++) {
        if (message_command.fields[i].kind != ONEOF_MESSAGE) draw_field(g, &message_command.fields[i], values);
    }
}

uint8_t *grammar_put_command(uint8_t *at, const struct values *values) { return grammar_put_values(at, &message_command, values); }
