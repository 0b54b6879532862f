#include "codec.h"

#include <string.h>

#include "codec_quick.h"
#include "codec_shape.h"
#include "codec_wire.h"
#include "insist.h"

/* The kinds of commands are the numbers of their fields, and the contract has them twice. */
#define SAME_NUMBER(value, number) _Static_assert((number) == 0 || (UINT64_C(1) << (number) & ALL_KINDS), #value);
#define KIND_BIT(name, number, kind, of) KIND_BIT_##kind(number)
#define KIND_BIT_UINT32(number)
#define KIND_BIT_UINT64(number)
#define KIND_BIT_INT64(number)
#define KIND_BIT_BYTES(number)
#define KIND_BIT_ONEOF_MESSAGE(number) | UINT64_C(1) << (number)
#define ALL_KINDS (UINT64_C(0) COMMAND_FIELDS(KIND_BIT))
COMMAND_KIND_VALUES(SAME_NUMBER)
_Static_assert((int)COMMAND_KIND_PLACE_ORDER == (int)COMMAND_PLACE_ORDER, "kinds are numbers of fields");
_Static_assert((int)COMMAND_KIND_RESUME == (int)COMMAND_RESUME, "kinds are numbers of fields");

/* ---- Fields --------------------------------------------------------------------------------------------------- */

/* What the core calls an invalid setting, and nothing that is not UTF-8: printable ASCII. */
static bool is_printable(const uint8_t *at, const uint8_t *end) {
    for (; at != end; at++)
        if (*at < 0x20 || *at > 0x7e) return false;
    return true;
}

#define is_code is_printable
#define is_symbol is_printable

/* Each of these takes one value off the reader, or is false and leaves the reader where the value begins. */
static inline bool take_limited(struct wire_reader *reader, uint64_t most, uint64_t *value) {
    const uint8_t *start = reader->at;
    if (wire_take(reader, value) && *value <= most) return true;
    reader->at = start;
    return false;
}

#define TAKE_NUMBER(most, convert) \
    { \
        uint64_t taken; \
        if (!take_limited(reader, most, &taken)) return false; \
        *into = convert; \
        return true; \
    }
static inline bool take_UINT32(struct wire_reader *reader, uint32_t *into) TAKE_NUMBER(UINT32_MAX, (uint32_t)taken)
static inline bool take_UINT64(struct wire_reader *reader, uint64_t *into) TAKE_NUMBER(UINT64_MAX, taken)
static inline bool take_INT64(struct wire_reader *reader, int64_t *into) TAKE_NUMBER(UINT64_MAX, (int64_t)taken)
static inline bool take_SINT32(struct wire_reader *reader, int32_t *into) TAKE_NUMBER(UINT32_MAX, (int32_t)wire_unfold(taken))
static inline bool take_BOOL(struct wire_reader *reader, bool *into) TAKE_NUMBER(1, taken != 0)
static inline bool take_ENUM(struct wire_reader *reader, uint8_t *into, uint64_t last) TAKE_NUMBER(last, (uint8_t)taken)

static inline bool take_bytes(struct wire_reader *reader, struct codec_bytes *into, uint32_t most) {
    struct wire_reader bytes;
    if (!wire_take_bytes(reader, most, &bytes)) return false;
    *into = (struct codec_bytes){bytes.at, (uint32_t)(bytes.end - bytes.at)};
    return true;
}

static inline bool take_string(struct wire_reader *reader, struct codec_bytes *into, uint32_t most,
                               bool (*is_allowed)(const uint8_t *, const uint8_t *)) {
    struct wire_reader ahead = *reader;
    if (!take_bytes(&ahead, into, most) || !is_allowed(into->at, into->at + into->length)) return false;
    *reader = ahead;
    return true;
}

/* One field in the switch of its message: once only, and then its value. */
#define ONCE(number) \
    if (seen & UINT64_C(1) << (number)) return false; \
    seen |= UINT64_C(1) << (number);
#define CASE(name, number, kind, of) CASE_##kind(name, number, of)
#define CASE_VALUE(number, type, take) \
    case TAG_OF(number, type): \
        ONCE(number) \
        reader->at = value.at; \
        if (!(take)) return false; \
        break;
#define CASE_UINT32(name, number, of) CASE_VALUE(number, WIRE_VARINT, take_UINT32(reader, &into->name))
#define CASE_UINT64(name, number, of) CASE_VALUE(number, WIRE_VARINT, take_UINT64(reader, &into->name))
#define CASE_INT64(name, number, of) CASE_VALUE(number, WIRE_VARINT, take_INT64(reader, &into->name))
#define CASE_SINT32(name, number, of) CASE_VALUE(number, WIRE_VARINT, take_SINT32(reader, &into->name))
#define CASE_BOOL(name, number, of) CASE_VALUE(number, WIRE_VARINT, take_BOOL(reader, &into->name))
#define CASE_ENUM(name, number, of) CASE_VALUE(number, WIRE_VARINT, take_ENUM(reader, &into->name, of##_LAST))
#define CASE_BYTES(name, number, of) \
    CASE_VALUE(number, WIRE_LENGTH, take_bytes(reader, &into->name, CODEC_MOST_##name))
#define CASE_STRING(name, number, of) \
    CASE_VALUE(number, WIRE_LENGTH, take_string(reader, &into->name, CODEC_MOST_##name, is_##name))
#define CASE_MESSAGE(name, number, of) CASE_VALUE(number, WIRE_LENGTH, take_##of(reader, &into->name))
#define CASE_REPEATED_MESSAGE(name, number, of) \
    case TAG_OF(number, WIRE_LENGTH): \
        reader->at = value.at; \
        if (!take_another_##of(reader, into)) return false; \
        break;

/* read_m reads the fields of message M up to the end of the reader, which must have `needed`, a bit a field. False: the
 * reader stands at what is wrong. */
#define READ_FIELDS(NAME, needed) \
    uint64_t seen = 0; \
    while (reader->at != reader->end) { \
        struct wire_reader value = *reader; \
        uint64_t tag; \
        if (!wire_take(&value, &tag)) return false; \
        switch (tag) { \
            NAME##_FIELDS(CASE) \
        default: \
            return false; \
        } \
    } \
    return (seen & (needed)) == (needed);

#define READER(name, NAME, needed) \
    static bool read_##name(struct wire_reader *reader, struct codec_##name *into) { \
        memset(into, 0, sizeof *into); \
        READ_FIELDS(NAME, needed) \
    }

/* take_m takes a length and a message M of that length. */
#define TAKER(name) \
    static bool take_##name(struct wire_reader *reader, struct codec_##name *into) { \
        struct wire_reader body; \
        if (!wire_take_bytes(reader, UINT32_MAX, &body)) return false; \
        if (read_##name(&body, into)) return true; \
        reader->at = body.at; \
        return false; \
    }
#define READER_AND_TAKER(name, NAME, needed) READER(name, NAME, needed) TAKER(name)

static bool take_nothing(struct wire_reader *reader) {
    struct wire_reader body;
    return wire_take_bytes(reader, 0, &body);
}
#define take_open_session(reader, into) take_nothing(reader)
#define take_close_session(reader, into) take_nothing(reader)
#define take_tick(reader, into) take_nothing(reader)

READER_AND_TAKER(place_order, PLACE_ORDER, 0)
READER_AND_TAKER(amend_order, AMEND_ORDER, 0)
READER_AND_TAKER(cancel_order, CANCEL_ORDER, 0)
READER_AND_TAKER(cancel_all, CANCEL_ALL, 0)
READER_AND_TAKER(credit, CREDIT, 0)
READER_AND_TAKER(debit, DEBIT, 0)
READER_AND_TAKER(asset, ASSET, 0)
READER_AND_TAKER(add_asset, ADD_ASSET, 1 << ADD_ASSET_ASSET)
READER_AND_TAKER(fee_rate, FEE_RATE, 0)
static bool take_another_fee_rate(struct wire_reader *reader, struct codec_instrument *into) {
    if (into->fee_count == CODEC_FEES || !take_fee_rate(reader, &into->fees[into->fee_count])) return false;
    into->fee_count++;
    return true;
}
READER_AND_TAKER(instrument, INSTRUMENT, 0)

struct added {
    struct codec_instrument instrument;
};
static bool read_add_instrument(struct wire_reader *reader, struct added *into) {
    READ_FIELDS(ADD_INSTRUMENT, 1 << ADD_INSTRUMENT_INSTRUMENT)
}

READER(replace_order, REPLACE_ORDER, 1 << REPLACE_ORDER_ORDER)
READER(place_group, PLACE_GROUP, 1 << PLACE_GROUP_FIRST | 1 << PLACE_GROUP_SECOND)

/* take_m of what stays as it was sent, and how it is read again once it has been. */
#define SENT(name, type) \
    static bool take_##name(struct wire_reader *reader, struct codec_sent *into) { \
        struct wire_reader body; \
        type message; \
        if (!wire_take_bytes(reader, UINT32_MAX, &body)) return false; \
        into->sent = (struct codec_bytes){body.at, (uint32_t)(body.end - body.at)}; \
        if (read_##name(&body, &message)) return true; \
        reader->at = body.at; \
        return false; \
    } \
    static void read_##name##_again(const struct codec_sent *command, type *message) { \
        struct wire_reader reader = wire_reader_of(command->sent.at, command->sent.length); \
        bool is_good = read_##name(&reader, message); \
        assert(is_good && "only what was checked is read again"); \
        (void)is_good; \
    }
SENT(add_instrument, struct added)
SENT(replace_order, struct codec_replace_order)
SENT(place_group, struct codec_place_group)

void codec_read_instrument(const struct codec_sent *command, struct codec_instrument *instrument) {
    struct added added;
    read_add_instrument_again(command, &added);
    *instrument = added.instrument;
}

void codec_read_replacement(const struct codec_sent *command, struct codec_replace_order *replacement) {
    read_replace_order_again(command, replacement);
}

void codec_read_group(const struct codec_sent *command, struct codec_place_group *group) { read_place_group_again(command, group); }

READER_AND_TAKER(set_phase, SET_PHASE, 0)
READER_AND_TAKER(set_limits, SET_LIMITS, 0)
READER_AND_TAKER(set_fees, SET_FEES, 1 << SET_FEES_FEE)
READER_AND_TAKER(set_account, SET_ACCOUNT, 0)
READER_AND_TAKER(set_sizes, SET_SIZES, 0)
READER_AND_TAKER(use_rules, USE_RULES, 0)
READER_AND_TAKER(set_clock, SET_CLOCK, 0)
READER_AND_TAKER(set_guards, SET_GUARDS, 0)
READER_AND_TAKER(set_mark, SET_MARK, 0)
READER_AND_TAKER(set_dead_man, SET_DEAD_MAN, 0)
READER_AND_TAKER(kill, KILL, 0)
READER_AND_TAKER(set_fee_market, SET_FEE_MARKET, 0)
READER_AND_TAKER(halt, HALT, 0)
READER_AND_TAKER(resume, RESUME, 0)

/* ---- Commands ------------------------------------------------------------------------------------------------- */

/* One kind only; the field of a kind stands once because there is one. */
#define CASE_ONEOF_MESSAGE(name, number, of) \
    case TAG_OF(number, WIRE_LENGTH): \
        if (into->kind) return false; \
        into->kind = number; \
        reader->at = value.at; \
        if (!take_##of(reader, &into->name)) return false; \
        break;

static void clear_envelope(struct codec_command *into) {
    into->request_id = into->trace = (struct codec_bytes){NULL, 0};
    into->causation = 0;
    into->account = 0;
    into->kind = into->envelope = 0;
    into->valid_until_us = 0;
}

static bool read_command(struct wire_reader *reader, struct codec_command *into) {
    /* The union is cleared by whichever kind is read into it. */
    clear_envelope(into);
    READ_FIELDS(COMMAND, 0)
}
TAKER(command)

/* The quick way where there is one. */
static inline bool take_any_command(struct wire_reader *reader, struct codec_command *into) {
    clear_envelope(into);
    return quick_command(reader, into) || take_command(reader, into);
}

/* ---- Batches -------------------------------------------------------------------------------------------------- */

/* What is gathered of a batch while its commands go by. */
struct batch_check {
    uint64_t session;
    uint64_t number;
    uint32_t source;
    uint32_t commands;
    uint64_t kinds; /* a bit a kind */
    bool closed;    /* CloseSession has been there */
    struct codec_kept *kept; /* NULL: nothing is to be kept */
};

static bool take_another_command(struct wire_reader *reader, struct batch_check *into) {
    const uint8_t *start = reader->at;
    struct codec_kept *kept = into->kept;
    bool keeps = kept && kept->count < CODEC_KEPT;
    struct codec_command spare;
    struct codec_command *command = keeps ? &kept->commands[kept->count] : &spare;
    if (into->commands == CORE_MAX_COMMANDS || into->closed || !take_any_command(reader, command)) return false;
    if (!codec_is_well_formed(command)) {
        reader->at = start;
        return false;
    }
    if (keeps) kept->ends[kept->count++] = reader->at;
    into->commands++;
    into->kinds |= CODEC_KIND(command->kind);
    into->closed = command->kind == COMMAND_CLOSE_SESSION;
    return true;
}

static bool read_batch(struct wire_reader *reader, struct batch_check *into) {
    READ_FIELDS(SUBMIT_REQUEST, 0)
}

/* In a session: its number from 1; no credit or debit, nothing that travels alone. From a source: its number from 1, so
 * that adding the count of commands stays in 63 bits; credits and debits only. Else: one command of those that travel
 * alone, and no number. CloseSession stands last, which take_another_command sees to. */
static bool is_batch(const struct batch_check *batch) {
    if (batch->commands == 0) return false;
    if (batch->session) return !batch->source && batch->number && !(batch->kinds & (MOVES | ALONE));
    if (batch->source) {
        bool is_numbered = batch->number && batch->number <= INT64_MAX - CORE_MAX_COMMANDS;
        return batch->source <= CODEC_LAST_SOURCE && is_numbered && !(batch->kinds & ~MOVES);
    }
    return !batch->number && batch->commands == 1 && !(batch->kinds & ~ALONE);
}

/* `batch` is empty before. False: the reader stands at what is wrong, at the beginning if it is the batch as a whole. */
static bool check_batch(struct wire_reader *reader, struct batch_check *batch) {
    const uint8_t *start = reader->at;
    if (!read_batch(reader, batch)) return false;
    if (is_batch(batch)) return true;
    reader->at = start;
    return false;
}

int core_check(const uint8_t *bytes, uint32_t length, struct core_batch *batch, uint32_t *where) {
    struct wire_reader reader = wire_reader_of(bytes, length);
    struct batch_check found = {0};
    bool is_good = check_batch(&reader, &found);
    *where = (uint32_t)(reader.at - bytes);
    if (!is_good) return CORE_FOREIGN;
    *batch = (struct core_batch){
        .session = found.session,
        .number = found.number,
        .source = found.source,
        .commands = found.commands,
        .only_cancels = !(found.kinds & ~(CANCELS | CODEC_KIND(COMMAND_KILL))),
    };
    return CORE_OK;
}

/* ---- Records -------------------------------------------------------------------------------------------------- */

struct record_check {
    uint32_t shard;
    uint32_t batches;
    uint64_t kinds;
    struct codec_kept *kept;
};

static bool take_another_batch(struct wire_reader *reader, struct record_check *into) {
    struct wire_reader body;
    struct batch_check batch = {.kept = into->kept};
    if (into->batches == CORE_MAX_BATCHES || !wire_take_bytes(reader, UINT32_MAX, &body)) return false;
    if (!check_batch(&body, &batch)) {
        reader->at = body.at;
        return false;
    }
    into->batches++;
    into->kinds |= batch.kinds;
    return true;
}

#define CASE_REPEATED_BYTES(name, number, of) \
    case TAG_OF(number, WIRE_LENGTH): \
        reader->at = value.at; \
        if (!take_another_batch(reader, into)) return false; \
        break;

static bool read_record(struct wire_reader *reader, struct record_check *into) {
    READ_FIELDS(COMMAND_RECORD, 0)
}

int codec_record_keep(const uint8_t *bytes, uint32_t length, struct codec_record *record, struct codec_kept *kept,
                      uint32_t *where) {
    struct wire_reader reader = wire_reader_of(bytes, length);
    struct record_check found = {.kept = kept};
    if (kept) kept->count = 0;
    bool is_good = read_record(&reader, &found);
    *where = (uint32_t)(reader.at - bytes);
    if (!is_good) return CORE_FOREIGN;
    *record = (struct codec_record){
        .shard = found.shard,
        .batches = found.batches,
        .kinds = found.kinds,
        .at = bytes,
        .end = bytes + length,
    };
    return CORE_OK;
}

int codec_record_check(const uint8_t *bytes, uint32_t length, struct codec_record *record, uint32_t *where) {
    return codec_record_keep(bytes, length, record, NULL, where);
}

/* ---- The walk ------------------------------------------------------------------------------------------------- */

/* What was checked cannot fail, and walking into what was not must not go unnoticed. */
static inline uint64_t walk_number(struct wire_reader *reader) {
    uint64_t value = 0;
    bool is_there = wire_take(reader, &value);
    assert(is_there && "only what was checked is walked");
    (void)is_there;
    return value;
}

static inline struct wire_reader walk_bytes(struct wire_reader *reader) {
    struct wire_reader bytes = *reader;
    bool is_there = wire_take_bytes(reader, UINT32_MAX, &bytes);
    assert(is_there && "only what was checked is walked");
    (void)is_there;
    return bytes;
}

/* Fields come in any order, so the commands are stepped over to see all of the head. */
static struct codec_batch batch_head(struct wire_reader reader) {
    struct codec_batch batch = {.at = reader.at, .end = reader.end};
    while (reader.at != reader.end) {
        switch (walk_number(&reader)) {
        case SUBMIT_REQUEST_SESSION_TAG:
            batch.session = walk_number(&reader);
            break;
        case SUBMIT_REQUEST_NUMBER_TAG:
            batch.number = walk_number(&reader);
            break;
        case SUBMIT_REQUEST_SOURCE_TAG:
            batch.source = (uint32_t)walk_number(&reader);
            break;
        default:
            walk_bytes(&reader);
            batch.commands++;
        }
    }
    return batch;
}

bool codec_record_next(struct codec_record *record, struct codec_batch *batch) {
    struct wire_reader reader = {record->at, record->end, record->end};
    bool found = false;
    while (!found && reader.at != reader.end) {
        if (walk_number(&reader) == COMMAND_RECORD_REQUESTS_TAG) {
            *batch = batch_head(walk_bytes(&reader));
            batch->next = record->walked;
            batch->last = record->walked += batch->commands;
            found = true;
        } else {
            walk_number(&reader);
        }
    }
    record->at = reader.at;
    return found;
}

bool codec_batch_next(struct codec_batch *batch, struct codec_command *command) {
    struct wire_reader reader = {batch->at, batch->end, batch->end};
    bool found = false;
    while (!found && reader.at != reader.end) {
        if (walk_number(&reader) == SUBMIT_REQUEST_COMMANDS_TAG) {
            found = take_any_command(&reader, command);
            assert(found && "only what was checked is walked");
        } else {
            walk_number(&reader);
        }
    }
    batch->at = reader.at;
    batch->next += found;
    return found;
}

const struct codec_command *codec_batch_next_kept(struct codec_batch *batch, const struct codec_kept *kept) {
    if (batch->next >= kept->count || batch->next == batch->last) return NULL;
    batch->at = kept->ends[batch->next];
    return &kept->commands[batch->next++];
}
