/* Numbers and byte strings on the wire, for codec_read.c and codec_write.c alone.
 *
 * A varint holds seven bits a byte, lowest first; the top bit says that more follow. Most here are one byte, which is the
 * first thing tried; up to eight bytes are packed and unpacked as one 64-bit word without a loop. */

#ifndef BOURSE_CODEC_WIRE_H
#define BOURSE_CODEC_WIRE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { WIRE_VARINT = 0, WIRE_EIGHT_BYTES = 1, WIRE_LENGTH = 2 };
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

/* Eight groups of seven bits, one in each byte, become 56 bits in a row; and back. */
static inline uint64_t wire_gather(uint64_t spread) {
    uint64_t x = spread & ~WIRE_TOP_BITS;
    x = (x & UINT64_C(0x007f007f007f007f)) | (x & UINT64_C(0x7f007f007f007f00)) >> 1;
    x = (x & UINT64_C(0x00003fff00003fff)) | (x & UINT64_C(0x3fff00003fff0000)) >> 2;
    return (x & UINT64_C(0x000000000fffffff)) | (x & UINT64_C(0x0fffffff00000000)) >> 4;
}

static inline uint64_t wire_spread(uint64_t row) {
    uint64_t x = (row & UINT64_C(0x0fffffff)) | (row & UINT64_C(0x00fffffff0000000)) << 4;
    x = (x & UINT64_C(0x00003fff00003fff)) | (x & UINT64_C(0x0fffc0000fffc000)) << 2;
    return (x & UINT64_C(0x007f007f007f007f)) | (x & UINT64_C(0x3f803f803f803f80)) << 1;
}

/* Numbers below zero are folded between those above, so that small ones stay short. */
static inline uint64_t wire_fold(int64_t value) { return (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0); }

static inline int64_t wire_unfold(uint64_t folded) {
    uint64_t value = folded >> 1 ^ (folded & 1 ? UINT64_MAX : 0);
    return (int64_t)value;
}

/* ---- Reading: nothing at or past `end` is touched ------------------------------------------------------------------ */

struct wire_reader {
    const uint8_t *at;
    const uint8_t *end;
};

/* Byte by byte: near the end of the bytes, and for numbers of nine and ten bytes. */
static inline bool wire_take_long(struct wire_reader *reader, uint64_t *value) {
    uint64_t sum = 0;
    for (int i = 0; i < WIRE_LONGEST_VARINT; i++) {
        if (reader->at + i == reader->end) return false;
        uint64_t byte = reader->at[i];
        /* The tenth byte has room for one bit of the 64. */
        if (i == WIRE_LONGEST_VARINT - 1 && byte > 1) return false;
        sum |= (byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            reader->at += i + 1;
            *value = sum;
            return true;
        }
    }
    return false;
}

/* Take a number of up to 64 bits. False, and nothing taken: the bytes end first, or it is longer. */
static inline bool wire_take(struct wire_reader *reader, uint64_t *value) {
    if (reader->at != reader->end && *reader->at < 0x80) {
        *value = *reader->at++;
        return true;
    }
    if (reader->end - reader->at >= 8) {
        uint64_t word = wire_load(reader->at);
        uint64_t stops = ~word & WIRE_TOP_BITS;
        if (stops) {
            int last_bit = __builtin_ctzll(stops);
            /* Everything up to the first byte without a top bit. */
            *value = wire_gather(word & (UINT64_MAX >> (63 - last_bit)));
            reader->at += (last_bit + 1) / 8;
            return true;
        }
    }
    return wire_take_long(reader, value);
}

/* Take a length and as many bytes as it says, at most `most`. False, and nothing taken, if there are not so many. */
static inline bool wire_take_bytes(struct wire_reader *reader, uint64_t most, struct wire_reader *bytes) {
    struct wire_reader ahead = *reader;
    uint64_t length;
    if (!wire_take(&ahead, &length) || length > most || length > (uint64_t)(ahead.end - ahead.at)) return false;
    *bytes = (struct wire_reader){ahead.at, ahead.at + length};
    reader->at = ahead.at + length;
    return true;
}

/* ---- Writing: room is the caller's business ------------------------------------------------------------------------- */

/* Writes eight bytes, of which those after the number mean nothing. */
static inline uint8_t *wire_put(uint8_t *at, uint64_t value) {
    if (value < 0x80) {
        *at = (uint8_t)value;
        return at + 1;
    }
    if (value >> 56 == 0) {
        int bits = 64 - __builtin_clzll(value);
        int length = (bits * 9 + 64) / 64; /* bits / 7, rounded up, for 1..56 */
        wire_store(at, wire_spread(value) | (WIRE_TOP_BITS & ((UINT64_C(1) << (8 * (length - 1))) - 1)));
        return at + length;
    }
    while (value >= 0x80) {
        *at++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *at = (uint8_t)value;
    return at + 1;
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
