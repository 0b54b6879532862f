#include "codec.h"

#include <string.h>

#include "codec_wire.h"
#include "insist.h"

/* The worst elementary change: an instrument opened while an older one of its symbol goes to cancel-only, or a fill between
 * orders that both have long names; around it the marks of command and batch, and the end of the part. */
enum {
    FRAME_BYTES = CODEC_BATCH_MARK_BYTES + CODEC_COMMAND_MARK_BYTES + CODEC_EVENT_RECORD_BYTES,
    INSTRUMENTS_BYTES = 2 * CODEC_INSTRUMENT_EVENT_BYTES,
    FILL_BYTES = CODEC_TRADE_EVENT_BYTES + 2 * CODEC_ORDER_EVENT_BYTES + 2 * CODEC_LEVEL_EVENT_BYTES + 4 * CODEC_BALANCE_EVENT_BYTES,
};
_Static_assert(FRAME_BYTES + INSTRUMENTS_BYTES <= CODEC_STEP_BYTES, "a step has room for two instruments");
_Static_assert(FRAME_BYTES + FILL_BYTES <= CODEC_STEP_BYTES, "a step has room for a fill");

/* ---- Fields --------------------------------------------------------------------------------------------------- */

/* Most fields of what the core says are set. Each is looked at once: for all the compiler knows, writing changes it. */
#define PUT_IF(is_set, number, type, put) \
    if (__builtin_expect((is_set) != 0, 1)) { \
        at = wire_put_tag(at, (number) << 3 | (type)); \
        at = put; \
    }
#define PUT_NUMBER(number, type, name, as_sent) \
    { \
        type value = from->name; \
        PUT_IF(value, number, WIRE_VARINT, as_sent) \
    }
#define PUT_UINT32(name, number, of) PUT_NUMBER(number, uint32_t, name, wire_put(at, value))
#define PUT_UINT64(name, number, of) PUT_NUMBER(number, uint64_t, name, wire_put(at, value))
#define PUT_INT64(name, number, of) PUT_NUMBER(number, int64_t, name, wire_put(at, (uint64_t)value))
#define PUT_SINT32(name, number, of) PUT_NUMBER(number, int32_t, name, wire_put(at, wire_fold(value)))
#define PUT_SINT64(name, number, of) PUT_NUMBER(number, int64_t, name, wire_put(at, wire_fold(value)))
#define PUT_BOOL(name, number, of) PUT_NUMBER(number, bool, name, wire_put(at, 1))
/* An enum whose last value has one byte always has. */
#define PUT_ENUM(name, number, of) PUT_NUMBER(number, uint32_t, name, wire_put(at, of##_LAST < 0x80 ? value & 0x7f : value))
#define PUT_FIXED64(name, number, of) PUT_IF(from->name, number, WIRE_EIGHT_BYTES, put_eight_bytes(at, from->name))
#define PUT_BYTES(name, number, of) \
    assert(from->name.length <= CODEC_MOST_##name && "a string is as long as the contract allows"); \
    PUT_IF(from->name.length, number, WIRE_LENGTH, wire_put_bytes(at, from->name.at, from->name.length))
#define PUT_STRING(name, number, of) PUT_BYTES(name, number, of)
/* Messages are put behind the fields, by whoever knows what they are. */
#define PUT_MESSAGE(name, number, of)
#define PUT_REPEATED_MESSAGE(name, number, of)
#define PUT(name, number, kind, of) PUT_##kind(name, number, of)

static inline uint8_t *put_eight_bytes(uint8_t *at, uint64_t value) {
    wire_store(at, value);
    return at + 8;
}

/* ---- Messages ------------------------------------------------------------------------------------------------- */

/* Begin a message that is a field of another: its tag, and a byte for its length, which wire_close fills in. */
static inline uint8_t *put_head(uint8_t *at, uint32_t tag) { return wire_put_tag(at, tag) + 1; }

/* End a message that takes `most` bytes at most. */
static inline uint8_t *close_within(uint8_t *body, uint8_t *end, uint32_t most) {
    if (most >= 0x80) return wire_close(body, end);
    body[-1] = (uint8_t)(end - body);
    return end;
}

/* write_m is what codec_put_m does, as part of whoever calls it. */
#define WRITER(name, NAME) \
    __attribute__((always_inline)) static inline uint8_t *write_##name(uint8_t *at, const struct codec_##name *from) { \
        NAME##_FIELDS(PUT) \
        return at; \
    } \
    uint8_t *codec_put_##name(uint8_t *at, const struct codec_##name *from) { return write_##name(at, from); }
#define WRITER_IN(name, NAME) \
    uint8_t *codec_put_##name##_in(uint8_t *at, uint32_t tag, const struct codec_##name *from) { \
        uint8_t *body = put_head(at, tag); \
        return close_within(body, write_##name(body, from), CODEC_##NAME##_BYTES - CODEC_HEAD_BYTES - CODEC_SLACK); \
    }
CODEC_PLAIN_MESSAGES(WRITER)
CODEC_PLAIN_MESSAGES(WRITER_IN)
CODEC_OUTER_MESSAGES(WRITER)

/* ---- Orders --------------------------------------------------------------------------------------------------- */

struct codec_number codec_number(uint64_t value) {
    uint8_t bytes[CODEC_MOST_UINT64() + CODEC_SLACK] = {0};
    uint32_t length = (uint32_t)(wire_put(bytes, value) - bytes);
    if (length > 8) return (struct codec_number){0};
    return (struct codec_number){value, wire_load(bytes), length};
}

/* A field that is probably `known`. */
static inline uint8_t *put_known(uint8_t *at, uint32_t tag, uint64_t value, const struct codec_number *known) {
    if (value == 0) return at;
    at = wire_put_tag(at, tag);
    if (value != known->value) return wire_put(at, value);
    wire_store(at, known->bytes);
    return at + known->length;
}

#define PUT_FIRST(name, number, kind, of) \
    if ((number) <= ORDER_TIME_IN_FORCE) { PUT(name, number, kind, of) }
#define PUT_EARLY(name, number, kind, of) \
    if ((number) > ORDER_TIME_IN_FORCE && (number) < ORDER_CREATED_US) { PUT(name, number, kind, of) }
#define PUT_SEQUENCE(name, number, kind, of) \
    if ((number) == ORDER_SEQUENCE) { PUT(name, number, kind, of) }
#define PUT_LATE(name, number, kind, of) \
    if ((number) > ORDER_SEQUENCE) { PUT(name, number, kind, of) }

__attribute__((noinline)) static uint8_t *put_late(uint8_t *at, const struct codec_order *from) {
    ORDER_FIELDS(PUT_LATE)
    return at;
}

/* A field whose value has one byte and is not 0. */
static inline uint8_t *put_small(uint8_t *at, uint32_t tag, uint8_t value) {
    at[0] = (uint8_t)tag;
    at[1] = value;
    return at + 2;
}
_Static_assert(SIDE_LAST < 0x80 && ORDER_TYPE_LAST < 0x80 && TIME_IN_FORCE_LAST < 0x80, "each has one byte");

/* The first fields of an order, which all orders have. */
static inline uint8_t *put_first(uint8_t *at, const struct codec_order *from) {
    at = wire_put(wire_put_tag(at, ORDER_ORDER_ID_TAG), from->order_id);
    at = wire_put(wire_put_tag(at, ORDER_ACCOUNT_TAG), from->account);
    at = wire_put(wire_put_tag(at, ORDER_INSTRUMENT_TAG), from->instrument);
    at = put_small(at, ORDER_SIDE_TAG, from->side);
    at = put_small(at, ORDER_TYPE_TAG, from->type);
    return put_small(at, ORDER_TIME_IN_FORCE_TAG, from->time_in_force);
}

/* The others; times are probably `now_us`. */
static inline uint8_t *put_rest(uint8_t *at, const struct codec_order *from, const struct codec_number *now_us) {
    ORDER_FIELDS(PUT_EARLY)
    at = put_known(at, ORDER_CREATED_US_TAG, (uint64_t)from->created_us, now_us);
    at = put_known(at, ORDER_UPDATED_US_TAG, (uint64_t)from->updated_us, now_us);
    ORDER_FIELDS(PUT_SEQUENCE)
    return from->has_more ? put_late(at, from) : at;
}

static uint8_t *write_order(uint8_t *at, const struct codec_order *from) {
    static const struct codec_number unknown;
    ORDER_FIELDS(PUT_FIRST)
    return put_rest(at, from, &unknown);
}
uint8_t *codec_put_order(uint8_t *at, const struct codec_order *from) { return write_order(at, from); }
WRITER_IN(order, ORDER)

static uint8_t *write_instrument(uint8_t *at, const struct codec_instrument *from) {
    assert(from->fee_count <= CODEC_FEES);
    INSTRUMENT_FIELDS(PUT)
    for (uint32_t i = 0; i < from->fee_count; i++) at = codec_put_fee_rate_in(at, INSTRUMENT_FEES_TAG, &from->fees[i]);
    return at;
}
uint8_t *codec_put_instrument(uint8_t *at, const struct codec_instrument *from) { return write_instrument(at, from); }
WRITER_IN(instrument, INSTRUMENT)

/* ---- Marks ---------------------------------------------------------------------------------------------------- */

/* The fields that a command and its mark begin with. */
__attribute__((noinline)) static uint8_t *put_envelope(uint8_t *at, const struct codec_command *from) {
    PUT_BYTES(request_id, COMMAND_MARK_REQUEST_ID, )
    PUT_UINT64(causation, COMMAND_MARK_CAUSATION, )
    PUT_BYTES(trace, COMMAND_MARK_TRACE, )
    PUT_UINT32(account, COMMAND_MARK_ACCOUNT, )
    PUT_INT64(valid_until_us, COMMAND_MARK_VALID_UNTIL_US, )
    return at;
}

#define PUT_USUAL(name, number, kind, of) \
    if ((number) >= COMMAND_MARK_KIND && (number) <= COMMAND_MARK_ORDER_ID) { PUT(name, number, kind, of) }
#define PUT_RARE(name, number, kind, of) \
    if ((number) > COMMAND_MARK_ORDER_ID) { PUT(name, number, kind, of) }

uint8_t *codec_put_mark_in(uint8_t *at, const struct codec_command *command, const struct codec_command_mark *from) {
    uint8_t *body = put_head(at, EVENT_RECORD_COMMANDS_TAG);
    at = body + command->envelope;
    if (command->envelope != 0) {
        memcpy(body, command->request_id.at - 2, CODEC_ENVELOPE);
    } else {
        at = put_envelope(body, command);
    }
    COMMAND_MARK_FIELDS(PUT_USUAL)
    if (from->created_id | (uint64_t)from->needed_minor | (uint64_t)from->available_minor | from->member | from->repeated) {
        COMMAND_MARK_FIELDS(PUT_RARE)
    }
    return wire_close(body, at);
}

/* ---- Messages around messages --------------------------------------------------------------------------------- */

/* Every event begins with the index of its command. */
static inline uint8_t *put_command(uint8_t *at, uint32_t tag, uint32_t command) {
    if (command == 0) return at;
    return wire_put(wire_put_tag(at, tag), command);
}

uint8_t *codec_put_order_event_in(uint8_t *at, uint32_t command, const struct codec_order *order,
                                  const struct codec_number *now_us, struct codec_bytes *encoded) {
    uint8_t *event = put_head(at, EVENT_RECORD_ORDERS_TAG);
    uint8_t *body = put_head(put_command(event, ORDER_EVENT_COMMAND_TAG, command), ORDER_EVENT_ORDER_TAG);
    uint8_t *end = put_rest(put_first(body, order), order, now_us);
    uint32_t length = (uint32_t)(end - body);
    end = wire_close(event, wire_close(body, end));
    encoded->at = end - length;
    encoded->length = length;
    return end;
}

uint8_t *codec_put_asset_event_in(uint8_t *at, uint32_t command, const struct codec_asset *asset) {
    uint8_t *event = put_head(at, EVENT_RECORD_ASSETS_TAG);
    uint8_t *inner = put_command(event, ASSET_EVENT_COMMAND_TAG, command);
    return wire_close(event, codec_put_asset_in(inner, ASSET_EVENT_ASSET_TAG, asset));
}

uint8_t *codec_put_instrument_event_in(uint8_t *at, uint32_t command, const struct codec_instrument *instrument) {
    uint8_t *event = put_head(at, EVENT_RECORD_INSTRUMENTS_TAG);
    uint8_t *inner = put_command(event, INSTRUMENT_EVENT_COMMAND_TAG, command);
    return wire_close(event, codec_put_instrument_in(inner, INSTRUMENT_EVENT_INSTRUMENT_TAG, instrument));
}

/* Step over a varint that this file wrote. */
static const uint8_t *after_varint(const uint8_t *at) {
    while (*at >= 0x80) at++;
    return at + 1;
}

uint8_t *codec_put_trade_again_in(uint8_t *at, uint32_t tag, uint32_t command, const uint8_t *written) {
    const uint8_t *length_at = after_varint(written);
    const uint8_t *fields = after_varint(length_at);
    uint32_t length = *length_at < 0x80 ? *length_at : (uint32_t)(length_at[0] & 0x7f) | (uint32_t)length_at[1] << 7;
    const uint8_t *end = fields + length;
    if (fields != end && *fields == TRADE_EVENT_COMMAND_TAG) fields = after_varint(fields + 1);
    uint8_t *body = put_head(at, tag);
    uint8_t *rest = put_command(body, TRADE_EVENT_COMMAND_TAG, command);
    memcpy(rest, fields, (size_t)(end - fields));
    return wire_close(body, rest + (end - fields));
}

_Static_assert(CODEC_GROUP == 3, "an outcome has two more orders at most");

/* A field that is an Order, encoded already; nothing for one without length. */
static inline uint8_t *put_order_again(uint8_t *at, uint32_t tag, struct codec_bytes order) {
    if (order.length == 0) return at;
    uint8_t *inner = put_head(at, tag);
    memcpy(inner, order.at, order.length);
    return wire_close(inner, inner + order.length);
}

/* Nothing but an order, as most outcomes are? */
static inline bool is_plain_outcome(const struct codec_outcome *outcome) {
    uint64_t amounts = outcome->created_id | (uint64_t)outcome->needed_minor | (uint64_t)outcome->available_minor;
    return (amounts | outcome->refusal | outcome->repeated | outcome->member) == 0;
}

/* The order comes first, whatever its number: a reader does not mind, and the other fields are one piece. */
uint8_t *codec_put_outcome_in(uint8_t *at, const struct codec_outcome *outcome, const struct codec_bytes orders[CODEC_GROUP]) {
    uint8_t *body = put_head(at, SUBMIT_RESPONSE_OUTCOMES_TAG);
    uint8_t *end = put_order_again(body, OUTCOME_ORDER_TAG, orders[0]);
    if (orders[1].length | orders[2].length) {
        for (uint32_t i = 1; i < CODEC_GROUP; i++) end = put_order_again(end, OUTCOME_OTHERS_TAG, orders[i]);
    }
    if (is_plain_outcome(outcome)) return wire_close(body, end);
    return wire_close(body, write_outcome(end, outcome));
}
