/* Numbers and byte strings on the wire, for the files of the codec alone.
 *
 * A varint holds seven bits a byte, lowest first; the top bit says that more follow. Most here are one byte, which is the
 * first thing tried; up to eight bytes are packed and unpacked as one 64-bit word without a loop. */

#ifndef BOURSE_CODEC_WIRE_H
#define BOURSE_CODEC_WIRE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { WIRE_VARINT = 0, WIRE_EIGHT_BYTES = 1, WIRE_LENGTH = 2 };
/* The tag of a field. */
#define TAG_OF(number, type) ((number) << 3 | (type))
#define WIRE_TOP_BITS UINT64_C(0x8080808080808080)
#define WIRE_LONGEST_VARINT 10

static inline uint64_t wire_little_endian(uint64_t word) {
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return __builtin_bswap64(word);
#else
    return word;
#endif
}

static inline uint64_t wire_load(const uint8_t *at) {
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return wire_little_endian(word);
}

static inline void wire_store(uint8_t *at, uint64_t word) {
    word = wire_little_endian(word);
    memcpy(at, &word, sizeof word);
}

static inline void wire_store_four(uint8_t *at, uint32_t word) {
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap32(word);
#endif
    memcpy(at, &word, sizeof word);
}

/* Eight groups of seven bits, one in each byte, become 56 bits in a row; and back. Neighbours are moved together, then pairs,
 * then pairs of pairs: what has to go down by some bits stands in x times a power of two, so one subtraction moves it. */
static inline uint64_t wire_gather(uint64_t spread) {
    uint64_t x = spread & ~WIRE_TOP_BITS;
    x -= (x & UINT64_C(0x7f007f007f007f00)) >> 1;
    x -= ((x & UINT64_C(0x3fff00003fff0000)) >> 2) * 3;
    return x - ((x & UINT64_C(0x0fffffff00000000)) >> 4) * 15;
}

static inline uint64_t wire_spread(uint64_t row) {
    uint64_t x = row;
    x += (x & UINT64_C(0x00fffffff0000000)) * 15;
    x += (x & UINT64_C(0x0fffc0000fffc000)) * 3;
    return x + (x & UINT64_C(0x3f803f803f803f80));
}

/* Numbers below zero are folded between those above, so that small ones stay short. */
static inline uint64_t wire_fold(int64_t value) { return (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0); }

static inline int64_t wire_unfold(uint64_t folded) {
    uint64_t value = folded >> 1 ^ (folded & 1 ? UINT64_MAX : 0);
    return (int64_t)value;
}

/* ---- Reading: nothing at or past `end` is taken, nothing at or past `limit` is touched ------------------------------ */

/* What lies between `end` and `limit` belongs to others, but may be looked at: so numbers near the end of a message inside others
 * are read eight bytes at a time too. */
struct wire_reader {
    const uint8_t *at;
    const uint8_t *end;
    const uint8_t *limit;
};

static inline struct wire_reader wire_reader_of(const uint8_t *bytes, uint32_t length) {
    return (struct wire_reader){bytes, bytes + length, bytes + length};
}

/* Byte by byte: near the limit, and for numbers of nine and ten bytes. Returns the place behind the number, or NULL. */
__attribute__((noinline, unused)) static const uint8_t *wire_take_long(const uint8_t *at, const uint8_t *end, uint64_t *value) {
    uint64_t sum = 0;
    for (int i = 0; i < WIRE_LONGEST_VARINT; i++) {
        if (at + i == end) return NULL;
        uint64_t byte = at[i];
        /* The tenth byte has room for one bit of the 64. */
        if (i == WIRE_LONGEST_VARINT - 1 && byte > 1) return NULL;
        sum |= (byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            *value = sum;
            return at + i + 1;
        }
    }
    return NULL;
}

/* Take a number of up to 64 bits. False, and nothing taken: the bytes end first, or it is longer. */
static inline bool wire_take(struct wire_reader *reader, uint64_t *value) {
    const uint8_t *at = reader->at;
    if (at != reader->end && *at < 0x80) {
        *value = *at;
        reader->at = at + 1;
        return true;
    }
    if (reader->limit - at >= 8) {
        uint64_t word = wire_load(at);
        uint64_t stops = ~word & WIRE_TOP_BITS;
        if (stops && __builtin_ctzll(stops) / 8 < reader->end - at) {
            /* Everything up to the first byte without a top bit. */
            *value = wire_gather(word & (stops ^ (stops - 1)));
            reader->at = at + __builtin_ctzll(stops) / 8 + 1;
            return true;
        }
    }
    uint64_t found;
    at = wire_take_long(at, reader->end, &found);
    if (!at) return false;
    *value = found;
    reader->at = at;
    return true;
}

/* Take a length and as many bytes as it says, at most `most`. False, and nothing taken, if there are not so many. */
static inline bool wire_take_bytes(struct wire_reader *reader, uint64_t most, struct wire_reader *bytes) {
    struct wire_reader ahead = *reader;
    uint64_t length;
    if (!wire_take(&ahead, &length) || length > most || length > (uint64_t)(ahead.end - ahead.at)) return false;
    *bytes = (struct wire_reader){ahead.at, ahead.at + length, ahead.limit};
    reader->at = ahead.at + length;
    return true;
}

/* ---- Writing: room is the caller's business ------------------------------------------------------------------------- */

/* A number of 28 to 56 bits, which most amounts and all times are: five to eight bytes. */
__attribute__((always_inline)) static inline uint8_t *wire_put_wide(uint8_t *at, uint64_t value) {
    uint64_t spread = wire_spread(value);
    uint32_t last_byte_at = (63 - (uint32_t)__builtin_clzll(spread)) & 56;
    /* All bytes but the last have the top bit. */
    wire_store(at, spread | (WIRE_TOP_BITS >> 8) >> (56 - last_byte_at));
    return at + last_byte_at / 8 + 1;
}

/* A number of 15 to 28 bits, which most ids are: three or four bytes. */
__attribute__((always_inline)) static inline uint8_t *wire_put_middle(uint8_t *at, uint32_t value) {
    uint32_t is_four = value >> 21 != 0;
    uint32_t x = value + (value & 0x0fffc000) * 3;
    x += x & 0x3f803f80;
    wire_store_four(at, x | 0x8080 | is_four << 23);
    return at + 3 + is_four;
}

/* A number of any length, byte by byte. Seldom wanted, and it would stand wherever a number is written: those places are many, and
 * have to fit into the first cache. */
__attribute__((noinline, cold, unused)) static uint8_t *wire_put_long(uint8_t *at, uint64_t value) {
    while (value >= 0x80) {
        *at++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *at = (uint8_t)value;
    return at + 1;
}

/* Writes up to eight bytes, of which those after the number mean nothing. */
__attribute__((always_inline)) static inline uint8_t *wire_put(uint8_t *at, uint64_t value) {
    if (value < 0x80) {
        *at = (uint8_t)value;
        return at + 1;
    }
    if (value < 0x4000) {
        at[0] = (uint8_t)(value | 0x80);
        at[1] = (uint8_t)(value >> 7);
        return at + 2;
    }
    if (value < 0x10000000) return wire_put_middle(at, (uint32_t)value);
    return __builtin_expect(value >> 56 == 0, 1) ? wire_put_wide(at, value) : wire_put_long(at, value);
}

/* A tag is a constant wherever this is called, so one branch remains. */
static inline uint8_t *wire_put_tag(uint8_t *at, uint32_t tag) {
    if (tag < 0x80) {
        *at = (uint8_t)tag;
        return at + 1;
    }
    at[0] = (uint8_t)(tag | 0x80);
    at[1] = (uint8_t)(tag >> 7);
    return at + 2;
}

/* Up to 127 bytes. */
static inline uint8_t *wire_put_bytes(uint8_t *at, const uint8_t *bytes, uint32_t length) {
    *at++ = (uint8_t)length;
    memcpy(at, bytes, length);
    return at + length;
}

/* A message was written from `body` to `end`, after one byte kept for its length. Give it its length, which takes a second
 * byte from 128 on: then everything moves by one. Returns the end. Below 16,384 bytes. */
static inline uint8_t *wire_close(uint8_t *body, uint8_t *end) {
    uint32_t length = (uint32_t)(end - body);
    if (length < 0x80) {
        body[-1] = (uint8_t)length;
        return end;
    }
    memmove(body + 1, body, length);
    body[-1] = (uint8_t)(length | 0x80);
    body[0] = (uint8_t)(length >> 7);
    return end + 1;
}

#endif
