/* The quick way to read the commands there are most of: orders, amends and cancels, for codec_read.c alone.
 *
 * It knows fields below 16, whose tags have one byte, and messages whose fields stand in the order of their numbers, as nearly everybody writes them, whose numbers have at most
 * eight bytes and whose lengths have one, and which are followed by eight bytes that may be looked at. So it looks for each field
 * once, where it would be, and for the end of the bytes once a field. It refuses nothing: from what it does not know it steps
 * back, and codec_read.c decides. What it takes, it takes as codec_read.c would. */

#ifndef BOURSE_CODEC_QUICK_H
#define BOURSE_CODEC_QUICK_H

#include "codec.h"
#include "codec_wire.h"
#include "near.h"

#define QUICK_SLACK 8

/* ---- Names ---------------------------------------------------------------------------------------------------- */

#define EACH_BYTE UINT64_C(0x0101010101010101)

/* In each byte of `text` whose own top bit is not set, the top bit of the result: is it in [first, last]? */
static inline uint64_t bytes_within(uint64_t text, uint8_t first, uint8_t last) {
    return (text + (0x80u - first) * EACH_BYTE) & ~(text + (0x7fu - last) * EACH_BYTE);
}

/* Letters, digits, dot, underscore, colon and minus: what a client order id may consist of. Eight at a time; the last ones
 * overlap those before, and fewer than eight are made eight. */
static bool is_eight_of_name(uint64_t text) {
    uint64_t found = bytes_within(text, '0', ':') | bytes_within(text, '-', '.') | bytes_within(text, '_', '_');
    found |= bytes_within(text | 0x20 * EACH_BYTE, 'a', 'z');
    return (found & ~text & WIRE_TOP_BITS) == WIRE_TOP_BITS;
}

static bool is_name(const uint8_t *at, const uint8_t *end) {
    if (end - at < 8) {
        uint8_t padded[8] = "........";
        for (uint32_t i = 0; at + i != end; i++) padded[i] = at[i];
        return is_eight_of_name(wire_load(padded));
    }
    for (; end - at > 8; at += 8)
        if (!is_eight_of_name(wire_load(at))) return false;
    return is_eight_of_name(wire_load(end - 8));
}

#define is_client_order_id is_name

/* ---- Fields --------------------------------------------------------------------------------------------------- */

/* Take a number of which eight bytes may be looked at. Returns the place behind it; NULL: it is longer. */
static inline const uint8_t *quick_number(const uint8_t *at, uint64_t *value) {
    if (*at < 0x80) {
        *value = *at;
        return at + 1;
    }
    if (at[1] < 0x80) {
        *value = (at[0] & 0x7f) | (uint64_t)at[1] << 7;
        return at + 2;
    }
    uint64_t word = wire_load(at);
    uint64_t stops = ~word & WIRE_TOP_BITS;
    if (!stops) return NULL;
    *value = wire_gather(word & (stops ^ (stops - 1)));
    return at + (uint32_t)__builtin_ctzll(stops) / 8 + 1;
}

/* One field, from `at`, which moves behind it, if it is there; `end` is where its message ends. */
#define QUICK(name, number, kind, of) QUICK_##kind(name, number, of)
#define QUICK_NUMBER(name, number, most, type) \
    if ((number) < 16 && at < end && *at == TAG_OF(number, WIRE_VARINT)) { \
        uint64_t taken; \
        at = quick_number(at + 1, &taken); \
        if (!at || taken > (most)) return NULL; \
        into->name = (type)taken; \
    }
#define QUICK_UINT32(name, number, of) QUICK_NUMBER(name, number, UINT32_MAX, uint32_t)
#define QUICK_UINT64(name, number, of) QUICK_NUMBER(name, number, UINT64_MAX, uint64_t)
#define QUICK_INT64(name, number, of) QUICK_NUMBER(name, number, UINT64_MAX, int64_t)
#define QUICK_BOOL(name, number, of) QUICK_NUMBER(name, number, 1, bool)
#define QUICK_ENUM(name, number, of) QUICK_NUMBER(name, number, of##_LAST, uint8_t)
/* No string is longer than 127 bytes, so a length that is allowed has one byte. */
#define QUICK_TEXT(name, number, is_allowed) \
    if ((number) < 16 && at < end && *at == TAG_OF(number, WIRE_LENGTH)) { \
        const uint8_t *after = at + 2 + at[1]; \
        if (at[1] > CODEC_MOST_##name || after > end || !is_allowed(at + 2, after)) return NULL; \
        into->name = (struct codec_bytes){at + 2, at[1]}; \
        at = after; \
    }
#define IS_ANYTHING(at, end) true
#define QUICK_BYTES(name, number, of) QUICK_TEXT(name, number, IS_ANYTHING)
#define QUICK_STRING(name, number, of) QUICK_TEXT(name, number, is_##name)
/* Comes last, and quick_command looks for it. */
#define QUICK_ONEOF_MESSAGE(name, number, of)

/* ---- Messages ------------------------------------------------------------------------------------------------- */

/* quick_m reads message M from `at`, in order. Returns where it stops: at `end` if all of it was read; NULL: beyond this way. */
#define QUICK_READER(name, NAME) \
    static inline const uint8_t *quick_##name(const uint8_t *at, const uint8_t *end, struct codec_##name *into) { \
        clear_bytes(into, sizeof *into); \
        NAME##_FIELDS(QUICK) \
        return at; \
    }
QUICK_READER(place_order, PLACE_ORDER)
QUICK_READER(amend_order, AMEND_ORDER)
QUICK_READER(cancel_order, CANCEL_ORDER)

/* What stands around all kinds. */
static inline const uint8_t *quick_envelope(const uint8_t *at, const uint8_t *end, struct codec_command *into) {
    COMMAND_FIELDS(QUICK)
    return at;
}

#define REQUEST_ID_HEAD (COMMAND_REQUEST_ID_TAG | CODEC_REQUEST_ID << 8)

/* The envelope as nearly everybody sends it, which is as a mark repeats it: a request id, an account, perhaps a deadline, each
 * number in as few bytes as it takes. Returns the place behind it; NULL: it is not that. */
static inline const uint8_t *quick_plain_envelope(const uint8_t *at, const uint8_t *end, struct codec_command *into) {
    const uint8_t *start = at;
    uint64_t account, valid_until_us = 0;
    if (end - at < 2 + CODEC_REQUEST_ID + 2 || (at[0] | at[1] << 8) != REQUEST_ID_HEAD) return NULL;
    at += 2 + CODEC_REQUEST_ID;
    if (*at != COMMAND_ACCOUNT_TAG) return NULL;
    at = quick_number(at + 1, &account);
    if (!at || account > UINT32_MAX || at[-1] == 0) return NULL;
    if (*at == COMMAND_VALID_UNTIL_US_TAG) {
        at = quick_number(at + 1, &valid_until_us);
        if (!at || at[-1] == 0) return NULL;
    }
    if (at >= end) return NULL;
    into->request_id = (struct codec_bytes){start + 2, CODEC_REQUEST_ID};
    into->account = (uint32_t)account;
    into->valid_until_us = (int64_t)valid_until_us;
    into->envelope = (uint16_t)(at - start);
    return at;
}

/* Take a length and a command of that length; the envelope is clear. False: nothing is taken, and what is in `into` means
 * nothing. */
static inline bool quick_command(struct wire_reader *reader, struct codec_command *into) {
    const uint8_t *at = reader->at;
    if (at == reader->end || *at >= 0x80 || *at >= reader->end - at || *at + 1 + QUICK_SLACK > reader->limit - at) return false;
    const uint8_t *end = at + 1 + *at;
    const uint8_t *start = at + 1;
    at = reader->limit - start >= CODEC_ENVELOPE ? quick_plain_envelope(start, end, into) : NULL;
    if (!at) at = quick_envelope(start, end, into);
    /* The message of its kind must be all of the rest. */
    if (!at || end - at < 2 || at[1] != end - at - 2) return false;
    into->kind = (uint16_t)(*at >> 3);
    switch (*at) {
    case COMMAND_PLACE_ORDER_TAG: at = quick_place_order(at + 2, end, &into->place_order); break;
    case COMMAND_AMEND_ORDER_TAG: at = quick_amend_order(at + 2, end, &into->amend_order); break;
    case COMMAND_CANCEL_ORDER_TAG: at = quick_cancel_order(at + 2, end, &into->cancel_order); break;
    default: return false;
    }
    if (at != end) return false;
    reader->at = end;
    return true;
}

#endif
